"""The widths chart: a row a search, a column a layer from fewest to most weights; do larger layers get fewer bits?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isnan
from typing import Any

import pandas as pd

from aiq_core.charts import style
from aiq_core.charts.style import Look
from aiq_core.records import ModelProfile, Policy
from aiq_core.wording import bits_name, number

ROW_PX = 17
MARGIN_PX = {"l": 132, "r": 62, "t": 22, "b": 38}
RHO = "\N{GREEK SMALL LETTER RHO}"
MANY_LAYERS = 26
"""Beyond these, marks are drawn smaller."""


@dataclass(frozen=True, slots=True)
class Row:
    """A search's policy and its rank correlation of bits with weight counts (NaN where all widths are equal)."""

    name: str
    policy: Policy
    rho: float


@dataclass(frozen=True)
class AggressiveData:
    """Rows from the top, and the layers' places in the profile from fewest to most weights."""

    profile: ModelProfile
    rows: tuple[Row, ...]
    order: tuple[int, ...]


def aggressive_data(profile: ModelProfile, rows: Sequence[tuple[str, Policy, float]]) -> AggressiveData:
    """Rows of name, policy and rank correlation; the layers by weight count, those of equal count in network order."""
    layers = profile.quantizable
    return AggressiveData(
        profile, tuple(Row(*row) for row in rows), tuple(sorted(range(len(layers)), key=lambda i: layers[i].weights))
    )


def aggressive_frame(data: AggressiveData) -> pd.DataFrame:
    """The chart's data, a row a search and layer."""
    layers = data.profile.quantizable
    return pd.DataFrame(
        [
            {
                "model": data.profile.model,
                "search": row.name,
                "layer": layers[index].name,
                "weights": layers[index].weights,
                "weight_bits": row.policy.weight_bits[index],
                "input_bits": _input_bits(data.profile, row.policy, index),
                "rank_correlation": row.rho,
            }
            for row in data.rows
            for index in data.order
        ]
    )


def _input_bits(profile: ModelProfile, policy: Policy, index: int) -> int:
    """The width of what a layer reads."""
    return profile.operand_bits(policy, profile.quantizable[index])[1]


def aggressive_figure(data: AggressiveData, look: Look) -> dict[str, Any]:
    """The figure as a Plotly dict; colour and symbol are the width's everywhere in the app."""
    widths = sorted({bits for row in data.rows for bits in row.policy.weight_bits}, reverse=True)
    ends, names = _ticks(data)
    last = len(data.order) - 1
    height = MARGIN_PX["t"] + MARGIN_PX["b"] + ROW_PX * max(len(data.rows), 2)
    return {
        "data": [_marks(data, bits, look) for bits in widths],
        "layout": style.layout(
            look,
            height,
            MARGIN_PX,
            xaxis=style.axis(look, "weights of the layer", range=[-0.7, last + 0.7], tickvals=ends, ticktext=names)
            | {"showgrid": False, "tickangle": 0},
            yaxis=style.axis(
                look,
                "",
                range=[len(data.rows) - 0.4, -0.6],
                tickvals=list(range(len(data.rows))),
                ticktext=[row.name for row in data.rows],
                showgrid=False,
            ),
            annotations=[style.heading(look, style.key_to_bits(widths, look), yshift=4), *_correlations(data, look)],
        ),
    }


def _ticks(data: AggressiveData) -> tuple[list[float], list[str]]:
    """The middle of each group of layers of equal weight count, and that count."""
    counts = [data.profile.quantizable[index].weights for index in data.order]
    middles: list[float] = []
    names: list[str] = []
    start = 0
    for count, group in groupby(counts):
        length = len(list(group))
        middles.append(start + (length - 1) / 2)
        names.append(short_count(count))
        start += length
    apart = len(counts) / 11
    kept: list[int] = []
    for place, middle in enumerate(middles):
        if not kept or middle - middles[kept[-1]] >= apart:
            kept.append(place)
    return [middles[place] for place in kept], [names[place] for place in kept]


def short_count(count: int) -> str:
    """A count on an axis: 432, 2.3k, 37k."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.1f}k" if count < 9950 else f"{count / 1000:.0f}k"


def _marks(data: AggressiveData, bits: int, look: Look) -> dict[str, Any]:
    places = [
        (column, line)
        for line, row in enumerate(data.rows)
        for column, index in enumerate(data.order)
        if row.policy.weight_bits[index] == bits
    ]
    few = len(data.order) <= MANY_LAYERS
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [column for column, _ in places],
        "y": [line for _, line in places],
        "marker": {
            "symbol": style.SYMBOLS[bits],
            "size": (9 if few else 6.5) * look.scale,
            "color": look.palette.bits[bits],
            "line": {"width": 1.3 * look.scale, "color": look.palette.bits[bits]} if bits == 32 else {"width": 0},
        },
        "hovertext": [_hover(data, data.rows[line], data.order[column]) for column, line in places],
        "hoverinfo": "text",
    }


def _hover(data: AggressiveData, row: Row, index: int) -> str:
    layer, read = data.profile.quantizable[index], _input_bits(data.profile, row.policy, index)
    widths = bits_name(row.policy.weight_bits[index])
    if row.policy.has_activations:
        widths = f"weights {widths}, reads {bits_name(read)}"
    return f"{layer.name}, {number(layer.weights, 0)} weights<br>{row.name}: {widths}"


def _correlations(data: AggressiveData, look: Look) -> list[dict[str, Any]]:
    """Each row's rank correlation, right of the plot, under its heading."""
    where = {"xref": "paper", "xanchor": "left", "xshift": 6}
    said = [("–" if isnan(row.rho) else number(row.rho, 2), line) for line, row in enumerate(data.rows)]
    rows = [style.note(look, text, 1, line, yanchor="middle", **where) for text, line in said]
    return [style.note(look, f"rank {RHO}", 1, 1, yref="paper", yanchor="bottom", yshift=4, **where), *rows]
