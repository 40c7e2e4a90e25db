"""What a reader has done and set, kept over reruns, pages and reloads: in the session, and in the address.

`step`, `done`, `guess` and `hide` are of the whole page; the other names are settings of the step that is shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

LESSONS = 7
QUESTIONS = LESSONS + 1
"""The last step: the final questions."""

STEP, DONE, GUESSES, HIDE, COMPLAINTS, MOVED = (
    f"learn:{name}" for name in ("step", "done", "guess", "hide", "complaints", "moved")
)


@dataclass(frozen=True)
class Setting:
    """A control of a step: its name in the address, its default, and how to read it (ValueError where it can't)."""

    name: str
    default: Any
    read: Callable[[str], Any] = str


def start() -> None:
    """Reads the address at the visitor's first run of this page; what it asks for in vain is said once."""
    state, asked = st.session_state, st.query_params
    if STEP in state:
        return
    said: list[str] = []
    state[STEP] = _step(asked.get("step", "1"), said)
    done = asked.get("done", "")
    lessons = "".join(map(str, range(1, LESSONS + 1)))
    state[DONE] = {int(digit) for digit in done if digit in lessons}
    if not all(digit in lessons for digit in done):
        said.append(f"done={done[:20]!r} is not offered; list lessons such as 124")
    state[GUESSES] = _guesses(asked.get("guess", ""), said)
    state[HIDE] = asked.get("hide") == "1"
    state[COMPLAINTS] = said


def _step(text: str, said: list[str]) -> int:
    if text in map(str, range(1, QUESTIONS + 1)):
        return int(text)
    said.append(f"step={text[:20]!r} is not offered; choose 1 to {LESSONS}, or {QUESTIONS} for the questions")
    return 1


def _guesses(text: str, said: list[str]) -> dict[int, float]:
    """Guesses by lesson from `1-0.2-40`: option numbers, or values."""
    found: dict[int, float] = {}
    for part in filter(None, text.split("_")):
        lesson, _, value = part.partition("-")
        try:
            number = float(value)
            if lesson not in map(str, range(1, LESSONS + 1)) or not 0 <= number < 1e6:
                raise ValueError(part)
            found[int(lesson)] = number
        except ValueError:
            said.append(f"guess={part[:20]!r} is not offered; write lesson-answer, such as 1-0")
    return found


def warnings() -> None:
    """Says what the address asked for in vain."""
    for complaint in st.session_state.pop(COMPLAINTS, ()):
        st.warning(f"{complaint}. Showing the default instead.", icon=":material/link_off:")


def step() -> int:
    """The step shown, from 1."""
    return int(st.session_state[STEP])


def go(to: int) -> None:
    """Shows another step."""
    st.session_state[STEP] = min(max(to, 1), QUESTIONS)
    st.session_state[MOVED] = True


def is_hidden() -> bool:
    """Whether a teacher holds the answers back."""
    return bool(st.session_state[HIDE])


def set_hidden(hidden: bool) -> None:
    """Holds the answers back, or not any more."""
    st.session_state[HIDE] = hidden


def is_revealed(lesson: int) -> bool:
    """Whether the answer of a lesson is shown."""
    return lesson in st.session_state[DONE] and not is_hidden()


def done() -> set[int]:
    """Lessons whose answer was seen."""
    return set(st.session_state[DONE])


def reveal(lesson: int) -> None:
    """Shows a lesson's answer."""
    st.session_state[DONE] |= {lesson}


def ask_again(lesson: int) -> None:
    """Veils a lesson's answer and forgets the guess."""
    st.session_state[DONE] -= {lesson}
    st.session_state[GUESSES].pop(lesson, None)
    st.session_state.pop(f"learn-{lesson}-guess", None)


def guess(lesson: int) -> float | None:
    """What the reader guessed: an option's number, or a value."""
    return st.session_state[GUESSES].get(lesson)


def set_guess(lesson: int, value: float) -> None:
    """Keeps a guess."""
    st.session_state[GUESSES][lesson] = value


def forget_guesses() -> None:
    """Another model asks other questions."""
    for lesson in range(1, LESSONS + 1):
        ask_again(lesson)


# Settings of a step


def _names(setting: Setting) -> tuple[str, str]:
    """Session keys of the value that stays, and of the widget, which Streamlit forgets when it is not drawn."""
    return f"learn:{step()}:{setting.name}", f"learn-{step()}-{setting.name}"


def value(setting: Setting, options: Sequence[Any] | None = None) -> Any:
    """A setting's value, whatever its widget does: the default where it is not among `options` (any more)."""
    kept, widget = _names(setting)
    state = st.session_state
    if widget in state:
        state[kept] = state[widget]
    elif kept not in state:
        state[kept] = _asked(setting, options)
    if options is not None and state[kept] not in options:
        state[kept] = setting.default if setting.default in options else options[0]
        state.pop(widget, None)
    return state[kept]


def _asked(setting: Setting, options: Sequence[Any] | None) -> Any:
    text = st.query_params.get(setting.name)
    # After a move the address still says what the step before was set to, by names that several steps have.
    if text is None or st.session_state.get(MOVED):
        return setting.default
    try:
        found = setting.read(text)
        if options is not None and found not in options:
            raise ValueError(text)
        return found
    except ValueError:
        offered = "" if options is None else f"; choose from {', '.join(map(str, list(options)[:12]))}"
        st.warning(f"{setting.name}={text[:20]!r} is not offered{offered}. Showing the default instead.")
        return setting.default


def key(setting: Setting, options: Sequence[Any] | None = None) -> str:
    """The key for the setting's widget, which then stands at its value."""
    widget = _names(setting)[1]
    current = value(setting, options)
    if widget not in st.session_state:
        st.session_state[widget] = current
    return widget


def put(setting: Setting, new: Any) -> None:
    """Moves a control from code (only before its widget is drawn)."""
    kept, widget = _names(setting)
    st.session_state[kept] = new
    st.session_state[widget] = new


NAMES = ("step", "done", "guess", "hide", "kernel", "what", "batchsize", "bits", "range", "per", "zero", "layer",
         "order", "search", "at", "move", "price", "least", "engine")  # fmt: skip
"""Everything of this page that may stand in the address."""


def write(settings: Sequence[Setting]) -> None:
    """Puts the page's state into the address; what stands at its default is left out."""
    state = st.session_state
    wanted = {
        "step": "" if step() == 1 else str(step()),
        "done": "".join(map(str, sorted(state[DONE]))),
        "guess": "_".join(f"{lesson}-{number:g}" for lesson, number in sorted(state[GUESSES].items())),
        "hide": "1" if state[HIDE] else "",
    }
    for setting in settings:
        kept = state.get(_names(setting)[0], setting.default)
        if kept != setting.default and kept is not None:
            wanted[setting.name] = f"{kept:g}" if isinstance(kept, float) else str(kept)
    asked = st.query_params
    for name in NAMES:
        new = wanted.get(name, "")
        if new and asked.get(name) != new:
            asked[name] = new
        elif not new and name in asked:
            del asked[name]
