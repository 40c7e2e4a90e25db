"""Our claims where activations have bits too: how much AI, for how much accuracy; and what weight error says of it."""

from collections.abc import Iterator
from dataclasses import replace

from aiq_core.charts.study import contest, lost
from aiq_core.claims.evidence import MOBILENET, RESNET, Claim, Evidence, gain
from aiq_core.records import Policy, SplitName
from aiq_core.space import JOINT
from aiq_core.study import trials
from aiq_core.wording import number, span

FIVE_TIMES = 400.0
"""AI gained, in percent, where it is five times FP32's."""

PAPER_GAIN, PAPER_POINTS = 51.6, 0.90
"""AI that the paper's ResNet-20 gains in percent, and points that it loses (arXiv 2512.14090)."""

BITS = 4
"""Weight bits at which methods of rounding are compared."""


def joint_claims(evidence: Evidence) -> Iterator[Claim]:
    """A row a claim."""
    for model in (RESNET, MOBILENET):
        statement = f"{evidence.title(model)}, activations with bits too: AI at least five times FP32's"
        yield from _claim(evidence, model, "five-times", FIVE_TIMES, statement, None)
    statement = f"{evidence.title(RESNET)}, activations with bits too: AI gained ten times the paper's {PAPER_GAIN} %"
    yield from _claim(evidence, RESNET, "ten-times", 10 * PAPER_GAIN, statement, PAPER_POINTS)
    for model in (RESNET, MOBILENET):
        yield _error(evidence, model)


def _claim(
    evidence: Evidence, model: str, name: str, goal: float, statement: str, points: float | None
) -> Iterator[Claim]:
    """The gain, and what it costs: less than so many points, or none that could be measured."""
    for_what = "no measurable loss of top-1" if points is None else f"less than the paper's {points:.2f} points"
    raised = Claim.open(f"joint-{name}-{model}", statement, "%")
    cost = Claim.open(f"joint-{name}-drop-{model}", f"… for {for_what}", "points")
    policy, profile = evidence.choice(model, goal, JOINT), evidence.profile(model)
    if policy is None:
        chosen = evidence.chosen(model, JOINT)
        if any(not each.is_fp32 for each in chosen):
            most = max(gain(profile, each) for each in chosen)
            note = f"the most that a chosen policy gains; {goal:.0f} % is asked for; batch 1, unfused"
            raised = raised.settled(most, False, note)
            cost = replace(cost, note="no chosen policy gains that much")
        yield from (raised, cost)
        return
    table, run = evidence.table(model, JOINT), _run_of(evidence, model, policy)
    assert table is not None
    rule = f"of what was chosen with that gain, the most of {table.judged_on} right; then read on report images"
    yield raised.settled(gain(profile, policy), True, f"{rule}; batch 1, unfused", run)
    drop = evidence.drop(model, policy, JOINT)
    if drop is None:
        yield cost.unreported(run)
        return
    holds = drop.low <= 0 if points is None else drop.high < points
    told = "holds where the interval has 0" if points is None else "holds where the whole interval is below"
    note = f"{evidence.images(model, SplitName.REPORT):,} report images, Newcombe, paired; {told}"
    yield cost.settled(drop.value, holds, note, run, drop)


def _run_of(evidence: Evidence, model: str, policy: Policy) -> str | None:
    """The search that ends at a policy, else the earliest run that asked for it."""
    ends = (run.id for run in evidence.searches(model, space=JOINT) if run.policy == policy)
    found = evidence.library.model(model)
    asked = evidence.library.reasons(found, policy, JOINT.quantizer(found.dataset))
    return next(ends, None if asked is None else asked.id)


def _error(evidence: Evidence, model: str) -> Claim:
    """Of all ways to round, the one of the smallest weight error against the most accurate one."""
    statement = (
        f"The smallest weight error is not the best accuracy ({evidence.title(model)}, all weights at {BITS} bits)"
    )
    claim = Claim.open(f"rounding-error-{model}", statement, "points")
    found = contest(trials(evidence.library, evidence.library.model(model)), BITS)
    if found is None:
        return claim
    apart = lost(found.finest).value - lost(found.best).value
    each = "; ".join(
        f"{trial.name} {number(trial.sqnr_db, 1)} dB, {number(lost(trial).value, 2)} points lost ({span(lost(trial))})"
        for trial in (found.finest, found.best)
    )
    note = f"more lost by the smallest error than by the best, report images; {each}; holds where intervals are apart"
    return claim.settled(apart, not found.agree, note)
