"""The deck's file shown in the page: the same renderer, so the page and the saved file cannot differ."""

from pathlib import Path

import streamlit as st

from pages.present import address

KEY = "deck"
_frame = st.components.v2.component("aiq_deck", js=(Path(__file__).parent / "frame.js").read_text(encoding="utf-8"))


@st.fragment
def show(deck_html: str, title: str, slides: int, dark: bool) -> None:
    """Draws the deck at the address's slide; a slide turned there runs only this again."""

    def turned() -> None:
        address.keep_slide(int(st.session_state[KEY]["slide"]))

    data = {"html": deck_html, "title": title, "slide": address.slide(slides), "dark": dark}
    _frame(key=KEY, data=data, on_slide_change=turned)
