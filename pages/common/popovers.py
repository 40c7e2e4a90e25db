"""Popovers that are filled when they are opened."""

from collections.abc import Callable
from urllib.parse import urlencode

import streamlit as st

# Gecko rounds Streamlit's own limit, 100 % and 0.3125 rem, to a sixtieth of a pixel less than label and icons need, and
# cuts the label.
WHOLE_LABELS = "<style>[data-testid='stPopoverButton'] > div { max-width: calc(100% + 0.375rem); }</style>"


def copied(caption: str, text: str) -> None:
    """A text to copy."""
    st.caption(caption)
    st.code(text, language=None, wrap_lines=True)


def link(**more: str) -> str:
    """The address of this view, with more in it."""
    asked = {**st.query_params.to_dict(), **more}
    base = (st.context.url or "").partition("?")[0]
    return f"{base}?{urlencode(asked)}" if asked else base


def popover(
    label: str, icon: str, draw: Callable[[], None], key: str = "", always: Callable[[], None] | None = None
) -> None:
    """A button that opens what `draw` draws; closed, it costs a redraw of the page no more than the button.

    Widgets of `draw` are forgotten when it closes; those whose value counts then too are drawn by `always`, above.
    """
    name = key or f"popover-{label}"
    box = st.popover(label, icon=f":material/{icon}:", type="tertiary", key=name, on_change="rerun")
    with box:
        if always is not None:
            always()
        if box.open:
            draw()
