"""Lesson 1's figures: the roof with its kernels, and the two times of which the longer counts."""

from dataclasses import asdict
from math import log10
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, labels, style
from aiq_core.charts.labels import Anchor
from aiq_core.charts.lessons import marks
from aiq_core.charts.lessons.roofline import X_RANGE, Change, Kernel, RoofData
from aiq_core.charts.roofline_figure import rate_axis, zones
from aiq_core.charts.style import Look

VEIL = 1.16
"""How far the veil reaches left and right of its kernel, as a factor."""
HEIGHT_PX = 440
MARGIN_PX = {"l": 54, "r": 18, "t": 14, "b": 40}
PLOT_WIDTHS_PX = {False: (265.0, 600.0), True: (395.0, 565.0)}
"""Plot widths that labels must suit, plain and on a projector: a phone's, and beside the times of a page 1,440 wide."""


def _y_range(data: RoofData) -> tuple[float, float]:
    """From the lowest speed on the axis to above twice the peak."""
    return X_RANGE[0] * data.bandwidth, data.peak * 5


def roof_figure(
    data: RoofData, look: Look, change: Change = Change.NONE, revealed: bool = False, guess: float | None = None
) -> dict[str, Any]:
    """`guess` is a factor on the speed of the question's kernel; the truth is veiled until it is revealed."""
    peak, bandwidth = data.roof(change)
    return {
        "data": [
            *_roofs(data, look, change),
            *([] if revealed else [_veil(data, look)]),
            *_dots(data, look, change),
            *_asked(data, look, change, guess),
        ],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            shapes=zones(look, X_RANGE, peak / bandwidth),
            annotations=[
                *_notes(data, look, change, revealed or guess is not None),
                *_names(data, look, change),
            ],
            xaxis=style.axis(
                look, "FLOPs per byte (arithmetic intensity)", type="log", range=[log10(x) for x in X_RANGE], dtick=1
            ),
            yaxis=rate_axis(look, _y_range(data)),
        ),
    }


def _line(data: RoofData, change: Change) -> tuple[list[float], list[float]]:
    peak, bandwidth = data.roof(change)
    xs = [X_RANGE[0], peak / bandwidth, max(X_RANGE[1], 2 * peak / bandwidth)]
    return xs, [xs[0] * bandwidth, peak, peak]


def _roofs(data: RoofData, look: Look, change: Change) -> list[dict[str, Any]]:
    palette = look.palette
    traces = []
    if change is not Change.NONE:
        traces.append(draw.line(look, *_line(data, Change.NONE), palette.muted, 1.4, dash="dash", name="before"))
    traces.append(draw.line(look, *_line(data, change), palette.text, 2.2, name="roof"))
    return traces


def _dots(data: RoofData, look: Look, change: Change) -> list[dict[str, Any]]:
    """Layers small and open, the model large, both on the roof as it is drawn."""
    palette = look.palette

    def trace(kernels: tuple[Kernel, ...], size: float, symbol: str, colour: str, **more: Any) -> dict[str, Any]:
        xs = [kernel.intensity for kernel in kernels]
        ys = [data.attainable(x, change) for x in xs]
        said = draw.hover(_hover(data, kernel, change) for kernel in kernels)
        return draw.dots(look, xs, ys, symbol, size, colour, edge=1.6, **said, **more)

    traces = [trace(data.layers, 8, "circle-open", palette.bits[32], name="layers")]
    traces.append(trace((data.model,), 17, "circle", palette.bits[32], name=data.title))
    if _has_own(data):
        traces.append(trace((data.kernel,), 14, "star", palette.accent, name="your kernel"))
    return traces


def _has_own(data: RoofData) -> bool:
    """Whether the reader moved a kernel away from the model."""
    return abs(data.kernel.intensity / data.model.intensity - 1) > 1e-6


def _hover(data: RoofData, kernel: Kernel, change: Change) -> str:
    rate = wording.rate(data.attainable(kernel.intensity, change), data.number_type)
    peak, bandwidth = data.roof(change)
    bound = "memory-bound" if kernel.intensity < peak / bandwidth else "compute-bound"
    return f"<b>{kernel.name}</b><br>{wording.number(kernel.intensity, 2)} FLOPs/byte, up to {rate}<br>{bound}"


def _veil(data: RoofData, look: Look) -> dict[str, Any]:
    """Over where the kernel of the question might be on the new chip."""
    x, speed = data.asked.intensity, data.attainable(data.asked.intensity)
    return marks.veil(look, (x / VEIL, x * VEIL), (speed * 0.3, speed * 4))


def _asked(data: RoofData, look: Look, change: Change, guess: float | None) -> list[dict[str, Any]]:
    """The kernel of the question, and the ghost of the guess."""
    x, speed = data.asked.intensity, data.attainable(data.asked.intensity)
    said = {"name": data.asked.name, **draw.hover([_hover(data, data.asked, change)])}
    at = data.attainable(x, change)
    traces = [draw.dots(look, [x], [at], "square-open", 13, look.palette.text, edge=2.4, **said)]
    if guess is not None:
        below = {"textposition": "bottom right"} if guess <= 1 else {}  # clear of the question's own name
        traces.append(marks.ghost(look, x, speed * guess, **below))
    return traces


