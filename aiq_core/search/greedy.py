"""Greedy: the single best move, again and again, never taken back (arXiv 2512.14090, algorithm 1)."""

from collections.abc import Iterator

from aiq_core.records import FP32_BITS, Move, Step
from aiq_core.search.problem import Ask, Problem, choose, start_state, step
from aiq_core.search.strategy import Strategy


def greedy(problem: Problem, ask: Ask) -> Iterator[Step]:
    """Yields the moves taken. A step tries every site still at FP32 at every lower width; ties: network order, wider.

    The last step, where nothing lowered the loss, is yielded too, without a move.
    """
    state = start_state(problem)
    widths = [bits for bits in problem.widths if bits != FP32_BITS]
    index = 0
    while True:
        free = [site for site in problem.movable if problem.profile.width(state.policy, site) == FP32_BITS]
        if not free:
            return
        moves = [Move(site, bits) for site in free for bits in widths]
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
