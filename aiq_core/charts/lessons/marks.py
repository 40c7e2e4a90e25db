"""What the lessons' figures share: the veil over an answer, the ghost of a guess, and the player."""

from typing import Any

from aiq_core.charts import draw, style
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


def question_mark(look: Look, x: float, y: float) -> dict[str, Any]:
    """The large "?" on a veil, in axis coordinates (logarithms on a log axis)."""
    font = {"size": look.font_px * 2.4, "color": look.palette.text}
    return style.note(look, "<b>?</b>", x, y, font=font, bgcolor=look.palette.background)


def ghost(look: Look, x: Any, y: Any, text: str = GHOST, **more: Any) -> dict[str, Any]:
    """A guess: a ringed dot in the accent's colour with its name beside it; a cross would call it wrong."""
    said = {
        "mode": "markers+text",
        "name": GHOST,
        "text": [text],
        "textposition": "top center",
        "textfont": {"size": look.font_px, "color": look.palette.accent},
        "cliponaxis": False,
        "hovertemplate": f"{text}<extra></extra>",
    }
    return draw.dots(look, [x], [y], "circle-open-dot", 13, look.palette.accent, edge=2, **{**said, **more})


def player(
    look: Look, y: float, label: str, names: list[str], frame_ms: int, *others: dict[str, Any]
) -> dict[str, Any]:
    """The button at the right that plays the frames of those names, and other buttons beside it."""
    play = {"frame": {"duration": frame_ms, "redraw": True}, "transition": {"duration": 0}, "mode": "immediate"}
    return {
        "type": "buttons",
        "direction": "left",
        "showactive": False,
        "x": 1,
        "y": y,
        "xanchor": "right",
        "yanchor": "middle",
        "pad": {"t": 0, "r": 0},
        "font": {"size": look.font_px, "color": look.palette.text},
        "bgcolor": look.palette.background,
        "bordercolor": look.palette.muted,
        "buttons": [{"label": label, "method": "animate", "args": [names, play]}, *others],
    }
