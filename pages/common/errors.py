"""What went wrong, said in the page: the reason and the remedy, never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from aiq_core.errors import AiqError


@contextmanager
def shown() -> Iterator[None]:
    """Shows an AiqError as a message and ends the page there; anything else is a fault of ours and passes."""
    try:
        yield
    except AiqError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
