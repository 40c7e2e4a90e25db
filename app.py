"""AIQ Explorer's router: page settings, navigation, and the controls that every page shares."""

from pathlib import Path

import streamlit as st

from pages.common import controls, errors

ROOT = Path(__file__).parent

PAGES = (st.Page(ROOT / "pages" / "explore" / "page.py", title="Explore", icon=":material/query_stats:", default=True),)

st.set_page_config(
    page_title="AIQ Explorer",
    page_icon=str(ROOT / "assets" / "favicon.png"),
    layout="wide",
    initial_sidebar_state="auto",
)
page = st.navigation(list(PAGES), position="top")
with errors.shown():
    controls.draw()
    page.run()
