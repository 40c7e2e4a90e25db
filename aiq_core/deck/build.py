"""Runs and a machine -> a deck."""

from collections.abc import Sequence

from aiq_core import __version__
from aiq_core.catalog import Model
from aiq_core.deck import compare, front, measured, roofline_slides, slides
from aiq_core.deck.facts import Facts, facts
from aiq_core.deck.landscape import PAPER_ALPHA, better, table_of
from aiq_core.deck.provenance import provenance
from aiq_core.deck.slide import Better, Deck, Slide
from aiq_core.deck.text import plain
from aiq_core.envelope import PolicyTable
from aiq_core.errors import SettingError
from aiq_core.hardware import Machine
from aiq_core.library import Library
from aiq_core.records import UNFUSED, Run, RunStatus
from aiq_core.search.greedy import GREEDY
from aiq_core.space import SPACES, Space, space_of

MOST_RUNS = 6
"""Runs in one deck: more do not fit one comparison."""

LETTERS = "ABCDEF"


def default_run(library: Library, model: Model, alpha: float = PAPER_ALPHA) -> Run | None:
    """The run that a deck shows where nobody chose one: greedy at an alpha, in the space that opens first and has it.

    Else the first finished search, else the first front.
    """
    finished = [run for run in library.runs(model) if run.status is RunStatus.DONE]
    done = [run for run in finished if run.policy is not None]
    fronts = [run for run in finished if run.request.points is not None]
    greedy = [run for run in done if run.request.algorithm == GREEDY.name]
    at_alpha = [run for run in greedy if run.request.alpha == alpha and run.request.traffic == UNFUSED]
    usual = [run for space in SPACES.values() for run in at_alpha if _is_usual(run, space, model)]
    return next(iter([*usual, *greedy, *done, *fronts]), None)


def _is_usual(run: Run, space: Space, model: Model) -> bool:
    request = run.request
    if request.label or space_of(request, model.dataset) is not space:
        return False
    return space.is_usual(request, request.quantizer, model.profile)


def build(library: Library, run_ids: Sequence[str], machine: Machine) -> Deck:
    """The deck of these runs on a machine. Raises UnknownNameError and SettingError."""
    ids = list(dict.fromkeys(run_ids))
    if not 1 <= len(ids) <= MOST_RUNS:
        raise SettingError(f"{len(ids)} runs are asked for, a deck takes 1 to {MOST_RUNS}; choose fewer")
    letters = LETTERS if len(ids) > 1 else ""
    chosen = [
        facts(library, library.run(run_id), machine, letters[place : place + 1]) for place, run_id in enumerate(ids)
    ]
    made: list[Slide] = list(compare.slides(library, chosen)) if len(chosen) > 1 else []
    shown: set[Model] = set()
    outdone: list[Better] = []
    for known in chosen:
        table = table_of(library, [known])
        found = None if table is None else better(table, known)
        made += _of_run(library, known, table, found, with_problem=known.model not in shown)
        outdone += [] if found is None else [found]
        shown.add(known.model)
    titles = list(dict.fromkeys(known.title for known in chosen))
    title = plain(made[0].title) if len(chosen) == 1 else f"{', '.join(titles)}: {len(chosen)} runs compared"
    documents = tuple(known.document for known in chosen)
    return Deck(title, machine.key, machine.name, tuple(made), documents, __version__, tuple(outdone))


def _of_run(
    library: Library, known: Facts, table: PolicyTable | None, found: Better | None, with_problem: bool
) -> list[Slide]:
    made: list[Slide | None] = [
        *front.slides(library, known, table),
        slides.opening(known),
        roofline_slides.problem(known) if with_problem else None,
        roofline_slides.movement(known),
        slides.widths(known, table),
        slides.trade_off(library, known, table),
        slides.uniform(known),
        slides.speed(known),
        measured.slide(library, known),
        slides.cost(known),
        provenance(known, found),
    ]
    return [slide for slide in made if slide is not None]
