"""The chart of costs: what each width of each site costs by itself, with the widths that a policy has."""

from collections.abc import Sequence
from math import floor, log10
from typing import Any

import pandas as pd

from aiq_core.charts import draw, style
from aiq_core.charts.bits import Bar, BitsData
from aiq_core.charts.bits_figure import blocks, part_ticks
from aiq_core.charts.style import Look
from aiq_core.wording import bits_name, nats, number, wrapped

ROW_PX = 19
MARGIN_PX = {"l": 64, "r": 64, "t": 20, "b": 18}
LEAST = 1e-6
"""Nats below which a cost is as good as none: colours begin there."""


def costs_frame(data: BitsData) -> pd.DataFrame:
    """A row a site and width."""
    return pd.DataFrame(
        [
            {
                "model": data.model,
                "kind": str(bar.site.kind),
                "name": bar.site.name,
                "bits": bits,
                "cost_nats": cost,
                "held": bits == bar.bits,
            }
            for bar in data.bars
            for bits, cost in bar.costs
        ]
    )


def costs_figure(data: BitsData, look: Look) -> dict[str, Any]:
    """Columns as in the bits chart, a row a width of weights and then one of activations; darker costs more.

    Rings are the policy's widths. Needs a bar with costs.
    """
    columns, palette = data.columns, look.palette
    kinds = [[column.weights for column in columns], [column.group for column in columns]]
    rows = [(bars, bits) for bars in kinds for bits in _widths(bars)]
    levels = [[_level(bar, bits) for bar in bars] for bars, bits in rows]
    known = [level for row in levels for level in row if level is not None]
    low, high = floor(max(min(known), log10(LEAST))), max(known)
    heat = {
        "type": "heatmap",
        "z": levels,
        "x": [*range(len(columns))],
        "y": [*range(len(rows))],
        "zmin": low,
        "zmax": high,
        "xgap": 1,
        "ygap": 1,
        "colorscale": [[0, style.faded(palette.accent, 0.04)], [1, palette.accent]],
        "colorbar": _scale(low, high, look),
        "hoverongaps": False,
        "customdata": [[_hover(bar, bits, data) for bar in bars] for bars, bits in rows],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    held = [(x, y) for y, (bars, bits) in enumerate(rows) for x, bar in enumerate(bars) if bar and bar.bits == bits]
    size = 8 if len(columns) < 30 else 5.5
    rings = draw.dots(
        look, [x for x, _ in held], [y for _, y in held], "circle-open", size, palette.text, 1.8, hoverinfo="skip"
    )
    parts, ticks = blocks([column.name for column in columns])
    across = part_ticks(parts, len(columns))
    if not across["tickvals"]:
        across = {"tickvals": [*range(len(columns))], "ticktext": list(ticks or ()), "automargin": "height"}
    names = [f"{'w' if bars is kinds[0] else 'a'} {bits}" for bars, bits in rows]
    key = "○ the policy’s widths   w: weights, a: activations"
    return {
        "data": [heat, rings],
        "layout": style.layout(
            look,
            MARGIN_PX["t"] + MARGIN_PX["b"] + ROW_PX * max(6, len(rows)),
            MARGIN_PX,
            xaxis=style.axis(look, "", showgrid=False, range=[-0.6, len(columns) - 0.4], ticks="", **across),
            yaxis=style.axis(
                look,
                "bits",
                showgrid=False,
                range=[len(rows) - 0.45, -0.55],
                tickvals=[*range(len(rows))],
                ticktext=names,
                ticks="",
            ),
            annotations=[style.heading(look, key, yshift=4)],
        ),
    }


def _widths(bars: Sequence[Bar | None]) -> list[int]:
    return sorted({bits for bar in bars if bar is not None for bits, _ in bar.costs}, reverse=True)


def _level(bar: Bar | None, bits: int) -> float | None:
    cost = None if bar is None else dict(bar.costs).get(bits)
    return None if cost is None else log10(max(cost, LEAST))


def _hover(bar: Bar | None, bits: int, data: BitsData) -> str:
    cost = None if bar is None else dict(bar.costs).get(bits)
    if bar is None or cost is None:
        return ""
    points = "" if data.points_per_nat is None else f"<br>about {number(cost * data.points_per_nat, 2)} points"
    held = "the policy’s width" if bar.bits == bits else f"the policy has {bits_name(bar.bits)}"
    return f"<b>{wrapped(str(bar.site))}</b> at {bits} bits alone<br>{nats(cost)}{points}<br>{held}"


def _scale(low: float, high: float, look: Look) -> dict[str, Any]:
    """What the colours mean: a tick a power of ten."""
    powers = [*range(floor(low), floor(high) + 1)]
    return {
        "title": {"text": "nats", "font": style.small_font(look)},
        "tickvals": powers,
        "ticktext": [f"{10.0**power:g}" for power in powers],
        "tickfont": style.small_font(look),
        "thickness": 9 * look.scale,
        "outlinewidth": 0,
        "xpad": 4,
    }
