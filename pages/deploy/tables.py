"""What Deploy shows as tables: every variant in every engine, and the nodes that a runtime made of one."""

from collections.abc import Sequence

import pandas as pd

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.nodes import Nodes
from aiq_core.deployment.rows import Row
from aiq_core.deployment.words import rate_words, times_words
from aiq_core.hardware import NumberType
from aiq_core.metrics import Metric
from aiq_core.records import FP32_BITS
from aiq_core.wording import number, seconds, span

MOST_NAMED = 6


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
        "× its FP32": "–" if own is None else times_words(own),
        "Points lost (95 %)": "–"
        if judged is None or row.variant.is_fp32
        else f"{number(judged.drop.value, 2)} ({span(judged.drop)})",
        "Images/s": rate_words(timing.images_per_s),
        "A batch": seconds(timing.latency_s.value),
        "× eager FP32": "–" if eager is None else times_words(eager),
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
