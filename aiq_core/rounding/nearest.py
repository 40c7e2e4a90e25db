"""Rounding to nearest: one scale per output channel or per tensor.

scale = max|w| / (2^(b-1) - 1), rounded half to even, clamped to +-(2^(b-1) - 1) (arXiv 2512.14090). The full grid has
one integer more below 0: the sign of its scale gives it to the side that reaches further.
"""

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError
from aiq_core.records import FP32_BITS, OFFERED_BITS, Granularity, Grid, Quantizer
from aiq_core.rounding.layer import Statistics


def levels(bits: int) -> int:
    """The largest integer of a symmetric grid: 127 at 8 bits, 7 at 4. Raises SettingError for a width without one."""
    if bits not in OFFERED_BITS or bits == FP32_BITS:
        raise SettingError(f"bits={bits} has no integer grid; choose from {', '.join(map(str, OFFERED_BITS[1:]))}")
    return int(2 ** (bits - 1)) - 1


def ends(bits: int, grid: Grid) -> tuple[int, int]:
    """The least and the largest integer of a grid."""
    return -levels(bits) - (grid is Grid.FULL), levels(bits)


def shared_axes(weight: NDArray[np.float32], granularity: Granularity) -> tuple[int, ...] | None:
    """The axes of weights that share a scale; None is all of them."""
    return tuple(range(1, weight.ndim)) if granularity is Granularity.CHANNEL else None


def steps(weight: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """How many scales each weight is, to nearest and half to even, before any end of a grid; 0 where the scale is 0."""
    return np.rint(np.divide(weight, scale, out=np.zeros_like(weight), where=scale != 0))


def scales(
    weight: NDArray[np.float32], bits: int, granularity: Granularity, grid: Grid = Grid.NARROW
) -> NDArray[np.float32]:
    """The distance between neighbouring levels, float32[out, 1, ...] broadcastable to `weight` (out first).

    It is the least with which nothing is clipped, and negative where a full grid is turned round. An all-zero channel
    has scale 0.
    """
    axes, top = shared_axes(weight, granularity), np.float32(levels(bits))
    if grid is Grid.NARROW:
        return np.asarray(np.abs(weight).max(axis=axes, keepdims=True) / top, dtype=np.float32)
    above, below = weight.max(axis=axes, keepdims=True), -weight.min(axis=axes, keepdims=True)
    straight = np.maximum(below / (top + 1), above / top)
    turned = np.maximum(above / (top + 1), below / top)
    return np.asarray(np.where(turned < straight, -turned, straight), dtype=np.float32)


def quantize(
    weight: NDArray[np.float32], bits: int, granularity: Granularity = Granularity.CHANNEL, grid: Grid = Grid.NARROW
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The integers, int8 as `weight`, and their `scales`. Raises SettingError for a width without an integer grid."""
    scale = scales(weight, bits, granularity, grid)
    return np.clip(steps(weight, scale), *ends(bits, grid)).astype(np.int8), scale


def nearest(
    weight: NDArray[np.float32], bits: int, settings: Quantizer, _: Statistics
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The integers nearest to `weight`, and their scales."""
    return quantize(weight, bits, settings.granularity, settings.grid)
