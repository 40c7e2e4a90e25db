"""Rounding to nearest on a grid that ends where the squared error is least: what lies beyond it is clipped."""

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import Granularity, Quantizer
from aiq_core.rounding.nearest import levels, scales

SHARES = tuple(share / 100 for share in range(100, 28, -2))
"""Where the grid may end, as shares of the largest weight; of equal errors the wider grid stands."""


def mse(weight: NDArray[np.float32], bits: int, settings: Quantizer) -> NDArray[np.float32]:
    """The float32 weights that `bits` can represent on the best of these grids, one a scale."""
    axes = tuple(range(1, weight.ndim)) if settings.granularity is Granularity.CHANNEL else None
    whole, top = scales(weight, bits, settings.granularity), levels(bits)
    best, least = np.zeros_like(weight), np.inf
    for share in SHARES:
        scale = whole * np.float32(share)
        steps = np.divide(weight, scale, out=np.zeros_like(weight), where=scale > 0)
        rounded = np.clip(np.rint(steps), -top, top) * scale
        error = np.square(rounded - weight, dtype=np.float64).sum(axis=axes, keepdims=True)
        best = np.where(error < least, rounded, best)
        least = np.minimum(error, least)
    return best
