"""Rounding to nearest on a grid that ends where an error is least: what lies beyond it is clipped."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import Quantizer
from aiq_core.rounding.layer import Statistics
from aiq_core.rounding.nearest import ends, scales, shared_axes, steps

SHARES = tuple(share / 100 for share in range(100, 28, -2))
"""Where the grid may end, as shares of the largest weight; of equal errors the wider grid stands."""


def best_grid(
    weight: NDArray[np.float32],
    bits: int,
    settings: Quantizer,
    costs: Callable[[NDArray[np.float32]], NDArray[np.float64]],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The integers and scales with which `costs` of the weights' errors, one a weight, add up to least a scale."""
    axes = shared_axes(weight, settings.granularity)
    whole, limits = scales(weight, bits, settings.granularity, settings.grid), ends(bits, settings.grid)
    best, least = whole, np.inf
    for share in SHARES:
        scale = whole * np.float32(share)
        cost = costs(np.clip(steps(weight, scale), *limits) * scale - weight).sum(axis=axes, keepdims=True)
        best = np.where(cost < least, scale, best)
        least = np.minimum(cost, least)
    return np.clip(steps(weight, best), *limits).astype(np.int8), best


def mse(
    weight: NDArray[np.float32], bits: int, settings: Quantizer, _: Statistics
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Integers and scales of least squared error of the weights."""
    return best_grid(weight, bits, settings, lambda error: np.square(error, dtype=np.float64))
