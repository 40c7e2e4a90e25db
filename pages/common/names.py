"""What runs are called and where they stand, as people read it."""

from aiq_core import jobs
from aiq_core.frontier import Budget
from aiq_core.records import UNFUSED, Run, RunStatus
from aiq_core.search.strategies import strategy
from aiq_core.space import space_of
from aiq_core.store.store import BUNDLED, IMPORTED, MEASURED
from aiq_core.wording import duration, join
from pages.common import known

STATUS_ICONS = {
    RunStatus.QUEUED: ":material/hourglass_empty:",
    RunStatus.RUNNING: ":material/play_circle:",
    RunStatus.DONE: ":material/check_circle:",
    RunStatus.CANCELLED: ":material/cancel:",
    RunStatus.INTERRUPTED: ":material/power_off:",
    RunStatus.FAILED: ":material/error:",
}
STATUS_COLOURS = {RunStatus.QUEUED: "gray", RunStatus.RUNNING: "violet", RunStatus.DONE: "green"}
ORIGINS = {MEASURED: "measured here", BUNDLED: "ships with the app", IMPORTED: "imported"}
NOT_STARTED = "not started"


def what(run: Run) -> str:
    """What a run does, without its model: `greedy at alpha 0.9`."""
    request = run.request
    text = strategy(request.algorithm).noun
    if request.alpha is not None:
        text += f" at alpha {request.alpha:g}"
    elif len(request.policies) > 1:
        text += f", {len(request.policies)} policies"
    elif request.points is not None:
        text += f", {request.points} {'evaluations' if strategy(request.algorithm).draws else 'points'}"
        text += "".join(f", {Budget.parse(budget).words(known.library().machines)}" for budget in request.within)
    if request.traffic != UNFUSED:
        text += f", {request.traffic} traffic"
    if request.is_joint:
        text += ", activations too"
    return f"{text} · {request.label}" if request.label else text


def points_name(run: Run) -> str:
    """What the points of its model's metric are called in a table: `top-1 %`."""
    metric = known.model(run.request.model).metric
    return f"{metric.title} {metric.unit}"


def title(run: Run) -> str:
    return f"{known.model(run.request.model).title} · {what(run)}"


def origin(run: Run) -> str:
    """Whose figures these are; an imported run names its machine and never passes as measured here."""
    imported = run.origin is not None and run.origin.source == IMPORTED
    return f"{source(run)} from {run.origin.cpu}" if imported else source(run)


def source(run: Run) -> str:
    """Where a run's figures come from."""
    return NOT_STARTED if run.origin is None else ORIGINS.get(run.origin.source, run.origin.source)


def is_own(run: Run) -> bool:
    """Whether the run is this store's to cancel, resume or archive."""
    return run.origin is None or run.origin.source != BUNDLED


def share(run: Run) -> float:
    """How far a run is, 0 to 1: by its steps, or by the budget that it has used up more of."""
    request = run.request
    shares = [jobs.share_done(known.library(), run)]
    if request.max_evaluations:
        shares.append(run.evaluations / request.max_evaluations)
    if request.max_minutes:
        shares.append(run.seconds / (60 * request.max_minutes))
    return min(1.0, max(shares))


def left(run: Run) -> str:
    """How long it may still take, as text; empty where nobody can say."""
    if run.status not in jobs.UNFINISHED:
        return ""
    eta, request = jobs.eta_s(known.library(), run), run.request
    by_budget = None if request.max_minutes is None else max(0.0, 60 * request.max_minutes - run.seconds)
    if by_budget is not None and (eta is None or eta > by_budget):
        return f"at most {duration(by_budget)} left by its budget"
    return "" if eta is None else f"about {duration(eta)} left"


def progress(run: Run) -> str:
    """One line on a run that is not finished."""
    if run.status is RunStatus.QUEUED:
        return "waiting for a worker"
    counts = f"{run.evaluations:,} evaluations, {run.evaluations_new:,} new"
    what = "step" if run.request.points is None else "point"
    if not run.steps:
        return join([run.message or f"loading, then FP32 and the first {what}", counts if run.evaluations else ""])
    expected = jobs.expected_steps(known.library(), run)
    step = f"{what} {len(run.steps)}" + (f" of at most {expected}" if expected else "")
    return join([step, counts, left(run)])


def explore_query(run: Run) -> dict[str, str] | None:
    """The address of a run's policy or front on Explore; None where Explore does not show its kind of policy."""
    request, model = run.request, known.model(run.request.model)
    counts = known.image_counts(model)
    images = next((name for name, count in counts.items() if count == request.images), None)
    space = space_of(request, model.dataset)
    if space is None or images is None:
        return None
    is_front = bool(run.steps) and space.is_usual_front(request, request.quantizer, model.profile)
    if run.policy is None and not is_front:
        return None
    query = {"model": request.model, "space": space.name}
    if run.policy is not None:
        query["policy"] = run.policy.key
    else:
        query["from"] = request.algorithm
    if strategy(request.algorithm).searches and request.alpha is not None:
        query |= {"from": request.algorithm, "alpha": f"{request.alpha:.2f}"}
    if images != known.usual_images(model):
        query["images"] = images
    if request.traffic != UNFUSED:
        query["traffic"] = request.traffic
    return query
