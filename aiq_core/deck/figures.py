"""Figures that only slides have: speed-ups over machines, drops beside uniform widths, what a search measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiq_core.charts import style
from aiq_core.charts.style import Look
from aiq_core.deck.facts import FASTER
from aiq_core.records import FP32_BITS, Outcome, Step
from aiq_core.statistics import Interval
from aiq_core.wording import number, signed

HEIGHT_PX = 292
"""As the other charts; a slide draws them higher."""


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """A machine, what is predicted on it (None where it can't run FP32 activations), and why no more."""

    machine: str
    value: float | None
    chosen: bool
    compute_bound: bool


def speed_up_figure(rows: Sequence[SpeedUp], look: Look) -> dict[str, Any]:
    """A line from 1 × for every machine, so that no gain has no length; the chosen one is bold."""
    palette, places = look.palette, list(range(len(rows)))[::-1]
    values = [row.value or 1.0 for row in rows]
    colours = [palette.memory if value >= FASTER else palette.compute for value in values]
    colours = [palette.muted if row.value is None else c for row, c in zip(rows, colours, strict=True)]
    names = [f"<b>{row.machine}</b>" if row.chosen else row.machine for row in rows]
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [1, value],
            "y": [place, place],
            "line": {"color": colour, "width": (6 if row.chosen else 3) * look.scale},
            "hoverinfo": "skip",
        }
        for row, place, value, colour in zip(rows, places, values, colours, strict=True)
        if value >= FASTER
    ]
    marks = {
        "type": "scatter",
        "mode": "markers+text",
        "x": values,
        "y": places,
        "text": [_speed_up_words(row) for row in rows],
        "textposition": "middle right",
        "textfont": {"size": look.font_px * 0.95, "color": [_text_colour(row, look) for row in rows]},
        "cliponaxis": False,
        "marker": {
            "symbol": ["circle" if value >= FASTER else "circle-open" for value in values],
            "size": [(11 if row.chosen else 8) * look.scale for row in rows],
            "color": colours,
            "line": {"width": 1.8 * look.scale},
            "opacity": [0 if row.value is None else 1 for row in rows],
        },
        "hoverinfo": "skip",
    }
    return {
        "data": [*lines, marks],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            {"l": 8, "r": 70, "t": 6, "b": 38},
            xaxis=style.axis(look, "predicted time at FP32 ÷ predicted time of the run", **_speed_up_range(values)),
            yaxis=style.axis(
                look,
                "",
                tickvals=places,
                ticktext=names,
                range=[-0.7, len(rows) - 0.3],
                showgrid=False,
                automargin=True,
                ticks="",
            )
            | {"tickfont": {"size": look.font_px * 0.9, "color": palette.text}},
        ),
    }


def _speed_up_range(values: Sequence[float]) -> dict[str, Any]:
    """To 1.5 at least: a gain of a hundredth must not look like one of a half."""
    high = max(1.5, *(1 + 1.12 * (value - 1) for value in values))
    step = 0.1 if high < 2 else 0.5 if high < 4 else 1
    return {"range": [1 - 0.03 * (high - 1), high], "dtick": step, "tick0": 1, "ticksuffix": " ×"}


def _speed_up_words(row: SpeedUp) -> str:
    if row.value is None:
        return "can't run FP32 activations"
    text = "  no faster: compute-bound" if row.compute_bound else "  no faster"
    if row.value >= FASTER:
        text = f"  {number(row.value, 2)} ×"
    return f"<b>{text}</b>" if row.chosen else text


def _text_colour(row: SpeedUp, look: Look) -> str:
    return look.palette.text if row.chosen or (row.value or 0) >= FASTER else look.palette.muted


@dataclass(frozen=True, slots=True)
class Lost:
    """A policy's points lost with their interval; `bits` gives its colour and shape, None stands for a mixed one.

    `activation_bits` gives its rim.
    """

    name: str
    intensity: float
    drop: Interval
    bits: int | None
    activation_bits: int = FP32_BITS


