"""GPTQ: weights rounded one after another, each error passed on to those not rounded yet (arXiv 2210.17323).

What is kept small is the squared error of a layer's output on FP32 inputs, its mean left out: the bias takes that.
"""

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import Quantizer
from aiq_core.rounding.layer import Statistics
from aiq_core.rounding.mse import best_grid
from aiq_core.rounding.nearest import ends

DAMPING = 0.01
"""Added to the diagonal, as a share of the mean power of inputs: the authors', of the hessian that they use."""


def gptq(
    weight: NDArray[np.float32], bits: int, settings: Quantizer, statistics: Statistics
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Integers and scales; a scale is the one with which rounding to nearest errs least in the output."""
    known = statistics()
    hessian = known.covariance

    def costs(error: NDArray[np.float32]) -> NDArray[np.float64]:
        grouped = known.grouped(error)
        return np.asarray(grouped * (grouped @ hessian)).reshape(error.shape)

    _, scale = best_grid(weight, bits, settings, costs)
    steps = known.grouped(np.broadcast_to(scale, weight.shape))
    factor = inverse_factor(hessian, known.power)
    integers = passed_on(known.grouped(weight), steps, factor, ends(bits, settings.grid))
    return integers.reshape(weight.shape), scale


def inverse_factor(hessian: NDArray[np.float64], power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper Cholesky factor of each damped hessian's inverse, for hessians float64[groups, k, k].

    Damping is a share of the inputs' `power`, float64[groups], and not of their variance: inputs that never change
    have none. Where there are no inputs it is 1, and every weight goes to its nearest.
    """
    damping = np.where(power > 0, DAMPING * power, 1.0)
    damped = hessian + damping[:, None, None] * np.eye(hessian.shape[-1])
    return np.asarray(np.linalg.cholesky(np.linalg.inv(damped)).swapaxes(-1, -2))


def passed_on(
    weight: NDArray[np.float64], scale: NDArray[np.float64], factor: NDArray[np.float64], limits: tuple[int, int]
) -> NDArray[np.int8]:
    """The integers int8[groups, out, k] of weights and scales of that shape, with each group's `inverse_factor`."""
    left, integers = weight.copy(), np.zeros(weight.shape, dtype=np.int8)
    for place in range(weight.shape[-1]):
        now, step = left[..., place], scale[..., place]
        integer = np.clip(np.rint(np.divide(now, step, out=np.zeros_like(now), where=step != 0)), *limits)
        integers[..., place] = integer
        error = (now - integer * step) / factor[:, None, place, place]
        left[..., place + 1 :] -= error[..., None] * factor[:, None, place, place + 1 :]
    return integers
