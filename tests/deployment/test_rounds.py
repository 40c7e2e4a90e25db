"""Rounds on a clock that is set by hand: interleaved, measured again where off, never on one that stops."""

from collections.abc import Callable

import pytest

from aiq_core.deployment.rounds import Pace, interleaved, off_rounds
from aiq_core.errors import EvaluationError

A, B = 0.010, 0.020
"""Seconds a call, far above what makes a cell of a round, so that each cell is one call."""


class Machine:
    """A clock that goes on while a call runs; `slow` are calls of `a`, counted from its first, that take 50 s."""

    def __init__(self, slow: range | tuple[int, ...] = ()) -> None:
        self.now, self.slow, self.calls = 0.0, slow, 0
        self.order: list[str] = []

    def cells(self) -> dict[str, Callable[[], None]]:
        return {"a": self.a, "b": self.b}

    def clock(self) -> float:
        return self.now

    def a(self) -> None:
        self.order.append("a")
        self.now += 50 if self.calls in self.slow else A
        self.calls += 1

    def b(self) -> None:
        self.order.append("b")
        self.now += B


WARM = 5
"""Calls of `a` before its first round: 50 ms of 10 ms each."""


def test_every_round_is_of_all_cells_and_turns_about() -> None:
    machine, heard = Machine(), []
    found = interleaved(machine.cells(), Pace(rounds=3), machine.clock, heard.append)
    assert found.seconds == {"a": pytest.approx([A] * 3), "b": pytest.approx([B] * 3)}
    assert found.unsteady == 0
    assert heard == [0, 1, 2]
    assert machine.order[-6:] == ["a", "b", "b", "a", "a", "b"]


def test_short_calls_are_repeated_until_a_clock_can_tell() -> None:
    now, calls = 0.0, 0

    def short() -> None:
        nonlocal now, calls
        now, calls = now + 0.0015, calls + 1

    found = interleaved({"short": short}, Pace(rounds=1), lambda: now)
    assert found.seconds["short"] == pytest.approx((0.0015,))
    # 34 calls of 1.5 ms are the first to exceed 50 ms; 3 of them exceed 4 ms.
    assert calls == 34 + 3


def test_a_round_that_is_off_is_measured_again() -> None:
    machine = Machine(slow=(WARM + 1,))
    found = interleaved(machine.cells(), Pace(rounds=5), machine.clock)
    assert found.seconds["a"] == pytest.approx([A] * 5)
    assert found.unsteady == 0
    assert machine.calls == WARM + 5 + 1


def test_one_that_stays_off_is_told() -> None:
    machine = Machine(slow=(WARM + 1, *range(WARM + 5, WARM + 100)))
    found = interleaved(machine.cells(), Pace(rounds=5), machine.clock)
    assert found.unsteady == 1
    assert machine.calls == WARM + 5 + Pace().again


def test_off_is_by_more_than_a_factor_of_two_either_way() -> None:
    assert off_rounds([{"a": each} for each in (1.0, 1.0, 1.0, 2.0, 0.5)]) == []
    assert off_rounds([{"a": each} for each in (1.0, 1.0, 1.0, 2.1, 0.4)]) == [3, 4]


@pytest.mark.parametrize("step", [0.0, -1.0])
def test_a_clock_that_stands_still_or_runs_backwards(step: float) -> None:
    now = 0.0

    def call() -> None:
        nonlocal now
        now += step

    with pytest.raises(EvaluationError, match="clock stood still or ran backwards"):
        interleaved({"a": call}, Pace(rounds=3), lambda: now)
