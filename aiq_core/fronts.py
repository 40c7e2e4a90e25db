"""The front that a run found: its points, what each loses on which images, and the one that a budget leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from aiq_core.charts.front import Mark, Standing
from aiq_core.frontier import ALGORITHM, Budget, Quantity
from aiq_core.frontier.sensitivity import Measure, known
from aiq_core.intensity import intensity
from aiq_core.library import Library
from aiq_core.records import FP32_BITS, ImageSet, Policy, Request, Run, SplitName
from aiq_core.search.frontier import REFINED
from aiq_core.statistics import Z_ONE_SIDED, Comparison
from aiq_core.wording import number

WITHIN = Budget(Quantity.DROP, 0.5)
"""The budget whose point stands for a front where one policy is wanted."""


@dataclass(frozen=True, eq=False)
class Point:
    """A policy of a front against FP32: on all search images of its run, those that confirm, and report images.

    `seconds` an image are what a table of kernels predicts, where the front is along time.
    `confirm` are all search images where nothing was chosen on any of them. None where it is not measured. `ratio` is
    its AI over FP32's by the run's traffic model; `cost` what it is predicted to cost, in nats. `beaten` says that
    another one has more AI and more right on the images that confirm.
    """

    policy: Policy
    intensity: float
    ratio: float
    cost: float | None
    refined: bool
    search: Comparison | None
    confirm: Comparison | None
    report: Comparison | None
    beaten: bool = False
    seconds: float | None = None

    @property
    def gain(self) -> float:
        """What its front is along: AI, or speed."""
        return self.intensity if self.seconds is None else -self.seconds


def confirming(request: Request) -> ImageSet:
    """The search images that confirm a request's points: those on which none was chosen.

    Costs are measured without search images, so where no point was chosen by evaluations these are all of them.
    """
    start = 0 if request.algorithm == ALGORITHM and not request.refinement else request.choose_images or 0
    return ImageSet(SplitName.SEARCH, request.images, start)


def judges(request: Request) -> str:
    """What these are called beside their number: `confirm` where others were chosen on, else all `search` images."""
    return "confirm" if confirming(request).start else "search"


def points(library: Library, run: Run, report_images: int | None = None, imported: bool = False) -> tuple[Point, ...]:
    """The points of a run's steps, from the lowest AI upwards; `imported` evaluations count if asked."""
    request, model = run.request, library.model(run.request.model)
    profile, quantizer = model.profile, request.quantizer
    fp32 = profile.uniform(FP32_BITS)
    costs = known(model, quantizer, Measure(request.measure)) if request.measure else None
    baseline = intensity(profile, fp32, by=request.traffic, quantizer=quantizer)
    table = None if request.table is None else library.kernel_table(request.table)
    start = confirming(request).start
    judged = report_images or model.dataset.available(SplitName.REPORT)

    def against(split: SplitName, images: int, policy: Policy, start: int = 0) -> Comparison | None:
        return library.paired(model, split, images, fp32, policy, quantizer, imported, start)

    found = {}
    for step in run.steps:
        policy = step.policy
        found[policy] = Point(
            policy=policy,
            intensity=step.intensity,
            ratio=step.intensity / baseline,
            cost=None if costs is None else costs.predicted(profile, policy),
            refined=step.sweep == REFINED,
            search=against(SplitName.SEARCH, request.images, policy),
            confirm=against(SplitName.SEARCH, request.images, policy, start),
            report=against(SplitName.REPORT, judged, policy),
            seconds=None if table is None else table.seconds_an_image(profile, policy),
        )
    return _marked(sorted(found.values(), key=lambda point: point.intensity))


def _marked(found: Sequence[Point]) -> tuple[Point, ...]:
    """The points in their order, told whether another beats them; of equal gain only the one with most right stands."""
    best = -np.inf
    marked: dict[Policy, Point] = {}
    for point in sorted(found, key=lambda point: (point.gain, _right(point)), reverse=True):
        marked[point.policy] = replace(point, beaten=_right(point) <= best)
        best = max(best, _right(point))
    return tuple(marked[point.policy] for point in found)


def _right(point: Point) -> float:
    """The value on the images that confirm; below all where it is not measured."""
    return -np.inf if point.confirm is None else point.confirm.after.value


def marks(found: Sequence[Point]) -> tuple[Mark, ...]:
    """The measured points as charts draw them, told how each stands on the images that confirm."""
    measured = [point for point in found if point.confirm is not None]
    hull = _hull([(point.intensity, max(0.0, _drop(point).drop.value)) for point in measured])
    return tuple(
        Mark(
            policy=point.policy,
            intensity=point.intensity,
            ratio=point.ratio,
            drop=_drop(point).drop,
            cost=point.cost,
            refined=point.refined,
            standing=Standing.DOMINATED if point.beaten else Standing.HULL if place in hull else Standing.FRONT,
        )
        for place, point in enumerate(measured)
    )


def _hull(at: Sequence[tuple[float, float]]) -> set[int]:
    """Which of (AI, points lost), by rising AI, lose least at some price of a point: the lower convex hull's."""
    least = min((lost for _, lost in at), default=0.0)
    hull: list[int] = []
    for place, (value, lost) in enumerate(at):
        if not hull or lost <= least:
            hull = [place]  # more AI, and nothing lost for it
            continue
        while len(hull) > 1 and _steeper(at[hull[-2]], at[hull[-1]], (value, lost)):
            hull.pop()
        hull.append(place)
    return set(hull)


def _steeper(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether the middle one lies above the line between the others."""
    return (middle[1] - first[1]) * (last[0] - first[0]) > (last[1] - first[1]) * (middle[0] - first[0])


@dataclass(frozen=True, eq=False)
class Choice:
    """The point that a budget of points lost leaves, None where none keeps it, and in a sentence why it is this one.

    `nearest` is the point that loses least, told where none keeps the budget.
    """

    point: Point | None
    nearest: Point | None
    sentence: str


def choose(found: Sequence[Point], budget: Budget) -> Choice:
    """The point of highest AI that loses no more than a DROP on the images that confirm.

    Where it is to be `confident`, points are tested in the order of their AI, which was known before any was measured,
    each with a one-sided bound at 95 %, and the first that fails ends it: so all that passed hold together (a fixed
    sequence; Westfall and Krishen, Journal of Statistical Planning and Inference 99, 2001). Points that were chosen by
    evaluations are left out there.
    """
    measured = [point for point in found if point.confirm is not None]
    if not measured:
        return Choice(None, None, "no point is measured yet")
    nearest = min(measured, key=lambda point: _drop(point).drop.value)
    images = f"{_drop(nearest).images:,} images that confirm"
    if budget.confident:
        passed = _passed([point for point in measured if not point.refined], budget.limit)
        if passed:
            bound = number(_drop(passed[-1]).most_lost, 2)
            told = f"{len(passed)} points pass one after another, the last with at most {bound} points lost on {images}"
            return Choice(passed[-1], nearest, told)
        return Choice(None, nearest, _not_passed(measured[0], budget))
    # 1e-9: 0.1 points is not binary.
    kept = [point for point in measured if _drop(point).drop.value <= budget.limit + 1e-9]
    if kept:
        most = max(kept, key=lambda point: point.gain)
        lost, what = number(_drop(most).drop.value, 2), "highest AI" if most.seconds is None else "shortest time"
        return Choice(most, nearest, f"the {what} of {len(measured)} points: {lost} points lost on {images}")
    lost = number(_drop(nearest).drop.value, 2)
    told = f"no point keeps {budget.words()} on {images}; the one that comes nearest loses {lost}"
    return Choice(None, nearest, told)


def as_chosen(library: Library, run: Run) -> Run:
    """A frontier run as one that chose its point within `WITHIN`, or the one that loses least; any other as it is."""
    if run.request.points is None:
        return run
    choice = choose(points(library, run, imported=True), WITHIN)
    point = choice.point or choice.nearest
    return run if point is None else replace(run, policy=point.policy)


def _drop(point: Point) -> Comparison:
    assert point.confirm is not None  # those that are not measured were left out
    return point.confirm


def _passed(found: Sequence[Point], limit: float) -> list[Point]:
    passed = []
    for point in found:
        if _drop(point).most_lost > limit + 1e-9:
            break
        passed.append(point)
    return passed


def _not_passed(first: Point, budget: Budget) -> str:
    """That the first point already fails, and on how many images one that loses as much would pass."""
    compared = _drop(first)
    told = (
        f"no point keeps {budget.words()} on {compared.images:,} images that confirm: the first, of lowest AI, may "
        f"lose {number(compared.most_lost, 2)}"
    )
    room = (budget.limit - max(0.0, compared.drop.value)) / 100
    if room <= 0:
        return f"{told}; more images would not help, since it loses {number(compared.drop.value, 2)} as measured"
    changed = (compared.lost + compared.gained) / compared.images
    wanted = ceil(changed * (Z_ONE_SIDED / room) ** 2)
    return f"{told}; about {wanted:,} images would show that it keeps it"
