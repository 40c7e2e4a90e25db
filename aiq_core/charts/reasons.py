"""Why each layer has its width, and why not the next one: read from the steps of the run that asked for the policy."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiq_core.charts import wording
from aiq_core.records import FP32_BITS, Algorithm, Candidate, ModelProfile, Outcome, Policy, Run, Step

BY_HAND = "set by hand or by a link: no run asked for this policy"

LISTED = {
    Algorithm.UNIFORM: "a uniform baseline: every layer at the same width",
    Algorithm.RANDOM: "a random baseline: drawn, not chosen",
    Algorithm.SINGLE_LAYER: "one layer alone, to see what it costs",
    Algorithm.MANUAL: "set by hand",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Two sentences about a layer: why this width, and why not the next narrower one."""

    why: str
    why_not: str


def reasons(profile: ModelProfile, policy: Policy, run: Run | None, position: int | None) -> tuple[Reason, ...]:
    """A reason per quantizable layer.

    `run` has its steps and `position` is the step that asked for the policy (None where no run did).
    """
    if len(set(policy.weight_bits)) == 1 and policy.weight_bits[0] != FP32_BITS:
        return (Reason(LISTED[Algorithm.UNIFORM], ""),) * len(policy.weight_bits)
    if run is None:
        text = "FP32, where every search starts" if policy.is_fp32 else BY_HAND
        return (Reason(text, ""),) * len(policy.weight_bits)
    if run.request.algorithm in LISTED:
        return (Reason(LISTED[run.request.algorithm], ""),) * len(policy.weight_bits)
    steps = run.steps[: (len(run.steps) if position is None else position) + 1]
    return tuple(_reason(name, bits, run, steps) for name, bits in profile.named_bits(policy).items())


def _reason(layer: str, bits: int, run: Run, steps: Sequence[Step]) -> Reason:
    request = run.request
    if layer in request.excluded:
        return Reason("excluded from the search, so it stays FP32", "")
    if layer in request.fixed:
        return Reason(f"held at {wording.bits_name(bits)} from the start", "")
    taken = [index for index, step in enumerate(steps) if step.layer == layer]
    if taken and steps[taken[-1]].bits == bits:
        return _taken(layer, bits, run, steps, taken[-1])
    last = steps[-1] if steps else None
    tried = _find(last, layer, bits)
    if tried is not None and last is not None and last.layer != layer and bits != FP32_BITS:
        return Reason(f"step {last.index} measured this width, and took {_move(last)} instead", _why_not(last, tried))
    return _untouched(layer, run, steps)


def _taken(layer: str, bits: int, run: Run, steps: Sequence[Step], at: int) -> Reason:
    step = steps[at]
    before_ai, before_right = _before(run, steps, at)
    why = f"step {step.index} took it to {wording.bits_name(bits)}"
    if before_ai is not None:
        why += f": AI {wording.significant(before_ai)} → {wording.significant(step.intensity)}"
    if before_right is not None:
        why += f", {_change(step.correct - before_right)} of {run.request.images:,}"
    narrower = [width for width in sorted(run.request.widths, reverse=True) if width < bits]
    if not narrower:
        return Reason(why, f"{wording.bits_name(bits)} is the narrowest width on offer")
    return Reason(why, _outcome(step, layer, narrower[0]))


def _untouched(layer: str, run: Run, steps: Sequence[Step]) -> Reason:
    narrower = [width for width in sorted(run.request.widths, reverse=True) if width < FP32_BITS]
    last = next((step for step in reversed(steps) if _find(step, layer, narrower[0])), None) if narrower else None
    if last is None:
        return Reason("FP32: the search has not moved it", "")
    why = f"FP32 after step {last.index}: "
    why += "no move lowered the loss" if last.layer is None else f"that step took {_move(last)}"
    return Reason(why, _outcome(last, layer, narrower[0]))


def _before(run: Run, steps: Sequence[Step], at: int) -> tuple[float | None, int | None]:
    """AI and number right before a step; the first step's start is known where it was FP32."""
    if at > 0:
        return steps[at - 1].intensity, steps[at - 1].correct
    return None, run.baseline_correct if not run.request.fixed else None


def _find(step: Step | None, layer: str, bits: int) -> Candidate | None:
    if step is None:
        return None
    return next((c for c in step.candidates if c.layer == layer and c.bits == bits), None)


def _outcome(step: Step, layer: str, bits: int) -> str:
    candidate = _find(step, layer, bits)
    return "" if candidate is None else _why_not(step, candidate)


def _why_not(step: Step, candidate: Candidate) -> str:
    name = wording.bits_name(candidate.bits)
    if candidate.outcome is Outcome.PRUNED:
        return f"{name} could not have won even with no accuracy lost (step {step.index})"
    if candidate.outcome is Outcome.CANNOT_WIN:
        return f"{name} needed {candidate.needs or 0:,} right to win step {step.index} and had fewer"
    if candidate.loss is not None:
        return f"{name} came to loss {wording.number(candidate.loss, 4)} in step {step.index}, above the winner's"
    return f"{name} lost step {step.index}"


def _move(step: Step) -> str:
    return "nothing" if step.layer is None else f"{step.layer} to {wording.bits_name(step.bits or FP32_BITS)}"


def _change(right: int) -> str:
    if right == 0:
        return "as many right"
    return f"{abs(right):,} {'more' if right > 0 else 'fewer'} right"
