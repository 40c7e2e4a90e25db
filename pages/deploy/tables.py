"""What Deploy shows as tables: every variant in every engine, and the nodes that a runtime made of one."""

from collections.abc import Sequence

import pandas as pd

from aiq_core.charts.throughput import Bar
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.nodes import Nodes
from aiq_core.deployment.rows import Row
from aiq_core.deployment.variant import Variant
from aiq_core.hardware import NumberType
from aiq_core.metrics import Metric
from aiq_core.records import FP32_BITS
from aiq_core.roof import Spread
from aiq_core.wording import number, seconds, span

MOST_NAMED = 6


def bars(rows: Sequence[Row], variants: Sequence[Variant], absolute: bool) -> list[Bar]:
    """The chart's marks, by variant; ratios leave out what they are to, and PyTorch, which runs FP32 alone."""
    shown = rows if absolute else [row for row in rows if row.engine in RUNTIMES and not row.variant.is_fp32]
    order = {variant.key: place for place, variant in enumerate(variants)}
    shown = sorted(shown, key=lambda row: order[row.variant.key])
    return [
        Bar(
            row.engine.words,
            row.variant.title,
            row.timing.images_per_s,
            row.timing.ratio_to_engine_fp32,
            _says(row),
            row.predicted,
            list(Engine).index(row.engine),
        )
        for row in shown
    ]


def _says(row: Row) -> str:
    timing = row.timing
    lines = [
        f"<b>{row.variant.title}</b>, {row.engine.words} {timing.version}",
        f"{_rate(timing.images_per_s)} images/s at batch {timing.batch}, {len(timing.seconds)} rounds",
    ]
    if timing.ratio_to_engine_fp32 is not None:
        lines.append(f"{_times(timing.ratio_to_engine_fp32)} its FP32")
    if row.against_fp32 is not None:
        drop = row.against_fp32.drop
        lines.append(f"{number(drop.value, 2)} points lost ({span(drop)})")
    return "<br>".join(lines)


def table(rows: Sequence[Row], metric: Metric) -> pd.DataFrame:
    """A row a variant and engine, as text."""
    return pd.DataFrame([_cells(row, metric) for row in rows])


def _cells(row: Row, metric: Metric) -> dict[str, str]:
    timing, judged, deployed = row.timing, row.against_fp32, row.deployed
    own = None if row.variant.is_fp32 else timing.ratio_to_engine_fp32
    eager = None if row.engine is Engine.EAGER else timing.ratio_to_eager_fp32
    return {
        "Variant": row.variant.title,
        "Engine": row.engine.words,
        "× its FP32": "–" if own is None else _times(own),
        "Points lost (95 %)": "–"
        if judged is None or row.variant.is_fp32
        else f"{number(judged.drop.value, 2)} ({span(judged.drop)})",
        "Images/s": _rate(timing.images_per_s),
        "A batch": seconds(timing.latency_s.value),
        "× eager FP32": "–" if eager is None else _times(eager),
        "Arithmetic": arithmetic(row),
        f"{metric.title}, {metric.unit} (95 %)": (
            "–" if judged is None else f"{number(judged.after.value, 2)} ({span(judged.after)})"
        ),
        "As simulated": "–" if deployed is None else f"{number(deployed.agreement_percent, 2)} %",
    }


def arithmetic(row: Row) -> str:
    """What computes it: a real integer kernel, or floats that stand for rounded weights."""
    variant = row.variant
    if variant.policy.has_activations:
        return "real integer kernels"
    if any(bits != FP32_BITS for bits in variant.policy.weight_bits):
        return "FP32, rounding simulated"
    return "BF16" if variant.precision is NumberType.BF16 else "FP32"


def _rate(found: Spread) -> str:
    return f"{number(found.value, 0)} ({number(found.low, 0)} to {number(found.high, 0)})"


def _times(found: Spread) -> str:
    return f"{number(found.value, 2)} × ({number(found.low, 2)} to {number(found.high, 2)})"


def nodes_table(found: Nodes) -> pd.DataFrame:
    """A row a node, in the order in which they run."""
    return pd.DataFrame(
        [
            {
                "Node": node.name,
                "Operator": node.operator,
                "Layer": ", ".join(node.layers),
                "Arithmetic": "integers" if node.is_integer else "floats",
                "Share of time, %": round(100 * node.share, 2),
            }
            for node in found.nodes
        ]
    )


def nodes_words(found: Nodes) -> str:
    """What fused, what did not, and what changes of type and layout take."""
    held = {layer for node in found.nodes for layer in node.layers}
    said = [f"{len(held)} layers in {len(found.nodes)} nodes"]
    if found.wanted:
        missed = found.unfused
        fused = len(found.wanted) - len(missed)
        said.append(f"{fused} of {len(found.wanted)} layers that were to run on integers do")
        if missed:
            more = f" and {len(missed) - MOST_NAMED} more" if len(missed) > MOST_NAMED else ""
            said.append(f"not {', '.join(missed[:MOST_NAMED])}{more}")
    said.append(f"reorders and transposes take {number(100 * found.moving, 1)} % of the time")
    said.append(f"quantizing and dequantizing {number(100 * found.converting, 1)} %")
    return f"{'; '.join(said)}."
