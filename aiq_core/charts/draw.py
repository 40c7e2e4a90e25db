"""What traces of several charts are made of: marks, lines, levels, intervals, and what a mark says."""

from collections.abc import Iterable, Sequence
from typing import Any

from aiq_core.charts.style import Look
from aiq_core.statistics import Interval

MOST_LEVELS = 31
"""Up to so many levels a line is drawn at each: at 5 bits they can still be told apart."""


def dots(
    look: Look,
    xs: Sequence[Any],
    ys: Sequence[Any],
    symbol: str,
    size: float,
    colour: str,
    edge: float = 0,
    **more: Any,
) -> dict[str, Any]:
    """Marks of one look; `size` and `edge`, the width of their outline, in pixels at scale 1."""
    marker: dict[str, Any] = {"symbol": symbol, "size": size * look.scale, "color": colour}
    if edge:
        marker["line"] = {"width": edge * look.scale, "color": colour}
    return {"type": "scatter", "mode": "markers", "x": xs, "y": ys, "marker": marker, **more}


def line(
    look: Look, xs: list[Any], ys: list[Any], colour: str, width: float = 1.6, dash: str = "solid", **more: Any
) -> dict[str, Any]:
    """A line without marks that the pointer passes through."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "line": {"color": colour, "width": width * look.scale, "dash": dash},
        "hoverinfo": "skip",
        **more,
    }


def levels(look: Look, places: list[float], top: float, colour: str, width: float) -> list[dict[str, Any]]:
    """An upright line at each level of a grid, up to `top`; none where they would be too close."""
    if len(places) > MOST_LEVELS:
        return []
    xs = [x for place in places for x in (place, place, None)]
    return [line(look, xs, [0, top, None] * len(places), colour, width, name="levels")]


def intervals(
    look: Look, spans: Sequence[Interval], colour: str, thickness: float = 1.2, unit: float = 1
) -> dict[str, Any]:
    """Error bars, each end times `unit`."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [(span.high - span.value) * unit for span in spans],
        "arrayminus": [(span.value - span.low) * unit for span in spans],
        "color": colour,
        "thickness": thickness * look.scale,
        "width": 0,
    }


def hover(texts: Iterable[str]) -> dict[str, Any]:
    """What each mark says under the pointer."""
    return {"customdata": list(texts), "hovertemplate": "%{customdata}<extra></extra>"}
