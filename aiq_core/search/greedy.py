"""Greedy: the single best move, again and again, never taken back (arXiv 2512.14090, algorithm 1)."""

from collections.abc import Iterator

from aiq_core.records import FP32_BITS, Step
from aiq_core.search.problem import Ask, Problem, choose, start_state, step


def greedy(problem: Problem, ask: Ask) -> Iterator[Step]:
    """Yields the moves taken. A step tries every layer still at FP32 at every lower width; ties: network order, wider.

    The last step, where nothing lowered the loss, is yielded too, with no layer.
    """
    state = start_state(problem)
    widths = [bits for bits in problem.widths if bits != FP32_BITS]
    index = 0
    while True:
        free = [layer for layer in problem.movable if state.policy.weight_bits[layer] == FP32_BITS]
        if not free:
            return
        moves = [(layer, bits) for layer in free for bits in widths]
        state, move, candidates = choose(problem, state, moves, ask)
        index += 1
        yield step(problem, state, move, candidates, index, 1)
        if move is None:
            return