def _names(data: RoofData, look: Look, change: Change) -> list[dict[str, Any]]:
    """The names of the model and of the reader's kernel, clear of both roofs, the layers and what is asked."""
    (low, high), (left, right) = _y_range(data), X_RANGE

    def at(x: float, y: float, radius: float, text: str = "") -> Anchor:
        place = log10(x / left) / log10(right / left), 1 - log10(y / low) / log10(high / low)
        return Anchor(*place, text, radius * look.scale)

    named = [(data.title, data.model.intensity, look.palette.text)]
    if _has_own(data):
        named.append(("your kernel", data.kernel.intensity, look.palette.accent))
    speeds = [data.attainable(x, change) for _, x, _ in named]
    anchors = [at(x, speed, 9, text) for (text, x, _), speed in zip(named, speeds, strict=True)]
    asked, peak = data.asked.intensity, data.roof(change)[0]
    along = [left * (right / left) ** (step / 120) for step in range(121)]
    taken = [at(x, data.attainable(x, roof), 2) for x in along for roof in {Change.NONE, change}]
    taken += [at(layer.intensity, data.attainable(layer.intensity, change), 4) for layer in data.layers]
    taken += [at(asked, data.attainable(asked) * 2 ** (step / 4), 12) for step in range(-7, 9)]  # veil and guess
    taken += [at(x, peak * 1.15, 6) for x in along[66::4]]  # its name
    height = (HEIGHT_PX - MARGIN_PX["t"] - MARGIN_PX["b"]) * look.scale
    places = labels.place_labels(anchors, taken, height, look.font_px, PLOT_WIDTHS_PX[look.projector])
    return [
        style.note(
            look,
            f"<b>{text}</b>",
            log10(x),
            log10(speed),
            font={"size": look.font_px, "color": colour},
            bgcolor=style.faded(look.palette.background, 0.7),
            **asdict(place),
        )
        for (text, x, colour), speed, place in zip(named, speeds, places, strict=True)
    ]


def _notes(data: RoofData, look: Look, change: Change, answered: bool) -> list[dict[str, Any]]:
    palette, size = look.palette, look.font_px
    peak, bandwidth = data.roof(change)
    ridge, x, speed = peak / bandwidth, data.asked.intensity, data.attainable(data.asked.intensity)
    paper = {"xref": "paper", "yref": "paper"}
    memory, compute = {"size": size, "color": palette.memory}, {"size": size, "color": palette.compute}
    left = {"xanchor": "left", "yanchor": "top", "xshift": 6, "yshift": -4}
    right = {"xanchor": "right", "yanchor": "bottom", "xshift": -6, "yshift": 4}
    low = {"yref": "paper", "xanchor": "right", "yanchor": "bottom", "xshift": -4, "yshift": 4 + 1.7 * size}
    flat = {"xref": "paper", "xanchor": "right", "yanchor": "bottom", "xshift": -6, "yshift": 3}
    beside = {"xanchor": "right", "yanchor": "bottom", "xshift": -14 * look.scale}
    notes = [
        style.note(look, "◧ memory-bound", 0, 1, **paper, **left, font=memory),
        style.note(look, "compute-bound ◨", 1, 0, **paper, **right, font=compute),
        style.note(look, f"ridge {wording.significant(ridge)}", log10(ridge), 0, **low),
        style.note(look, f"peak {wording.rate(peak, data.number_type)}", 1, log10(peak), **flat),
        style.note(look, "the question’s kernel", log10(x), log10(data.attainable(x, change)), **beside),
    ]
    if not answered:
        notes.append(marks.question_mark(look, log10(x), log10(speed * 2.3)))
    return notes


def time_figure(data: RoofData, look: Look, change: Change = Change.NONE) -> dict[str, Any]:
    """Two bars: time to move the kernel's bytes and to compute it; the longer is lit, as it sets the time."""
    times = data.seconds(data.kernel.intensity, change)
    palette, names = look.palette, ("bytes", "compute")
    lit = [times[0] >= times[1], times[1] > times[0]]
    colours = [palette.memory, palette.compute]
    fills = [c if on else style.faded(c, 0.3) for c, on in zip(colours, lit, strict=True)]
    hatch = ["" if on else "/" for on in lit]
    text = [f"<b>{wording.seconds(t)}</b>" if on else wording.seconds(t) for t, on in zip(times, lit, strict=True)]
    return {
        "data": [
            {
                "type": "bar",
                "x": list(names),
                "y": list(times),
                "text": text,
                "textposition": "outside",
                "textfont": {"size": look.font_px * 0.95, "color": palette.text},
                "constraintext": "none",
                "cliponaxis": False,
                "marker": {
                    "color": fills,
                    "line": {"color": colours, "width": 1.4 * look.scale},
                    "pattern": {"shape": hatch, "solidity": 0.2, "bgcolor": fills, "fgcolor": colours},
                },
                "hovertemplate": "%{x}: %{y:.3s}s<extra></extra>",
            }
        ],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            {"l": 8, "r": 8, "t": 14, "b": 40},
            bargap=0.35,
            xaxis=style.axis(look, "", showgrid=False, tickangle=0),
            yaxis=style.axis(look, "", range=[0, max(times) * 1.22], showticklabels=False),
        ),
    }
