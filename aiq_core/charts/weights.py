"""The weights chart: a layer's weights before rounding and after, with the levels of its width and the error."""

from dataclasses import dataclass
from math import inf, log10, sqrt
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.style import Look
from aiq_core.records import FP32_BITS
from aiq_core.rounding import RoundedLayer
from aiq_core.rounding.nearest import levels, quantize

HEIGHT_PX = 270
MARGIN_PX = {"l": 40, "r": 10, "t": 20, "b": 38}
NEAREST = "nearest"
BINS = 121
"""Odd, so that the middle bin holds the weights around 0."""


@dataclass(frozen=True, slots=True)
class RoundingError:
    """What rounding a layer to `bits` costs its weights, against the weights before.

    `rmse` and `largest` are in the weights' unit, `largest_steps` is the largest error in steps of its own channel (to
    nearest at most 0.5), `step` the widest channel's step. `sqnr_db` is the power of the weights over that of the
    error. `zeros` is the share of weights that become 0.
    """

    bits: int
    rmse: float
    sqnr_db: float
    largest: float
    largest_steps: float
    step: float
    zeros: float
    to_nearest: bool = True


@dataclass(frozen=True, eq=False)
class WeightsData:
    """Shares of a layer's weights, each divided by the end of its channel's grid, so that all channels share levels.

    To nearest and at FP32 a grid ends at the channel's largest weight; another `rounding` ends it before, and clips.
    `before` counts over `edges` (float64[bins + 1]); `after` stands at `places` (the levels), None at FP32.
    """

    model: str
    layer: str
    weights: int
    bits: int
    edges: NDArray[np.float64]
    before: NDArray[np.float64]
    places: NDArray[np.float64] | None
    after: NDArray[np.float64] | None
    error: RoundingError | None
    rounding: str = NEAREST


def rounding_error(weight: NDArray[np.float32], bits: int) -> RoundingError:
    """The error of rounding float32[out, ...] to a width below 32, a scale per output channel."""
    return _error(weight, *quantize(weight, bits), bits)


def _error(
    weight: NDArray[np.float32],
    integers: NDArray[np.int8],
    scale: NDArray[np.float32],
    bits: int,
    to_nearest: bool = True,
) -> RoundingError:
    step = scale.astype(np.float64)
    error = np.abs(integers * step - weight)
    power, noise = float(np.mean(np.square(weight, dtype=np.float64))), float(np.mean(error**2))
    relative = np.divide(error, step, out=np.zeros_like(error), where=step > 0)
    return RoundingError(
        bits=bits,
        rmse=sqrt(noise),
        sqnr_db=10 * log10(power / noise) if noise and power else inf,
        largest=float(error.max()),
        largest_steps=float(relative.max()),
        step=float(step.max()),
        zeros=float(np.mean(integers == 0)),
        to_nearest=to_nearest,
    )


def weights_data(
    model: str, layer: str, weight: NDArray[np.float32], bits: int, rounded: tuple[str, RoundedLayer] | None = None
) -> WeightsData:
    """A layer at a width; `weight` as the evaluator rounds it: batch norm folded, output channels first.

    `rounded` is the name of a rounding, a scale a channel, and what it made of the layer; without it, to nearest.
    """
    axes = tuple(range(1, weight.ndim))
    end = np.abs(weight).max(axis=axes, keepdims=True)
    places = after = error = None
    name = NEAREST if rounded is None else rounded[0]
    if bits != FP32_BITS:
        top = levels(bits)
        integers, scale = quantize(weight, bits) if rounded is None else (rounded[1].integers, rounded[1].scale)
        end = end if rounded is None else scale * np.float32(top)
        places = np.arange(-top, top + 1) / top
        after = np.bincount(integers.ravel().astype(np.int64) + top, minlength=2 * top + 1) / weight.size
        error = _error(weight, integers, scale, bits, name == NEAREST)
    relative = np.divide(weight, end, out=np.zeros_like(weight), where=end > 0)
    reach = max(1.0, float(np.abs(relative).max()))
    counts, edges = np.histogram(relative, bins=BINS, range=(-reach, reach))
    return WeightsData(model, layer, weight.size, bits, edges, counts / weight.size, places, after, error, name)


def weights_frame(data: WeightsData) -> pd.DataFrame:
    """The chart's data: a row a bin before rounding and a row a level after."""
    middles = (data.edges[1:] + data.edges[:-1]) / 2
    rows = [("before", FP32_BITS, float(x), float(share)) for x, share in zip(middles, data.before, strict=True)]
    if data.places is not None and data.after is not None:
        rows += [("after", data.bits, float(x), float(y)) for x, y in zip(data.places, data.after, strict=True)]
    frame = pd.DataFrame(rows, columns=["side", "bits", "weight_over_end_of_channel_grid", "share_of_weights"])
    return frame.assign(model=data.model, layer=data.layer, rounding=data.rounding)


