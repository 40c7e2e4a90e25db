"""Lesson 4's figure: a row a layer, what it gains alone at the left and what it costs at the right."""

from math import ceil
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.bits import FEW_LAYERS
from aiq_core.charts.lessons import marks
from aiq_core.charts.lessons.layers import Alone, LayersData
from aiq_core.charts.style import Look
from aiq_core.wording import number, span

HEIGHT_PX = 470
MARGIN_PX = {"l": 96, "r": 10, "t": 30, "b": 38}
SMALLEST_ROW_PX = 10.5
"""Rows that are lower share a name with those below them."""


def ordered(data: LayersData, order: str) -> list[Alone]:
    """Rows from top to bottom."""
    rows = list(data.rows)
    if order == "size":
        rows.sort(key=lambda row: -row.weights)
    elif order == "cost":
        rows.sort(key=lambda row: -row.flips)
    return rows


def layers_figure(
    data: LayersData, look: Look, order: str, revealed: bool, guess: float | None = None
) -> dict[str, Any]:
    """Gains left; images lost (right of 0) and gained (left of it) right, with the interval of the drop.

    The second layer of the question is veiled until it is revealed; `guess` is a number of flipped answers.
    """
    # Sorting by cost would tell the veiled layer's place.
    rows = ordered(data, "network" if order == "cost" and not revealed else order)
    places = list(range(len(rows)))[::-1]
    reach = _reach(data, guess)
    at = next(place for place, row in zip(places, rows, strict=True) if row.layer == data.second)
    traces = [_gains(data, rows, places, look), *_costs(data, rows, places, look, None if revealed else data.second)]
    notes = _heads(data, look)
    if not revealed:
        traces.append(marks.veil(look, (-reach, reach), (at - 0.45, at + 0.45), xaxis="x2", yaxis="y"))
        font = {"size": look.font_px * 1.25, "color": look.palette.text}
        notes.append(style.note(look, "<b>?</b>", 0, at, xref="x2", font=font, bgcolor=look.palette.background))
    if guess is not None:
        traces.append(marks.ghost(look, guess, at, "", xaxis="x2", yaxis="y") | {"mode": "markers"})
        notes.append(_guess_note(look, guess, at, reach))
    top = 1.12 * max(row.gain_percent for row in data.rows)
    cost = {"domain": [0.4, 1], "range": [-reach, reach], "anchor": "y", "nticks": 5, "tickangle": 0}
    return {
        "data": traces,
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            barmode="overlay",
            bargap=0.28,
            annotations=notes,
            shapes=[_zero(look)],
            xaxis=style.axis(look, "AI gained, %", domain=[0, 0.36], range=[0, top], nticks=4, tickangle=0),
            xaxis2=style.axis(look, f"of {data.images:,} {data.split} images", **cost),
            yaxis=style.axis(look, "", range=[-0.7, len(rows) - 0.3], showgrid=False, **_names(data, rows, look)),
        ),
    }


def _reach(data: LayersData, guess: float | None) -> float:
    """How far the cost's axis goes to either side."""
    per_point = data.images / 100
    ends = [abs(end) * per_point for row in data.rows for end in (row.drop.low, row.drop.high)]
    counts = [float(count) for row in data.rows for count in (row.lost, row.gained)]
    return 1.1 * max(1.0, *ends, *counts, (guess or 0) / 2)


def _names(data: LayersData, rows: list[Alone], look: Look) -> dict[str, Any]:
    """Names at the rows: all where there is room, else some, and always those of the question."""
    row_px = (HEIGHT_PX - MARGIN_PX["t"] - MARGIN_PX["b"]) / len(rows)
    every = ceil(SMALLEST_ROW_PX / row_px)
    short = wording.short_names([row.layer for row in rows])
    asked = {data.first: "▸ ", data.second: "▸ "}
    size = min(look.font_px * 0.92, max(row_px, SMALLEST_ROW_PX) * look.scale * 0.92)
    return {
        "tickvals": list(range(len(rows)))[::-1],
        "ticktext": [
            f"{asked.get(row.layer, '')}{short[row.layer]}" if place % every == 0 or row.layer in asked else ""
            for place, row in enumerate(rows)
        ],
        "tickfont": {"size": size, "color": look.palette.text},
    }


