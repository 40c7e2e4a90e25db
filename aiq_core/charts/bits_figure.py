"""The bits chart's figure: weights stand above the axis, activations hang below it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.bits import FEW_LAYERS, Bar, BitsData, hover
from aiq_core.charts.labels import GLYPH_EM, PLOT_WIDTHS_PX
from aiq_core.charts.style import Look
from aiq_core.records import FP32_BITS, Site

HEIGHT_PX, BOTH_HEIGHT_PX = 172, 184
"""Of weights alone, and of both kinds."""

MOST_PARTS = 24
"""So many parts are named, side by side; of more, one in two, three, …"""

TICK_LETTERS = 12
"""Of a bar's name: upright, as on a phone, more would leave the bars no room."""

CUT_NAMES_PX = 36

MARGIN_PX = {"l": 36, "r": 16, "t": 18, "b": 18}


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive columns of one part of the network: `first` to `last`."""

    name: str
    first: int
    last: int

    @property
    def middle(self) -> float:
        """Where its name goes."""
        return (self.first + self.last) / 2


def blocks(names: Sequence[str]) -> tuple[tuple[Block, ...], tuple[str, ...] | None]:
    """Parts of the network and, where there is room, a short name for each bar.

    Few layers: parts by first name (`layer1`), bars by the rest (`0.conv1`). Many: parts by the second (`17`).
    """
    short = wording.without_shared_head(names)
    few = len(names) <= FEW_LAYERS
    heads = [short[name].partition(".")[0] for name in names]
    cut = wording.clipped(heads, TICK_LETTERS)
    if few and len(set(heads)) == len(names):
        bars = wording.clipped(short.values(), TICK_LETTERS)
        return (), tuple(bars[short[name]] for name in names)
    found: list[Block] = []
    for index, head in enumerate(heads):
        if found and found[-1].name == cut[head]:
            found[-1] = Block(cut[head], found[-1].first, index)
        else:
            found.append(Block(cut[head], index, index))
    if not few:
        return tuple(found), None
    rests = [short[name].partition(".")[2] or short[name] for name in names]
    bars = wording.clipped(rests, TICK_LETTERS)
    return tuple(block for block in found if block.last > block.first), tuple(bars[rest] for rest in rests)


def part_ticks(parts: Sequence[Block], columns: int) -> dict[str, Any]:
    """Names of parts of several layers, in the middle of each; where a phone has no room for them, they may turn."""
    wide = [part for part in parts if part.last > part.first]
    wide = wide[:: ceil(len(wide) / MOST_PARTS) or 1]
    named = {"tickvals": [part.middle for part in wide], "ticktext": [part.name for part in wide]}
    letters = PLOT_WIDTHS_PX[0] / (GLYPH_EM * style.FONT_PX * columns)
    fits = all(len(part.name) <= max(3, letters * (part.last - part.first + 1)) for part in wide)
    return {**named, "tickangle": 0} if fits else {**named, "automargin": "height"}


def bar_height(bits: int) -> float:
    """Height of a bar: by log2, so that 8 and 4 bits are told apart; half a unit keeps 2 bits visible."""
    return log2(bits) - 0.5


def places(data: BitsData) -> tuple[tuple[Bar, int], ...]:
    """Every bar with its column: first those above the axis, then those below."""
    columns = list(enumerate(data.columns))
    above = [(column.weights, place) for place, column in columns if column.weights is not None]
    return (*above, *((column.group, place) for place, column in columns if column.group is not None))


def reach(bar: Bar, bits: int) -> float:
    """Where a bar of that width ends: weights rise, activations hang."""
    return bar_height(bits) if bar.is_weights else -bar_height(bits)


TOP, BOTH_TOP = bar_height(FP32_BITS) * 1.18, bar_height(FP32_BITS) * 1.32
"""Where the y axis ends: a bar of FP32 and its number, beside which a bar is lower where both kinds are drawn."""


def bits_figure(data: BitsData, look: Look) -> dict[str, Any]:
    """A Plotly figure, as a dict."""
    parts, ticks = blocks([column.name for column in data.columns])
    both, last = data.has_groups, len(data.columns) - 1
    drawn = places(data)
    kinds = [[(bar, place) for bar, place in drawn if bar.is_weights is above] for above in (True, False)]
    # Layers by name, which on a phone turn upright as the margin grows; else parts, whose names are short.
    named: dict[str, Any] = {"tickvals": [*range(last + 1)], "ticktext": list(ticks or ()), "automargin": "height"}
    if both:
        # Two more columns than layers, and their names beside each other.
        named["tickfont"] = {**style.small_font(look), "size": look.font_px * 0.85}
    if ticks is None:
        named = part_ticks(parts, last + 1)
    return {
        "data": [_bar_trace(bars, data, look) for bars in kinds if bars],
        "layout": style.layout(
            look,
            (BOTH_HEIGHT_PX if both else HEIGHT_PX) + _names_px(named["ticktext"]),
            MARGIN_PX,
            bargap=0.22,
            **({"barmode": "overlay"} if both else {}),
            uniformtext={"mode": "hide", "minsize": look.font_px * 0.75},
            annotations=_block_notes(parts, look) if ticks is not None else [],
            shapes=[*_block_edges(parts, look), *_pinned_edges(drawn, look)],
            xaxis=style.axis(look, "", showgrid=False, range=[-0.6, last + 0.6], ticks="", **named),
            yaxis=_bits_axis(data, look),
        ),
    }


def clickable(figure: dict[str, Any], data: BitsData, picked: Site, look: Look) -> dict[str, Any]:
    """The bits figure with a field a site to click on, in network order, the picked one shaded."""
    layout, palette = figure["layout"], look.palette
    drawn = {bar.site: (bar, place) for bar, place in places(data)}
    fields = [drawn[bar.site] for bar in data.bars]
    columns = {
        "type": "bar",
        "x": [place for _, place in fields],
        "y": [1 if bar.is_weights else -1 for bar, _ in fields],
        "width": 1,
        # Of its own axis: Plotly rounds the ends of the outermost bars of an axis only.
        "yaxis": "y2",
        "marker": {"color": "rgba(0,0,0,0)", "line": {"width": 0}},
        **draw.hover(hover(bar, data) for bar, _ in fields),
    }
    bar, place = drawn[picked]
    shade = {
        "type": "rect",
        "x0": place - 0.5,
        "x1": place + 0.5,
        "y0": 0,
        "y1": BOTH_TOP if bar.is_weights else -BOTH_TOP,
        "line": {"width": 1.5 * look.scale, "color": palette.text},
        "fillcolor": style.faded(palette.accent, 0.12),
        "layer": "below",
    }
    # The fields stand above the bars and say what they would: once is enough to send.
    told = ("customdata", "hovertemplate")
    below = [{name: value for name, value in trace.items() if name not in told} for trace in figure["data"]]
    return {
        "data": [*({**trace, "hoverinfo": "skip"} for trace in below), columns],
        "layout": {
            **layout,
            "barmode": "overlay",
            "shapes": [*layout["shapes"], shade],
            "yaxis2": {"overlaying": "y", "range": [-1, 1], "visible": False, "fixedrange": True},
        },
    }


def _names_px(ticks: Sequence[str]) -> float:
    """More height where names are so long that they were cut: upright, they would take it from the bars."""
    return CUT_NAMES_PX if any(wording.CUT in tick for tick in ticks) else 0


def _bits_axis(data: BitsData, look: Look) -> dict[str, Any]:
    if not data.has_groups:
        held = sorted({FP32_BITS, 8, 4, *(bar.bits for bar in data.bars)})
        return _axis(look, "bits", (0, TOP), [(bar_height(bits), bits) for bits in held])
    # Those that have room, less where names of layers stand upright on a phone; there each bar has its own number.
    named = (8, FP32_BITS) if len(data.columns) <= FEW_LAYERS else (4, 8, FP32_BITS)
    ticks = [(sign * bar_height(bits), bits) for sign in (-1, 1) for bits in named]
    zero = {"zeroline": True, "zerolinecolor": look.palette.muted, "zerolinewidth": look.scale}
    return _axis(look, "activations · weights", (-BOTH_TOP, BOTH_TOP), ticks) | zero


def _axis(look: Look, title: str, ends: tuple[float, float], ticks: Sequence[tuple[float, int]]) -> dict[str, Any]:
    heights, texts = [height for height, _ in ticks], [str(bits) for _, bits in ticks]
    return style.axis(look, title, range=[*ends], tickvals=heights, ticktext=texts)


def _bar_trace(bars: Sequence[tuple[Bar, int]], data: BitsData, look: Look) -> dict[str, Any]:
    palette = look.palette
    hang = not bars[0][0].is_weights
    size = look.font_px * (0.95 if len(data.columns) <= FEW_LAYERS else 0.8)
    return {
        "type": "bar",
        "x": [place for _, place in bars],
        "y": [reach(bar, bar.bits) for bar, _ in bars],
        "text": [str(bar.bits) for bar, _ in bars],
        "textposition": [_number_place(bar) for bar, _ in bars] if data.has_groups else "outside",
        **(_inside_numbers(look, size) if data.has_groups else {}),
        "textfont": {"size": size, "color": palette.text},
        "textangle": 0,
        "cliponaxis": False,
        "constraintext": "outside",
        "marker": {
            "color": [palette.bits[bar.bits] for bar, _ in bars],
            **({"cornerradius": "40%"} if hang else {}),
            "line": {
                "color": [palette.accent if bar.changed else palette.bits[bar.bits] for bar, _ in bars],
                "width": [2 * look.scale if bar.changed else 0 for bar, _ in bars],
            },
        },
        # Slimmer and round, so that where both have one colour they are not taken for one bar.
        **({"width": 0.56} if hang else {}),
        **draw.hover(hover(bar, data) for bar, _ in bars),
    }


def _number_place(bar: Bar) -> str:
    """Inside where the pinned policy's line would cross the number, and the bar has room for it."""
    beyond = bar_height(bar.pinned_bits or bar.bits) - bar_height(bar.bits)
    return "inside" if 0 < beyond <= 1 <= bar_height(bar.bits) else "outside"


