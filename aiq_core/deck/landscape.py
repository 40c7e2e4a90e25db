"""What else is known of a run's model: the policies around it, on its own search images."""

from aiq_core.charts.pareto import ParetoData, pareto_data
from aiq_core.deck.facts import Facts
from aiq_core.envelope import PolicyTable, envelope
from aiq_core.errors import DataError
from aiq_core.library import Library
from aiq_core.search.baselines import RANDOM


def table_of(library: Library, known: Facts, images: int | None = None) -> PolicyTable | None:
    """What is known of the run's model on its search images; None where not even FP32 is."""
    request = known.run.request
    try:
        return library.table(known.model, images or request.images, request.quantizer)
    except DataError:
        return None


def trade_off_data(library: Library, table: PolicyTable, known: Facts | None) -> ParetoData:
    """Every policy of a table, with the run's ringed."""
    path = envelope(table, table.usual_goal)
    model = library.model(table.profile.model)
    runs = [run for run in library.runs(model) if run.request.algorithm == RANDOM.name]
    random = [run.policy for run in runs if run.policy is not None]
    shown = None if known is None else known.policy
    return pareto_data(table, [segment.row for segment in path], random, shown)
