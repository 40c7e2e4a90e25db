"""A roofline with what was measured of its machine, and the roof of another one: bands, cache levels, a dashed roof."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from aiq_core import wording
from aiq_core.charts import draw, labels, style
from aiq_core.charts.roofline import Ceiling, RooflineData
from aiq_core.charts.roofline_figure import line_px, roofline_figure, up_px
from aiq_core.charts.style import Look
from aiq_core.hardware import Machine
from aiq_core.roof import Roof, Spread

Points = list[tuple[float, float]]

HOVERED = 24
"""Points of a cache's line, each of which says what it is."""


def measured_roof_figure(
    data: RooflineData, look: Look, roof: Roof | None = None, other: RooflineData | None = None
) -> dict[str, Any]:
    """The roofline of `data`, banded by the spread of its `roof` where it was measured, with the roof of `other`.

    `other` is the same policies on another machine.
    """
    if other is not None:
        data = _widened(data, other)
    figure = roofline_figure(data, look)
    # Beneath the marks: what is drawn first lies lowest.
    beneath = [] if roof is None else [*_bands(data, look, roof), *_levels(data, look, roof)]
    named = [] if roof is None or len(roof.levels) == 1 else [_levels_note(data, look)]
    if other is not None:
        beneath.append(_roof_line(data, look, other))
        named.append(_roof_label(data, look, other))
    figure["data"] = [*beneath, *figure["data"]]
    figure["layout"]["shapes"] = [*figure["layout"]["shapes"][:-1], *named, figure["layout"]["shapes"][-1]]
    return figure


def _widened(data: RooflineData, other: RooflineData) -> RooflineData:
    """On axes that hold both."""
    ends = (data.x_range, other.x_range), (data.y_range, other.y_range)
    x_range, y_range = ((min(low for low, _ in pair), max(high for _, high in pair)) for pair in ends)
    return replace(data, x_range=x_range, y_range=y_range)


def _bands(data: RooflineData, look: Look, roof: Roof) -> list[dict[str, Any]]:
    """From the lowest to the highest round: memory up to the roof, and each other peak from its ridge on."""
    memory = roof.levels[-1].rate
    return [
        _area(look, _outline(data, memory, roof.peaks[data.roof.number_type]), "measured roof"),
        *(
            _area(look, _beam(data, ceiling, roof.peaks[ceiling.number_type]), f"measured {ceiling.number_type}")
            for ceiling in data.ceilings
            if ceiling is not data.roof and ceiling.ridge < data.x_range[1]
        ),
    ]


def _outline(data: RooflineData, memory: Spread, peak: Spread) -> Points:
    low, high = data.x_range
    under = [(low, low * memory.low), (peak.low / memory.low, peak.low), (high, peak.low)]
    over = [(low, low * memory.high), (peak.high / memory.high, peak.high), (high, peak.high)]
    return [*under, *reversed(over)]


def _beam(data: RooflineData, ceiling: Ceiling, peak: Spread) -> Points:
    ends = ceiling.ridge, data.x_range[1]
    return [*((x, peak.low) for x in ends), *((x, peak.high) for x in reversed(ends))]


def _area(look: Look, outline: Points, name: str) -> dict[str, Any]:
    xs, ys = ([*places] for places in zip(*outline, strict=True))
    fill = style.faded(look.palette.text, 0.16)
    return draw.line(look, xs, ys, fill, width=0, fill="toself", fillcolor=fill, name=name)


def _levels(data: RooflineData, look: Look, roof: Roof) -> list[dict[str, Any]]:
    """What layers that stay in a cache could reach, up to the roof, lighter than memory's own line; each says what."""
    faint = style.faded(look.palette.muted, 0.55)
    found = []
    for level in roof.levels[:-1]:
        xs = np.geomspace(data.x_range[0], data.roof.rate / level.rate.value, HOVERED)
        said = (
            f"{level.name}, up to {wording.size(level.footprint_bytes)}: "
            f"{wording.prefixed_rate(level.rate.value, ' ')}B/s"
        )
        line = draw.line(look, [*xs], [*(xs * level.rate.value)], faint, width=1.2, name=level.name)
        found.append(line | {"hoverinfo": "text"} | draw.hover([said] * HOVERED))
    return found


def _levels_note(data: RooflineData, look: Look) -> dict[str, Any]:
    """Under the name of the zone: names at the lines would lie on those of layers."""
    shift = 6 * look.scale, -5 - labels.LINE_EM * look.font_px
    where = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"}
    return style.label(look, "thin lines: caches", 0, 1, shift, **where)


def _roof_line(data: RooflineData, look: Look, other: RooflineData) -> dict[str, Any]:
    (low, high), top = data.x_range, other.roof
    ys = [low * other.bandwidth, top.rate, top.rate]
    return draw.line(look, [low, top.ridge, high], ys, look.palette.accent, dash="6px,4px", name=other.machine.name)


def _roof_label(data: RooflineData, look: Look, other: RooflineData) -> dict[str, Any]:
    """At the right end, above its roof unless the machine's own is close there."""
    top, (low, high) = other.roof, data.y_range
    a_line = (high / low) ** (line_px(look) / up_px(data, high, look))
    above = not 1 < data.roof.rate / top.rate < a_line**1.5
    return style.label(
        look,
        other.machine.name,
        1,
        top.rate,
        (0, 0),
        padding=4,
        xref="paper",
        yref="y",
        xanchor="right",
        yanchor="bottom" if above else "top",
        font={"size": look.font_px * 0.9, "color": look.palette.accent},
    )


def numbers_frame(machine: Machine, roof: Roof | None, other: Machine | None) -> pd.DataFrame:
    """A machine's bandwidths and peaks, a row each: value, spread where it was measured, and another's beside it.

    In bytes/s and operations/s.
    """
    spreads: dict[str, Spread | None] = {} if roof is None else {str(kind): rate for kind, rate in roof.peaks.items()}
    values = {"memory": machine.bandwidth.value} | {str(kind): rate.value for kind, rate in machine.rates.items()}
    beside = {} if other is None else {"memory": other.bandwidth.value}
    beside |= {} if other is None else {str(kind): rate.value for kind, rate in other.rates.items()}
    if roof is not None:
        levels = {level.name: level.rate for level in roof.levels}
        spreads |= levels
        values = {name: rate.value for name, rate in levels.items()} | values
    rows: list[dict[str, Any]] = []
    for name, value in values.items():
        spread = spreads.get(name)
        row: dict[str, Any] = {"what": name, "value": value}
        if roof is not None:
            row |= {"low": None if spread is None else spread.low, "high": None if spread is None else spread.high}
        if other is not None:
            against = beside.get(name)
            row |= {"beside": against, "share": None if against is None else value / against}
        rows.append(row)
    return pd.DataFrame(rows)
