"""Lesson 2's figures: bytes an image, and AI against the batch."""

from collections.abc import Sequence
from math import log10
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.lessons import marks
from aiq_core.charts.lessons.batch import ASKED, BATCHES, BatchData, BatchModel
from aiq_core.charts.style import Look

HEIGHT_PX = 410
MARGIN_PX = {"l": 50, "r": 12, "t": 22, "b": 40}


def bytes_figure(data: BatchData, look: Look, revealed: bool) -> dict[str, Any]:
    """Bytes an image, weights on activations, a bar a model, over its own at FP32 and batch 1.

    Veiled beyond batch 1 until revealed.
    """
    names = [model.title for model in data.models]
    moved = {
        "activations": [model.activation_bytes for model in data.models],
        "weights": [model.weight_bytes[data.bits] / data.batch for model in data.models],
    }
    whole = [(model.weight_bytes[32] + model.activation_bytes) / 100 for model in data.models]
    traces = [_part(data, look, name, counts, whole) for name, counts in moved.items()]
    notes = [
        style.note(look, f"<b>{wording.size(sum(parts))}</b>", place, sum(parts) / unit, yanchor="bottom", yshift=3)
        for place, (*parts, unit) in enumerate(zip(*moved.values(), whole, strict=True))
    ]
    if data.batch > 1 and not revealed:
        places = (-0.48, len(names) - 0.52)
        traces = [{**trace, "y": [0.0] * len(names), "text": "", "hoverinfo": "skip"} for trace in traces]
        traces.append(marks.veil(look, places, (0, 100)))
        notes = [marks.question_mark(look, sum(places) / 2, 50)]
    return {
        "data": traces,
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            barmode="stack",
            bargap=0.3,
            annotations=notes,
            xaxis=style.axis(look, "", showgrid=False, type="category", range=[-0.5, len(names) - 0.5]),
            yaxis=style.axis(look, "bytes an image, % of FP32 at batch 1", range=[0, 112], dtick=25),
        ),
    }


def _part(data: BatchData, look: Look, name: str, counts: list[float], whole: list[float]) -> dict[str, Any]:
    """One kind of bytes of every model, in percent of `whole`; the text gives the bytes."""
    shares = [count / unit for count, unit in zip(counts, whole, strict=True)]
    titles = [model.title for model in data.models]
    weights = name == "weights"
    return {
        "type": "bar",
        "name": name,
        "x": titles,
        "y": shares,
        "text": [
            f"{name}<br>{wording.size(count)}" if share > 8 else "" for count, share in zip(counts, shares, strict=True)
        ],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"size": look.font_px * 0.92},
        "marker": {
            "color": look.palette.bits[data.bits] if weights else look.palette.muted,
            "pattern": {"shape": "" if weights else ".", "solidity": 0.12, "fillmode": "overlay", "fgopacity": 0.3},
            "line": {"width": 0},
        },
        "customdata": [
            f"{title}: {wording.size(count)} of {name} an image" for title, count in zip(titles, counts, strict=True)
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def intensity_figure(data: BatchData, look: Look, revealed: bool, guess: float | None) -> dict[str, Any]:
    """AI against the batch at the weights' chosen width; the subject is bold, and veiled beyond batch 1 until revealed.

    Revealed, each has its curve with weights and activations at 8 bits beside it.
    """
    ceiling = max([model.limit for model in data.models] + ([data.ridge] if data.ridge else []))
    low = min(model.intensity(1) for model in data.models) / 2
    small = max(model.w8a8(BATCHES[-1]) for model in data.models)
    high = max(ceiling * 2.2, data.subject.intensity(1) * ASKED * 1.3, small * 1.6)
    shown = BATCHES if revealed else BATCHES[:1]
    traces: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for place, model in enumerate(data.models):
        traces += _curve(data, model, look, shown, bold=place == 0)
        notes.append(_name(data, model, look, bold=place == 0))
        if revealed:
            traces.append(_both(model, look, bold=place == 0))
            notes.append(_both_name(model, look, bold=place == 0))
    levels = []
    if revealed:
        levels.append((data.subject.limit, f"{data.subject.title} can’t pass", look.palette.muted, "right"))
    else:
        traces.append(marks.veil(look, (1.18, BATCHES[-1]), (low, high)))
        notes.append(marks.question_mark(look, log10(34), (log10(low) + log10(high)) / 2))
    if data.ridge is not None:
        levels.append((data.ridge, f"{data.machine} is compute-bound above", look.palette.compute, "left"))
    for value, what, colour, side in levels:
        traces.append(draw.line(look, [1, BATCHES[-1]], [value] * 2, colour, 1.4, dash="dash"))
        notes.append(_level_name(look, value, what, colour, side))
    if guess is not None:
        traces.append(marks.ghost(look, ASKED, guess, f"your guess {wording.significant(guess)}"))
    labels = [f"{batch:,}" if place % 2 == 0 or batch == ASKED else "" for place, batch in enumerate(BATCHES)]
    ends = [-0.12, log10(BATCHES[-1]) + 0.1]
    across = {"type": "log", "range": ends, "tickvals": list(BATCHES), "ticktext": labels}
    up = {"type": "log", "range": [log10(low), log10(high)], "tickvals": _ticks(low, high)}
    return {
        "data": traces,
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            annotations=notes,
            xaxis=style.axis(look, "images at once (batch)", **across),
            yaxis=style.axis(look, "FLOPs per byte", **up),
        ),
    }


