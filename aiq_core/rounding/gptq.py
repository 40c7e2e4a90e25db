"""GPTQ: weights rounded one after another, each error passed on to those not rounded yet (arXiv 2210.17323).

What is kept small is the variance of a layer's error in its output on FP32 inputs, not the square that the authors
take: the bias gives the mean back. The grid that is best is judged by what GPTQ makes of it.
"""

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import Quantizer
from aiq_core.rounding.layer import Statistics
from aiq_core.rounding.mse import SHARES, best_grid
from aiq_core.rounding.nearest import ends

DAMPING = 0.01
"""Added to the diagonal, as a share of the mean power of inputs: the authors', of the hessian that they use."""

BLOCK = 32
"""Weights of a channel after which their errors are passed on to all that are left, at once."""


def gptq(
    weight: NDArray[np.float32], bits: int, settings: Quantizer, statistics: Statistics
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Integers and scales: GPTQ on each grid, and what errs least in the output."""
    limits, target, power = ends(bits, settings.grid), statistics().grouped(weight), statistics().power
    # Asked for again and again: of a wide layer each of these matrices takes as much as the network.
    factor = inverse_factor(statistics().covariance, power)
    hessian = statistics().covariance

    def rounds(scale: NDArray[np.float32]) -> NDArray[np.int8]:
        steps = np.broadcast_to(scale, weight.shape).reshape(target.shape).astype(np.float64)
        return passed_on(target, steps, factor, limits).reshape(weight.shape)

    def costs(error: NDArray[np.float32]) -> NDArray[np.float64]:
        grouped = error.reshape(target.shape).astype(np.float64)
        return np.asarray(grouped * (grouped @ hessian)).reshape(error.shape)

    return best_grid(weight, bits, settings, rounds, costs)


def work(weights: int, k: int, groups: int) -> float:
    """FLOPs of rounding so many weights, k an output channel, at one width: for each grid that is tried the errors
    passed on and what they cost, and the factor once.
    """
    return len(SHARES) * 3.0 * weights * k + 3.0 * groups * k**3


def inverse_factor(hessian: NDArray[np.float64], power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper Cholesky factor of each damped hessian's inverse, for hessians float64[groups, k, k].

    Damping is a share of the inputs' `power`, float64[groups], and not of their variance: inputs that never change
    have none. Where there are no inputs it is 1, and every weight goes to its nearest. Hessians are damped in place.
    """
    damping, diagonal = np.where(power > 0, DAMPING * power, 1.0), np.arange(hessian.shape[-1])
    hessian[:, diagonal, diagonal] += damping[:, None]
    return np.asarray(np.linalg.cholesky(np.linalg.inv(hessian)).swapaxes(-1, -2))


def passed_on(
    weight: NDArray[np.float64], scale: NDArray[np.float64], factor: NDArray[np.float64], limits: tuple[int, int]
) -> NDArray[np.int8]:
    """The integers int8[groups, out, k] of weights and scales of that shape, with each group's `inverse_factor`."""
    left, integers, count = weight.copy(), np.zeros(weight.shape, dtype=np.int8), weight.shape[-1]
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        errors = np.empty_like(left[..., start:stop])
        for place in range(start, stop):
            now, step = left[..., place], scale[..., place]
            integer = np.clip(np.rint(np.divide(now, step, out=np.zeros_like(now), where=step != 0)), *limits)
            integers[..., place] = integer
            error = (now - integer * step) / factor[:, None, place, place]
            left[..., place + 1 : stop] -= error[..., None] * factor[:, None, place, place + 1 : stop]
            errors[..., place - start] = error
        left[..., stop:] -= errors @ factor[:, start:stop, stop:]
    return integers
