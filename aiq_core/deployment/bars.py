"""Rows as marks of the throughput chart."""

from collections.abc import Sequence

from aiq_core.charts.throughput import Bar
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.rows import Row
from aiq_core.deployment.variant import Variant
from aiq_core.deployment.words import rate_words, times_words
from aiq_core.wording import number, span


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
        f"{rate_words(timing.images_per_s)} images/s at batch {timing.batch}, {len(timing.seconds)} rounds",
    ]
    if timing.ratio_to_engine_fp32 is not None:
        lines.append(f"{times_words(timing.ratio_to_engine_fp32)} its FP32")
    if row.against_fp32 is not None:
        drop = row.against_fp32.drop
        lines.append(f"{number(drop.value, 2)} points lost ({span(drop)})")
    return "<br>".join(lines)