def _inside_numbers(look: Look, size: float) -> dict[str, Any]:
    """Dark in both themes: the bars are light enough in each."""
    colour = look.palette.background if look.dark else look.palette.text
    return {"insidetextanchor": "end", "insidetextfont": {"size": size, "color": colour}}


def _pinned_edges(drawn: Sequence[tuple[Bar, int]], look: Look) -> list[dict[str, Any]]:
    """Where the pinned policy stood, as a bar's former edge."""
    return _lines(
        [
            f"M{place - 0.45},{reach(bar, bar.pinned_bits or FP32_BITS)}H{place + 0.45}"
            for bar, place in drawn
            if bar.changed
        ],
        color=look.palette.accent,
        width=3 * look.scale,
    )


def _block_notes(parts: Sequence[Block], look: Look) -> list[dict[str, Any]]:
    """Names of the parts above the plot, where bars are named below."""
    return [style.note(look, part.name, part.middle, 1, yref="paper", yanchor="bottom", yshift=2) for part in parts]


def _block_edges(parts: Sequence[Block], look: Look) -> list[dict[str, Any]]:
    """A thin line at both ends of each part of several layers."""
    wide = [part for part in parts if part.last > part.first]
    edges = sorted({part.first - 0.5 for part in wide} | {part.last + 0.5 for part in wide})
    lines = _lines([f"M{edge},0V1" for edge in edges], color=look.palette.grid, width=look.scale)
    return [{**shape, "yref": "paper", "layer": "below"} for shape in lines]


def _lines(paths: Sequence[str], **line: Any) -> list[dict[str, Any]]:
    """Lines as one shape, if there are any: each of its own takes its time to draw."""
    return [{"type": "path", "path": "".join(paths), "line": line}] if paths else []
