"""What else is known of a run's model: the policies around it, on the images that its accuracy is told on."""

from collections.abc import Sequence

from aiq_core.charts.pareto import ParetoData, pareto_data
from aiq_core.deck.facts import Facts
from aiq_core.deck.slide import Better
from aiq_core.deck.text import Text, say
from aiq_core.envelope import PolicyTable, best, envelope
from aiq_core.errors import DataError
from aiq_core.library import Library
from aiq_core.objective import Goal, Objective
from aiq_core.records import Policy, SplitName
from aiq_core.search.baselines import RANDOM
from aiq_core.search.strategies import strategy
from aiq_core.wording import bit_counts, number


def table_of(library: Library, chosen: Sequence[Facts]) -> PolicyTable | None:
    """What is known of the runs' model on the images that they share; None where not even FP32 is."""
    request, images = chosen[0].run.request, min(known.run.request.images for known in chosen)
    judged = min(known.images for known in chosen) if split_of(chosen) is SplitName.REPORT else None
    try:
        return library.table(chosen[0].model, images, request.quantizer, judged, by=request.traffic)
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
) -> ParetoData:
    """Every policy of a table that is known on a split, with the shown one ringed, and runs ringed and named."""
    path = envelope(table, table.usual_goal)
    drawn = library.runs(library.model(table.profile.model))
    random = [run.policy for run in drawn if run.policy is not None and run.request.algorithm == RANDOM.name]
    return pareto_data(table, [segment.row for segment in path], random, shown, split=split, runs=runs)


def images_words(table: PolicyTable, split: SplitName, ring: str) -> Text:
    """How many policies the chart shows, on which images, which images chose, and what the ring is."""
    all_ = f"{len(table.policies):,} policies"
    if split is SplitName.SEARCH:
        return say(f"{all_} on {table.images:,} search images, which choose and so flatter.{ring}")
    known = sum(found is not None for found in table.report)
    judges = f"{table.report_images:,} report images"
    return say(f"{known:,} of {all_}, judged on {judges}; searches chose on {table.images:,} others.{ring}")


def better(table: PolicyTable, known: Facts) -> Better | None:
    """What has a lower loss than a search's end, in the search's own terms; None where nothing known has."""
    run, request, row = known.run, known.run.request, table.row(known.policy)
    normaliser, floor, how = run.intensity_normaliser, run.floor_score, strategy(request.algorithm)
    # A search that was not free to change every layer has another best.
    free = how.searches and not request.fixed and not request.excluded
    if not free or row is None or request.alpha is None or normaliser is None or floor is None:
        return None
    goal = Goal(normaliser, floor, request.accuracy_normaliser, request.widths)
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
        f"{number(table.intensity[found], 2)} FLOPs per byte and {top1} on search images "
        f"({bit_counts(policy)}), the best of all {len(table.policies):,} policies measured. "
        f"This run is where {how.noun} alone ended: ",
        known.shown("intensity", 2), f" and {own}.",
    )  # fmt: skip
    return Better(run, policy, text)
