"""Policies to compare a search with: uniform widths, random layers, one layer alone, or set by hand."""

from collections.abc import Iterator, Sequence

import numpy as np

from aiq_core.records import FP32_BITS, ModelProfile, Move, Policy, Step
from aiq_core.search.problem import Ask, Problem, Question, whole
from aiq_core.search.strategy import Strategy


def uniform(profile: ModelProfile, bits: int, activation_bits: int = FP32_BITS) -> tuple[Policy, ...]:
    """Every quantizable layer at `bits`, every activation group at `activation_bits`."""
    return (profile.uniform(bits, activation_bits),)


def single_layer(profile: ModelProfile, bits: int) -> tuple[Policy, ...]:
    """Each quantizable layer alone at `bits`, in network order."""
    base = profile.uniform(FP32_BITS)
    return tuple(profile.moved(base, Move(site, bits)) for site in profile.weight_sites)


def random_like(policy: Policy, seed: int) -> tuple[Policy, ...]:
    """As many layers and activation groups at each width as `policy` has, each drawn without replacement."""
    draw = np.random.default_rng(seed).permutation
    shuffled = (tuple(int(bits) for bits in draw(widths)) for widths in (policy.weight_bits, policy.activation_bits))
    return (Policy(*shuffled),)


def listed(problem: Problem, policies: Sequence[Policy], ask: Ask) -> Iterator[Step]:
    """Evaluates given policies in order and yields a step each; nothing is chosen."""
    problem.expect(Question(policy, None, problem.start) for policy in policies)
    for index, (policy, value) in enumerate(zip(policies, problem.intensity(policies), strict=True), start=1):
        score = whole(problem, policy, ask)
        loss = problem.objective.loss(value, score)
        yield Step(index, 1, None, policy, value, score, loss, "evaluated as listed")


UNIFORM = Strategy("uniform", "Uniform", "uniform", "a uniform baseline: every layer at the same width")
RANDOM = Strategy("random", "Random layers", "random layers", "a random baseline: drawn, not chosen")
SINGLE_LAYER = Strategy("single_layer", "Single layers", "single layers", "one layer alone, to see what it costs")
MANUAL = Strategy("manual", "By hand", "by hand", "set by hand")
