"""What the choices behind a scale do: a grid with its range cut or its zero moved, and the error by cause.

Searches round by a method of `ROUNDINGS`; this shows why they are as they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError
from aiq_core.records import Granularity
from aiq_core.rounding.nearest import levels, scales, shared_axes, steps


@dataclass(frozen=True, slots=True)
class Grid:
    """Where rounded weights may lie: `share` of the largest weight bounds the range; symmetric about 0, or fitted.

    A grid that is not symmetric spans `share` of [min, max] with all 2^bits levels and moves zero onto one of them.
    """

    bits: int
    granularity: Granularity = Granularity.CHANNEL
    share: float = 1.0
    symmetric: bool = True

    def __post_init__(self) -> None:
        levels(self.bits)  # refuses a width without any
        if not 0 < self.share <= 1:
            raise SettingError(f"range={self.share:g} of the largest weight is not offered; choose above 0 and up to 1")

    @property
    def levels(self) -> int:
        """How many values a weight may take: 15 at 4 bits, 16 where the grid is not symmetric."""
        return 2 * levels(self.bits) + 1 if self.symmetric else 2**self.bits


@dataclass(frozen=True, eq=False)
class Rounded:
    """Weights on a grid, all broadcastable to the weights: `low` and `high` bound the range, `scale` is the step.

    `zero_point` is the integer that stands for 0 (0 on a symmetric grid); `clipped` were outside of the range.
    """

    weight: NDArray[np.float32]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    clipped: NDArray[np.bool_]


def round_to_grid(weight: NDArray[np.float32], grid: Grid) -> Rounded:
    """The nearest points of a grid; a symmetric one over the whole range equals `nearest` to the last bit."""
    if grid.symmetric:
        # One float32 product after `scales`, so that a share of 1 changes nothing.
        scale = scales(weight, grid.bits, grid.granularity) * np.float32(grid.share)
        low, high = -levels(grid.bits), levels(grid.bits)
        zero = np.zeros_like(scale)
    else:
        axes = shared_axes(weight, grid.granularity)
        # Zero must lie on the grid, so the range holds it.
        least = np.minimum(weight.min(axis=axes, keepdims=True), 0) * np.float32(grid.share)
        most = np.maximum(weight.max(axis=axes, keepdims=True), 0) * np.float32(grid.share)
        low, high = 0, 2**grid.bits - 1
        scale = np.asarray((most - least) / np.float32(high), dtype=np.float32)
        zero = steps(-least, scale)
    integers = np.clip(steps(weight, scale) + zero, low, high)
    ends = (low - zero) * scale, (high - zero) * scale
    # Half a step beyond an end still rounds to it: only what lies further is clipped, beyond rounding of the ends.
    room = np.float32(0.5) * scale if not grid.symmetric else np.float32(1e-6) * ends[1]
    clipped = (weight < ends[0] - room) | (weight > ends[1] + room)
    return Rounded((integers - zero) * scale, scale, zero, ends[0], ends[1], clipped)


@dataclass(frozen=True, slots=True)
class SquaredError:
    """Squared error of rounded weights, split by cause, the weights' own squares, and the share that was clipped."""

    rounding: float
    clipping: float
    signal: float
    clipped_share: float

    @property
    def total(self) -> float:
        """Both causes together."""
        return self.rounding + self.clipping

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise ratio in decibels; infinite without error."""
        return 10 * float(np.log10(self.signal / self.total)) if self.total else float("inf")


def squared_error(weight: NDArray[np.float32], rounded: Rounded) -> SquaredError:
    """Summed in float64 over all weights of a layer."""
    squares = np.square(weight.astype(np.float64) - rounded.weight)
    clipping = float(squares[rounded.clipped].sum())
    signal = float(np.square(weight.astype(np.float64)).sum())
    return SquaredError(float(squares.sum()) - clipping, clipping, signal, float(rounded.clipped.mean()))
