"""What the address holds beside the shared controls: the chosen runs and the slide."""

import streamlit as st

from pages.common import controls

RUNS, SLIDE = "run", "slide"


def run_ids() -> list[str]:
    """The runs that the address names, in order."""
    return [part for part in st.query_params.get(RUNS, "").split(",") if part]


def keep_runs(ids: list[str]) -> None:
    """Writes the chosen runs; none leaves the address without them."""
    controls.put(RUNS, ",".join(ids) or None)


def asked_slide() -> str:
    """The slide as the address has it."""
    return st.query_params.get(SLIDE, "1")


def slide(slides: int) -> int:
    """The slide to open on: the first where the address asks for none that there is."""
    asked = asked_slide()
    return int(asked) if asked.isdecimal() and 1 <= int(asked) <= slides else 1


def keep_slide(number: int) -> None:
    """Writes the slide; the first leaves the address without it."""
    controls.put(SLIDE, None if number == 1 else str(number))
