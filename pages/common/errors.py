"""What went wrong, said in the page: the reason and the remedy, never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from aiq_core.errors import AiqError

ERROR, NOTE = "action_error", "action_note"
"""Session keys: why an action failed and what one did, until the page says it."""


@contextmanager
def kept(place: str = "") -> Iterator[None]:
    """Ends an action at an AiqError and keeps the reason for `say`, in a place of the page where it has several."""
    try:
        yield
    except AiqError as error:
        st.session_state[ERROR + place] = str(error)


def say(place: str = "") -> None:
    """Says once what became of the last action there."""
    if error := st.session_state.pop(ERROR + place, None):
        st.error(error, icon=":material/error:")
    if note := st.session_state.pop(NOTE + place, None):
        st.success(note, icon=":material/check:")


@contextmanager
def shown() -> Iterator[None]:
    """Shows an AiqError as a message and ends the page there; anything else is a fault of ours and passes."""
    try:
        yield
    except AiqError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
