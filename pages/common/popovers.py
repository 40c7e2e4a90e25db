"""Popovers that are filled when they are opened."""

from collections.abc import Callable

import streamlit as st


def popover(label: str, icon: str, draw: Callable[[], None], key: str = "") -> None:
    """A button that opens what `draw` draws; closed, it costs a redraw of the page no more than the button.

    Widgets in it are forgotten when it closes: those whose value counts outside belong into Streamlit's own.
    """
    name = key or f"popover-{label}"
    box = st.popover(label, icon=f":material/{icon}:", type="tertiary", key=name, on_change="rerun")
    if box.open:
        with box:
            draw()
