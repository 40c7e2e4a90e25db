"""Lesson 3's figures: where the weights lie among the levels, and squared error against the range."""

from typing import Any

import numpy as np

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.lessons import marks
from aiq_core.charts.lessons.rounding import RANGES, RoundingData
from aiq_core.charts.style import Look
from aiq_core.records import Granularity

HEIGHT_PX = 262
MARGIN_PX = {"l": 50, "r": 12, "t": 34, "b": 38}


def histogram_figure(data: RoundingData, look: Look) -> dict[str, Any]:
    """Where the weights lie and where the levels are; tails beyond the range are hatched. A bar is a click away."""
    # The square root keeps the tails visible, which the lesson is about.
    top = float(np.sqrt(data.counts.max())) * 1.12
    counts = _round_counts(int(data.counts.max()))
    room = 0.03 * (data.edges[-1] - data.edges[0])
    colour = style.faded(look.palette.bits[data.grid.bits], 0.75)
    levels = draw.levels(look, data.lines.tolist(), top, colour, 1.3)
    return {
        "data": [_bars(data, look), *levels, _example(data, look, top)],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            clickmode="event+select",
            annotations=[style.heading(look, _levels_key(data, look), yshift=4)],
            bargap=0,
            xaxis=style.axis(look, _unit(data), range=[data.edges[0] - room, data.edges[-1] + room], showgrid=False),
            yaxis=style.axis(
                look,
                "weights (√ scale)",
                range=[0, top],
                tickvals=[float(np.sqrt(count)) for count in counts],
                ticktext=[f"{count:,}" for count in counts],
            ),
        ),
    }


def _unit(data: RoundingData) -> str:
    if not data.grid.symmetric:
        return "weight from least (0) to greatest (1)"
    whose = "its channel" if data.grid.granularity is Granularity.CHANNEL else "all"
    return f"weight ÷ largest of {whose}"


def _outside(data: RoundingData) -> list[bool]:
    """Which bars lie beyond the range."""
    middles = (data.edges[1:] + data.edges[:-1]) / 2
    return [not data.bounds[0] <= x <= data.bounds[1] for x in middles]


def _bars(data: RoundingData, look: Look) -> dict[str, Any]:
    palette, outside = look.palette, _outside(data)
    return {
        "type": "bar",
        "x": ((data.edges[1:] + data.edges[:-1]) / 2).tolist(),
        "y": np.sqrt(data.counts).tolist(),
        "width": float(data.edges[1] - data.edges[0]),
        "customdata": [[int(a), int(b)] for a, b in zip(data.bin_weights, data.counts, strict=True)],
        "hovertemplate": "%{customdata[1]:,} weights around %{x:.2f}<extra></extra>",
        "marker": {
            "color": [palette.compute if out else palette.bits[32] for out in outside],
            "pattern": {"shape": ["/" if out else "" for out in outside], "solidity": 0.35},
            "line": {"width": 0},
            "opacity": 1,
        },
    }


def _example(data: RoundingData, look: Look, top: float) -> dict[str, Any]:
    """A pointer at the weight that the formula rounds, above its bar."""
    inside = (data.edges[:-1] <= data.place) & (data.place <= data.edges[1:])
    name = "the formula's weight"
    hover = f"{name}: {data.example.weight:.4f}<extra></extra>"
    height = float(np.sqrt(data.counts[inside].max())) + 0.04 * top
    return draw.dots(
        look, [data.place], [height], "triangle-down", 11, look.palette.accent, name=name, hovertemplate=hover
    )


def _levels_key(data: RoundingData, look: Look) -> str:
    bits, palette = data.grid.bits, look.palette
    close = "" if len(data.lines) <= draw.MOST_LEVELS else ", too close to draw"
    key = f"<span style='color:{palette.bits[bits]}'>{style.GLYPHS[bits]}│</span> {data.grid.levels} levels{close}"
    if any(_outside(data)):
        key += f"   <span style='color:{palette.compute}'>▨</span> clipped: {_percent(data.now.clipped_share)}"
    return key


def _round_counts(most: int) -> list[int]:
    """A few round numbers up to `most`, far apart on a square-root axis."""
    found = [n * 10**power for power in range(7) for n in (1, 4)]
    return [n for n in found if most / 60 <= n <= most * 1.1]


def _percent(share: float) -> str:
    return f"{wording.number(100 * share, 1)} %"


