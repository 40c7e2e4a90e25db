"""Our own claims: what the app says on its pages, and how cheaply it was found."""

from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from aiq_core.claims import layers
from aiq_core.claims.evidence import MOBILENET, RESNET, Claim, Evidence, candidates, gain
from aiq_core.claims.paper import beats_uniform
from aiq_core.hardware import PRESETS
from aiq_core.judged import Judged, Kind
from aiq_core.records import Policy, SplitName
from aiq_core.roofline import speed_up
from aiq_core.search.greedy import GREEDY
from aiq_core.wording import number

GOALS = {RESNET: 50.0, MOBILENET: 300.0}
"""Model -> AI gain in percent that we claim within 1.0 point."""

LIMIT_POINTS = 1.0


def our_claims(evidence: Evidence) -> Iterator[Claim]:
    """A row a claim."""
    for model, goal in GOALS.items():
        yield from _gain_within_a_point(evidence, model, goal)
    for model in GOALS:
        run = evidence.search(model, GREEDY.name, 0.9)
        for bits in (8, 4):
            yield beats_uniform(evidence, f"beats-{model}", model, run, bits, None, "Greedy at alpha 0.9")
    yield _pruning(evidence, paper=False)
    yield _pruning(evidence, paper=True)
    for model in GOALS:
        yield from _batches(evidence, model)
    for model in GOALS:
        yield from _speed_ups(evidence, model)
    for model in GOALS:
        yield _optimism(evidence, model)
    for model in GOALS:
        yield layers.larger(evidence, model)
        yield layers.larger_everywhere(evidence, model)


def _gain_within_a_point(evidence: Evidence, model: str, goal: float) -> Iterator[Claim]:
    """The gain, and what it costs as measured. No claim at 95 %: the policy was not fixed before report was read."""
    profile, policy = evidence.profile(model), evidence.choice(model, goal)
    raised = Claim.open(f"{model}-gain", f"{evidence.title(model)}: AI at least +{goal:.0f} %", "%")
    statement = f"… for at most {LIMIT_POINTS} point of top-1, as measured"
    cost = Claim.open(f"{model}-drop-measured", statement, "points")
    if policy is None:
        yield from (raised, cost)
        return
    value = gain(profile, policy)
    run = _run_of(evidence, model, policy)
    rule = "of what search images chose with that gain, the one with most of them right; then read on report images"
    yield raised.settled(value, value >= goal, f"{rule}; batch 1, unfused", run)
    lost = evidence.drop(model, policy)
    if lost is None:
        yield cost.unreported(run)
        return
    note = f"{evidence.images(model, SplitName.REPORT):,} report images, Newcombe, paired; {REPORT_SEEN}"
    yield cost.settled(lost.value, lost.value <= LIMIT_POINTS, note, run, lost)


def _run_of(evidence: Evidence, model: str, policy: Policy) -> str | None:
    """The search that ends at a policy, else the earliest run that asked for it."""
    for run in evidence.searches(model):
        if run.policy == policy:
            return run.id
    asked = evidence.library.reasons(evidence.library.model(model), policy)
    return None if asked is None else asked.id


def _pruning(evidence: Evidence, paper: bool) -> Claim:
    settings = "the paper's settings" if paper else "our settings"
    statement = f"Exact pruning measures a fraction of the plain algorithm's candidates (ResNet-20, greedy, {settings})"
    claim = Claim.open("pruning-paper" if paper else "pruning-default", statement, "% of candidates")
    run = evidence.search(RESNET, GREEDY.name, 0.9, paper)
    if run is None:
        return claim
    plain, measured = candidates(run)
    taken = sum(step.move is not None for step in run.steps)
    note = (
        f"{measured} of {plain} over {taken} moves at alpha 0.9 (20 moves have 420), plus FP32; "
        "benchmarks/search_cost.py compares the moves"
    )
    return claim.settled(100 * measured / plain, measured < plain / 2, note, run.id)


def _batches(evidence: Evidence, model: str) -> Iterator[Claim]:
    """Weight bits raise AI at batch 1 and hardly at 128."""
    profile = evidence.profile(model)
    policy = profile.uniform(4)
    for batch, statement in (
        (1, f"All weights at 4 bits raise {evidence.title(model)}'s AI by half or more at batch 1"),
        (128, f"… and by less than a tenth at batch 128 ({evidence.title(model)})"),
    ):
        value = gain(profile, policy, batch)
        holds = value >= 50 if batch == 1 else value < 10
        claim = Claim.open(f"batch-{batch}-{model}", statement, "%")
        yield claim.settled(value, holds, "FP32 activations, unfused; computed")


def _speed_ups(evidence: Evidence, model: str) -> Iterator[Claim]:
    profile, policy = evidence.profile(model), evidence.choice(model, GOALS[model])
    faster = "{title}, AI +{goal:.0f} %: predicted faster on {machine}"
    slower = "{title}, AI +{goal:.0f} %: next to nothing on {machine}, where it is compute-bound"
    for key, machine_key in (("a100", "a100-tf32"), ("pi5", "pi-5")):
        machine = PRESETS[machine_key]
        memory_bound = key == "a100" or model == MOBILENET
        text = (faster if memory_bound else slower).format(
            title=evidence.title(model), goal=GOALS[model], machine=machine.name
        )
        claim = Claim.open(f"speed-up-{key}-{model}", text, "×")
        if policy is None:
            yield claim
            continue
        value = speed_up(machine, profile, profile.uniform(32), policy)
        note = "predicted at batch 1 from the roofline, if kernels for these widths existed; the line is at 1.05 ×"
        yield claim.settled(value, (value >= 1.05) is memory_bound, note, _run_of(evidence, model, policy))


REPORT_SEEN = (
    "the rule that picks the policy was settled after report drops of other candidates had been seen, and the pick "
    "moved as runs were added"
)
"""Why a figure on report images is a measurement here and not a confirmed claim."""


def _optimism(evidence: Evidence, model: str) -> Claim:
    """How much more policies lose on report images than on search images, over every policy that has both.

    Those that a search chose and the others stand in the note: they were told apart after the figures were seen, so
    they explore and get no verdict of their own.
    """
    points, table = evidence.judged(model), evidence.table(model)
    statement = (
        f"Search images flatter the policies measured on them ({evidence.title(model)}): points more lost on report"
    )
    claim = Claim.open(f"optimism-{model}", statement, "points")
    if table is None or len(points) < 3:
        return claim
    mean = fmean(_gaps(points))
    counted = f"{table.images:,} search and {table.report_images:,} report images, each drop paired with FP32's"
    groups = [[p for p in points if (p.kind is Kind.CHOSEN) is chosen] for chosen in (True, False)]
    split = ", ".join(
        f"{name} {_spread(group)}" for name, group in zip(("chosen", "others"), groups, strict=True) if group
    )
    note = f"mean above 0; {_spread(points)}; {counted}; exploratory, told apart after seeing them: {split}"
    return claim.settled(mean, mean > 0, note)


def _gaps(points: Sequence[Judged]) -> list[float]:
    return [point.report.value - point.search.value for point in points]


def _spread(points: Sequence[Judged]) -> str:
    gaps = _gaps(points)
    return (
        f"mean {number(fmean(gaps), 2)}, standard deviation {stdev(gaps):.2f} over {len(gaps)} policies "
        f"({number(min(gaps), 2)} to {number(max(gaps), 2)})"
    )
