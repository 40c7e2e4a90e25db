"""The bits chart: a bar a layer in network order, with what it weighs, what it costs alone and why it stands there."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

import pandas as pd

from aiq_core import wording
from aiq_core.charts import style
from aiq_core.charts.reasons import Reason
from aiq_core.charts.style import Look
from aiq_core.envelope import PolicyTable
from aiq_core.records import DEFAULT_WIDTHS, FP32_BITS, ModelProfile, Move, Policy, Site
from aiq_core.statistics import Interval

HEIGHT_PX = 172
MARGIN_PX = {"l": 36, "r": 16, "t": 18, "b": 18}
FEW_LAYERS = 26
"""Up to here every bar has its own name; beyond, blocks of layers are named."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A layer at its width. `alone` maps bits to points of search top-1 lost with only this layer at them."""

    layer: str
    bits: int
    weights: int
    weight_bytes: float
    alone: tuple[tuple[int, Interval], ...]
    reason: Reason
    pinned_bits: int | None


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive layers of one part of the network: bars `first` to `last`."""

    name: str
    first: int
    last: int

    @property
    def middle(self) -> float:
        """Where its name goes."""
        return (self.first + self.last) / 2


@dataclass(frozen=True)
class BitsData:
    """Everything drawn."""

    model: str
    bars: tuple[Bar, ...]
    images: int
    origin: str

    @property
    def changed(self) -> tuple[Bar, ...]:
        """The layers that differ from the pinned policy."""
        return tuple(bar for bar in self.bars if bar.pinned_bits not in (None, bar.bits))


def bits_data(
    profile: ModelProfile,
    policy: Policy,
    reasons: Sequence[Reason],
    table: PolicyTable,
    pinned: Policy | None = None,
    origin: str = "",
) -> BitsData:
    """A bar a quantizable layer; sensitivities are read from the table where single layers were measured."""
    bars = tuple(
        Bar(
            layer=layer.name,
            bits=profile.width(policy, site),
            weights=layer.weights,
            weight_bytes=layer.weights * profile.width(policy, site) / 8,
            alone=_alone(site, table),
            reason=reason,
            pinned_bits=None if pinned is None else profile.width(pinned, site),
        )
        for layer, site, reason in zip(profile.quantizable, profile.weight_sites, reasons, strict=True)
    )
    return BitsData(profile.model, bars, table.images, origin)


def _alone(site: Site, table: PolicyTable) -> tuple[tuple[int, Interval], ...]:
    fp32 = table.policies[table.baseline]
    rows = {bits: table.row(table.profile.moved(fp32, Move(site, bits))) for bits in DEFAULT_WIDTHS[1:]}
    return tuple((bits, table.search[row].drop) for bits, row in rows.items() if row is not None)


def blocks(names: Sequence[str]) -> tuple[tuple[Block, ...], tuple[str, ...] | None]:
    """Parts of the network and, where there is room, a short name for each bar.

    Few layers: parts by first name (`layer1`), bars by the rest (`0.conv1`). Many: parts by the second (`17`).
    """
    short = wording.without_shared_head(names)
    few = len(names) <= FEW_LAYERS
    heads = [short[name].partition(".")[0] for name in names]
    if few and len(set(heads)) == len(names):
        return (), tuple(short[name] for name in names)
    found: list[Block] = []
    for index, head in enumerate(heads):
        if found and found[-1].name == head:
            found[-1] = Block(head, found[-1].first, index)
        else:
            found.append(Block(head, index, index))
    if not few:
        return tuple(found), None
    rests = [short[name].partition(".")[2] or short[name] for name in names]
    return tuple(block for block in found if block.last > block.first), tuple(rests)


def bits_frame(data: BitsData) -> pd.DataFrame:
    """The chart's data, a row a layer."""
    rows = []
    for bar in data.bars:
        row: dict[str, Any] = {
            "model": data.model,
            "layer": bar.layer,
            "weight_bits": bar.bits,
            "weights": bar.weights,
            "weight_bytes": bar.weight_bytes,
        }
        for bits, lost in bar.alone:
            row |= {
                f"alone_at_{bits}_bits_points_lost": lost.value,
                f"alone_at_{bits}_bits_low": lost.low,
                f"alone_at_{bits}_bits_high": lost.high,
            }
        rows.append(row | {"search_images": data.images, "why": bar.reason.why, "why_not_next": bar.reason.why_not})
        if bar.pinned_bits is not None:
            rows[-1]["pinned_weight_bits"] = bar.pinned_bits
    return pd.DataFrame(rows)


def bar_height(bits: int) -> float:
    """Height of a bar: by log2, so that 8 and 4 bits are told apart; half a unit keeps 2 bits visible."""
    return log2(bits) - 0.5


