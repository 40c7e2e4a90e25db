"""Times of many calls in rounds, each round over all of them, so that what disturbs one disturbs all."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Generic, TypeVar

from aiq_core.errors import EvaluationError

Key = TypeVar("Key")

MOST_OFF = 2.0
"""A round of which a cell is off by more than this factor is measured again."""

WARM_CALLS = 3

Clock = Callable[[], float]


@dataclass(frozen=True)
class Pace:
    """How many rounds there are, and how often at most rounds that are off are measured again.

    Each cell is called for `warm_s` before, and in a round until that took `at_least_s`: far above what a clock tells
    apart.
    """

    rounds: int = 9
    again: int = 3
    at_least_s: float = 0.004
    warm_s: float = 0.05


@dataclass(frozen=True)
class Rounds(Generic[Key]):
    """Seconds a call of each cell, a figure a round; `unsteady` rounds stayed off after they were measured again."""

    seconds: Mapping[Key, tuple[float, ...]]
    unsteady: int


def interleaved(
    cells: Mapping[Key, Callable[[], object]],
    pace: Pace = Pace(),
    clock: Clock = time.perf_counter,
    say: Callable[[int], None] = lambda place: None,
) -> Rounds[Key]:
    """Calls every cell in each round, every other round backwards. `say` hears each round and may raise to stop.

    Raises EvaluationError where the clock stands still or runs backwards.
    """
    calls = {key: _warmed(call, pace, clock) for key, call in cells.items()}
    keys = list(cells)

    def one(place: int) -> dict[Key, float]:
        say(place)
        order = keys if place % 2 == 0 else keys[::-1]
        return {key: _seconds(cells[key], calls[key], clock) for key in order}

    found = [one(place) for place in range(pace.rounds)]
    for _ in range(pace.again):
        off = off_rounds(found)
        if not off:
            break
        for place in off:
            found[place] = one(place)
    return Rounds({key: tuple(each[key] for each in found) for key in keys}, len(off_rounds(found)))


def off_rounds(found: Sequence[Mapping[Key, float]]) -> list[int]:
    """The rounds in which a cell is off its median by more than `MOST_OFF`."""
    middle = {key: median(each[key] for each in found) for key in found[0]} if found else {}
    return [
        place
        for place, each in enumerate(found)
        if any(not 1 / MOST_OFF <= each[key] / middle[key] <= MOST_OFF for key in each)
    ]


def _warmed(call: Callable[[], object], pace: Pace, clock: Clock) -> int:
    """Calls until nothing is new to it; how many calls make a cell of a round."""
    spent, shortest, done = 0.0, float("inf"), 0
    while done < WARM_CALLS or spent < pace.warm_s:
        once = _seconds(call, 1, clock)
        spent, shortest, done = spent + once, min(shortest, once), done + 1
    return max(1, ceil(pace.at_least_s / shortest))


def _seconds(call: Callable[[], object], calls: int, clock: Clock) -> float:
    begun = clock()
    for _ in range(calls):
        call()
    taken = clock() - begun
    if taken <= 0:
        raise EvaluationError("this machine's clock stood still or ran backwards during a call; measure again")
    return taken / calls
