"""Refinement: near the points of a front, exchanges of bits between two sites, judged by evaluations.

One site is lowered to its next width and another raised, so that AI does not fall; the pairs of least predicted cost
come first, a pair a point in turn. A pair is asked only for the score with which it would beat its point, and stopped
once it cannot reach that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from aiq_core.frontier import Solver
from aiq_core.records import Move, Policy, Score, Step
from aiq_core.search.problem import Ask, Problem, Question


class _Point:
    """A point that is refined: the step that found it, and the pairs not tried yet, the most promising last."""

    def __init__(self, problem: Problem, solver: Solver, step: Step) -> None:
        self.step = step
        self.left = list(reversed(exchanges(problem, solver, step.policy)))


def refined(problem: Problem, solver: Solver, steps: Sequence[Step], ask: Ask) -> Iterator[Step]:
    """Yields a step for every policy found better than a point: no less AI, and more right; numbered from 1."""
    points = [_Point(problem, solver, step) for step in _front(steps)]
    spent = found = 0
    while spent < problem.refinement and any(point.left for point in points):
        for place, point in enumerate(points):
            if spent == problem.refinement or not point.left:
                continue
            moves = point.left.pop()
            policy = problem.profile.moved(point.step.policy, *moves)
            needs = _more(problem, point.step.score)
            if needs is None:
                point.left.clear()
                continue
            spent += 1
            ahead = islice(_ahead(problem, points, place), problem.refinement - spent)
            problem.expect(chain([Question(policy, needs, point.step.policy)], ahead))
            score = ask(policy, needs, point.step.policy)
            if score is None or score < needs:
                continue
            found += 1
            value = problem.intensity([policy])[0]
            told = " and ".join(f"{move.site} to {move.bits} bits" for move in moves)
            gained = f"{problem.objective.metric.name} {point.step.score:g} → {score:g}"
            step = replace(
                point.step,
                index=found,
                policy=policy,
                intensity=value,
                score=score,
                loss=problem.objective.loss(value, score),
                reason=f"{told}: no less AI, and {gained} on the images that choose",
            )
            yield step
            points[place] = _Point(problem, solver, step)


def _ahead(problem: Problem, points: Sequence[_Point], place: int) -> Iterator[Question]:
    """What is asked after the point at `place` had its turn, if no pair is better than its point."""
    tried = [0 if at > place else -1 for at in range(len(points))]
    while any(len(point.left) > max(0, count) for point, count in zip(points, tried, strict=True)):
        for at, point in enumerate(points):
            tried[at] += 1
            needs = _more(problem, point.step.score)
            if tried[at] and needs is not None and tried[at] <= len(point.left):
                policy = problem.profile.moved(point.step.policy, *point.left[-tried[at]])
                yield Question(policy, needs, point.step.policy)


def exchanges(problem: Problem, solver: Solver, policy: Policy) -> list[tuple[Move, Move]]:
    """Pairs of a site lowered and another raised by one width each, AI not lower, in order of predicted cost."""
    profile = problem.profile
    down: list[Move] = []
    up: list[Move] = []
    for site in problem.movable:
        held, widths = profile.width(policy, site), problem.offered(site)
        down += [Move(site, bits) for bits in [bits for bits in widths if bits < held][:1]]
        up += [Move(site, bits) for bits in [bits for bits in widths if bits > held][-1:]]
    pairs = [(low, high) for low in down for high in up if low.site != high.site]
    policies = [profile.moved(policy, *pair) for pair in pairs]
    least = problem.intensity([policy])[0]
    cost = [solver.costs.predicted(profile, each) for each in policies]
    kept = np.flatnonzero(np.array(problem.intensity(policies)) >= least)
    return [pairs[index] for index in sorted(kept, key=lambda index: (cost[index], index))]


def _front(steps: Sequence[Step]) -> list[Step]:
    """The steps that no other beats on both AI and score, from the highest AI downwards."""
    kept: list[Step] = []
    for step in sorted(steps, key=lambda step: (-step.intensity, -step.score)):
        if not kept or step.score > kept[-1].score:
            kept.append(step)
    return kept


def _more(problem: Problem, score: Score) -> Score | None:
    """The least score above one; None where it is perfect."""
    objective = problem.objective
    top = objective.metric.perfect(objective.images)
    return None if score >= top else objective.metric.least(lambda value: value > score, score, top)
