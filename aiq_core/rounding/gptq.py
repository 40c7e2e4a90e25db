"""GPTQ: weights rounded one after another, each error passed on to those not rounded yet (arXiv 2210.17323).

What is kept small is the variance of a layer's error in its output on FP32 inputs, not the square that the authors
take: the bias gives the mean back. The grid that is best is judged by what GPTQ makes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dtrtri

from aiq_core.records import Quantizer
from aiq_core.rounding.layer import Statistics
from aiq_core.rounding.mse import SHARES
from aiq_core.rounding.nearest import ends, scales, shared_axes

DAMPING = 0.01
"""Added to the diagonal, as a share of the mean power of inputs: the authors', of the hessian that they use."""

CLOSE = 1e-3
"""Of a cost by the damped variance, within which what is passed on tells the cost by the variance: the scales that it
was told apart by are float64, and those that are multiplied float32.
"""

BLOCK = 32
"""Weights of a channel after which their errors are passed on to all that are left, at once."""


def gptq(
    weight: NDArray[np.float32], bits: int, settings: Quantizer, statistics: Statistics
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Integers and scales: GPTQ on each grid, and what errs least in the output."""
    limits, moments = ends(bits, settings.grid), statistics()
    target, damping = moments.grouped(weight), damping_of(moments.power)
    # Asked for again: of a wide layer each of these matrices takes as much as the network.
    factor = inverse_factor(moments.covariance, damping)
    variance, axes = moments.covariance, shared_axes(weight, settings.granularity)
    del moments

    def tried(scale: NDArray[np.float32]) -> Tried:
        steps = np.broadcast_to(scale, weight.shape).reshape(target.shape).astype(np.float64)
        integers, passed = passed_on(target, steps, factor, limits)
        # What was passed on adds up to the cost by the damped variance.
        damped = damping[:, None] * np.square(integers * steps - target).sum(axis=-1)
        shape = len(weight), *(1,) * (weight.ndim - 1)
        about, whole = ((each.reshape(shape).sum(axis=axes, keepdims=True)) for each in (passed - damped, passed))
        return Tried(integers.reshape(weight.shape), scale, about, CLOSE * whole)

    def cost(found: Tried, asked: NDArray[np.bool_]) -> NDArray[np.float64]:
        error = (found.integers * found.scale - weight).reshape(target.shape).astype(np.float64)
        if len(error) == 1:  # the product that takes longest, of the channels that are asked for alone
            rows = np.broadcast_to(asked.reshape(len(asked)), len(weight))
            error[0, rows] *= error[0, rows] @ variance[0]
        else:
            error *= error @ variance
        return np.asarray(error.reshape(weight.shape).sum(axis=axes, keepdims=True))

    whole = scales(weight, bits, settings.granularity, settings.grid)
    best = tried(whole)
    for share in SHARES[1:]:
        best = better(best, tried(whole * np.float32(share)), cost)
    return best.integers, best.scale


@dataclass(frozen=True)
class Tried:
    """Integers on a grid of these scales; a scale's cost is `about` this, within `margin`, until it is `known`."""

    integers: NDArray[np.int8]
    scale: NDArray[np.float32]
    about: NDArray[np.float64]
    margin: NDArray[np.float64]
    known: NDArray[np.bool_] | bool = False


Cost = Callable[[Tried, NDArray[np.bool_]], NDArray[np.float64]]
"""What errors cost in the output, of the scales that are asked for; the others' figures mean nothing."""


def better(best: Tried, tried: Tried, cost: Cost) -> Tried:
    """The cheaper of two, scale by scale, the first of equals; costs are worked out only where they decide."""
    low, high = tried.about - tried.margin, tried.about + tried.margin
    near = (low < best.about + best.margin) & (high >= best.about - best.margin)
    if near.any():
        best, tried = (_settled(each, near, cost) for each in (best, tried))
    wins = tried.about < best.about
    return Tried(*(np.where(wins, getattr(tried, name), getattr(best, name)) for name in TRIED))


TRIED = tuple(field.name for field in fields(Tried))


def _settled(found: Tried, near: NDArray[np.bool_], cost: Cost) -> Tried:
    asked = near & ~np.asarray(found.known)
    if not asked.any():
        return found
    about = np.where(asked, cost(found, asked), found.about)
    return replace(found, about=about, margin=np.where(asked, 0.0, found.margin), known=asked | found.known)


def work(weights: int, k: int, groups: int) -> float:
    """FLOPs of rounding so many weights, k an output channel, at one width: for each grid that is tried the errors
    passed on, and the factor once.
    """
    return len(SHARES) * 1.0 * weights * k + groups * k**3


def damping_of(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is added to a group's diagonal, by the power of its inputs, float64[groups].

    It is a share of the power and not of the variance: inputs that never change have none. Where there are no inputs
    it is 1, and every weight goes to its nearest.
    """
    return np.where(power > 0, DAMPING * power, 1.0)


def inverse_factor(hessian: NDArray[np.float64], damping: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper Cholesky factor of each damped hessian's inverse, for hessians float64[groups, k, k].

    Hessians are damped in place. The lower factor of a hessian read backwards, inverted and read backwards, is that of
    its inverse: no inverse is made, which would take three times as long.
    """
    diagonal = np.arange(hessian.shape[-1])
    hessian[:, diagonal, diagonal] += damping[:, None]
    lower = np.linalg.cholesky(hessian[:, ::-1, ::-1])
    for each in lower:
        each[:] = dtrtri(each, lower=1)[0]
    return np.ascontiguousarray(lower[:, ::-1, ::-1])


def passed_on(
    weight: NDArray[np.float64], scale: NDArray[np.float64], factor: NDArray[np.float64], limits: tuple[int, int]
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """The integers int8[groups, out, k] of weights and scales of that shape, with each group's `inverse_factor`; and
    the squares of what was passed on, summed up for each channel, float64[groups, out].
    """
    left, integers, count = weight.copy(), np.zeros(weight.shape, dtype=np.int8), weight.shape[-1]
    squares = np.zeros(weight.shape[:-1])
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
        squares += np.square(errors).sum(axis=-1)
    return integers, squares
