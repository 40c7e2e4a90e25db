"""Intervals and tests for counted images: Wilson, Newcombe's paired interval, exact McNemar."""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri  # not scipy.stats, which takes most of a second to import

Z_95 = float(ndtri(0.975))
"""Normal quantile of a two-sided 95 % interval."""

Z_ONE_SIDED = float(ndtri(0.95))
"""Of a one-sided 95 % bound."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval, all in one unit."""

    value: float
    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        """Whether 0 is plausible: the value is within noise."""
        return self.low <= 0 <= self.high


def wilson(correct: int, images: int) -> Interval:
    """Top-1 in percent with Wilson's score interval, no continuity correction (Wilson, JASA 1927)."""
    low, high = _wilson(correct / images, images, Z_95)
    return Interval(100 * correct / images, 100 * low, 100 * high)


def _wilson(share: float, images: int, z: float) -> tuple[float, float]:
    centre = share + z**2 / (2 * images)
    half = z * sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    scale = 1 + z**2 / images
    return (centre - half) / scale, (centre + half) / scale


class Comparison(Protocol):
    """Two policies on the same items, of whatever metric: values and their difference in points.

    `lost` and `gained` count the items that the second does worse and better; `p` is that nothing differs.
    """

    @property
    def images(self) -> int:
        """How many items were compared."""

    @property
    def lost(self) -> int:
        """Items that the second does worse."""

    @property
    def gained(self) -> int:
        """Items that the second does better."""

    @property
    def before(self) -> Interval:
        """The first policy's value."""

    @property
    def after(self) -> Interval:
        """The second policy's value."""

    @property
    def drop(self) -> Interval:
        """Points that the second loses."""

    @property
    def most_lost(self) -> float:
        """Points that the second loses at most, with 95 % confidence: a one-sided bound."""

    @property
    def p(self) -> float:
        """How likely such a difference is where there is none."""


@dataclass(frozen=True)
class Paired:
    """How two classifiers fare on the same images: both right, only the first, only the second, neither."""

    both: int
    lost: int
    gained: int
    neither: int

    @property
    def images(self) -> int:
        """How many images were counted."""
        return self.both + self.lost + self.gained + self.neither

    @cached_property
    def before(self) -> Interval:
        """Top-1 of the first, with Wilson's interval."""
        return wilson(self.both + self.lost, self.images)

    @cached_property
    def after(self) -> Interval:
        """Top-1 of the second, with Wilson's interval."""
        return wilson(self.both + self.gained, self.images)

    @cached_property
    def drop(self) -> Interval:
        """Points lost, before minus after, with Newcombe's 95 % interval for paired proportions.

        Method 10, no continuity correction (Newcombe, Statistics in Medicine 17, 1998, 2635-2650).
        """
        return self._drop(Z_95)

    @cached_property
    def most_lost(self) -> float:
        """The upper end of the same interval at 90 %, which the drop is above in one case of twenty."""
        return self._drop(Z_ONE_SIDED).high

    def _drop(self, z: float) -> Interval:
        n, e, f, g, h = self.images, self.both, self.lost, self.gained, self.neither
        before, after = (e + f) / n, (e + g) / n
        low_before, high_before = _wilson(before, n, z)
        low_after, high_after = _wilson(after, n, z)
        product = (e + f) * (g + h) * (e + g) * (f + h)
        numerator = float(e * h - f * g)
        # Newcombe shrinks a positive correlation by n/2, not below 0; a negative one is kept as it is.
        if numerator > 0:
            numerator = max(numerator - n / 2, 0)
        phi = numerator / sqrt(product) if product else 0.0
        difference = before - after
        down_before, up_before = before - low_before, high_before - before
        down_after, up_after = after - low_after, high_after - after
        low = difference - sqrt(max(down_before**2 - 2 * phi * down_before * up_after + up_after**2, 0.0))
        high = difference + sqrt(max(down_after**2 - 2 * phi * down_after * up_before + up_before**2, 0.0))
        return Interval(100 * difference, 100 * low, 100 * high)

    @property
    def p(self) -> float:
        """Exact two-sided McNemar p: are as many images lost as gained? 1 where none changed."""
        fewer, changed = min(self.lost, self.gained), self.lost + self.gained
        return min(1.0, 2 * float(bdtr(fewer, changed, 0.5)))


def paired(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Paired:
    """Counts the four cells of two bool[images] of right answers; `lost` were right before only."""
    return Paired(
        both=int(np.count_nonzero(before & after)),
        lost=int(np.count_nonzero(before & ~after)),
        gained=int(np.count_nonzero(~before & after)),
        neither=int(np.count_nonzero(~before & ~after)),
    )
