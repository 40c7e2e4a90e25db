"""Why each site has its width, and why not the next one: read from the steps of the run that asked for the policy."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiq_core import wording
from aiq_core.records import (
    FP32_BITS,
    UNFUSED,
    Candidate,
    ModelProfile,
    Move,
    Outcome,
    Policy,
    Run,
    Score,
    Site,
    SiteKind,
    Step,
)
from aiq_core.search.baselines import UNIFORM
from aiq_core.search.strategies import strategy

BY_HAND = "set by hand or by a link: no run asked for this policy"
LEFT_ALONE = "FP32: activations had no other width on offer"


@dataclass(frozen=True, slots=True)
class Reason:
    """Two sentences about a site: why this width, and why not the next narrower one."""

    why: str
    why_not: str


def reasons(
    profile: ModelProfile, policy: Policy, run: Run | None, position: int | None, by: str = UNFUSED
) -> dict[Site, Reason]:
    """A reason per site.

    `run` has its steps and `position` is the step that asked for the policy (None where no run did). Its traffic model
    is named where it is not `by`, which the reader sees.
    """
    name = wording.uniform_name(policy)
    if name is not None and not policy.is_fp32:
        if policy.has_activations:
            return dict.fromkeys(profile.sites, Reason(f"a uniform baseline: {name} everywhere", ""))
        kinds = {SiteKind.WEIGHTS: Reason(UNIFORM.reason, ""), SiteKind.ACTIVATIONS: Reason(LEFT_ALONE, "")}
        return {site: kinds[site.kind] for site in profile.sites}
    if run is None:
        text = "FP32, where every search starts" if policy.is_fp32 else BY_HAND
        return dict.fromkeys(profile.sites, Reason(text, ""))
    if reason := strategy(run.request.algorithm).reason:
        return dict.fromkeys(profile.sites, Reason(reason, ""))
    steps = run.steps[: (len(run.steps) if position is None else position) + 1]
    start = run.request.start_policy(profile)
    held = (Move(site, profile.width(policy, site)) for site in profile.sites)
    counted = "" if run.request.traffic == by else f" ({run.request.traffic})"
    return {move.site: _reason(move, profile.width(start, move.site), run, steps, counted) for move in held}


def _reason(held: Move, began: int, run: Run, steps: Sequence[Step], counted: str) -> Reason:
    """Why a site has its width, which `held` names; `began` is the width that the search found it at.

    `counted` stands beside an AI.
    """
    request, name, bits = run.request, held.site.name, held.bits
    if held.site.kind is SiteKind.WEIGHTS and name in request.excluded:
        return Reason("excluded from the search, so it stays FP32", "")
    if held.site.kind is SiteKind.WEIGHTS and name in request.fixed:
        return Reason(f"held at {wording.bits_name(bits)} from the start", "")
    if held.site.kind is SiteKind.ACTIVATIONS and {bits, *_offered(held.site, run)} == {FP32_BITS}:
        return Reason(LEFT_ALONE, "")
    taken = [index for index, step in enumerate(steps) if step.move and step.move.site == held.site]
    if taken and steps[taken[-1]].move == held:
        return _taken(held, run, steps, taken[-1], counted)
    last = steps[-1] if steps else None
    tried = _find(last, held)
    if tried is not None and last is not None and _site(last) != held.site and bits != began:
        return Reason(f"step {last.index} measured this width, and took {_move(last)} instead", _why_not(last, tried))
    return _untouched(held, run, steps)


def _offered(site: Site, run: Run) -> tuple[int, ...]:
    """The widths that a run offers a site."""
    return run.request.widths if site.kind is SiteKind.WEIGHTS else run.request.activation_widths


def _next(held: Move, run: Run) -> Move | None:
    """The move to the next narrower width on offer."""
    narrower = [width for width in _offered(held.site, run) if width < held.bits]
    return Move(held.site, max(narrower)) if narrower else None


def _taken(held: Move, run: Run, steps: Sequence[Step], at: int, counted: str) -> Reason:
    step, bits = steps[at], held.bits
    before_ai, before_right = _before(run, steps, at)
    why = f"step {step.index} took it to {wording.bits_name(bits)}"
    if before_ai is not None:
        why += f": AI {wording.significant(before_ai)} → {wording.significant(step.intensity)}{counted}"
    if before_right is not None:
        why += f", {_change(step.score - before_right)} of {run.request.images:,}"
    narrower = _next(held, run)
    if narrower is None:
        return Reason(why, f"{wording.bits_name(bits)} is the narrowest width on offer")
    return Reason(why, _outcome(step, narrower))


def _untouched(held: Move, run: Run, steps: Sequence[Step]) -> Reason:
    name, narrower = wording.bits_name(held.bits), _next(held, run)
    last = next((step for step in reversed(steps) if narrower and _find(step, narrower)), None)
    if last is None or narrower is None:
        return Reason(f"{name}: the search has not moved it", "")
    why = f"{name} after step {last.index}: "
    why += "no move lowered the loss" if last.move is None else f"that step took {_move(last)}"
    return Reason(why, _outcome(last, narrower))


def _before(run: Run, steps: Sequence[Step], at: int) -> tuple[float | None, Score | None]:
    """AI and number right before a step; the first step's start is known where it was FP32."""
    if at > 0:
        return steps[at - 1].intensity, steps[at - 1].score
    return None, None if run.request.fixed or run.request.start else run.baseline_score


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
    return "nothing" if step.move is None else wording.move_words(step.move)


def _change(right: Score) -> str:
    if right == 0:
        return "as many right"
    return f"{abs(right):,} {'more' if right > 0 else 'fewer'} right"
