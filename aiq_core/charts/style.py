"""Colours, symbols and sizes that mean the same in every chart, in light and dark and on a projector."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiq_core.records import FP32_BITS

PROJECTOR_SCALE = 1.5
"""How much larger type and marks stand on a projector."""

FONT = "Inter, sans-serif"
FONT_PX = 11.5

SYMBOLS: Mapping[int, str] = {
    32: "circle-open",
    8: "square",
    7: "pentagon",
    6: "hexagon",
    5: "triangle-up",
    4: "diamond",
    3: "triangle-down",
    2: "x",
}
"""Weight bits -> marker: a second cue beside colour."""

GLYPHS: Mapping[int, str] = {32: "○", 8: "■", 7: "⬟", 6: "⬢", 5: "▲", 4: "◆", 3: "▼", 2: "✕"}
"""The same markers as text."""


def width_name(bits: int) -> str:
    """A width with its mark, as on a button: `■ 8`."""
    return f"{GLYPHS[bits]} FP32" if bits == FP32_BITS else f"{GLYPHS[bits]} {bits}"


@dataclass(frozen=True)
class Palette:
    """Colours of one theme. `bits` are safe for colour-blind eyes: blue and orange, after Okabe and Ito (2008)."""

    text: str
    muted: str
    grid: str
    background: str
    accent: str
    memory: str
    compute: str
    paper: str
    bits: Mapping[int, str]


LIGHT = Palette(
    text="#1b2330",
    muted="#5b6675",
    grid="#e3e7ec",
    background="#ffffff",
    accent="#7a3cc4",
    memory="#1b8a7a",
    compute="#b0305c",
    paper="#7c5a12",
    bits={
        32: "#8792a2",
        8: "#1f77b4",
        7: "#2c8f96",
        6: "#4f9a5f",
        5: "#9a8a1e",
        4: "#d9660b",
        3: "#c23b22",
        2: "#8e1f3f",
    },
)

DARK = Palette(
    text="#e8ecf1",
    muted="#a9b3c1",
    grid="#2c3542",
    background="#12161c",
    accent="#b58bf2",
    memory="#3fb8a5",
    compute="#e5739a",
    paper="#d9b65a",
    bits={
        32: "#9aa5b4",
        8: "#4fa3e0",
        7: "#53bcc3",
        6: "#7cc98b",
        5: "#cdbd4f",
        4: "#f29b4b",
        3: "#f0735c",
        2: "#e5739a",
    },
)


@dataclass(frozen=True, slots=True)
class Look:
    """How charts are drawn: theme and size."""

    dark: bool = False
    projector: bool = False

    @property
    def palette(self) -> Palette:
        """The theme's colours."""
        return DARK if self.dark else LIGHT

    @property
    def scale(self) -> float:
        """Factor on type and marks."""
        return PROJECTOR_SCALE if self.projector else 1.0

    @property
    def font_px(self) -> float:
        """Type size."""
        return FONT_PX * self.scale


def open_symbol(bits: int) -> str:
    """The outline of a width's marker."""
    symbol = SYMBOLS[bits]
    return symbol if symbol.endswith("-open") else f"{symbol}-open"


def key_to_bits(widths: Iterable[int], look: Look, short: bool = False) -> str:
    """A legend of widths in one line of Plotly's HTML, widest first; `short` leaves the word bits to its reader."""
    parts = []
    for bits in sorted(widths, reverse=True):
        name = "FP32" if bits == FP32_BITS else f"{bits}" if short else f"{bits} bits"
        parts.append(f"<span style='color:{look.palette.bits[bits]}'>{GLYPHS[bits]}</span> {name}")
    return ("  " if short else "   ").join(parts)


def faded(colour: str, opacity: float) -> str:
    """A #rrggbb colour with an opacity, as rgba()."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def layout(look: Look, height: float, margin: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """What every chart's layout shares. Height and margins in pixels at scale 1."""
    palette = look.palette
    return {
        "height": round(height * look.scale),
        "margin": {side: round(pixels * look.scale) for side, pixels in margin.items()} | {"pad": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": look.font_px, "color": palette.text},
        "hoverlabel": {
            "bgcolor": palette.background,
            "bordercolor": palette.muted,
            "font": {"family": FONT, "size": look.font_px, "color": palette.text},
            "align": "left",
        },
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": palette.muted, "activecolor": palette.accent},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
        **more,
    }


def axis(look: Look, title: str, **more: Any) -> dict[str, Any]:
    """What every axis shares; a fixed range is for the caller to give."""
    palette = look.palette
    return {
        "title": {"text": title, "font": {"size": look.font_px, "color": palette.muted}, "standoff": 6 * look.scale},
        "gridcolor": palette.grid,
        "zeroline": False,
        "tickfont": small_font(look),
        "linecolor": palette.grid,
        # Else Plotly measures each tick's text again, a tenth of a redraw; our margins have room for all.
        "ticklabeloverflow": "allow",
        **more,
    }


def small_font(look: Look) -> dict[str, Any]:
    """Type of ticks and notes."""
    return {"size": look.font_px * 0.95, "color": look.palette.muted}


def note(look: Look, text: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    """A text annotation without an arrow."""
    return {"text": text, "x": x, "y": y, "showarrow": False, "borderpad": 0, "font": small_font(look), **more}


def heading(look: Look, text: str, **more: Any) -> dict[str, Any]:
    """A note above the plot, from its left end on; `more` may put its corner elsewhere."""
    above = {"x": 0, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    return note(look, text, **{**above, **more})


def label(
    look: Look,
    text: str,
    x: float,
    y: float,
    shift: tuple[float, float],
    *,
    xref: str,
    yref: str,
    **more: Any,
) -> dict[str, Any]:
    """A text at `shift` pixels (rightwards, upwards) from a place, as a shape's: Plotly draws annotations twice.

    `more` are the label's anchors, font and padding. On a logarithmic axis Plotly takes shifts below 0 for 0; `padding`
    moves the text away from its anchor there.
    """
    placed = {"textposition": "end", "textangle": 0, "padding": 0}
    return {
        "type": "line",
        "xref": xref,
        "yref": yref,
        "xsizemode": "pixel",
        "ysizemode": "pixel",
        "xanchor": x,
        "yanchor": y,
        **dict.fromkeys(("x0", "x1"), shift[0]),
        **dict.fromkeys(("y0", "y1"), shift[1]),
        "line": {"width": 0},
        "label": {"text": text, "font": small_font(look), **placed, **more},
    }


def config(file_name: str) -> dict[str, Any]:
    """Plotly's configuration: no logo, no upload, zoom by button only, an SVG of the chart under `file_name`."""
    return {
        "displaylogo": False,
        "showSendToCloud": False,
        "scrollZoom": False,
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoom2d", "pan2d"],
        "toImageButtonOptions": {"format": "svg", "filename": file_name},
        "doubleClick": False,
    }