def error_figure(
    data: RoundingData, look: Look, revealed: bool, guess: float | None = None, asked: int | None = None
) -> dict[str, Any]:
    """Squared error by cause against the range, over that at the whole range; veiled below it until revealed.

    `guess` is a relative error at the range `asked` (percent).
    """
    unit = data.whole.total or 1.0
    total = [error.total / unit for error in data.curve]
    # At 8 bits a cut multiplies the error by hundreds: then the axis is logarithmic, and the causes are lines.
    steep = max(total) > 8
    low = 0.0 if not steep else min(total) / 2
    top = min(max(max(total) * 1.1, 1.35, (guess or 0) * 1.15), 3.2) if not steep else max(total) * 2
    traces = _causes(data, look, unit, steep) if revealed else _veiled(look, low, top)
    traces.append(draw.line(look, [RANGES[0] - 2, 102], [1, 1], look.palette.muted, 1.0, dash="dot"))
    if guess is not None and asked is not None:
        traces.append(marks.ghost(look, asked, guess))
    if revealed:
        traces.append(_here(data, look))
    notes = [] if revealed or guess is not None else [_veil_mark(look, low, top, steep)]
    y_axis: dict[str, Any] = {"range": [low, top]}
    if steep:
        y_axis = {"type": "log", "range": [float(np.log10(low)), float(np.log10(top))], "dtick": 1}
    return {
        "data": traces,
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            annotations=[*notes, _error_key(data, look, revealed, steep)],
            xaxis=style.axis(look, "range, % of the largest weight", range=[RANGES[0] - 2, 103], dtick=10, tick0=40),
            yaxis=style.axis(look, "squared error ÷ at 100 %", **y_axis),
        ),
    }


def _veiled(look: Look, low: float, top: float) -> list[dict[str, Any]]:
    """The error at the whole range, and a veil over all others."""
    bar = {"type": "bar", "x": [100], "y": [1.0], "width": 2.4, "marker": {"color": look.palette.bits[32]}}
    hover = {"name": "rounding", "hovertemplate": "the whole range: 1.00<extra></extra>"}
    return [{**bar, **hover}, marks.veil(look, (RANGES[0], 97.5), (low or 1e-9, top))]


def _here(data: RoundingData, look: Look) -> dict[str, Any]:
    """A ring on the range chosen."""
    percent = round(100 * data.grid.share)
    hover = f"{percent} %: {wording.significant(data.ratio)} ×<extra></extra>"
    return draw.dots(look, [percent], [data.ratio], "circle-open", 14, look.palette.text, edge=2.4, hovertemplate=hover)


def _veil_mark(look: Look, low: float, top: float, steep: bool) -> dict[str, Any]:
    middle = (low + top) / 2 if not steep else float(np.log10(low * top)) / 2
    return marks.question_mark(look, 70, middle)


def _causes(data: RoundingData, look: Look, unit: float, steep: bool) -> list[dict[str, Any]]:
    """Rounding below, clipping on it; two lines where the axis is logarithmic, which knows no stack."""
    palette = look.palette
    parts = [
        ("rounding", [error.rounding / unit for error in data.curve], palette.bits[data.grid.bits], "."),
        ("clipping", [error.clipping / unit for error in data.curve], palette.compute, "/"),
    ]
    traces = []
    for name, values, colour, shape in parts:
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": list(RANGES),
            "y": values,
            "line": {"color": colour, "width": 1.6 * look.scale, "dash": "solid" if name == "rounding" else "dash"},
            "hovertemplate": f"{name} at %{{x}} %: %{{y:.3f}}<extra></extra>",
        }
        if not steep:
            trace |= {"stackgroup": "error", "fillcolor": style.faded(colour, 0.35)}
            trace["fillpattern"] = {"shape": shape, "fgcolor": colour, "bgcolor": style.faded(colour, 0.2), "size": 7}
        else:
            trace["y"] = [value if value > 0 else None for value in values]
        traces.append(trace)
    if steep:
        total = [error.total / unit for error in data.curve]
        traces.append(draw.line(look, list(RANGES), total, palette.text, 2.0, name="both"))
    return traces


def _error_key(data: RoundingData, look: Look, revealed: bool, steep: bool) -> dict[str, Any]:
    rounding = f"<span style='color:{look.palette.bits[data.grid.bits]}'>▒</span> rounding"
    clipping = f"<span style='color:{look.palette.compute}'>▨</span> clipping"
    text = f"{rounding}   {clipping}" if revealed else "below 100 %: guess first"
    if revealed and steep:
        text += "   (log axis)"
    return style.heading(look, text, yshift=4)
