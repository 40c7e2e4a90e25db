"""What strategies that draw policies share: they ask for so many, and step to each that is on the front by then."""

from collections.abc import Iterable, Iterator

from aiq_core.records import Policy, Score, Step
from aiq_core.search.problem import Ask, Problem, whole

MOST_DRAWN = 10_000
"""Evaluations that a front may be drawn by."""


def measure(problem: Problem, policy: Policy, ask: Ask) -> tuple[float, Score]:
    """A policy's AI and score."""
    return problem.intensity([policy])[0], whole(problem, policy, ask)


def front(problem: Problem, measured: Iterable[tuple[Policy, float, Score]]) -> Iterator[Step]:
    """A step a policy that none before it matches, in the order in which they were measured."""
    kept: list[tuple[float, Score]] = []
    count = 0
    for asked, (policy, intensity, score) in enumerate(measured, start=1):
        if any(value >= intensity and other >= score for value, other in kept):
            continue
        kept = [each for each in kept if each[0] > intensity or each[1] > score]
        kept.append((intensity, score))
        count += 1
        loss = problem.objective.loss(intensity, score)
        yield Step(count, 1, None, policy, intensity, score, loss, f"on the front of the {asked} evaluated by then")
