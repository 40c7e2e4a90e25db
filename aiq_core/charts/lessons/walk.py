"""Lesson 5, how the searches walk: a real run's steps, one at a time, with what was measured and what was not."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from aiq_core.records import FP32_BITS, Candidate, ModelProfile, Outcome, Policy, Run, Step
from aiq_core.search.strategies import strategy


@dataclass(frozen=True, slots=True)
class WalkStep:
    """A step of a run: its options by bound, the bits after it, and the evaluations asked for up to it.

    `before` is the width that the changed layer had; `frozen` says which layers a later step can't change.
    """

    index: int
    sweep: int
    layer: str | None
    bits: int | None
    before: int | None
    options: tuple[Candidate, ...]
    policy: Policy
    frozen: tuple[bool, ...]
    loss: float
    evaluations: int

    @property
    def measured(self) -> int:
        """Options that were evaluated, to the end or until they could not win."""
        return sum(option.outcome is not Outcome.PRUNED for option in self.options)

    @property
    def settled(self) -> int:
        """Options that arithmetic ruled out: not even without any loss of accuracy could they win."""
        return len(self.options) - self.measured


@dataclass(frozen=True)
class Walk:
    """A search's steps, and the loss it started from."""

    run_id: str
    algorithm: str
    alpha: float
    images: int
    layers: tuple[str, ...]
    start_loss: float
    steps: tuple[WalkStep, ...]

    def sweep(self, number: int) -> tuple[WalkStep, ...]:
        """The steps of one sweep, or of all sweeps up to it."""
        return tuple(step for step in self.steps if step.sweep <= number)

    @property
    def changed_again(self) -> tuple[WalkStep, ...]:
        """Steps that gave a layer another width after the first sweep."""
        return tuple(step for step in self.steps if step.sweep > 1 and step.layer is not None)

    @property
    def moves(self) -> tuple[WalkStep, ...]:
        """Steps that changed something."""
        return tuple(step for step in self.steps if step.layer is not None)


def walk(run: Run, profile: ModelProfile, start_loss: float) -> Walk:
    """The steps of a greedy or coordinate run; `start_loss` is that of the policy it began with."""
    assert run.request.alpha is not None
    names = profile.quantizable_names
    steps: list[WalkStep] = []
    policy = profile.policy(run.request.fixed)
    asked = 0
    for step in run.steps:
        options = tuple(sorted(step.candidates, key=lambda option: option.bound))
        asked += sum(option.outcome is not Outcome.PRUNED for option in options)
        before = None if step.move is None else profile.width(policy, step.move.site)
        policy = step.policy
        steps.append(
            WalkStep(
                step.index,
                step.sweep,
                None if step.move is None else step.move.site.name,
                None if step.move is None else step.move.bits,
                before,
                options,
                policy,
                _frozen(run, step),
                step.loss,
                asked,
            )
        )
    return Walk(run.id, run.request.algorithm, run.request.alpha, run.request.images, names, start_loss, tuple(steps))


def _frozen(run: Run, step: Step) -> tuple[bool, ...]:
    """Greedy never takes a move back; a sweep offers every width again."""
    is_final = strategy(run.request.algorithm).is_final
    return tuple(is_final and bits != FP32_BITS for bits in step.policy.weight_bits)


def walk_frame(walks: Sequence[Walk]) -> pd.DataFrame:
    """A row a step of each walk."""
    return pd.DataFrame(
        [
            {
                "run": each.run_id,
                "algorithm": each.algorithm,
                "alpha": each.alpha,
                "step": step.index,
                "sweep": step.sweep,
                "layer": step.layer,
                "bits": step.bits,
                "moves_considered": len(step.options),
                "measured": step.measured,
                "settled_by_arithmetic": step.settled,
                "evaluations_so_far": step.evaluations,
                "loss": step.loss,
            }
            for each in walks
            for step in each.steps
        ]
    )
