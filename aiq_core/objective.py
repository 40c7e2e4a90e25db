"""The loss at an alpha, and what a candidate must reach to win.

Loss (arXiv 2512.14090, as its authors run it): -alpha * AI / N + (1 - alpha) * max(0, drop in points) / A.
"""

from dataclasses import dataclass
from math import isfinite

from aiq_core import intensity
from aiq_core.errors import InfeasibleError, SettingError
from aiq_core.records import FP32_BITS, OFFERED_BITS, SEARCHES, ModelProfile, Policy, Request

NORMALISER_FACTOR = 1.32
"""Times the AI at the lowest offered widths: ResNet-20's down to 4 bits gives 60.01; the authors use 60."""

FLOOR_POINTS = 2.42
"""Points below FP32's search top-1 at which the default floor lies: the authors' 89.5 % under 91.92 %."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss over (AI, number right) of `images` images, lower is better.

    `intensity_normaliser` in FLOPs/byte, `accuracy_normaliser` in points; policies with fewer than
    `floor_correct` right are not allowed.
    """

    alpha: float
    intensity_normaliser: float
    accuracy_normaliser: float
    images: int
    baseline_correct: int
    floor_correct: int

    def loss(self, intensity_value: float, correct: int) -> float:
        """The loss of a policy; accuracy above the baseline counts as none lost."""
        lost_points = 100 * max(0, self.baseline_correct - correct) / self.images
        return (
            -self.alpha * intensity_value / self.intensity_normaliser
            + (1 - self.alpha) * lost_points / self.accuracy_normaliser
        )

    def bound(self, intensity_value: float) -> float:
        """The lowest loss that this AI allows: no accuracy lost."""
        return self.loss(intensity_value, self.baseline_correct)

    def min_correct(self, intensity_value: float, best_loss: float, ties_win: bool) -> int | None:
        """The smallest number right that wins against `best_loss` (or equals it, where `ties_win`) and meets the floor.

        None where no number right would do. Uses `loss` itself, so it agrees with it to the last bit.
        """

        def wins(correct: int) -> bool:
            value = self.loss(intensity_value, correct)
            return value < best_loss or (ties_win and value == best_loss)

        # Above the baseline the loss is flat, so a win there is a win at the baseline, or at the floor above it.
        top = max(self.baseline_correct, self.floor_correct)
        if top > self.images or not wins(top):
            return None
        low, high = self.floor_correct, top
        while low < high:
            middle = (low + high) // 2
            if wins(middle):
                high = middle
            else:
                low = middle + 1
        return low

    @property
    def points_per_intensity(self) -> float:
        """The exchange rate: how many points of accuracy one FLOP/byte is worth (infinite at alpha 1)."""
        if self.alpha == 1:
            return float("inf")
        return exchange_rate(self.alpha, self.intensity_normaliser, self.accuracy_normaliser)


def exchange_rate(alpha: float, intensity_normaliser: float, accuracy_normaliser: float) -> float:
    """Points of accuracy that one FLOP/byte is worth at an alpha below 1."""
    return (alpha / intensity_normaliser) / ((1 - alpha) / accuracy_normaliser)


def default_normaliser(profile: ModelProfile, widths: tuple[int, ...]) -> float:
    """1.32 x the AI with every layer at its lowest offered width, in FLOPs/byte."""
    return NORMALISER_FACTOR * intensity.intensity(profile, profile.uniform(min(widths)))


def floor_correct(floor_percent: float | None, baseline_correct: int, images: int) -> int:
    """The floor as a number right: rounded up, so that a policy at the floor is at or above it.

    Raises InfeasibleError where FP32 itself lies below it.
    """
    if floor_percent is None:
        floor_percent = 100 * baseline_correct / images - FLOOR_POINTS
    # 1e-9 of an image: 89.5 % of 5,000 is 4475 and not the 4476 that binary rounding would make of it.
    floor = max(0, _ceil(floor_percent * images / 100 - 1e-9))
    if floor > baseline_correct:
        raise InfeasibleError(
            f"floor={floor_percent:g} % is above FP32's {100 * baseline_correct / images:.2f} % on these {images:,} "
            f"images, so no policy is allowed; choose a floor of at most {100 * baseline_correct / images:.2f}"
        )
    return floor


def _ceil(value: float) -> int:
    return int(-(-value // 1))


def check(request: Request, profile: ModelProfile) -> None:
    """Raises SettingError or InfeasibleError for the first setting outside its limits."""
    names = profile.quantizable_names
    alpha = request.alpha
    if request.algorithm in SEARCHES and (alpha is None or not isfinite(alpha) or not 0 <= alpha <= 1):
        raise SettingError(f"alpha={alpha} is not offered; choose a number from 0 (accuracy) to 1 (AI)")
    if len(set(request.widths)) != len(request.widths) or not set(request.widths) <= set(OFFERED_BITS):
        raise SettingError(
            f"widths={list(request.widths)} are not offered; choose from {list(OFFERED_BITS)}, once each"
        )
    if FP32_BITS not in request.widths or len(request.widths) < 2:
        raise SettingError(
            f"widths={list(request.widths)} leave nothing to choose; offer 32 and at least one width below"
        )
    for label, value in (
        ("intensity_normaliser", request.intensity_normaliser),
        ("accuracy_normaliser", request.accuracy_normaliser),
    ):
        if value is not None and not (isfinite(value) and value > 0):
            raise SettingError(f"{label}={value} is not offered; choose a number above 0")
    if request.floor_percent is not None and not 0 <= request.floor_percent <= 100:
        raise SettingError(f"floor={request.floor_percent} is not a percentage; choose 0 to 100")
    for name in (*request.excluded, *request.fixed):
        if name not in names:
            raise SettingError(f"layer {name!r} is not quantizable in {profile.model}; choose from {', '.join(names)}")
    for name, bits in request.fixed.items():
        if bits not in OFFERED_BITS:
            raise SettingError(
                f"bits={bits} is not offered for {name}; choose from {', '.join(map(str, OFFERED_BITS))}"
            )
        if name in request.excluded:
            raise SettingError(f"layer {name!r} is both excluded and fixed; choose one")
    if request.algorithm in SEARCHES and len({*request.excluded, *request.fixed}) == len(names):
        raise InfeasibleError(f"all {len(names)} layers are excluded or fixed, so nothing is left to choose; free one")
    _check_budget(request)


def _check_budget(request: Request) -> None:
    if request.max_evaluations is not None and request.max_evaluations < 1:
        raise SettingError(f"max_evaluations={request.max_evaluations} is not offered; choose 1 or more, or none")
    if request.max_minutes is not None and not (isfinite(request.max_minutes) and request.max_minutes > 0):
        raise SettingError(f"max_minutes={request.max_minutes} is not offered; choose a number above 0, or none")


def start_policy(request: Request, profile: ModelProfile) -> Policy:
    """Where a search starts: FP32, with the fixed layers at their widths."""
    return profile.policy(request.fixed)
