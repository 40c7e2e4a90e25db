"""The page's message, made from the numbers."""

from dataclasses import dataclass

from aiq_core.deployment.words import gain_words
from aiq_core.roof import Spread
from aiq_core.statistics import Interval
from aiq_core.wording import number


@dataclass(frozen=True)
class Timed:
    """How many times as fast as FP32 a runtime runs a policy, as measured; `machine` is None where that is this one."""

    runtime: str
    ratio: Spread
    machine: str | None
    threads: int = 1


@dataclass(frozen=True)
class Facts:
    """What the sentence is made of.

    `drop` is on report images, None where the policy is not reported yet; `search_drop` is on the images `judged_on`.

    `gain_percent` is AI over FP32's at batch 1, `batch_gain_percent` at `batch`; `speed_up` is None where the
    machine cannot run FP32 activations; `memory_bound` of `layers` layers wait for bytes at FP32. `budget` is the
    points that the reader gives up on search images, where that decides. `timed` is the policy's at `batch`.
    """

    title: str
    gain_percent: float
    drop: Interval | None
    search_drop: Interval
    judged_on: str
    judges: str
    machine: str
    speed_up: float | None
    memory_bound: int
    layers: int
    batch: int
    batch_gain_percent: float
    budget: float | None = None
    timed: Timed | None = None


def sentence(facts: Facts, mark: str = "") -> str:
    """One sentence; `mark` (such as `**`) goes around the gain."""
    if abs(facts.gain_percent) < 0.05:
        return f"{facts.title} at FP32: nothing is quantized, so nothing is gained or lost"
    gain = f"{number(facts.gain_percent, 0)} %" if facts.gain_percent >= 9.5 else f"{number(facts.gain_percent, 1)} %"
    does = f"{facts.title} does {mark}{gain} more work per byte{mark} {_price(facts)}"
    return f"{does}, {_use(facts)}{_measured(facts.timed)}"


def _price(facts: Facts) -> str:
    if facts.drop is None:
        return f"{_loss(facts.search_drop)} (on {facts.judged_on}, not reported yet)"
    if facts.budget is not None and facts.drop.low > 0 and round(facts.drop.value, 1) > facts.budget:
        lost = number(max(0.0, facts.search_drop.value), 1)
        # Short: the sentence is one line on a laptop.
        return f"{_loss(facts.drop)} ({lost} on {facts.judges} images)"
    return _loss(facts.drop)


def _loss(drop: Interval) -> str:
    if drop.contains_zero:
        return "for no measurable loss of accuracy"
    if drop.value < 0:
        return f"and {number(-drop.value, 1)} points more accuracy"
    points = number(drop.value, 1)
    return f"for {points} {'point' if points == '1.0' else 'points'} of accuracy"


def _use(facts: Facts) -> str:
    if facts.batch > 1:
        # Weights are shared by the batch, activations are not: where both have bits the gain stays.
        still = "still " if facts.batch_gain_percent >= 0.9 * facts.gain_percent else ""
        return f"at batch {facts.batch} the same bits {still}raise AI by {number(facts.batch_gain_percent, 1)} %"
    if facts.speed_up is None:
        return f"but {facts.machine} can't run its FP32 activations"
    if facts.speed_up >= 1.005:
        return f"a predicted {number(facts.speed_up, 2)} × faster on {facts.machine}"
    if facts.memory_bound:
        bound = facts.layers - facts.memory_bound
        return f"no faster on {facts.machine}: {bound} of {facts.layers} layers are compute-bound"
    return f"no faster on {facts.machine}: compute-bound already"


def _measured(timed: Timed | None) -> str:
    """What a runtime makes of it, apart from what is predicted."""
    if timed is None:
        return ""
    threads = "" if timed.threads == 1 else f", {timed.threads} threads"
    where = "here" if timed.machine is None else f"on {timed.machine}"
    return f"; measured {gain_words(timed.ratio)} in {timed.runtime} {where}{threads}"
