"""Rounding to nearest on a grid that ends where the squared error is least: what lies beyond it is clipped."""

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import Quantizer
from aiq_core.rounding.nearest import levels, scales, shared_axes, steps

SHARES = tuple(share / 100 for share in range(100, 28, -2))
"""Where the grid may end, as shares of the largest weight; of equal errors the wider grid stands."""


def mse(weight: NDArray[np.float32], bits: int, settings: Quantizer) -> NDArray[np.float32]:
    """The float32 weights that `bits` can represent on the best of these grids, one a scale."""
    axes = shared_axes(weight, settings.granularity)
    whole, top = scales(weight, bits, settings.granularity), levels(bits)
    best, least = np.zeros_like(weight), np.inf
    for share in SHARES:
        scale = whole * np.float32(share)
        rounded = np.clip(steps(weight, scale), -top, top) * scale
        error = np.square(rounded - weight, dtype=np.float64).sum(axis=axes, keepdims=True)
        best = np.where(error < least, rounded, best)
        least = np.minimum(error, least)
    return best
