"""What rounding a layer's weights does to what it puts out for one image: before, after, and the difference."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aiq_core.catalog import LayerInput
from aiq_core.charts import style
from aiq_core.charts.style import Look

HEIGHT_PX = 150
AMPLIFIED = 5
"""How many times stronger the difference is drawn: at 8 bits it would not be seen at all."""
DOMAINS = ((0.0, 0.19), (0.27, 0.46), (0.54, 0.73), (0.81, 1.0))
SMALLEST_PICTURE = 4
"""A map with fewer pixels a side is no picture: then all channels are laid out, a pixel each."""


@dataclass(frozen=True, eq=False)
class MapData:
    """One channel's map (or all channels of a map too small to look at) before and after; `channel` is None there.

    `relative_error` is the root mean square difference over that of the map before, over all channels.
    """

    image: NDArray[np.uint8]
    channel: int | None
    channels: int
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    relative_error: float


def convolve(weight: NDArray[np.float32], read: LayerInput) -> NDArray[np.float32]:
    """What a convolution (or linear layer) puts out, float32[out, H, W], for float32[C, H, W]; batch norm folded."""
    value = read.value if read.value.ndim == 3 else read.value[:, None, None]
    kernel = weight if weight.ndim == 4 else weight[:, :, None, None]
    pad = read.padding
    padded = np.pad(value, ((0, 0), (pad, pad), (pad, pad)))
    windows = sliding_window_view(padded, kernel.shape[2:], axis=(1, 2))[:, :: read.stride, :: read.stride]
    height, width = windows.shape[1:3]
    groups, inputs = read.groups, kernel.shape[1]
    # [group, inputs of a group x window, pixels], so that a layer is one matrix product a group.
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(groups, inputs * kernel.shape[2] * kernel.shape[3], -1)
    rows = kernel.reshape(groups, len(kernel) // groups, -1)
    out = (rows @ columns).reshape(len(kernel), height, width) + read.bias[:, None, None]
    return out.astype(np.float32)


def map_data(
    weight: NDArray[np.float32], rounded: NDArray[np.float32], read: LayerInput, image: NDArray[np.uint8]
) -> MapData:
    """The map of the channel that answers strongest to the image, with both weights."""
    before, after = convolve(weight, read), convolve(rounded, read)
    power = float(np.square(before, dtype=np.float64).mean())
    noise = float(np.square(after - before, dtype=np.float64).mean())
    error = float(np.sqrt(noise / power)) if power else 0.0
    channels = len(before)
    if min(before.shape[1:]) < SMALLEST_PICTURE:
        return MapData(image, None, channels, _laid_out(before), _laid_out(after), error)
    strongest = int(before.std(axis=(1, 2)).argmax())
    return MapData(image, strongest, channels, before[strongest], after[strongest], error)


def _laid_out(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """All values in one rectangle, row by row; what is left of the last row is NaN."""
    values = maps.ravel()
    width = int(np.ceil(np.sqrt(len(values))))
    rows = -(-len(values) // width)
    grid = np.full(rows * width, np.nan, dtype=np.float32)
    grid[: len(values)] = values
    return grid.reshape(rows, width)


def map_figure(data: MapData, look: Look) -> dict[str, Any]:
    """The image and three heat maps in a row, all three on one scale."""
    what = "one channel" if data.channel is not None else f"{data.channels:,} outputs"
    names = ("the image", f"{what}, FP32", "rounded", f"difference × {AMPLIFIED}")
    maps = (data.before, data.after, AMPLIFIED * (data.after - data.before))
    limit = float(np.nanmax(np.abs(data.before))) or 1.0
    above = {"xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom", "yshift": 2}
    notes = [
        style.note(look, name, (left + right) / 2, 1, **above)
        for name, (left, right) in zip(names, DOMAINS, strict=True)
    ]
    return {
        "data": [_picture(data.image), *(_heat(look, m, place, limit) for place, m in enumerate(maps, start=2))],
        "layout": style.layout(look, HEIGHT_PX, {"l": 6, "r": 6, "t": 20, "b": 4}, annotations=notes, **_axes()),
    }


def _heat(look: Look, values: NDArray[np.float32], place: int, limit: float) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "z": [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in values[::-1]],
        "xaxis": f"x{place}",
        "yaxis": f"y{place}",
        "zmin": -limit,
        "zmax": limit,
        "colorscale": _scale(look),
        "showscale": False,
        "hovertemplate": "%{z:.3f}<extra></extra>",
    }


def _axes() -> dict[str, Any]:
    """Four pairs of bare axes side by side, pixels square."""
    axes: dict[str, Any] = {}
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False, "ticks": "", "fixedrange": True}
    for place, domain in enumerate(DOMAINS, start=1):
        suffix = "" if place == 1 else str(place)
        fit = {"constrain": "domain", "constraintoward": "center"}
        axes[f"xaxis{suffix}"] = {**bare, **fit, "domain": list(domain), "anchor": f"y{suffix}"}
        axes[f"yaxis{suffix}"] = {**bare, "scaleanchor": f"x{suffix}", "constrain": "domain", "anchor": f"x{suffix}"}
    axes["yaxis"]["autorange"] = "reversed"
    return axes


def _picture(image: NDArray[np.uint8]) -> dict[str, Any]:
    colours = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    return {"type": "image", "z": colours.tolist(), "hoverinfo": "skip", "xaxis": "x", "yaxis": "y"}


def _scale(look: Look) -> list[list[Any]]:
    """Greys, as colours have meanings: from the page, below 0, to the text, above."""
    return [[0, look.palette.background], [0.5, look.palette.bits[32]], [1, look.palette.text]]
