"""What slides share: how figures are drawn and kept, times, and the sentences that say how numbers were got."""

from collections.abc import Callable
from typing import Any

from aiq_core.charts.style import Look
from aiq_core.charts.wording import number
from aiq_core.deck.slide import Figure
from aiq_core.intensity import TRAFFIC_MODEL

IF_KERNELS = (
    f"Predicted, not measured: roofline time if kernels for these widths existed, batch 1, {TRAFFIC_MODEL} traffic."
)
COUNTED = f"Computed at batch 1, {TRAFFIC_MODEL}: every layer reads its weights and input and writes its output."


def in_both(draw: Callable[[Look], dict[str, Any]], alt: str, rows: Any = ()) -> Figure:
    """A figure in both themes, at a projector's size."""
    return Figure(draw(Look(dark=False, projector=True)), draw(Look(dark=True, projector=True)), alt, rows)


def records(frame: Any) -> list[dict[str, Any]]:
    """A frame's rows, with None where it has no number."""
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows


def duration(seconds: float) -> str:
    """A time as people say it: `8 s`, `4 min`, `1 h 20 min`."""
    if seconds < 10:
        return f"{number(seconds, 1)} s"
    if seconds < 90:
        return f"{number(seconds, 0)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