def bits_figure(data: BitsData, look: Look) -> dict[str, Any]:
    """A Plotly figure, as a dict."""
    parts, ticks = blocks([bar.layer for bar in data.bars])
    places = list(range(len(data.bars)))
    offered = sorted({FP32_BITS, 8, 4, *(bar.bits for bar in data.bars)})
    # Layers by name, which on a phone turn upright as the margin grows; else parts, whose names are short.
    named: dict[str, Any] = {"tickvals": places, "ticktext": list(ticks or ()), "automargin": "height"}
    if ticks is None:
        wide = [part for part in parts if part.last > part.first]
        named = {"tickvals": [part.middle for part in wide], "ticktext": [part.name for part in wide], "tickangle": 0}
    return {
        "data": [_bar_trace(data, places, look)],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            bargap=0.22,
            uniformtext={"mode": "hide", "minsize": look.font_px * 0.75},
            annotations=_block_notes(parts, look) if ticks is not None else [],
            shapes=[*_block_edges(parts, look), *_pinned_edges(data, look)],
            xaxis=style.axis(look, "", showgrid=False, range=[-0.6, len(places) - 0.4], ticks="", **named),
            yaxis=style.axis(
                look,
                "bits",
                range=[0, bar_height(FP32_BITS) * 1.18],
                tickvals=[bar_height(bits) for bits in offered],
                ticktext=[str(bits) for bits in offered],
            ),
        ),
    }


def _bar_trace(data: BitsData, places: list[int], look: Look) -> dict[str, Any]:
    palette = look.palette
    changed = set(data.changed)
    return {
        "type": "bar",
        "x": places,
        "y": [bar_height(bar.bits) for bar in data.bars],
        "text": [str(bar.bits) for bar in data.bars],
        "textposition": "outside",
        "textfont": {"size": look.font_px * (0.95 if len(places) <= FEW_LAYERS else 0.8), "color": palette.text},
        "textangle": 0,
        "cliponaxis": False,
        "constraintext": "outside",
        "marker": {
            "color": [palette.bits[bar.bits] for bar in data.bars],
            "line": {
                "color": [palette.accent if bar in changed else palette.bits[bar.bits] for bar in data.bars],
                "width": [2 * look.scale if bar in changed else 0 for bar in data.bars],
            },
        },
        "customdata": [_hover(bar, data) for bar in data.bars],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _pinned_edges(data: BitsData, look: Look) -> list[dict[str, Any]]:
    """Where the pinned policy stood, as a bar's former edge."""
    changed = set(data.changed)
    return _lines(
        [
            f"M{place - 0.45},{bar_height(bar.pinned_bits or FP32_BITS)}H{place + 0.45}"
            for place, bar in enumerate(data.bars)
            if bar in changed
        ],
        color=look.palette.accent,
        width=3 * look.scale,
    )


def _block_notes(parts: Sequence[Block], look: Look) -> list[dict[str, Any]]:
    """Names of the parts above the plot, where bars are named below."""
    return [style.note(look, part.name, part.middle, 1, yref="paper", yanchor="bottom", yshift=2) for part in parts]


def _block_edges(parts: Sequence[Block], look: Look) -> list[dict[str, Any]]:
    """A thin line at both ends of each part."""
    edges = sorted({part.first - 0.5 for part in parts} | {part.last + 0.5 for part in parts})
    lines = _lines([f"M{edge},0V1" for edge in edges], color=look.palette.grid, width=look.scale)
    return [{**shape, "yref": "paper", "layer": "below"} for shape in lines]


def _lines(paths: Sequence[str], **line: Any) -> list[dict[str, Any]]:
    """Lines as one shape, if there are any: each of its own takes its time to draw."""
    return [{"type": "path", "path": "".join(paths), "line": line}] if paths else []


def _hover(bar: Bar, data: BitsData) -> str:
    lines = [
        f"<b>{bar.layer}</b> {wording.bits_name(bar.bits)}",
        f"{bar.weights:,} weights, {wording.size(bar.weight_bytes)}",
    ]
    for bits, lost in bar.alone:
        noise = ", within noise" if lost.contains_zero else ""
        lines.append(f"alone at {bits} bits: {wording.number(lost.value, 2)} points lost ({wording.span(lost)}{noise})")
    if not bar.alone:
        lines.append("cost alone: not measured")
    else:
        lines.append(f"<i>on {data.images:,} search images</i>")
    if bar.pinned_bits is not None and bar.pinned_bits != bar.bits:
        lines.append(f"A has {wording.bits_name(bar.pinned_bits)} here")
    lines += [f"Why {wording.bits_name(bar.bits)}: {bar.reason.why}"]
    if bar.reason.why_not:
        lines.append(f"Why not the next: {bar.reason.why_not}")
    return "<br>".join(lines)
