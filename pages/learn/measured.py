"""What lessons 4 to 6 are told with: the chosen model where it was measured, else the first one that ships."""

from aiq_core.catalog import Model
from aiq_core.envelope import PolicyTable
from aiq_core.space import WEIGHTS, Space
from pages.common import known
from pages.common.controls import DEFAULT_MODEL, View

FEWEST = 3
"""Complete evaluations without which there is no trade-off to look at."""


def subject(view: View, space: Space = WEIGHTS) -> tuple[Model, PolicyTable, str]:
    """A model with its table of a space, and what to say where it is not the chosen one, or another space."""
    for each in dict.fromkeys((space, WEIGHTS)):
        if known.is_known(view.model, view.images, each):
            table = known.table(view.model, view.images, space=each)
            if len(table.policies) >= FEWEST:
                same = each is space
                note = f"{view.model.title} is not measured yet for {space.title}, so this is {each.title}."
                return view.model, table, "" if same else note
    model = known.model(DEFAULT_MODEL)
    chosen, other = view.model.title, model.title
    table = known.table(model, known.image_counts(model)["all"])
    lacks = f"Of {chosen} fewer than {FEWEST} policies are measured on {view.images:,} search images"
    return model, table, f"{lacks} for {WEIGHTS.title} (the Search page does that), so this is {other}."


def instead(model: Model, why: str) -> tuple[Model, PolicyTable, str]:
    """The first model, because the chosen one lacks what the lesson needs."""
    first = known.model(DEFAULT_MODEL)
    note = f"{model.title} {why}, so this is {first.title}."
    return first, known.table(first, known.image_counts(first)["all"]), note
