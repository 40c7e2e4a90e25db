"""A frontier run for slides: the whole of it first, and one of its points to show as any other run's policy."""

from collections.abc import Mapping
from dataclasses import replace

from aiq_core import fronts
from aiq_core.charts.front import (
    FrontData,
    Mark,
    front_data,
    front_frame,
    predicted_words,
)
from aiq_core.charts.front_figure import front_figure, predicted_figure
from aiq_core.deck.facts import Facts, kicker, method
from aiq_core.deck.parts import counted, in_both, records
from aiq_core.deck.slide import Number, Slide
from aiq_core.deck.text import Text, say
from aiq_core.envelope import PolicyTable
from aiq_core.fronts import WITHIN
from aiq_core.library import Library
from aiq_core.records import Policy, SplitName
from aiq_core.statistics import Comparison
from aiq_core.wording import MINUS, duration, number


def slides(library: Library, known: Facts, table: PolicyTable | None) -> list[Slide]:
    """The front, and how well it was predicted; none of runs that have no points."""
    if known.run.request.points is None:
        return []
    data = _data(library, known, table)
    return [_front(known, data), *([_predicted(known, data)] if data.rank_correlation is not None else [])]


def _data(library: Library, known: Facts, table: PolicyTable | None) -> FrontData:
    """On report images where all points are measured there, else on those that confirm."""
    found, request = fronts.points(library, known.run, imported=known.imported), known.run.request
    marks = fronts.marks(found)
    judges, images = fronts.judges(request), fronts.confirming(request).count
    reported = {point.policy: point.report for point in found if point.report is not None}
    if len(reported) == len(marks):
        marks = tuple(_reported(mark, reported) for mark in marks)
        judges, table = SplitName.REPORT, None
        images = next(iter(reported.values())).images
    same = table is not None and (table.images, table.judges) == (images, judges)
    return front_data(marks, images, judges, known.policy, table if same else None, request.traffic)


def _reported(mark: Mark, reported: Mapping[Policy, Comparison]) -> Mark:
    return replace(mark, drop=reported[mark.policy].drop)


def _gain(known: Facts, field: str) -> Text:
    name = f"{field}.intensity_gain_percent"
    sign = "+" if known.value(name) >= 0 else MINUS
    return say(sign, known.shown(name, lambda value: number(abs(value), 0)), " %")


def _title(known: Facts) -> Text:
    """How many points, from where to where, and what the budget leaves of them."""
    points = known.value("points")
    ends = say(
        f"{len(points)} points from ", _gain(known, "points.0"), " to ", _gain(known, f"points.{len(points) - 1}")
    )
    within = f"{number(WITHIN.limit, 1)} points lost"
    if known.value("chosen") is None:
        return say(ends, f"; none within {within}")
    return say(ends, f"; within {within}: ", _gain(known, "chosen"))


def _front(known: Facts, data: FrontData) -> Slide:
    points = known.value("points")
    lead = say(f"Work per byte over FP32’s, and points lost on {data.images:,} {data.judges} images. Ring: shown next.")
    alt = f"Points lost against FLOPs per byte: {len(data.marks)} points."
    refinement, chosen_by = known.run.request.refinement, known.run.request.measure
    refined = f"{number(refinement, 0)} of them to refine, at most" if refinement else ""
    numbers = (
        Number("Points", say(f"{len(points)}"), say(f"{sum(not point['beaten'] for point in points)} not beaten")),
        Number(
            "Evaluations",
            say(known.shown("evaluations", 0)),
            say(refined or ("one a point, and none to choose" if chosen_by else "each of a policy that was drawn")),
        ),
        Number(
            "Time",
            say(known.shown("seconds", duration)),
            say(known.shown("evaluations_new", 0), " of them computed then"),
        ),
    )
    how = (
        "Chosen by what widths cost by themselves on calibration images, without labels: for each AI the least sum, by "
        "a mixed-integer linear program."
        if chosen_by
        else f"By {method(known.run)}: what stayed on the front of all that was drawn."
    )
    notes = (
        say(counted(known.traffic)),
        say(how),
        say("Intervals: 95 %, Newcombe, paired. A point within a budget as measured may lose more on other images."),
    )
    figure = in_both(lambda look: front_figure(data, look), alt, records(front_frame(data)))
    return Slide("front", kicker(known), _title(known), lead, numbers, figure, notes=notes)


def _predicted(known: Facts, data: FrontData) -> Slide:
    rho, (inside, of) = data.rank_correlation or 0.0, data.within
    title = say(f"Known before measuring: predictions rank the points with correlation {number(rho, 2)}")
    alt = f"Points lost against predicted cost. {predicted_words(data)}"
    lead = say(f"What the line predicts lies in {inside} of {of} intervals of 95 %.")
    figure = in_both(lambda look: predicted_figure(data, look), alt, records(front_frame(data)))
    notes = (say("Spearman’s rank correlation. Cost: the divergence from FP32’s predictions, summed over widths."),)
    return Slide("predicted", kicker(known), title, lead, (), figure, notes=notes)
