"""The loss at an alpha, and what a candidate must reach to win.

Loss (arXiv 2512.14090, as its authors run it): -alpha * AI / N + (1 - alpha) * max(0, drop in points) / A.
"""

from dataclasses import dataclass

from aiq_core import intensity
from aiq_core.errors import InfeasibleError
from aiq_core.metrics import Metric
from aiq_core.records import (
    DEFAULT_ACCURACY_NORMALISER,
    DEFAULT_WIDTHS,
    FP32_BITS,
    UNFUSED,
    ModelProfile,
    Quantizer,
    Score,
)

NORMALISER_FACTOR = 1.32
"""Times the AI at the lowest offered widths: ResNet-20's down to 4 bits gives 60.01; the authors use 60."""

JOINT_NORMALISER_FACTOR = 5.28
"""The same where activations have bits: a FLOP/byte is had there for far less accuracy, and this spreads the best known
policies over alpha."""

FLOOR_POINTS = 2.42
"""Points below FP32's search top-1 at which the default floor lies: the authors' 89.5 % under 91.92 %."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss over (AI, score on `images` images), lower is better.

    `intensity_normaliser` in FLOPs/byte, `accuracy_normaliser` in points; policies with a score below
    `floor_score` are not allowed.
    """

    metric: Metric
    alpha: float
    intensity_normaliser: float
    accuracy_normaliser: float
    images: int
    baseline_score: Score
    floor_score: Score

    def loss(self, intensity_value: float, score: Score) -> float:
        """The loss of a policy; accuracy above the baseline counts as none lost."""
        lost_points: float = 100 * max(0, self.baseline_score - score) / self.images
        return (
            -self.alpha * intensity_value / self.intensity_normaliser
            + (1 - self.alpha) * lost_points / self.accuracy_normaliser
        )

    def bound(self, intensity_value: float) -> float:
        """The lowest loss that this AI allows: no accuracy lost."""
        return self.loss(intensity_value, self.baseline_score)

    def min_score(self, intensity_value: float, best_loss: float, ties_win: bool) -> Score | None:
        """The lowest score that wins against `best_loss` (or equals it, where `ties_win`) and meets the floor.

        None where no score would do. Uses `loss` itself, so it agrees with it to the last bit.
        """

        def wins(score: Score) -> bool:
            value = self.loss(intensity_value, score)
            return value < best_loss or (ties_win and value == best_loss)

        # Above the baseline the loss is flat, so a win there is a win at the baseline, or at the floor above it.
        top = max(self.baseline_score, self.floor_score)
        if top > self.metric.perfect(self.images) or not wins(top):
            return None
        return self.metric.least(wins, self.floor_score, top)

    @property
    def points_per_intensity(self) -> float:
        """The exchange rate: how many points of accuracy one FLOP/byte is worth (infinite at alpha 1)."""
        return exchange_rate(self.alpha, self.intensity_normaliser, self.accuracy_normaliser)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a loss weighs apart from alpha, and what it allows: policies of these widths that reach the floor.

    `widths` are those of weights. `intensity_normaliser` is in FLOPs/byte, `accuracy_normaliser` in points.
    """

    intensity_normaliser: float
    floor_score: Score
    accuracy_normaliser: float = DEFAULT_ACCURACY_NORMALISER
    widths: tuple[int, ...] = DEFAULT_WIDTHS
    activation_widths: tuple[int, ...] = (FP32_BITS,)

    def points_per_intensity(self, alpha: float) -> float:
        """Points of accuracy that one FLOP/byte is worth at an alpha (infinite at 1)."""
        return exchange_rate(alpha, self.intensity_normaliser, self.accuracy_normaliser)


def exchange_rate(alpha: float, intensity_normaliser: float, accuracy_normaliser: float) -> float:
    """Points of accuracy that one FLOP/byte is worth at an alpha (infinite at 1)."""
    if alpha == 1:
        return float("inf")
    return (alpha / intensity_normaliser) / ((1 - alpha) / accuracy_normaliser)


def default_normaliser(
    profile: ModelProfile,
    widths: tuple[int, ...],
    by: str = UNFUSED,
    quantizer: Quantizer = Quantizer(),
    activation_widths: tuple[int, ...] = (FP32_BITS,),
) -> float:
    """1.32 x the AI with every site at its lowest offered width, in FLOPs/byte by a traffic model.

    5.28 x where activations have bits.
    """
    lowest = profile.uniform(min(widths), min(activation_widths))
    factor = NORMALISER_FACTOR if set(activation_widths) == {FP32_BITS} else JOINT_NORMALISER_FACTOR
    return factor * intensity.intensity(profile, lowest, by=by, quantizer=quantizer)


def floor_score(metric: Metric, floor_percent: float | None, baseline: Score, images: int) -> Score:
    """The floor as a score, `FLOOR_POINTS` below FP32's unless given. Raises InfeasibleError where FP32 is below it."""
    if floor_percent is None:
        floor_percent = 100 * baseline / images - FLOOR_POINTS
    floor = metric.at_least(floor_percent, images)
    if floor > baseline:
        raise InfeasibleError(
            f"floor={floor_percent:g} % is above FP32's {100 * baseline / images:.2f} % on these {images:,} "
            f"images, so no policy is allowed; choose a floor of at most {100 * baseline / images:.2f}"
        )
    return floor
