"""Coordinate descent: each site in turn takes its best width, sweep after sweep, until nothing changes."""

from collections.abc import Iterator

from aiq_core.records import Move, Step
from aiq_core.search.problem import Ask, Problem, choose, start_state, step
from aiq_core.search.strategy import Strategy

LIKELY_SWEEPS = 3
"""It rests after two or three as a rule."""


def coordinate(problem: Problem, ask: Ask) -> Iterator[Step]:
    """Yields one step a site and sweep; FP32 is a width too where it is on offer.

    A site keeps what it has unless another width is strictly better.
    """
    state = start_state(problem)
    index, sweep, changed = 0, 0, True
    while changed:
        changed, sweep = False, sweep + 1
        for site in problem.movable:
            held = problem.profile.width(state.policy, site)
            moves = [Move(site, bits) for bits in problem.offered(site) if bits != held]
            state, move, candidates = choose(problem, state, moves, ask)
            changed = changed or move is not None
            index += 1
            yield step(problem, state, move, candidates, index, sweep)


COORDINATE = Strategy(
    name="coordinate",
    title="Coordinate descent",
    noun="coordinate descent",
    steps=coordinate,
    likely_steps=lambda sites: LIKELY_SWEEPS * sites,
)
