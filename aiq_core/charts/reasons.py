"""Why each layer has its width, and why not the next one: read from the steps of the run that asked for the policy."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiq_core import wording
from aiq_core.records import FP32_BITS, Candidate, ModelProfile, Move, Outcome, Policy, Run, Score, Site, Step
from aiq_core.search.baselines import UNIFORM
from aiq_core.search.strategies import strategy

BY_HAND = "set by hand or by a link: no run asked for this policy"


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
        return (Reason(UNIFORM.reason, ""),) * len(policy.weight_bits)
    if run is None:
        text = "FP32, where every search starts" if policy.is_fp32 else BY_HAND
        return (Reason(text, ""),) * len(policy.weight_bits)
    if reason := strategy(run.request.algorithm).reason:
        return (Reason(reason, ""),) * len(policy.weight_bits)
    steps = run.steps[: (len(run.steps) if position is None else position) + 1]
    return tuple(_reason(Move(site, profile.width(policy, site)), run, steps) for site in profile.weight_sites)


def _reason(held: Move, run: Run, steps: Sequence[Step]) -> Reason:
    """Why a site has its width, which `held` names."""
    request, layer, bits = run.request, held.site.name, held.bits
    if layer in request.excluded:
        return Reason("excluded from the search, so it stays FP32", "")
    if layer in request.fixed:
        return Reason(f"held at {wording.bits_name(bits)} from the start", "")
    taken = [index for index, step in enumerate(steps) if step.move and step.move.site == held.site]
    if taken and steps[taken[-1]].move == held:
        return _taken(held, run, steps, taken[-1])
    last = steps[-1] if steps else None
    tried = _find(last, held)
    if tried is not None and last is not None and _site(last) != held.site and bits != FP32_BITS:
        return Reason(f"step {last.index} measured this width, and took {_move(last)} instead", _why_not(last, tried))
    return _untouched(held.site, run, steps)


def _taken(held: Move, run: Run, steps: Sequence[Step], at: int) -> Reason:
    step, bits = steps[at], held.bits
    before_ai, before_right = _before(run, steps, at)
    why = f"step {step.index} took it to {wording.bits_name(bits)}"
    if before_ai is not None:
        why += f": AI {wording.significant(before_ai)} → {wording.significant(step.intensity)}"
    if before_right is not None:
        why += f", {_change(step.score - before_right)} of {run.request.images:,}"
    narrower = [width for width in sorted(run.request.widths, reverse=True) if width < bits]
    if not narrower:
        return Reason(why, f"{wording.bits_name(bits)} is the narrowest width on offer")
    return Reason(why, _outcome(step, Move(held.site, narrower[0])))


def _untouched(site: Site, run: Run, steps: Sequence[Step]) -> Reason:
    narrower = [width for width in sorted(run.request.widths, reverse=True) if width < FP32_BITS]
    last = next((step for step in reversed(steps) if narrower and _find(step, Move(site, narrower[0]))), None)
    if last is None:
        return Reason("FP32: the search has not moved it", "")
    why = f"FP32 after step {last.index}: "
    why += "no move lowered the loss" if last.move is None else f"that step took {_move(last)}"
    return Reason(why, _outcome(last, Move(site, narrower[0])))


def _before(run: Run, steps: Sequence[Step], at: int) -> tuple[float | None, Score | None]:
    """AI and number right before a step; the first step's start is known where it was FP32."""
    if at > 0:
        return steps[at - 1].intensity, steps[at - 1].score
    return None, run.baseline_score if not run.request.fixed else None


def _site(step: Step) -> Site | None:
    return None if step.move is None else step.move.site


def _find(step: Step | None, move: Move) -> Candidate | None:
    return None if step is None else next((c for c in step.candidates if c.move == move), None)


def _outcome(step: Step, move: Move) -> str:
    candidate = _find(step, move)
    return "" if candidate is None else _why_not(step, candidate)


def _why_not(step: Step, candidate: Candidate) -> str:
    name = wording.bits_name(candidate.move.bits)
    if candidate.outcome is Outcome.PRUNED:
        return f"{name} could not have won even with no accuracy lost (step {step.index})"
    if candidate.outcome is Outcome.CANNOT_WIN:
        return f"{name} needed {candidate.needs or 0:,} right to win step {step.index} and had fewer"
    if candidate.loss is not None:
        return f"{name} came to loss {wording.number(candidate.loss, 4)} in step {step.index}, above the winner's"
    return f"{name} lost step {step.index}"


def _move(step: Step) -> str:
    return "nothing" if step.move is None else f"{step.move.site.name} to {wording.bits_name(step.move.bits)}"


def _change(right: Score) -> str:
    if right == 0:
        return "as many right"
    return f"{abs(right):,} {'more' if right > 0 else 'fewer'} right"
