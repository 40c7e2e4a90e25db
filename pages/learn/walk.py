"""Lesson 5: how the searches walk."""

import streamlit as st

from aiq_core import jobs
from aiq_core.catalog import Model
from aiq_core.charts.lessons.walk import Walk, WalkStep, walk_frame
from aiq_core.charts.lessons.walk_figure import walk_figure
from aiq_core.errors import AiqError
from aiq_core.intensity import intensity
from aiq_core.library import read_only
from aiq_core.records import FP32_BITS, Move, Outcome, Request, Run, SplitName
from aiq_core.search.coordinate import COORDINATE
from aiq_core.search.greedy import GREEDY
from aiq_core.wording import bits_name, join, number
from pages.common import known
from pages.common.controls import DEFAULT_MODEL, View
from pages.learn import address, frame
from pages.learn.address import Setting
from pages.learn.frame import Answer, Notes
from pages.learn.runs import objective, steps_of, walks

LESSON = 5
ALPHA = 0.9
SEARCHES = (GREEDY.name, COORDINATE.name)
SEARCH = Setting("search", SEARCHES[0])
AT = Setting("at", ALPHA, float)
MOVE = Setting("move", 1, int)
SETTINGS = (SEARCH, AT, MOVE)
KEY = "│ best loss possible ● measured ▷ stopped early ★ wins"
FROZEN = "; a padlock: greedy never changes it again"
TERMS = (
    "Loss",
    "Normalisers",
    "Alpha",
    "Greedy",
    "Coordinate descent",
    "Sweep",
    "Policy",
    "Bit-width",
    "Arithmetic intensity (AI)",
)
HOW = (
    "Loss = accuracy lost − intensity, weighed by alpha. Intensity is known beforehand; the best loss possible "
    "assumes that no accuracy is lost, so a move whose best cannot win needs no measuring."
)


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
    answers = replies(first)
    state = frame.asked(LESSON, answers)
    shown = sweeps if search == SEARCHES[1] and sweeps is not None else greedy
    # Until the answer shows, only the first sweep: the second is the answer.
    steps = shown.steps if state.revealed else shown.sweep(1)
    move = address.value(MOVE, tuple(step.index for step in steps))
    place = next(place for place, step in enumerate(steps) if step.index == move)
    frame.message(message(steps[place], shown), _detail(shown, model, excuse), TERMS)
    left, right = frame.halves()
    with left:
        frame.question(LESSON, question(first), answers, truth(seen), TERMS)
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
    frame.formula(formula(steps[place], shown, _run(shown)), TERMS)


def _subject(view: View) -> tuple[Model, str]:
    """The chosen model, or the first one where it was not searched, with what to say then."""
    if ALPHA in walks(view.model, GREEDY.name):
        return view.model, ""
    other = known.model(DEFAULT_MODEL)
    return other, f"No greedy search of {view.model.title} at alpha {ALPHA:g} yet, so this is {other.title}."


def _run(shown: Walk) -> Run:
    return known.run(shown.run_id, known.library().finished_version())


def _detail(shown: Walk, model: Model, excuse: str) -> str:
    run = f"Run {shown.run_id}: {model.title}, {shown.algorithm} at alpha {shown.alpha:g}"
    return f"{excuse} {run}, {shown.images:,} search images".strip()


def step_text(step: WalkStep) -> str:
    """A step's arithmetic in words."""
    if not step.options:
        return f"Step {step.index}: nothing left to move"
    return (
        f"Step {step.index}: {len(step.options)} moves, {step.measured} measured, {step.settled} settled by arithmetic"
    )


def message(step: WalkStep, shown: Walk) -> str:
    """How few of a step's moves had to be measured, and what became of it."""
    move = "keeps what it has" if step.layer is None else f"{step.layer} goes to {bits_name(step.bits or 32)}"
    if not step.options:
        return f"Step {step.index} of {len(shown.steps)}: nothing left to move."
    return (
        f"Step {step.index} of {len(shown.steps)}: {len(step.options)} moves, :violet[{step.measured} measured, "
        f"{step.settled} "
        f"settled by arithmetic]; {move}."
    )


def question(first: Walk) -> str:
    """Who can take the first move back?"""
    move = first.moves[0]
    later = max(2, min(15, len(first.steps) - 1))
    return (
        f"Greedy put {move.layer} at {bits_name(move.bits or 32)} in step 1. Suppose at step {later} this turns out "
        "to hurt. Which "
        "search can undo it?"
    )


def replies(first: Walk) -> list[Answer]:
    """The options, with what is wrong about each."""
    return [
        Answer("Greedy: it always takes the best", "The best of what is offered, and only FP32 layers are."),
        Answer("Nobody", "True of greedy. A sweep offers every width again, 32 too."),
        Answer("Both: they ended alike in the paper", "One coincidence is no guarantee."),
        Answer("Coordinate descent, in its next sweep", "A sweep offers each layer every width again.", True),
    ]


