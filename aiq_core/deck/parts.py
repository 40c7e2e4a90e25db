"""What slides share: how figures are drawn and kept, and the sentences that say how numbers were got."""

from collections.abc import Callable
from typing import Any

from aiq_core.charts.style import Look
from aiq_core.deck.slide import Figure
from aiq_core.traffic import traffic_model


def if_kernels(*traffic: str) -> str:
    """How times were got, by these traffic models."""
    models = " and ".join(dict.fromkeys(traffic))
    return f"Predicted, not measured: roofline time if kernels for these widths existed, batch 1, {models} traffic."


def counted(traffic: str) -> str:
    """How bytes were counted."""
    return f"Computed at batch 1, {traffic} traffic. {traffic_model(traffic).sentence}"


def in_both(draw: Callable[[Look], dict[str, Any]], alt: str, rows: Any = ()) -> Figure:
    """A figure in both themes, at a projector's size."""
    return Figure(draw(Look(dark=False, projector=True)), draw(Look(dark=True, projector=True)), alt, rows)


def records(frame: Any) -> list[dict[str, Any]]:
    """A frame's rows, with None where it has no number."""
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows
