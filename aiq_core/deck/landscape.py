"""What else is known of a run's model: the policies around it, on the images that its accuracy is told on."""

from collections.abc import Sequence
from dataclasses import replace

from aiq_core.charts.pareto import ParetoData, Point, describe, pareto_data
from aiq_core.deck.facts import Facts
from aiq_core.deck.slide import Better
from aiq_core.deck.text import Text, say
from aiq_core.envelope import PolicyTable, best, envelope
from aiq_core.errors import DataError, InfeasibleError
from aiq_core.intensity import intensity
from aiq_core.library import Library
from aiq_core.objective import Goal, Objective, floor_score
from aiq_core.records import FP32_BITS, Policy, Run, SplitName
from aiq_core.search.baselines import RANDOM
from aiq_core.search.greedy import GREEDY
from aiq_core.search.strategies import strategy
from aiq_core.space import JOINT, WEIGHTS, space_of
from aiq_core.wording import bit_counts, number

PAPER_ALPHA = 0.9
"""Of the paper's runs."""


def table_of(library: Library, chosen: Sequence[Facts]) -> PolicyTable | None:
    """What is known of the runs' model on the images that they share; None where not even FP32 is."""
    model, request, requests = chosen[0].model, chosen[0].run.request, [known.run.request for known in chosen]
    images, start, judged = min(request.images for request in requests), 0, None
    if split_of(chosen) is SplitName.REPORT:
        # Beside report images stand those that confirm, where a search keeps some apart.
        judged, start = min(known.images for known in chosen), request.choose_images or 0
    else:
        images = min(request.chooses_on for request in requests)
    space = space_of(request, model.dataset) or (JOINT if request.is_joint else WEIGHTS)
    try:
        return replace(library.table(model, images, request.quantizer, judged, start, request.traffic), space=space)
    except DataError:
        return None


def split_of(chosen: Sequence[Facts]) -> SplitName:
    """The images that the runs' accuracies can be compared on: report only where each is told on them."""
    judged = all(known.split is SplitName.REPORT for known in chosen)
    return SplitName.REPORT if judged else SplitName.SEARCH


def trade_off_data(
    library: Library,
    table: PolicyTable,
    split: SplitName,
    shown: Policy | None = None,
    runs: Sequence[tuple[str, Policy]] = (),
    beside: Sequence[tuple[str, Point]] = (),
) -> ParetoData:
    """Every policy of a table that is known on a split, with the shown one ringed, and runs ringed and named.

    `beside` are points of policies that were rounded otherwise.
    """
    path = envelope(table, table.usual_goal)
    drawn = library.runs(library.model(table.profile.model))
    random = [run.policy for run in drawn if run.policy is not None and run.request.algorithm == RANDOM.name]
    return pareto_data(table, [segment.row for segment in path], random, shown, split=split, runs=runs, beside=beside)


def weights_only(library: Library, known: Facts) -> Run | None:
    """Where a run of both kinds of bits begins: the paper's search, of weights alone; None beside that itself."""
    if not known.run.request.is_joint or known.split is None:
        return None
    runs = (run for run in library.runs(known.model) if run.request.is_ordinary and run.policy is not None)
    return next((run for run in runs if (run.request.algorithm, run.request.alpha) == (GREEDY.name, PAPER_ALPHA)), None)


def point_beside(library: Library, known: Facts, run: Run) -> Point | None:
    """Another run's end on the images and by the traffic model of a run; None where it is not known there."""
    policy, quantizer, split = run.policy, run.request.quantizer, known.split
    if policy is None or split is None:
        return None
    fp32, where = known.profile.uniform(FP32_BITS), (known.model, split, known.images)
    cells = library.paired(*where, fp32, policy, quantizer)
    if cells is None:
        return None
    value, top1 = intensity(known.profile, policy, 1, known.traffic, quantizer), cells.after
    return Point(-1, policy.key, describe(policy), value, top1.value, top1.low, top1.high)


def images_words(table: PolicyTable, split: SplitName, ring: str) -> Text:
    """How many policies the chart shows, on which images, which images chose, and what the ring is."""
    all_ = f"{len(table.policies):,} policies"
    if split is SplitName.SEARCH:
        return say(f"{all_} on {table.images:,} search images, which choose and so flatter.{ring}")
    known = sum(found is not None for found in table.report)
    judges = f"{table.report_images:,} report images"
    if not table.start:
        return say(f"{known:,} of {all_}, judged on {judges}; searches chose on {table.images:,} others.{ring}")
    chose = f"chosen on {table.start:,} others, confirmed on {table.images:,}"
    return say(f"{known:,} of {all_} on {judges}; {chose}.{ring}")


def better(table: PolicyTable, known: Facts) -> Better | None:
    """What has a lower loss than a search's end, in the search's own terms; None where nothing known has."""
    run, request, row = known.run, known.run.request, table.row(known.policy)
    normaliser, how = run.intensity_normaliser, strategy(request.algorithm)
    # A search that was not free to change every layer has another best.
    free = how.searches and not request.fixed and not request.excluded
    if not free or row is None or request.alpha is None or normaliser is None:
        return None
    # On the table's images, which are not those that the search chose on where it keeps some apart.
    try:
        floor = floor_score(table.metric, request.floor_percent, table.baseline_score, table.images)
    except InfeasibleError:
        return None
    goal = Goal(normaliser, floor, request.accuracy_normaliser, request.widths, request.activation_widths)
    found = best(table, request.alpha, goal)
    terms = request.alpha, normaliser, request.accuracy_normaliser
    loss = Objective(table.metric, *terms, table.images, table.baseline_score, floor).loss
    end, lowest = (loss(float(table.intensity[at]), table.score[at].item()) for at in (row, found))
    if lowest >= end:
        return None
    policy = table.policies[found]
    top1, own = (f"{number(table.points[at], 2)} %" for at in (found, row))
    text = say(
        f"Better{known.letter and ' than '}{known.letter} at alpha {request.alpha:g}: "
        f"{number(table.intensity[found], 2)} FLOPs per byte and {top1} on {table.judges} images "
        f"({bit_counts(policy)}), the best of all {len(table.policies):,} policies measured. "
        f"This run is where {how.noun} alone ended: ",
        known.shown("intensity", 2), f" and {own}.",
    )  # fmt: skip
    return Better(run, policy, text)
