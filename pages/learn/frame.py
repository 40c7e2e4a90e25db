"""The parts that every lesson's screen has: message, navigation, question, answer, chart with table, formula, notes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from aiq_core.hardware import DEFAULT_MACHINE, PRESETS, Machine
from aiq_core.space import SPACES, Space
from pages.common import known
from pages.common.charts import Click, card, chart
from pages.common.controls import View
from pages.common.popovers import popover
from pages.learn import address, glossary
from pages.learn.address import Setting

TITLES = ("Roofline", "Batch", "Rounding", "Layers", "Search", "Alpha", "Speed", "Questions")
TABLE_PX = 300


@dataclass(frozen=True)
class Answer:
    """An option of a question, and what is said to who chose it. `ghost` is where the guess stands in the chart."""

    text: str
    reply: str
    right: bool = False
    ghost: float | None = None


@dataclass(frozen=True)
class Notes:
    """What opens on demand: `outcome` answers `attempt`, `more` the teacher's question to the room, `ask`."""

    attempt: str
    outcome: str
    ask: str
    more: str


@dataclass(frozen=True)
class Asked:
    """Where the reader stands with the question: the guess's place in the chart, and whether the truth shows."""

    ghost: float | None
    revealed: bool


def navigation() -> None:
    """The steps, with a tick on those done, and the way back and on."""
    step, done = address.step(), address.done()
    names = {
        number: f"{'✓ ' if number in done else ''}{number if number < address.QUESTIONS else '?'} {title}"
        for number, title in enumerate(TITLES, start=1)
    }
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Back", key="learn-back", icon=":material/arrow_back:", disabled=step == 1, on_click=address.go,
            args=(step - 1,), type="tertiary",
        )  # fmt: skip
        # Set before the widget is drawn: the address and both buttons move it too.
        st.session_state["learn-steps"] = step
        st.segmented_control(
            "Lesson",
            list(names),
            format_func=names.__getitem__,
            key="learn-steps",
            required=True,
            label_visibility="collapsed",
            on_change=_picked,
            wrap=True,
        )
        st.button(
            "Next", key="learn-next", icon=":material/arrow_forward:", disabled=step == address.QUESTIONS,
            on_click=address.go, args=(step + 1,), type="primary" if step in done else "secondary",
        )  # fmt: skip


def _picked() -> None:
    address.go(st.session_state["learn-steps"] or address.step())


def message(text: str, detail: str, terms: Sequence[str], space: Space) -> None:
    """The lesson's message, made from the numbers, which of both kinds of bits it is about, and its numbers' source."""
    st.markdown(f"#### {text}")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(f"**{space.title.capitalize()}.** {detail}", width="content")
        glossary.popover(terms)


def halves() -> list[Any]:
    """The question's column, and the chart's."""
    return st.columns([0.29, 0.71], gap="small")


def _guessed(lesson: int, answers: Sequence[Answer]) -> int | None:
    """The place of the option that was guessed, if one was."""
    guess = address.guess(lesson)
    return int(guess) if guess is not None and guess < len(answers) else None


def asked(lesson: int, answers: Sequence[Answer]) -> Asked:
    """The state of a question with options."""
    place = _guessed(lesson, answers)
    ghost = None if place is None or address.is_hidden() else answers[place].ghost
    return Asked(ghost, address.is_revealed(lesson))


def question(
    lesson: int,
    text: str,
    answers: Sequence[Answer],
    truth: str,
    terms: Sequence[str],
    before: Callable[[], None] | None = None,
) -> None:
    """The question with its options; after the reveal, what is wrong with the guess, and the truth."""
    with st.container(border=True, gap="small"):
        guess = _guessed(lesson, answers)
        if address.is_revealed(lesson):
            _answered(text, answers, guess)
            reveal_button(lesson, True)
            st.markdown(truth)
            return
        widget = f"learn-{lesson}-guess"
        if widget not in st.session_state and guess is not None:
            st.session_state[widget] = guess
        st.radio(
            f"**Predict.** {text}",
            range(len(answers)),
            index=None,
            format_func=lambda place: answers[place].text,
            key=widget,
            on_change=_voted,
            args=(lesson,),
            help=glossary.explain(terms),
        )
        reveal_button(lesson, guess is not None, before)


def _answered(text: str, answers: Sequence[Answer], guess: int | None) -> None:
    """The question with the right option and the guess marked, and what is to be said of the guess."""
    lines = []
    for place, answer in enumerate(answers):
        words = f"**{answer.text}**" if answer.right else answer.text
        own = " :violet[◎ your guess]" if place == guess else ""
        lines.append(f"{'✓' if answer.right else '○'} {words}{own}")
    st.markdown(f"**Predict.** {text}\n\n" + "  \n".join(lines))
    if guess is not None:
        verdict(answers[guess].right, answers[guess].reply)


