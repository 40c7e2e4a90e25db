"""Coordinate descent: each layer in turn takes its best width, sweep after sweep, until nothing changes."""

from collections.abc import Iterator

from aiq_core.records import Step
from aiq_core.search.problem import Ask, Problem, choose, start_state, step


def coordinate(problem: Problem, ask: Ask) -> Iterator[Step]:
    """Yields one step a layer and sweep; FP32 is a width too, and a layer keeps what it has unless strictly better."""
    state = start_state(problem)
    index, sweep, changed = 0, 0, True
    while changed:
        changed, sweep = False, sweep + 1
        for layer in problem.movable:
            held = state.policy.weight_bits[layer]
            moves = [(layer, bits) for bits in problem.widths if bits != held]
            state, move, candidates = choose(problem, state, moves, ask)
            changed = changed or move is not None
            index += 1
            yield step(problem, state, move, candidates, index, sweep)
