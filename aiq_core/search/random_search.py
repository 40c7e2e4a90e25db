"""Random search: the start, then policies of which every site's width is drawn alike, what each strategy must beat."""

from collections.abc import Iterator

import numpy as np

from aiq_core.records import Move, Policy, Score, Step
from aiq_core.search.drawn import front, measure
from aiq_core.search.problem import Ask, Problem
from aiq_core.search.strategy import Strategy


def random_search(problem: Problem, ask: Ask) -> Iterator[Step]:
    """Yields a step a policy on the front of those evaluated by then, `problem.points` in all."""
    return front(problem, _measured(problem, ask))


def _measured(problem: Problem, ask: Ask) -> Iterator[tuple[Policy, float, Score]]:
    draw = np.random.default_rng(problem.seed)
    policy = problem.start
    for _ in range(problem.points):
        yield policy, *measure(problem, policy, ask)
        widths = (int(draw.choice(problem.offered(site))) for site in problem.movable)
        moves = (Move(site, bits) for site, bits in zip(problem.movable, widths, strict=True))
        policy = problem.profile.moved(policy, *moves)


RANDOM_SEARCH = Strategy(
    name="random_search",
    title="Random search",
    noun="random search",
    reason="on the front of policies drawn at random",
    front=random_search,
    draws=True,
)