def verdict(right: bool, reply: str) -> None:
    """Right or wrong, with a sign and a word beside the colour."""
    if right:
        st.success(f"**Right.** {reply}".strip(), icon=":material/check_circle:")
    else:
        st.info(f"**Not quite.** {reply}", icon=":material/lightbulb:")


def _voted(lesson: int) -> None:
    chosen = st.session_state[f"learn-{lesson}-guess"]
    if chosen is not None:
        address.set_guess(lesson, chosen)


def reveal_button(lesson: int, guessed: bool, before: Callable[[], None] | None = None) -> None:
    """Shows the truth, with or without a guess; locked while a teacher holds the answers back."""
    if address.is_revealed(lesson):
        st.button(
            "Ask me again", key=f"learn-{lesson}-again", icon=":material/replay:", type="tertiary",
            on_click=address.ask_again, args=(lesson,),
        )  # fmt: skip
        return
    hidden = address.is_hidden()
    st.button(
        "Check my guess" if guessed else "Show me",
        key=f"learn-{lesson}-reveal",
        icon=":material/lock:" if hidden else ":material/visibility:",
        type="primary" if guessed else "secondary",
        disabled=hidden,
        on_click=_reveal,
        args=(lesson, before),
        help="The teacher holds the answers back; the guess is kept." if hidden else None,
    )


def _reveal(lesson: int, before: Callable[[], None] | None) -> None:
    if before is not None:
        before()
    address.reveal(lesson)


def figure(
    title: str, subtitle: str, spec: dict[str, Any], frame: pd.DataFrame, name: str, alt: str,
    on_click: Callable[[Click], None] | None = None, on_played: Callable[[str], None] | None = None,
) -> None:  # fmt: skip
    """A chart in its card, with the same data as a table and as CSV."""

    def table() -> None:
        st.dataframe(frame, hide_index=True, height=TABLE_PX, key=f"learn-table-{name}")

    button = partial(popover, "Table", "table_rows", table, f"popover-learn-{name}")
    with card(title, subtitle, lambda: frame, f"learn-{name}", extra=button):
        chart(spec, f"learn-{name}", f"learn-{name}", alt, on_click=on_click, on_played=on_played)


def formula(text: str, terms: Sequence[str], letters: str = "") -> None:
    """The lesson's formula with its numbers in; what its `letters` stand for comes before the words."""
    with st.container(border=True):
        said = f"{letters}\n\n{glossary.explain(terms)}" if letters else glossary.explain(terms)
        st.markdown(f":material/function: {text}", help=said)


def notes(found: Notes) -> None:
    """ "Try this" and the teacher's note, both closed at first; the note can hold every answer back, those here too."""
    with st.container(horizontal=True, gap="small"):
        with st.popover("Try this", icon=":material/experiment:", type="tertiary"):
            st.markdown(found.attempt if address.is_hidden() else f"{found.attempt} {found.outcome}")
        with st.popover("For teachers", icon=":material/co_present:", type="tertiary"):
            st.markdown(f"**Ask the room:** {found.ask}")
            st.session_state["learn-hide"] = address.is_hidden()
            st.toggle(
                "Hide the answers: vote, discuss, vote again",
                key="learn-hide",
                on_change=_hide,
                help="Locks every reveal and answer. The address then ends in hide=1: give that link to a class.",
            )
            if not address.is_hidden():
                st.markdown(found.more)


def _hide() -> None:
    address.set_hidden(bool(st.session_state["learn-hide"]))


def choice(column: Any, label: str, setting: Setting, options: Sequence[Any], **more: Any) -> None:
    """A control that shows all options of a setting."""
    column.segmented_control(label, options, key=address.key(setting, options), required=True, **more)


def machine_box() -> None:
    """The machine beside the chart; the same one as in the sidebar."""
    st.session_state["learn-machine"] = st.session_state["machine"]
    names = {
        key: machine.name if machine.runs_fp32 else f"{machine.name} (can't run FP32)"
        for key, machine in known.library().machines.items()
    }
    st.selectbox("Machine", list(names), format_func=names.__getitem__, key="learn-machine", on_change=_machine)


def _machine() -> None:
    st.session_state["machine"] = st.session_state["learn-machine"]


def space_box() -> None:
    """Which kinds of bits, beside the chart; the same as in the sidebar."""
    st.session_state["learn-space"] = st.session_state["space"]
    titles = {name: space.title.capitalize() for name, space in SPACES.items()}
    st.selectbox("Bits for", list(titles), format_func=titles.__getitem__, key="learn-space", on_change=_space)


def _space() -> None:
    st.session_state["space"] = st.session_state["learn-space"]


def fp32_machine(view: View) -> tuple[Machine, str]:
    """The machine for FP32 kernels, and what to say where the chosen one has no such arithmetic."""
    if view.machine.runs_fp32:
        return view.machine, ""
    other = PRESETS[DEFAULT_MACHINE]
    why = f"**{view.machine.name} can't run FP32 kernels, so this shows {other.name}**, not measured here."
    return other, f":material/swap_horiz: {why}"
