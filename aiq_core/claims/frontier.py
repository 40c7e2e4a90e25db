"""Our claims of whole frontiers: how much AI their points have, and for how many points of accuracy."""

from collections.abc import Iterator

from aiq_core import fronts
from aiq_core.claims.evidence import MOBILENET, RESNET, Claim, Evidence
from aiq_core.frontier import ALGORITHM
from aiq_core.fronts import Point
from aiq_core.intensity import intensity
from aiq_core.records import FP32_BITS, UNFUSED, Run, SplitName
from aiq_core.space import JOINT, weights_front
from aiq_core.traffic import STORED

GOALS = (
    (RESNET, 1.54, 0.5, UNFUSED, False),
    (RESNET, 6.0, 0.5, UNFUSED, True),
    (RESNET, 7.0, 0.8, UNFUSED, True),
    (MOBILENET, 11.0, 0.4, UNFUSED, True),
    (MOBILENET, 13.0, 0.8, UNFUSED, True),
    (MOBILENET, 10.0, 0.6, STORED, True),
)
"""Model, AI over FP32's at least, points lost at most, how bytes are counted, and whether activations have bits too."""


def frontier_claims(evidence: Evidence) -> Iterator[Claim]:
    """Two rows a goal: the AI of a point, and what it loses."""
    for goal in GOALS:
        yield from _goal(evidence, *goal)


def _goal(evidence: Evidence, model: str, ratio: float, points: float, by: str, joint: bool) -> Iterator[Claim]:
    counted = "" if by == UNFUSED else ", scales and biases counted as stored"
    counted += "" if joint else ", bits for weights alone"
    name = f"frontier-{model}-{ratio:g}" + ("" if by == UNFUSED else f"-{by}")
    statement = f"{evidence.title(model)}, a point of the frontier: AI at least {ratio:g} × FP32's{counted}"
    raised = Claim.open(name, statement, "×")
    cost = Claim.open(f"{name}-drop", f"… for at most {points} points of top-1, as measured", "points")
    run = _run(evidence, model, joint)
    if run is None:
        yield from (raised, cost)
        return
    found = [(_ratio(evidence, run, point, by), point) for point in fronts.points(evidence.library, run)]
    fit = [each for each in found if each[0] >= ratio and each[1].confirm is not None]
    if not fit:
        yield raised.settled(max(value for value, _ in found), False, "the most that a point has", run.id)
        yield cost
        return
    value, chosen = max(fit, key=lambda each: (each[1].confirm.after.value if each[1].confirm else 0.0, each[0]))
    confirm = evidence.images(model, SplitName.SEARCH)
    rule = (
        f"of the points with that much, the most of {confirm:,} search images right, on none of which anything was "
        "chosen; then read on report images"
    )
    yield raised.settled(value, True, f"{rule}; batch 1, {by}", run.id)
    if chosen.report is None:
        yield cost.unreported(run.id)
        return
    drop = chosen.report.drop
    sure = "also its upper end" if drop.high <= points else "its upper end is above"
    note = f"{chosen.report.images:,} report images, Newcombe, paired; {sure}"
    yield cost.settled(drop.value, drop.value <= points + 1e-9, note, run.id, drop)


def _run(evidence: Evidence, model: str, joint: bool) -> Run | None:
    """The frontier of a model that is asked for unless told otherwise, or that of weights alone; with its steps."""
    known, images = evidence.library.model(model), evidence.images(model, SplitName.SEARCH)
    if joint:
        usual = JOINT.front_request(model, JOINT.quantizer(known.dataset), known.profile, images)
    else:
        usual = weights_front(model, known.dataset, known.profile, images)
    asked = (run for run in evidence.runs if run.request.algorithm == ALGORITHM and run.request.model == model)
    found = next((run for run in asked if run.request.digest == usual.digest), None)
    return None if found is None else evidence.library.run(found.id)


def _ratio(evidence: Evidence, run: Run, point: Point, by: str) -> float:
    profile, how = evidence.profile(run.request.model), run.request.quantizer
    before, after = (
        intensity(profile, policy, by=by, quantizer=how) for policy in (profile.uniform(FP32_BITS), point.policy)
    )
    return after / before
