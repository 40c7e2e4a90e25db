"""What a job will ask for and how long that takes, from the runs before it; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiq_core.catalog.dataset import CALIBRATION
from aiq_core.frontier.sensitivity import Measure, known
from aiq_core.library import Library, repeats
from aiq_core.records import FP32_BITS, Request, Run, RunStatus
from aiq_core.rounding.gptq import work
from aiq_core.search.greedy import GREEDY
from aiq_core.search.strategies import strategy
from aiq_core.store.store import MEASURED
from aiq_core.wording import duration, number

RECENT_RUNS = 10
"""How many of the newest runs the rate is read from: a machine changes."""


ASKED_SHARE, WORK_SHARE = 0.25, 0.4
"""Of a plain greedy search's evaluations, those that ours asks for; and of the work of each, what it does. As measured
of searches of ResNet-20, docs/search_cost.md.
"""

ROUNDED, REST = 1.5, 0.6
"""A forward that rounds activations, in plain ones; and what measuring a width by itself takes of such a one: what
comes after it runs again. As measured of a ResNet-32.
"""

START_UP_S = 6.0
"""What a worker takes to import torch and load a model before its first image, on two cores."""

GPTQ = "gptq"
ROUNDING_RATE = 1.5e10
"""FLOPs a second of GPTQ, which one thread does in float64: 12 to 18 thousand million were measured of an AMD EPYC."""


@dataclass(frozen=True)
class Rate:
    """Seconds per new evaluation on this machine, at some number of images; from `evaluations` of `runs` runs.

    Where these are 0 it is foreseen, from what a forward took when the model was added; `first_s` then come before the
    first evaluation.
    """

    seconds: float
    evaluations: int
    runs: int
    first_s: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """Evaluations of a job: `likely` (with its `basis`), and `most` where there is a limit."""

    likely: int | None
    most: int | None
    basis: str
    rate: Rate | None
    max_minutes: float | None
    jobs: int

    @property
    def likely_s(self) -> float | None:
        """Seconds if nothing were known yet, within the budget."""
        count = self.likely if self.likely is not None else self.most
        if count is None or self.rate is None:
            return None
        limit = float("inf") if self.max_minutes is None else 60 * self.max_minutes * self.jobs
        return min(self.rate.first_s + count * self.rate.seconds, limit)


def rate(runs: Sequence[Run], model: str, images: int, front: bool = False, joint: bool | None = None) -> Rate | None:
    """This machine's own pace for a model, from its newest runs that computed something; None where there are none.

    Fronts confirm every point and measure costs first, so that only they tell of fronts. Of searches those are asked
    first that give bits to activations too, or do not, as `joint` says: the one's rounding takes most of its time.
    """
    usable = [
        run
        for run in runs
        if run.request.model == model
        and run.origin is not None
        and run.origin.source == MEASURED
        and run.evaluations_new > 0
        and (run.request.points is not None) is front
        and run.request.tuning is None  # most of its seconds are training
        and run.seconds > 0
    ]
    usable = [run for run in usable if run.request.is_joint is joint] or usable
    usable = sorted(usable, key=lambda run: run.created_at)[-RECENT_RUNS:]
    if not usable:
        return None
    count = sum(run.evaluations_new for run in usable)
    # An evaluation costs what its images cost.
    seconds = sum(run.seconds * images / _images(run.request) for run in usable) / count
    return Rate(seconds, count, len(usable))


def _images(request: Request) -> int:
    """How many images an evaluation is of: a front measures its points on all."""
    return request.chooses_on if request.points is None else request.images


def foreseen(library: Library, request: Request) -> Rate | None:
    """The pace of a user's own model before its first run, costs of widths included; None of a bundled one."""
    model = library.model(request.model)
    seconds = model.card.seconds_an_image
    if seconds is None:
        return None
    if request.is_joint:
        seconds *= ROUNDED
    first_s = START_UP_S
    if not _costs_known(library, request):
        first_s += _rounding_s(library, request)
        if request.points is not None:
            tries = sum(len(request.offered(site)) for site in request.movable(model.profile))
            first_s += REST * tries * seconds * model.dataset.split(CALIBRATION).size
    share = 1.0 if request.policies or request.points is not None else WORK_SHARE
    return Rate(share * seconds * _images(request), 0, 0, first_s)


