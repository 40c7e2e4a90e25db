"""What a strategy expects is what it asks: many machines work ahead on it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from aiq_core.frontier import Measure
from aiq_core.frontier.sensitivity import known
from aiq_core.objective import Objective
from aiq_core.records import Policy, Score, Step
from aiq_core.search.baselines import listed
from aiq_core.search.coordinate import coordinate
from aiq_core.search.frontier import frontier
from aiq_core.search.greedy import greedy
from aiq_core.search.problem import Ask, Problem, Question
from aiq_core.space import JOINT
from tests import bundled
from tests.tables import TOP1

DIGITS = bundled.model("digits_cnn")
PROFILE = DIGITS.profile
IMAGES = 500
HOW = JOINT.quantizer(DIGITS.dataset)
COSTS = known(DIGITS, HOW, Measure.KL)
PROBLEM = Problem(
    profile=PROFILE,
    objective=Objective(TOP1, 0.5, 60.0, 10.0, IMAGES, 490, 400),
    widths=(8, 6, 4),
    movable=PROFILE.sites,
    start=PROFILE.uniform(8, 8),
    start_score=490,
    activation_widths=(8, 6, 4),
    quantizer=HOW,
    costs=COSTS,
    points=5,
    refinement=20,
)


class Asked:
    """Answers what is asked by widths alone, and holds it against what was expected of it."""

    def __init__(self) -> None:
        self.coming: Iterator[Question] = iter(())
        self.read: list[Question] = []
        self.foreseen: list[bool] = []

    def expect(self, coming: Iterable[Question]) -> None:
        self.coming, self.read = iter(coming), []

    def __call__(self, policy: Policy, needs: Score | None, base: Policy) -> Score | None:
        self.read += [*self.coming] if needs is None else [next(self.coming)]
        self.foreseen.append(Question(policy, needs, base) in self.read)
        score = 490 - sum((8 - bits) * (1 + place) for place, bits in enumerate(policy.weight_bits)) // 4
        return None if needs is not None and score < needs else score


def asked_by(steps: Callable[[Problem, Ask], Iterator[Step]]) -> Asked:
    asking = Asked()
    assert list(steps(replace(PROBLEM, expect=asking.expect), asking))
    assert len(asking.foreseen) > 4
    return asking


@pytest.mark.parametrize("steps", [greedy, coordinate, frontier])
def test_what_is_asked_was_expected_first(steps: Callable[[Problem, Ask], Iterator[Step]]) -> None:
    assert all(asked_by(steps).foreseen)


def test_a_list_is_expected_whole() -> None:
    policies = [PROFILE.uniform(bits, 8) for bits in (8, 7, 6, 5, 4)]
    assert all(asked_by(lambda problem, ask: listed(problem, policies, ask)).foreseen)


def test_without_a_winner_the_rest_is_asked_as_expected() -> None:
    """Where no candidate wins, what was expected at the first question is asked, question by question."""
    expected: list[Question] = []
    asked: list[Question] = []

    def expect(coming: Iterable[Question]) -> None:
        expected[:] = expected or list(coming)

    def ask(policy: Policy, needs: Score | None, base: Policy) -> None:
        asked.append(Question(policy, needs, base))

    assert [step.move for step in greedy(replace(PROBLEM, expect=expect), ask)] == [None]
    assert len(asked) > 4
    assert asked == expected


def test_where_no_pair_is_better_a_refinement_asks_as_expected() -> None:
    expected: list[Question] = []
    asked: list[Question] = []

    def expect(coming: Iterable[Question]) -> None:
        questions = list(coming)
        if not expected and questions[0].needs is not None:
            expected.extend(questions)

    def ask(policy: Policy, needs: Score | None, base: Policy) -> Score | None:
        if needs is None:
            return 480 + len(set(policy.weight_bits))  # so that more than one point is on the front
        asked.append(Question(policy, needs, base))
        return None

    list(frontier(replace(PROBLEM, expect=expect), ask))
    assert len(asked) == PROBLEM.refinement
    assert len({question.base for question in asked}) > 1
    assert asked == expected