def _guess_note(look: Look, guess: float, at: int, reach: float) -> dict[str, Any]:
    left = guess < reach / 2
    return style.note(
        look,
        f"your guess: {guess:g}",
        guess,
        at,
        xref="x2",
        xanchor="left" if left else "right",
        xshift=(10 if left else -10) * look.scale,
        font={"size": look.font_px, "color": look.palette.accent},
        bgcolor=style.faded(look.palette.background, 0.8),
    )


def _zero(look: Look) -> dict[str, Any]:
    line = {"color": look.palette.muted, "width": look.scale}
    return {"type": "line", "xref": "x2", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "line": line}


def _heads(data: LayersData, look: Look) -> list[dict[str, Any]]:
    palette = look.palette
    where = {"yref": "paper", "xref": "paper", "yanchor": "bottom", "yshift": 6}
    glyph = f"<span style='color:{palette.bits[data.bits]}'>{style.GLYPHS[data.bits]}</span>"
    lost = f"<span style='color:{palette.compute}'>▨</span> lost ▸"
    gained = f"◂ gained <span style='color:{palette.memory}'>■</span>"
    return [
        style.note(look, f"gain at {glyph} {data.bits} bits", 0, 1, xanchor="left", **where),
        style.note(look, f"{gained} │ {lost}", 0.7, 1, xanchor="center", **where),
    ]


def _gains(data: LayersData, rows: list[Alone], places: list[int], look: Look) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": "gain",
        "x": [row.gain_percent for row in rows],
        "y": places,
        "customdata": [
            f"<b>{row.layer}</b><br>{row.weights:,} weights, {row.flops:,} FLOPs<br>AI +{number(row.gain, 2)} "
            "FLOPs/byte "
            f"(+{number(row.gain_percent, 2)} %)"
            for row in rows
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
        "marker": {"color": look.palette.bits[data.bits]},
    }


def _costs(
    data: LayersData, rows: list[Alone], places: list[int], look: Look, hidden: str | None
) -> list[dict[str, Any]]:
    """Two bars from 0 and, over them, the net loss with its interval: grey where it holds 0."""
    palette = look.palette
    seen = [(row, place) for row, place in zip(rows, places, strict=True) if row.layer != hidden]
    base = {
        "type": "bar",
        "orientation": "h",
        "xaxis": "x2",
        "y": [place for _, place in seen],
        "customdata": [_hover(row, data) for row, _ in seen],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    lost = {
        **base,
        "name": "lost",
        "x": [row.lost for row, _ in seen],
        "marker": {"color": style.faded(palette.compute, 0.55), "pattern": {"shape": "/", "solidity": 0.25}},
    }
    gained = {
        **base,
        "name": "gained",
        "x": [-row.gained for row, _ in seen],
        "marker": {"color": style.faded(palette.memory, 0.7)},
    }
    return [lost, gained, _net(seen, data, look, noise=True), _net(seen, data, look, noise=False)]


def _net(seen: list[tuple[Alone, int]], data: LayersData, look: Look, noise: bool) -> dict[str, Any]:
    """Lost minus gained with its interval, of the layers where it holds 0, thin, or where it does not, strong."""
    group = [(row, place) for row, place in seen if row.drop.contains_zero is noise]
    colour = look.palette.muted if noise else look.palette.text
    size = 5 if len(data.rows) > FEW_LAYERS else 7
    return draw.dots(
        look,
        [row.lost - row.gained for row, _ in group],
        [place for _, place in group],
        "line-ns" if noise else "circle",
        size,
        colour,
        edge=1.6,
        xaxis="x2",
        name="within noise" if noise else "beyond noise",
        hoverinfo="skip",
        error_x=draw.intervals(
            look, [row.drop for row, _ in group], colour, thickness=1.2 if noise else 2.0, unit=data.images / 100
        ),
    )


def _hover(row: Alone, data: LayersData) -> str:
    noise = ", within noise" if row.drop.contains_zero else ""
    return (
        f"<b>{row.layer}</b> alone at {data.bits} bits<br>{row.lost:,} lost, {row.gained:,} gained of {data.images:,} "
        f"{data.split} images<br>drop {number(row.drop.value, 2)} points ({span(row.drop)}{noise})"
    )
