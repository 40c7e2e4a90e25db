"""What lessons 4 to 6 are told with: the chosen model where it was measured, else the first one that ships."""

from aiq_core.catalog import Model
from aiq_core.envelope import PolicyTable
from pages.common import known
from pages.common.controls import DEFAULT_MODEL, View

FEWEST = 3
"""Complete evaluations without which there is no trade-off to look at."""


def subject(view: View) -> tuple[Model, PolicyTable, str]:
    """A model with its table, and what to say where it is not the chosen one."""
    if known.is_known(view.model, view.images):
        table = known.table(view.model, view.images)
        if len(table.policies) >= FEWEST:
            return view.model, table, ""
    model = known.model(DEFAULT_MODEL)
    chosen, other = view.model.title, model.title
    table = known.table(model, known.image_counts(model)["all"])
    return model, table, f"{chosen} is not measured yet (the Search page does that), so this is {other}."


def instead(model: Model, why: str) -> tuple[Model, PolicyTable, str]:
    """The first model, because the chosen one lacks what the lesson needs."""
    first = known.model(DEFAULT_MODEL)
    note = f"{model.title} {why}, so this is {first.title}."
    return first, known.table(first, known.image_counts(first)["all"]), note
