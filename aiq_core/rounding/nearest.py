"""Rounding to nearest: symmetric, one scale per output channel or per tensor.

scale = max|w| / (2^(b-1) - 1), rounded half to even, clamped to +-(2^(b-1) - 1) (arXiv 2512.14090).
"""

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError
from aiq_core.records import FP32_BITS, OFFERED_BITS, Granularity, Quantizer


def levels(bits: int) -> int:
    """The largest integer of a symmetric grid: 127 at 8 bits, 7 at 4."""
    return int(2 ** (bits - 1)) - 1


def shared_axes(weight: NDArray[np.float32], granularity: Granularity) -> tuple[int, ...] | None:
    """The axes of weights that share a scale; None is all of them."""
    return tuple(range(1, weight.ndim)) if granularity is Granularity.CHANNEL else None


def steps(weight: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """How many scales each weight is, to nearest and half to even, before any end of a grid; 0 where the scale is 0."""
    return np.rint(np.divide(weight, scale, out=np.zeros_like(weight), where=scale > 0))


def scales(weight: NDArray[np.float32], bits: int, granularity: Granularity) -> NDArray[np.float32]:
    """The distance between neighbouring levels, float32[out, 1, ...] broadcastable to `weight` (out first).

    An all-zero channel has scale 0.
    """
    largest = np.abs(weight).max(axis=shared_axes(weight, granularity), keepdims=True)
    return np.asarray(largest / np.float32(levels(bits)), dtype=np.float32)


def quantize(
    weight: NDArray[np.float32], bits: int, granularity: Granularity = Granularity.CHANNEL
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The integers, int8 as `weight`, and their `scales`. Raises SettingError for a width without an integer grid."""
    if bits not in OFFERED_BITS or bits == FP32_BITS:
        raise SettingError(f"bits={bits} has no integer grid; choose from {', '.join(map(str, OFFERED_BITS[1:]))}")
    scale = scales(weight, bits, granularity)
    return np.clip(steps(weight, scale), -levels(bits), levels(bits)).astype(np.int8), scale


def nearest(weight: NDArray[np.float32], bits: int, settings: Quantizer) -> NDArray[np.float32]:
    """The float32 weights that `bits` can represent, nearest to `weight`."""
    integers, scale = quantize(weight, bits, settings.granularity)
    return integers.astype(np.float32) * scale
