"""The deck's file shown in the page: the same renderer, so the page and the saved file cannot differ."""

from pathlib import Path

import streamlit as st

from aiq_core.deck import html
from pages.present import address

KEY = "deck"
FRAME_JS = (Path(__file__).parent / "frame.js").read_text(encoding="utf-8")
# The browser gets Plotly once and not with every deck.
LIBRARY_JS = """
export default function ({ data }) {
  window.aiqPlotly = data.plotly;
  window.dispatchEvent(new Event("aiq-plotly"));
}
"""

_library = st.components.v2.component("aiq_plotly", js=LIBRARY_JS)
_frame = st.components.v2.component("aiq_deck", js=FRAME_JS)


def show(deck_html: str, title: str, slides: int, dark: bool) -> None:
    """Draws the deck at the address's slide."""
    with st.container(gap=None):
        _slides(deck_html, title, slides, dark)
        # Outside the fragment, so that a slide turned does not send it again.
        _library(key="plotly", data={"plotly": html.plotly_script()}, height=1)


@st.fragment
def _slides(deck_html: str, title: str, slides: int, dark: bool) -> None:
    """The frame; a slide turned there runs only this again."""

    def turned() -> None:
        address.keep_slide(int(st.session_state[KEY]["slide"]))

    data = {"html": deck_html, "title": title, "slide": address.slide(slides), "dark": dark}
    _frame(key=KEY, data=data, on_slide_change=turned)
