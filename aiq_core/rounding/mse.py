"""Rounding to nearest on a grid that ends where the squared error is least: what lies beyond it is clipped."""

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
    rounds: Callable[[NDArray[np.float32]], NDArray[np.int8]],
    costs: Callable[[NDArray[np.float32]], NDArray[np.float64]],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The integers that `rounds` gives for scales, and the scales for which `costs` of errors add up to least.

    `costs` gives a number a weight; what is added up is those of a scale.
    """
    axes = shared_axes(weight, settings.granularity)
    whole = scales(weight, bits, settings.granularity, settings.grid)
    best, scale, least = np.zeros(weight.shape, np.int8), whole, np.inf
    for share in SHARES:
        tried = whole * np.float32(share)
        integers = rounds(tried)
        cost = costs(integers * tried - weight).sum(axis=axes, keepdims=True)
        best, scale = np.where(cost < least, integers, best), np.where(cost < least, tried, scale)
        least = np.minimum(cost, least)
    return best, scale


def mse(
    weight: NDArray[np.float32], bits: int, settings: Quantizer, _: Statistics
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Integers and scales of least squared error of the weights."""
    limits = ends(bits, settings.grid)
    return best_grid(
        weight,
        bits,
        settings,
        rounds=lambda scale: np.clip(steps(weight, scale), *limits).astype(np.int8),
        costs=lambda error: np.square(error, dtype=np.float64),
    )