def truth(seen: list[Walk]) -> str:
    """What the second sweeps did in the runs known."""
    head = "**Coordinate descent, in its next sweep.**"
    if not seen:
        return f"{head} No such run of this model is known yet: choose coordinate descent under the chart to start one."
    usual = next((each for each in seen if each.alpha == ALPHA), None)
    restless = [each for each in seen if each.changed_again]
    if usual is not None:
        again = len(usual.changed_again)
        what = f"{_layers(again)}" if again else "none changed its mind: sweep 2 confirmed sweep 1"
        head += f" At alpha {ALPHA:g}, {what}."
    if restless:
        most = max(restless, key=lambda each: len(each.changed_again))
        # A layer that moved before and moves again shows it best; one that leaves FP32 late had only waited.
        example = next((step for step in most.changed_again if step.before != FP32_BITS), most.changed_again[0])
        head += (
            f" At {len(restless)} of {len(seen)} alphas searched one did or more, most at alpha {most.alpha:g}: "
            f"{_layers(len(most.changed_again))}, such as {_change(example)}."
        )
    return head


def _layers(count: int) -> str:
    return "1 layer changed its mind" if count == 1 else f"layers changed their mind {count} times"


def _change(step: WalkStep) -> str:
    return f"{step.layer}: {bits_name(step.before or 32)} → {bits_name(step.bits or 32)} in sweep {step.sweep}"


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


def formula(step: WalkStep, shown: Walk, run: Run) -> str:
    """The winner's loss, a loser's, and a pruned one's bound, with their numbers in."""
    rule, names = objective(run), {}
    candidates = next(each for each in run.steps if each.index == step.index).candidates
    for outcome in (Outcome.WON, Outcome.LOST, Outcome.PRUNED):
        # A pruned one that ties with the winner lost by order; the arithmetic shows on one that lies behind.
        names[outcome] = min(
            (c for c in candidates if c.outcome is outcome),
            key=lambda c: (outcome is Outcome.PRUNED and c.bound <= step.loss, c.bound),
            default=None,
        )
    parts = []
    base, won, lost, pruned = rule.baseline_score, *(names[o] for o in (Outcome.WON, Outcome.LOST, Outcome.PRUNED))
    norm = number(rule.intensity_normaliser, 2)
    if won is not None and won.score is not None and won.loss is not None:
        right = [number(100 * count / rule.images, 2) for count in (base, won.score)]
        parts.append(
            f"**winner** {won.move.site.name} −{rule.alpha:g} × {number(won.intensity, 3)}/{norm} + "
            f"{1 - rule.alpha:.1g} × max(0, {right[0]} − {right[1]})/{rule.accuracy_normaliser:g} = "
            f"**{number(won.loss, 4)}**"
        )
    if lost is not None and lost.score is not None and lost.loss is not None:
        parts.append(
            f"**loser** {lost.move.site.name} ({number(100 * lost.score / rule.images, 2)} %) {number(lost.loss, 4)}"
        )
    if pruned is not None:
        parts.append(
            f"**pruned** {pruned.move.site.name} at {bits_name(pruned.move.bits)}: bound −{rule.alpha:g} × "
            f"{number(pruned.intensity, 3)}/{norm} = {number(pruned.bound, 4)}"
        )
    if not parts:
        parts.append(f"no move beats the loss {number(step.loss, 4)} that it has")
    return join(parts)


def notes(first: Walk, model: Model) -> Notes:
    """Try this, and the teacher's note."""
    layers, moves = len(first.layers), sum(len(step.options) for step in first.steps)
    half = len(first.steps) // 2
    early = sum(step.measured for step in first.steps[:half])
    early_moves = sum(len(step.options) for step in first.steps[:half])
    asked = first.steps[-1].evaluations
    policies = 3**layers
    many = f"3^{layers} = {policies:,}" if layers <= 20 else f"3^{layers} ≈ 10^{len(str(policies)) - 1}"
    return Notes(
        f"Scrub to the end. Here the bound needs {asked:,} of {moves:,} evaluations: {early:,} of the first "
        f"{early_moves:,}, {asked - early:,} of the rest. Why does it go blunt?",
        "(It assumes that the accuracy spent so far comes back.)",
        "An exact bound skips most moves. What does “exact” mean here, and does it make the result the best there is?",
        f"The winner is the one that measuring everything finds. The best of {many} policies it need not be: "
        f"greedy tries at most {layers * (layers + 1):,} moves, a sweep {2 * layers}. {_allowance(first, model)} "
        "Whose decision survives new images?",
    )


def _allowance(first: Walk, model: Model) -> str:
    """How many images the smallest and the largest layer may cost at 4 bits and still pay, from FP32."""
    profile, rate = model.profile, objective(_run(first)).points_per_intensity
    sizes = [layer.weights for layer in profile.quantizable]
    fp32 = profile.uniform(32)
    said = []
    for size in (min(sizes), max(sizes)):
        site = profile.weight_sites[sizes.index(size)]
        gain = intensity(profile, profile.moved(fp32, Move(site, 4))) - intensity(profile, fp32)
        said.append(f"{site.name} may cost {int(rate * gain * first.images / 100):,}")
    return f"At alpha {first.alpha:g}, of {first.images:,} images, {said[0]}, {said[1]}."