def _level_name(look: Look, value: float, what: str, colour: str, side: str) -> dict[str, Any]:
    """The name of a dashed line, at one end of it."""
    at = 0.08 if side == "left" else log10(BATCHES[-1])
    text = f"{what} {wording.significant(value)}"
    font = {"size": look.font_px, "color": colour}
    back = look.palette.background if side == "left" else "rgba(0,0,0,0)"
    where = {"xanchor": side, "yanchor": "bottom", "yshift": 2, "bgcolor": back}
    return style.note(look, text, at, log10(value), font=font, **where)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two numbers."""
    found = [step * 10.0**power for power in range(-2, 5) for step in (1, 2, 5)]
    return [value for value in found if low <= value <= high]


def _curve(data: BatchData, model: BatchModel, look: Look, shown: Sequence[int], bold: bool) -> list[dict[str, Any]]:
    """A line over the batches shown, and a large mark at the chosen one."""
    colour = look.palette.bits[data.bits] if bold else style.faded(look.palette.bits[data.bits], 0.65)
    values = [model.intensity(batch, data.bits) for batch in shown]
    base = {
        "type": "scatter",
        "name": model.title,
        "hovertemplate": f"{model.title}, batch %{{x:,}}: %{{y:.2f}} FLOPs/byte<extra></extra>",
    }
    symbol = style.SYMBOLS[data.bits]
    traces = [
        {
            **base,
            "mode": "lines+markers",
            "x": list(shown),
            "y": values,
            "line": {"color": colour, "width": (2.6 if bold else 1.4) * look.scale},
            "marker": {"size": 5.5 * look.scale, "symbol": symbol, "color": colour},
        }
    ]
    if data.batch in shown:
        at = model.intensity(data.batch, data.bits)
        traces.append(draw.dots(look, [data.batch], [at], symbol, 13, colour, edge=2.2, **base))
    return traces


def _both(model: BatchModel, look: Look, bold: bool) -> dict[str, Any]:
    """AI with weights and activations at 8 bits: as far above FP32 at every batch."""
    colour = look.palette.accent if bold else style.faded(look.palette.accent, 0.65)
    name, values = f"{model.title}, W8A8", [model.w8a8(batch) for batch in BATCHES]
    line = draw.line(look, list(BATCHES), values, colour, 2.0 if bold else 1.2, name=name)
    hover = f"{name}, batch %{{x:,}}: %{{y:.2f}} FLOPs/byte<extra></extra>"
    return line | {"hoverinfo": None, "hovertemplate": hover}


def _both_name(model: BatchModel, look: Look, bold: bool) -> dict[str, Any]:
    """`W8A8` with its gain over FP32, on the side of its curve where no other one is."""
    at = BATCHES[3]
    gain = 100 * (model.w8a8(at) / model.intensity(at) - 1)
    side = {"yanchor": "top", "yshift": -3, "xshift": 6} if bold else {"yanchor": "bottom", "yshift": 3}
    font = {"size": look.font_px, "color": look.palette.accent}
    text = f"W8A8 +{wording.number(gain, 0)} %"
    return style.note(look, text, log10(at), log10(model.w8a8(at)), xanchor="left", font=font, **side)


def _name(data: BatchData, model: BatchModel, look: Look, bold: bool) -> dict[str, Any]:
    """The model's name and AI beside its first mark, under its line."""
    value = model.intensity(1, data.bits)
    text = f"{model.title} {wording.number(value, 2)}"
    colour = look.palette.text if bold else look.palette.muted
    return style.note(
        look,
        f"<b>{text}</b>" if bold else text,
        0,
        log10(value),
        xanchor="left",
        yanchor="top",
        xshift=2,
        yshift=-9 * look.scale,
        bgcolor=style.faded(look.palette.background, 0.8),
        font={"size": look.font_px, "color": colour},
    )
