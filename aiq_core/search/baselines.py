"""Policies to compare a search with: uniform widths, random layers, one layer alone."""

from collections.abc import Iterator, Sequence

import numpy as np

from aiq_core.records import FP32_BITS, ModelProfile, Policy, Step
from aiq_core.search.problem import Ask, Problem


def uniform(profile: ModelProfile, bits: int) -> tuple[Policy, ...]:
    """Every quantizable layer at `bits`."""
    return (profile.uniform(bits),)


def single_layer(profile: ModelProfile, bits: int) -> tuple[Policy, ...]:
    """Each quantizable layer alone at `bits`, in network order."""
    base = profile.uniform(FP32_BITS)
    return tuple(base.with_weight_bits(index, bits) for index in range(len(profile.quantizable)))


def random_like(policy: Policy, seed: int) -> tuple[Policy, ...]:
    """As many layers at each width as `policy` has, drawn without replacement."""
    shuffled = np.random.default_rng(seed).permutation(policy.weight_bits)
    return (Policy(tuple(int(bits) for bits in shuffled), policy.activation_bits),)


def listed(problem: Problem, policies: Sequence[Policy], ask: Ask) -> Iterator[Step]:
    """Evaluates given policies in order and yields a step each; nothing is chosen."""
    for index, (policy, value) in enumerate(zip(policies, problem.intensity(policies), strict=True), start=1):
        correct = ask(policy, None, problem.start)
        if correct is None:
            raise AssertionError("a question without a least number right has an answer")
        loss = problem.objective.loss(value, correct)
        yield Step(index, 1, None, None, policy, value, correct, loss, "evaluated as listed")