def lost_figure(rows: Sequence[Lost], images: str, look: Look) -> dict[str, Any]:
    """Points lost against FP32, one policy a line, with 95 % intervals; the line at 0 is FP32."""
    palette, places = look.palette, list(range(len(rows)))[::-1]
    colours = [palette.accent if row.bits is None else palette.bits[row.bits] for row in rows]
    low = min(0.0, *(row.drop.low for row in rows))
    high = max(0.0, *(row.drop.high for row in rows))
    room = 0.06 * max(high - low, 0.5)
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [row.drop.value],
            "y": [place],
            "marker": {
                "symbol": "star" if row.bits is None else style.SYMBOLS[row.bits],
                "size": (15 if row.bits is None else 11) * look.scale,
                "color": colour,
                "line": _rim(row, colour, look),
            },
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [row.drop.high - row.drop.value],
                "arrayminus": [row.drop.value - row.drop.low],
                "color": colour,
                "thickness": 2.5 * look.scale,
                "width": 5 * look.scale,
            },
            "hovertemplate": f"{number(row.drop.value, 2)} points lost, 95 % {number(row.drop.low, 2)} to "
            f"{number(row.drop.high, 2)}<extra></extra>",
        }
        for row, place, colour in zip(rows, places, colours, strict=True)
    ]
    return {
        "data": traces,
        "layout": style.layout(
            look,
            HEIGHT_PX,
            {"l": 8, "r": 14, "t": 26, "b": 38},
            shapes=[_zero(look)],
            annotations=[
                style.note(look, "loses more →", 0, 1, yref="paper", xanchor="left", yanchor="bottom", xshift=6)
            ],
            xaxis=style.axis(
                look, f"points of top-1 lost against FP32, {images}", range=[low - room, high + room], nticks=8
            ),
            yaxis=style.axis(
                look,
                "",
                tickvals=places,
                ticktext=[f"{row.name}<br>AI {number(row.intensity, 1)}" for row in rows],
                range=[-0.6, len(rows) - 0.4],
                showgrid=False,
                automargin=True,
                ticks="",
            )
            | {"tickfont": {"size": look.font_px, "color": palette.text}},
        ),
    }


def _rim(row: Lost, colour: str, look: Look) -> dict[str, Any]:
    if row.activation_bits != FP32_BITS:
        return {"width": 2.2 * look.scale, "color": look.palette.bits[row.activation_bits]}
    return {"width": (2 if row.bits == FP32_BITS else 0) * look.scale, "color": colour}


def _zero(look: Look) -> dict[str, Any]:
    line = {"color": look.palette.text, "width": 1.6 * look.scale, "dash": "dot"}
    return {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": line, "layer": "below"}


def measured(step: Step) -> int:
    """How many of a step's moves were measured; arithmetic settled the rest."""
    return sum(candidate.outcome is not Outcome.PRUNED for candidate in step.candidates)


def cost_figure(steps: Sequence[Step], look: Look) -> dict[str, Any]:
    """The moves of each step: measured, or settled by arithmetic."""
    palette, places = look.palette, [step.index for step in steps]
    asked = [measured(step) for step in steps]
    settled = [len(step.candidates) - count for step, count in zip(steps, asked, strict=True)]
    base = {"type": "bar", "x": places, "hovertemplate": "step %{x}: %{y} %{data.name}<extra></extra>"}
    name = {"measured": palette.accent, "settled by arithmetic": style.faded(palette.muted, 0.45)}
    key = "   ".join(f"<span style='color:{colour}'>■</span> {label}" for label, colour in name.items())
    return {
        "data": [
            {**base, "name": label, "y": counts, "marker": {"color": colour}}
            for (label, colour), counts in zip(name.items(), (asked, settled), strict=True)
        ],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            {"l": 50, "r": 10, "t": 26, "b": 38},
            barmode="stack",
            bargap=0.2,
            annotations=[
                style.note(look, key, 0, 1, xref="paper", yref="paper", xanchor="left", yanchor="bottom", yshift=4)
            ],
            xaxis=style.axis(look, "step of the search", showgrid=False, nticks=10),
            yaxis=style.axis(look, "moves"),
        ),
    }


def change(after: float, before: float) -> str:
    """A change in percent with its sign."""
    return f"{signed(100 * (after / before - 1), 0)} %"
