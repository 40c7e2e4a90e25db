"""How much of the trade-off a set of policies covers, in one number: the area that they dominate.

The reference is FP32's AI and one point lost; a policy that loses nothing, or gains, counts as losing 0. An area is in
(AI over FP32's) x points: 6 for one policy of 7 x FP32's AI that loses nothing. Zitzler and Thiele, IEEE Transactions
on Evolutionary Computation 3, 1999, have the measure.
"""

import numpy as np
from numpy.typing import NDArray

from aiq_core.statistics import Interval

Floats = NDArray[np.float64]

REFERENCE_RATIO, REFERENCE_DROP = 1.0, 1.0
"""FP32's AI over itself, and the points lost from which a policy counts for nothing."""

MOST_PICKED = 20
"""Policies of a set that count: a long search would otherwise win by how much it measured."""

DRAWS, SEED = 1000, 0
_AT_ONCE = 100


def hypervolume(ratios: Floats, drops: Floats) -> Floats:
    """The area that policies dominate, float64[...], of AI over FP32's [p] and points lost [..., p]."""
    order = np.argsort(ratios)[::-1]
    steps = np.maximum(ratios[order] - REFERENCE_RATIO, 0)
    widths = steps - np.append(steps[1:], 0)
    least = np.minimum.accumulate(np.clip(drops[..., order], 0, REFERENCE_DROP), axis=-1)
    return np.asarray((widths * (REFERENCE_DROP - least)).sum(axis=-1))


def pick(ratios: Floats, drops: Floats, most: int = MOST_PICKED) -> tuple[int, ...]:
    """At most so many policies, the one that adds most area first; none that adds nothing. Ties: the first."""
    ratios, drops = np.asarray(ratios, dtype=np.float64), np.asarray(drops, dtype=np.float64)
    taken: list[int] = []
    area = 0.0
    while len(taken) < most:
        added = [float(hypervolume(ratios[[*taken, one]], drops[[*taken, one]])) - area for one in range(len(ratios))]
        best = int(np.argmax(added)) if added else 0
        # Rounding alone may seem to add a little.
        if not added or added[best] <= 1e-12:
            break
        taken.append(best)
        area += added[best]
    return tuple(taken)


def drawn(ratios: Floats, lost: NDArray[np.integer], draws: int = DRAWS, seed: int = SEED) -> Floats:
    """The area on images drawn again with replacement, float64[draws].

    `lost` says of each policy and image, [p, images], whether it is wrong where FP32 is right (1), or the other way
    round (-1). Images drawn depend on the seed and how many there are: so two sets of policies compare in pairs.
    """
    images = lost.shape[1]
    generator = np.random.default_rng(seed)
    each = np.full(images, 1 / images)
    found = []
    for begun in range(0, draws, _AT_ONCE):
        times = generator.multinomial(images, each, size=min(_AT_ONCE, draws - begun))
        found.append(hypervolume(ratios, 100 * (times @ lost.T) / images))
    return np.concatenate(found)


def interval(value: float, draws: Floats) -> Interval:
    """A value with the middle 95 % of what the bootstrap drew (Efron, Annals of Statistics 7, 1979)."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
