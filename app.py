"""AIQ Explorer's router: page settings, navigation, and the controls that every page shares."""

import sys
from pathlib import Path

import streamlit as st

from pages.common import controls, errors

ROOT = Path(__file__).parent


def serve() -> None:
    """Starts Streamlit on this file: `python app.py` with any of Streamlit's options.

    A folder named pages turns on Streamlit's old way with pages until the first visitor's script has run, so that
    visitor, on a link to a sub-page, is told that there is no such page. This says beforehand that it is not so.
    """
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web import cli

    PagesManager.uses_pages_directory = False
    sys.argv = ["streamlit", "run", __file__, *sys.argv[1:]]
    sys.exit(cli.main())


if not st.runtime.exists():
    serve()

PAGES = (
    st.Page(ROOT / "pages" / "explore" / "page.py", title="Explore", icon=":material/query_stats:", default=True),
    st.Page(ROOT / "pages" / "search" / "page.py", title="Search", icon=":material/manage_search:", url_path="search"),
    st.Page(ROOT / "pages" / "results" / "page.py", title="Results", icon=":material/fact_check:", url_path="results"),
)
# What the pages that do not need every control show of them.
SIDEBARS = {"search": {"sections": (), "own": ("alpha",)}, "results": {"sections": ()}}

st.set_page_config(
    page_title="AIQ Explorer",
    page_icon=str(ROOT / "assets" / "favicon.png"),
    layout="wide",
    initial_sidebar_state="auto",
)
page = st.navigation(list(PAGES), position="top")
with errors.shown():
    controls.draw(**SIDEBARS.get(page.url_path, {}))
    page.run()
