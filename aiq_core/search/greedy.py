"""Greedy: the single best move, again and again, never taken back (arXiv 2512.14090, algorithm 1)."""

from collections.abc import Iterator

from aiq_core.records import Move, Step
from aiq_core.search.problem import Ask, Problem, choose, start_state, step
from aiq_core.search.strategy import Strategy


def greedy(problem: Problem, ask: Ask) -> Iterator[Step]:
    """Yields the moves taken. A step tries every site still at its start width at every lower one on offer.

    Ties: network order, a layer's weights before the group that it writes, wider first.

    The last step, where nothing lowered the loss, is yielded too, without a move.
    """
    state = start_state(problem)
    width = problem.profile.width
    index = 0
    while True:
        moves = [
            Move(site, bits)
            for site in problem.movable
            if width(state.policy, site) == width(problem.start, site)
            for bits in problem.offered(site)
            if bits < width(problem.start, site)
        ]
        if not moves:
            return
        state, move, candidates = choose(problem, state, moves, ask)
        index += 1
        yield step(problem, state, move, candidates, index, 1)
        if move is None:
            return


GREEDY = Strategy(
    name="greedy",
    title="Greedy search",
    noun="greedy",
    steps=greedy,
    tries=lambda step, sites: sites - step,
    most_steps=lambda sites: sites,
    is_final=True,
)
