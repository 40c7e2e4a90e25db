"""What else is known of a run's model: the policies around it, on its own search images."""

from aiq_core.charts.pareto import ParetoData, pareto_data
from aiq_core.deck.facts import WIDTHS, Facts
from aiq_core.envelope import PolicyTable, envelope
from aiq_core.errors import DataError
from aiq_core.library import Library
from aiq_core.objective import default_normaliser, floor_correct
from aiq_core.records import Algorithm

ACCURACY_NORMALISER = 10.0
"""Points that count as 1 in the loss behind the path, as on Explore."""


def table_of(library: Library, known: Facts, images: int | None = None) -> PolicyTable | None:
    """What is known of the run's model on its search images; None where not even FP32 is."""
    request = known.run.request
    try:
        return library.table(known.model, images or request.images, request.quantizer)
    except DataError:
        return None


def trade_off_data(library: Library, table: PolicyTable, known: Facts | None) -> ParetoData:
    """Every policy of a table, with the run's ringed."""
    profile = table.profile
    floor = floor_correct(None, table.baseline_correct, table.images)
    path = envelope(table, default_normaliser(profile, WIDTHS), ACCURACY_NORMALISER, floor)
    runs = [run for run in library.runs(library.model(profile.model)) if run.request.algorithm is Algorithm.RANDOM]
    random = [run.policy for run in runs if run.policy is not None]
    shown = None if known is None else known.policy
    return pareto_data(table, [segment.row for segment in path], random, shown)
