"""Lesson 3, scale, rounding and clipping: a layer's weights on a grid, and squared error against the range."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiq_core.records import Granularity
from aiq_core.rounding.grid import Grid, Rounded, SquaredError, round_to_grid, squared_error

RANGES = tuple(range(40, 101, 5))
"""Percent of the largest weight that the grid may span."""

BINS = 120


@dataclass(frozen=True, slots=True)
class Example:
    """One weight on its way: how many steps it is long, the integer it becomes, and what it is then."""

    weight: float
    largest: float
    scale: float
    zero_point: int
    integer: int
    rounded: float

    @property
    def error(self) -> float:
        """How far it moved."""
        return abs(self.weight - self.rounded)


@dataclass(frozen=True, eq=False)
class RoundingData:
    """A layer on a grid. `curve` is the error at each of RANGES, `whole` at the whole range, `now` at the grid's.

    `counts` are of weights relative to what their grid spans at the whole range, over `edges`; `bin_weights` is the
    first weight of each bin (-1 in an empty one); `lines` are the levels and `place` the example on the same axis.
    """

    layer: str
    weights: int
    grid: Grid
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    bin_weights: NDArray[np.int64]
    lines: NDArray[np.float64]
    bounds: tuple[float, float]
    curve: tuple[SquaredError, ...]
    now: SquaredError
    example: Example
    place: float

    @property
    def whole(self) -> SquaredError:
        """The error where nothing is clipped."""
        return self.curve[-1]

    @property
    def ratio(self) -> float:
        """Squared error at the grid's range over that at the whole range."""
        return self.now.total / self.whole.total if self.whole.total else 1.0


def lesson_layer(sizes: dict[str, int]) -> str:
    """A largest layer; among equals the middle one, which is neither next to the image nor to the answer."""
    largest = [name for name, size in sizes.items() if size == max(sizes.values())]
    return largest[len(largest) // 2]


def error_curve(weight: NDArray[np.float32], grid: Grid) -> tuple[SquaredError, ...]:
    """The squared error at each of RANGES."""
    grids = [Grid(grid.bits, grid.granularity, percent / 100, grid.symmetric) for percent in RANGES]
    return tuple(squared_error(weight, round_to_grid(weight, each)) for each in grids)


def best_range(curve: tuple[SquaredError, ...]) -> int:
    """The range of least squared error, in percent; the widest of equals."""
    totals = [error.total for error in curve]
    return RANGES[len(totals) - 1 - int(np.argmin(totals[::-1]))]


def rounding_data(
    layer: str,
    weight: NDArray[np.float32],
    grid: Grid,
    curve: tuple[SquaredError, ...] | None = None,
    index: int = 1,
) -> RoundingData:
    """A layer's weights on a grid; `index` is the example's, in row-major order (the second of channel 0)."""
    curve = curve or error_curve(weight, grid)
    now = round_to_grid(weight, grid)
    whole = round_to_grid(weight, Grid(grid.bits, grid.granularity, 1.0, grid.symmetric))
    relative, lines, bounds = _relative(weight, grid, whole)
    start = -1.0 if grid.symmetric else 0.0
    edges = np.linspace(start, 1.0, BINS + 1)
    places = np.clip(((relative.ravel() - start) / (1 - start) * BINS).astype(int), 0, BINS - 1)
    first = np.full(BINS, -1, dtype=np.int64)
    first[places[::-1]] = np.arange(weight.size)[::-1]
    index = index if 0 <= index < weight.size else 0
    return RoundingData(
        layer=layer,
        weights=weight.size,
        grid=grid,
        edges=edges,
        counts=np.bincount(places, minlength=BINS),
        bin_weights=first,
        lines=lines,
        bounds=bounds,
        curve=curve,
        now=squared_error(weight, now),
        example=_example(weight, now, index, grid),
        place=float(relative.flat[index]),
    )


def _relative(
    weight: NDArray[np.float32], grid: Grid, whole: Rounded
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    """Weights, levels and the range's ends on one axis that holds for every channel."""
    if grid.symmetric:
        span = np.where(whole.high > 0, whole.high, 1)
        top = (grid.levels - 1) // 2
        return weight / span, np.arange(-top, top + 1) / top * grid.share, (-grid.share, grid.share)
    span = np.where(whole.high > whole.low, whole.high - whole.low, 1)
    # A cut shrinks both ends towards 0, wherever a channel has it: on this axis, about the usual place of 0.
    zero = float(np.median(-whole.low / span))
    low, high = zero * (1 - grid.share), zero + (1 - zero) * grid.share
    return (weight - whole.low) / span, np.linspace(low, high, grid.levels), (low, high)


def _example(weight: NDArray[np.float32], rounded: Rounded, index: int, grid: Grid) -> Example:
    value, after = weight.ravel()[index], rounded.weight.ravel()[index]
    row = int(np.unravel_index(index, weight.shape)[0]) if grid.granularity is Granularity.CHANNEL else 0
    scale, zero = rounded.scale.ravel()[row], rounded.zero_point.ravel()[row]
    own = weight[row] if grid.granularity is Granularity.CHANNEL else weight
    return Example(
        weight=float(value),
        largest=float(np.abs(own).max()),
        scale=float(scale),
        zero_point=int(zero),
        integer=int(np.rint(after / scale + zero)) if scale else 0,
        rounded=float(after),
    )


def rounding_frame(data: RoundingData) -> pd.DataFrame:
    """A row a range: squared error by cause over that of the whole range."""
    return pd.DataFrame(
        {
            "layer": data.layer,
            "bits": data.grid.bits,
            "granularity": str(data.grid.granularity),
            "symmetric": data.grid.symmetric,
            "range_percent": RANGES,
            "rounding_error": [error.rounding for error in data.curve],
            "clipping_error": [error.clipping for error in data.curve],
            "relative_error": [error.total / data.whole.total if data.whole.total else 1.0 for error in data.curve],
            "sqnr_db": [error.sqnr_db for error in data.curve],
            "clipped_percent": [100 * error.clipped_share for error in data.curve],
        }
    )