def _rounding_s(library: Library, request: Request) -> float:
    """Seconds that GPTQ takes for all widths that are offered."""
    if request.quantizer.rounding != GPTQ:
        return 0.0
    widths = len([bits for bits in request.widths if bits != FP32_BITS])
    layers = library.model(request.model).profile.quantizable
    sizes = ((layer.weights, layer.weights // layer.output_channels, layer.groups) for layer in layers)
    return widths * sum(work(*size) for size in sizes) / ROUNDING_RATE


def most_evaluations(library: Library, request: Request) -> int | None:
    """How many a request can ask for at most; None where nobody can say."""
    if request.policies:
        return len(request.policies)
    # A search that nobody knows the length of has no most.
    how = strategy(request.algorithm)
    most = _size(library, request) if how.most_steps(1) else None
    if request.points is not None:
        most = request.points + request.refinement
    if request.max_evaluations is None:
        return most
    return request.max_evaluations if most is None else min(most, request.max_evaluations)


def estimate(library: Library, requests: Sequence[Request], runs: Sequence[Run]) -> Estimate:
    """The sum over a job's requests; `runs` are all runs known, bundled ones too."""
    found = [_likely(library, request, runs) for request in requests]
    first = requests[0]
    told = list(dict.fromkeys(why for _, why in found if why))
    return Estimate(
        likely=_total([count for count, _ in found]),
        most=_total([most_evaluations(library, request) for request in requests]),
        basis=told[0] if len(told) == 1 else ("as the nearest runs before" if told else ""),
        rate=rate(runs, first.model, _images(first), first.points is not None, first.is_joint)
        or foreseen(library, first),
        max_minutes=first.max_minutes,
        jobs=len(requests),
    )


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _likely(library: Library, request: Request, runs: Sequence[Run]) -> tuple[int | None, str]:
    """Evaluations, scaled from the run of the same model and algorithm nearest in alpha, and where they come from.

    Those of the very same run where it is done.
    """
    finished = [run for run in runs if run.status is RunStatus.DONE]
    same = repeats(finished, request, library.model(request.model))
    if same:
        return same[0].evaluations, ""
    if request.policies:
        return len(request.policies), ""
    if request.points is not None:
        basis = _costs(library, request) if strategy(request.algorithm).uses_costs else ""
        return most_evaluations(library, request), basis
    like = [
        run
        for run in finished
        if run.request.model == request.model
        and run.request.algorithm == request.algorithm
        and strategy(request.algorithm).searches
        and run.request.alpha is not None
        and run.request.max_evaluations is None
        and not run.message
        and run.evaluations > 0
    ]
    if not like:
        if request.algorithm != GREEDY.name:
            return None, ""
        return _within(library, request, ASKED_SHARE * _size(library, request)), "as of ResNet-20's searches"
    # A search of both kinds asks for many times what one of weights alone does, whatever their sizes.
    like = [run for run in like if run.request.is_joint == request.is_joint] or like
    near = min(like, key=lambda run: (abs((run.request.alpha or 0) - (request.alpha or 0)), run.created_at))
    count = near.evaluations * _size(library, request) / max(1, _size(library, near.request))
    name = strategy(request.algorithm).noun
    told = f"{name} at alpha {near.request.alpha:g} asked for {near.evaluations:,}"
    return _within(library, request, count), told


def _within(library: Library, request: Request, count: float) -> int:
    limit, whole = most_evaluations(library, request), max(1, round(count))
    return whole if limit is None else min(whole, limit)


def _costs(library: Library, request: Request) -> str:
    """Whether what widths cost by themselves is known, or comes first, in words."""
    if _costs_known(library, request):
        return "what widths cost by themselves is known already"
    return "after measuring what widths cost by themselves"


def _costs_known(library: Library, request: Request) -> bool:
    model, measure = library.model(request.model), Measure(request.measure or Measure.KL)
    found = known(model, request.quantizer, measure, shipped=request.use_bundled)
    sites = request.movable(model.profile)
    wanted = {(site.kind, bits) for site in sites for bits in request.offered(site) if bits != FP32_BITS}
    return found is not None and wanted <= found.widths


def _size(library: Library, request: Request) -> int:
    """How large a search is without pruning, to a factor."""
    profile = library.model(request.model).profile
    sites, start = request.movable(profile), request.start_policy(profile)
    moves = sum(bits != profile.width(start, site) for site in sites for bits in request.offered(site))
    return strategy(request.algorithm).plain_evaluations(len(sites), moves)


def sentence(found: Estimate) -> str:
    """The estimate as the form says it."""
    if found.likely is None:
        count = "Evaluations: no run like it yet" if found.most is None else f"At most {found.most:,} evaluations"
    else:
        count = f"About {found.likely:,} evaluations"
        if found.likely == found.most:
            count = f"{found.likely:,} evaluation{'s' if found.likely > 1 else ''}"
        elif found.most is not None:
            count += f", at most {found.most:,}"
    if found.basis:
        count += f" ({found.basis})"
    return f"{count}. {_time(found)}"


def _time(found: Estimate) -> str:
    if found.rate is None:
        budget = "" if found.max_minutes is None else f" It ends after {duration(60 * found.max_minutes * found.jobs)}."
        return f"Minutes: no rate yet on this machine.{budget}"
    from_ = (
        f"from {found.rate.evaluations:,} of them" if found.rate.runs else "foreseen from FP32's pace in the dry run"
    )
    first = f" after {duration(found.rate.first_s)}" if found.rate.first_s else ""
    pace = f"{number(found.rate.seconds, 2)} s per new evaluation here{first}, {from_}"
    if found.likely_s is None:
        return f"{pace}."
    return f"About {duration(found.likely_s)} ({pace}); what is known already costs nothing."
