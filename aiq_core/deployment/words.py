"""What was measured of a deployed network, as words."""

from collections.abc import Mapping

from aiq_core.deployment.prediction import Predictor
from aiq_core.deployment.rows import Row
from aiq_core.deployment.timing import Timing
from aiq_core.roof import Spread, threads_words
from aiq_core.wording import join, number

LEAST_COST = 0.05
"""What borders must cost, in times FP32, to be told."""


def place_words(timing: Timing) -> str:
    """The machine, its threads, what computed, and the day."""
    place = timing.place
    versions = ", ".join(f"{name} {version}" for name, version in place.versions.items() if name != "python")
    return join([place.cpu, threads_words(place.threads), versions, timing.created_at[:10]])


def gain_words(ratio: Spread, figure: str = "{}") -> str:
    """`1.74 × as fast as FP32`; `figure` says how the first part stands out. No gain is told where rounds disagree."""
    if ratio.low <= 1 <= ratio.high:
        return "as fast as FP32"
    told = figure.format(f"{number(ratio.value, 2)} ×")
    return f"{told} {'as fast as FP32' if ratio.value > 1 else 'FP32’s speed'}"


def loss_words(row: Row) -> str:
    """`0.10 points lost`, against FP32 in the same engine."""
    if row.against_fp32 is None:
        return "its accuracy there not measured yet"
    drop = row.against_fp32.drop
    if drop.contains_zero:
        return "for no measurable loss of accuracy"
    if drop.value < 0:
        return f"{number(-drop.value, 2)} points more accurate"
    return f"{number(drop.value, 2)} points lost"


def predicted_words(ratios: Mapping[str, float]) -> list[str]:
    """What was promised, and what borders cost of it."""
    said = []
    if Predictor.ROOFLINE in ratios:
        said.append(f"the roofline promised {number(ratios[Predictor.ROOFLINE], 1)} ×")
    if Predictor.TABLE in ratios and Predictor.BORDERS in ratios:
        cost = ratios[Predictor.TABLE] - ratios[Predictor.BORDERS]
        if cost >= LEAST_COST:
            said.append(f"borders cost {number(cost, 1 if cost >= 0.1 else 2)}")
    return said


def rate_words(found: Spread) -> str:
    """A rate with its lowest and highest round."""
    return f"{number(found.value, 0)} ({number(found.low, 0)} to {number(found.high, 0)})"


def times_words(found: Spread) -> str:
    """A ratio with its lowest and highest round."""
    return f"{number(found.value, 2)} × ({number(found.low, 2)} to {number(found.high, 2)})"
