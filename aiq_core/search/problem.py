"""What every strategy shares: the problem, the question it may ask, and choosing among candidate moves."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import NamedTuple

from aiq_core.frontier import Budget, Sensitivity
from aiq_core.hardware import PRESETS, Machine
from aiq_core.intensity import traffic
from aiq_core.objective import Objective
from aiq_core.records import (
    FP32_BITS,
    UNFUSED,
    Candidate,
    KernelTable,
    ModelProfile,
    Move,
    Outcome,
    Policy,
    Quantizer,
    Score,
    Site,
    SiteKind,
    Step,
)

Ask = Callable[[Policy, Score | None, Policy], Score | None]
"""ask(policy, needs, base) -> score, or None where it is below `needs`.

`base` is the policy that the candidate departs from: a hint by which an evaluator shares work.
"""


class Question(NamedTuple):
    """What `Ask` is asked."""

    policy: Policy
    needs: Score | None
    base: Policy


Expect = Callable[[Iterable[Question]], None]
"""expect(questions): what is likely to be asked from now on, in that order; a hint by which many machines work ahead.

What was expected before is not any more. Questions are read as they are needed, perhaps never.
"""


def nothing_ahead(questions: Iterable[Question]) -> None:
    """Expects nothing."""


@dataclass(frozen=True)
class Problem:
    """A network, the loss to lower, the widths on offer, widest first, and the sites that may move, in tie order.

    `widths` are those of weights, `activation_widths` those of activation groups. A front has so many `points` within
    `budgets`, seconds among them on `machines`, by what widths cost by themselves, and spends `refinement` evaluations
    on looking around them; one that is drawn, from `seed`, is what so many evaluations find. `expect` hears what will
    be asked.
    """

    profile: ModelProfile
    objective: Objective
    widths: tuple[int, ...]
    movable: tuple[Site, ...]
    start: Policy
    start_score: Score
    _: KW_ONLY
    activation_widths: tuple[int, ...] = (FP32_BITS,)
    traffic: str = UNFUSED
    quantizer: Quantizer = Quantizer()
    costs: Sensitivity | None = None
    points: int = 0
    budgets: tuple[Budget, ...] = ()
    machines: Mapping[str, Machine] = field(default_factory=lambda: PRESETS)
    refinement: int = 0
    seed: int = 0
    expect: Expect = nothing_ahead
    table: KernelTable | None = None

    def offered(self, site: Site) -> tuple[int, ...]:
        """The widths on offer to a site, widest first."""
        return self.widths if site.kind is SiteKind.WEIGHTS else self.activation_widths

    def intensity(self, policies: Sequence[Policy]) -> list[float]:
        """AI of each policy in FLOPs/byte, by the traffic model `traffic`."""
        if not policies:
            return []
        counted = traffic(self.profile, policies, by=self.traffic, quantizer=self.quantizer)
        return [float(value) for value in counted.intensity]


@dataclass(frozen=True)
class State:
    """Where a search stands: a policy with its AI, score and loss."""

    policy: Policy
    intensity: float
    score: Score
    loss: float


def whole(problem: Problem, policy: Policy, ask: Ask) -> Score:
    """A policy's score on all images: nothing ends the question early."""
    score = ask(policy, None, problem.start)
    if score is None:
        raise AssertionError("a question without a least score has an answer")
    return score


def start_state(problem: Problem) -> State:
    """The state at the problem's start policy."""
    value = problem.intensity([problem.start])[0]
    return State(problem.start, value, problem.start_score, problem.objective.loss(value, problem.start_score))


def choose(
    problem: Problem, state: State, moves: Sequence[Move], ask: Ask
) -> tuple[State, Move | None, tuple[Candidate, ...]]:
    """The best of `moves` (in tie order) if it lowers the loss, with what became of each.

    Exact pruning: candidates are visited by (bound, tie order), and each is asked only for the score with which it
    would win now. The result equals evaluating all of them: a candidate's loss is at least its bound.
    """
    objective = problem.objective
    policies = [problem.profile.moved(state.policy, move) for move in moves]
    values = problem.intensity(policies)
    bounds = [objective.bound(value) for value in values]
    candidates = [
        Candidate(move, value, bound, Outcome.PRUNED) for move, value, bound in zip(moves, values, bounds, strict=True)
    ]
    best: State = state
    winner: int | None = None
    order = sorted(range(len(moves)), key=lambda i: (bounds[i], i))

    def asked(first: int) -> Iterator[tuple[int, int, Question]]:
        """What is asked from a place in the order on, as far as is known now: place, index of its move, question."""
        for place in range(first, len(order)):
            index = order[place]
            if bounds[index] > best.loss or (winner is None and bounds[index] == best.loss):
                return
            earlier = winner is not None and index < winner
            needs = objective.min_score(values[index], best.loss, ties_win=earlier)
            if needs is not None:
                yield place, index, Question(policies[index], needs, state.policy)

    for place, index, question in asked(0):
        problem.expect(coming for _, _, coming in asked(place))
        needs = question.needs
        score = ask(*question)
        if score is None or (needs is not None and score < needs):
            candidates[index] = replace(candidates[index], outcome=Outcome.CANNOT_WIN, needs=needs)
            continue
        loss = objective.loss(values[index], score)
        candidates[index] = replace(candidates[index], outcome=Outcome.WON, needs=needs, score=score, loss=loss)
        if winner is not None:
            candidates[winner] = replace(candidates[winner], outcome=Outcome.LOST)
        best, winner = State(policies[index], values[index], score, loss), index
    problem.expect(())
    return best, None if winner is None else moves[winner], tuple(candidates)


def explain(problem: Problem, state: State, move: Move | None, candidates: Sequence[Candidate]) -> str:
    """One sentence: what was taken and against what, or why nothing was."""
    measured = [c for c in candidates if c.outcome is not Outcome.PRUNED]
    counts = (
        f"{len(candidates)} moves, {len(measured)} measured, {len(candidates) - len(measured)} settled by arithmetic"
    )
    if move is None:
        return f"kept: no move lowers the loss {state.loss:.4f} ({counts})"
    losers = [c for c in candidates if c.outcome is Outcome.LOST and c.loss is not None]
    if losers:
        rival = min(losers, key=lambda c: c.loss or 0.0)
        against = f", ahead of {rival.move.site} at {rival.move.bits} bits ({rival.loss:.4f})"
    else:
        against = ""
    width = "back to FP32" if move.bits == FP32_BITS else f"to {move.bits} bits"
    return f"{move.site} {width}: loss {state.loss:.4f}{against} ({counts})"


def step(
    problem: Problem,
    state: State,
    move: Move | None,
    candidates: tuple[Candidate, ...],
    index: int,
    sweep: int,
) -> Step:
    """The record of one choice."""
    return Step(
        index=index,
        sweep=sweep,
        move=move,
        policy=state.policy,
        intensity=state.intensity,
        score=state.score,
        loss=state.loss,
        reason=explain(problem, state, move, candidates),
        candidates=candidates,
    )
