"""What the lessons' figures share: the veil over an answer, the ghost of a guess, and lines across a plot."""

from typing import Any

from aiq_core.charts import style
from aiq_core.charts.style import Look

GHOST = "your guess"


def veil(look: Look, x: tuple[float, float], y: tuple[float, float], **axes: str) -> dict[str, Any]:
    """A hatched rectangle in data coordinates: the answer lies under it."""
    (left, right), (bottom, top) = x, y
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "guess first",
        "x": [left, right, right, left, left],
        "y": [bottom, bottom, top, top, bottom],
        "fill": "toself",
        "fillcolor": style.faded(look.palette.muted, 0.16),
        "fillpattern": {
            "shape": "/",
            "fgcolor": style.faded(look.palette.muted, 0.75),
            "bgcolor": look.palette.background,
            "size": 9 * look.scale,
            "solidity": 0.16,
        },
        "line": {"width": look.scale, "color": look.palette.muted, "dash": "dot"},
        "hoverinfo": "skip",
        **axes,
    }


def question_mark(look: Look, x: float, y: float, **more: Any) -> dict[str, Any]:
    """The large "?" on a veil, in axis coordinates (logarithms on a log axis)."""
    font = {"size": look.font_px * 2.4, "color": look.palette.text}
    return style.note(look, "<b>?</b>", x, y, font=font, bgcolor=look.palette.background, **more)


def ghost(look: Look, x: Any, y: Any, text: str = GHOST, **more: Any) -> dict[str, Any]:
    """A guess: a ringed dot in the accent's colour with its name beside it; a cross would call it wrong."""
    line = {"width": 2 * look.scale, "color": look.palette.accent}
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": GHOST,
        "x": [x],
        "y": [y],
        "text": [text],
        "textposition": "top center",
        "textfont": {"size": look.font_px, "color": look.palette.accent},
        "marker": {"symbol": "circle-open-dot", "size": 13 * look.scale, "color": look.palette.accent, "line": line},
        "cliponaxis": False,
        "hovertemplate": f"{text}<extra></extra>",
        **more,
    }


def line(look: Look, xs: list[Any], ys: list[Any], colour: str, width: float = 1.6, **more: Any) -> dict[str, Any]:
    """A line without marks that the pointer passes through."""
    dash = more.pop("dash", "solid")
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "line": {"color": colour, "width": width * look.scale, "dash": dash},
        "hoverinfo": "skip",
        **more,
    }