def error_text(error: RoundingError) -> str:
    """The error in one line."""
    most = " (at most half)" if error.to_nearest else ""
    sqnr = "no error" if error.sqnr_db == inf else f"SQNR {wording.number(error.sqnr_db, 1)} dB"
    return wording.join(
        [
            f"RMSE {_small(error.rmse)}",
            sqnr,
            f"largest error {_small(error.largest)}, {wording.number(error.largest_steps, 2)} of a step{most}",
        ]
    )


def _small(value: float) -> str:
    """Two significant digits without an exponent: 0.0012."""
    return f"{value:.2g}" if value >= 1e-4 or value == 0 else f"{value:.6f}"


def weights_figure(data: WeightsData, look: Look) -> dict[str, Any]:
    """A Plotly figure, as a dict: before above, after below; FP32 alone takes the whole height."""
    upper = [0.0, 1.0] if data.after is None else [0.56, 1.0]
    traces = [_before(data, look)]
    notes = [_title(look, FP32_BITS, f"before: FP32, {data.weights:,} weights, batch norm folded", upper[1])]
    across = "largest of its channel" if data.rounding == NEAREST else "end of its channel's grid"
    end = 1.06 * float(data.edges[-1])
    x_axis = style.axis(look, f"weight ÷ {across}", range=[-end, end], showgrid=False, dtick=0.5 if end < 2 else 1)
    axes: dict[str, Any] = {"xaxis": x_axis, "yaxis": _shares(look, float(data.before.max()), upper)}
    if data.places is not None and data.after is not None and data.error is not None:
        among = style.faded(look.palette.bits[data.bits], 0.55)
        lines = draw.levels(look, data.places.tolist(), float(data.before.max()) * 1.08, among, 1)
        traces = [*lines, *traces, _after(data.places, data.after, data.bits, look)]
        zeros = f"{wording.number(100 * data.error.zeros, 1)} % become 0"
        how = "" if data.rounding == NEAREST else f" by {data.rounding}"
        text = f"after: {data.bits} bits{how}, {2 * levels(data.bits) + 1} levels, {zeros}"
        notes.append(_title(look, data.bits, text, 0.44))
        axes |= {"xaxis": {**x_axis, "anchor": "y2"}, "yaxis2": _shares(look, float(data.after.max()), [0.0, 0.44])}
    return {
        "data": traces,
        "layout": style.layout(look, HEIGHT_PX, MARGIN_PX, annotations=notes, barmode="overlay", bargap=0, **axes),
    }


def _shares(look: Look, top: float, domain: list[float]) -> dict[str, Any]:
    return style.axis(look, "", domain=domain, range=[0, top * 1.08], tickformat=".0%", nticks=4)


def _title(look: Look, bits: int, text: str, y: float) -> dict[str, Any]:
    glyph = f"<span style='color:{look.palette.bits[bits]}'>{style.GLYPHS[bits]}</span>"
    return style.heading(look, f"{glyph} {text}", y=y, yshift=2)


def _before(data: WeightsData, look: Look) -> dict[str, Any]:
    """A filled outline: one mark where bars would be a hundred, as the page redraws it at every change of bits."""
    middles = (data.edges[1:] + data.edges[:-1]) / 2
    colour = look.palette.bits[FP32_BITS]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "before",
        "x": middles.tolist(),
        "y": data.before.tolist(),
        "line": {"shape": "hvh", "width": look.scale, "color": colour},
        "fill": "tozeroy",
        "fillcolor": style.faded(colour, 0.75),
        "hovertemplate": "%{y:.2%} of the weights around %{x:.2f}<extra></extra>",
    }


def _after(places: NDArray[np.float64], after: NDArray[np.float64], bits: int, look: Look) -> dict[str, Any]:
    top = levels(bits)
    # Wider than a hair at 8 bits, narrower than the gap at 2.
    width = min(max(0.7 / top, 0.008), 0.07)
    return {
        "type": "bar",
        "name": "after",
        "yaxis": "y2",
        "x": places.tolist(),
        "y": after.tolist(),
        "width": width,
        "customdata": list(range(-top, top + 1)),
        "marker": {"color": look.palette.bits[bits], "line": {"width": 0}},
        "hovertemplate": f"level %{{customdata}} of ±{top}: %{{y:.2%}} of the weights<extra></extra>",
    }
