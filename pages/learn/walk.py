"""Lesson 5: how the searches walk."""

import streamlit as st

from aiq_core import jobs
from aiq_core.catalog import Model
from aiq_core.charts.lessons.walk import Walk, WalkStep, walk_frame
from aiq_core.charts.lessons.walk_figure import walk_figure
from aiq_core.errors import AiqError
from aiq_core.library import read_only
from aiq_core.records import Request, SplitName
from aiq_core.search.coordinate import COORDINATE
from aiq_core.search.greedy import GREEDY
from aiq_core.space import WEIGHTS
from pages.common import known
from pages.common.controls import DEFAULT_MODEL, View
from pages.learn import address, frame
from pages.learn.address import Setting
from pages.learn.runs import ALPHA, steps_of, walks
from pages.learn.walk_words import ANSWERS, FROZEN, HOW, KEY, TERMS, formula, message, notes, question, step_text, truth

LESSON = 5
SEARCHES = (GREEDY.name, COORDINATE.name)
SEARCH = Setting("search", SEARCHES[0])
AT = Setting("at", ALPHA, float)
MOVE = Setting("move", 1, int)
SETTINGS = (SEARCH, AT, MOVE)


def draw(view: View) -> None:
    model, excuse = _subject(view)
    runs = {search: walks(model, search) for search in SEARCHES}
    alphas = tuple(dict.fromkeys((ALPHA, *runs[SEARCHES[0]])))
    search, alpha = address.value(SEARCH, SEARCHES), address.value(AT, alphas)
    version = known.library().finished_version()
    first = steps_of(runs[SEARCHES[0]][ALPHA], version)
    greedy = steps_of(runs[SEARCHES[0]][alpha], version)
    sweeps = steps_of(runs[SEARCHES[1]][alpha], version) if alpha in runs[SEARCHES[1]] else None
    seen = [steps_of(run_id, version) for run_id in runs[SEARCHES[1]].values()]
    state = frame.asked(LESSON, ANSWERS)
    shown = sweeps if search == SEARCHES[1] and sweeps is not None else greedy
    # Until the answer shows, only the first sweep: the second is the answer.
    steps = shown.steps if state.revealed else shown.sweep(1)
    move = address.value(MOVE, tuple(step.index for step in steps))
    place = next(place for place, step in enumerate(steps) if step.index == move)
    frame.message(message(steps[place], shown), _detail(shown, model, excuse), TERMS, WEIGHTS)
    left, right = frame.halves()
    with left:
        frame.question(LESSON, question(first), ANSWERS, truth(seen), TERMS)
        if state.revealed:
            _second_sweep(seen)
        st.caption(HOW)
        frame.notes(notes(first, model))
    with right:
        other = sweeps if shown is greedy else greedy
        spec = walk_figure(shown, place, view.look, other, None if state.revealed else len(steps))
        table = walk_frame([greedy, sweeps] if state.revealed and sweeps is not None else [greedy])
        alt = f"{step_text(steps[place])}. Bits per layer after it, and loss against evaluations for each search."
        title = "Greedy" if shown is greedy else "Coordinate descent"
        # What a padlock means is the answer.
        key = KEY + FROZEN if shown is greedy and state.revealed else KEY
        frame.figure(title, key, spec, table, "walk", alt, on_played=_played)
        _controls(model, steps, alphas, search, alpha, sweeps)
    frame.formula(formula(steps[place], shown), TERMS)


def _subject(view: View) -> tuple[Model, str]:
    """The chosen model, or the first one where it was not searched, with what to say then."""
    if ALPHA in walks(view.model, GREEDY.name):
        return view.model, ""
    other = known.model(DEFAULT_MODEL)
    return other, f"No greedy search of {view.model.title} at alpha {ALPHA:g} yet, so this is {other.title}."


def _detail(shown: Walk, model: Model, excuse: str) -> str:
    run = f"Run {shown.run_id}: {model.title}, {shown.algorithm} at alpha {shown.alpha:g}"
    return f"{excuse} {run}, {shown.images:,} search images".strip()


def _second_sweep(seen: list[Walk]) -> None:
    """Jumps to a second sweep: where a layer changed, if any did."""
    if not seen:
        return
    chosen = max(seen, key=lambda each: (len(each.changed_again), each.alpha))
    again = chosen.changed_again or tuple(step for step in chosen.steps if step.sweep == 2)
    if again:
        st.button(
            f"Show sweep {again[0].sweep} at alpha {chosen.alpha:g}",
            icon=":material/redo:",
            key="learn-sweep",
            on_click=_jump,
            args=(chosen.alpha, again[0].index),
        )


def _jump(alpha: float, index: int) -> None:
    address.put(SEARCH, SEARCHES[1])
    address.put(AT, alpha)
    address.put(MOVE, index)


def _played(step: str) -> None:
    """The player stopped at a step: the rest of the screen follows it there."""
    address.put(MOVE, int(step.removeprefix("step ")))


def _start_over() -> None:
    address.put(MOVE, 1)


def _controls(
    model: Model, steps: tuple[WalkStep, ...], alphas: tuple[float, ...], search: str, alpha: float, sweeps: Walk | None
) -> None:
    move, which, at = st.columns([0.45, 0.35, 0.2], gap="medium")
    indices = tuple(step.index for step in steps)
    if len(indices) > 1:
        move.select_slider(
            "Step", indices, key=address.key(MOVE, indices), help="▶ play, in the chart, goes on from here."
        )
    names = {each.name: each.noun for each in (GREEDY, COORDINATE)}
    frame.choice(which, "Search", SEARCH, SEARCHES, format_func=names.__getitem__, on_change=_start_over, wrap=False)
    at.selectbox("Alpha", alphas, key=address.key(AT, alphas), format_func="{:g}".format, on_change=_start_over)
    if search == SEARCHES[1] and sweeps is None:
        _offer(model, alpha)


def _offer(model: Model, alpha: float) -> None:
    """Coordinate descent was not run: says so, and starts it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"Coordinate descent was not run at alpha {alpha:g}; this is greedy.", width="content")
        if not read_only():
            st.button("Run it", icon=":material/play_arrow:", key="learn-run", on_click=_submit, args=(model, alpha))
        if error := st.session_state.pop("learn:error", None):
            st.error(error, icon=":material/error:")
        elif run_id := st.session_state.get("learn:job"):
            st.caption(f"Run {run_id} is queued; the Search page shows how it goes. Come back when it is done.")


def _submit(model: Model, alpha: float) -> None:
    images = model.dataset.available(SplitName.SEARCH)
    try:
        run = jobs.submit(known.library(), Request(model.name, COORDINATE.name, alpha, images=images))
    except AiqError as error:
        st.session_state["learn:error"] = str(error)
        return
    st.session_state["learn:job"] = run.id
