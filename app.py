"""AIQ Explorer's router: page settings, navigation, and the controls that every page shares."""

import sys
from pathlib import Path

import streamlit as st

from pages.common import controls, errors, popovers

ROOT = Path(__file__).parent


def serve() -> None:
    """Starts the server: `python app.py` with any of Streamlit's options."""
    from streamlit.web import cli

    sys.argv = ["streamlit", "run", str(ROOT / "serve.py"), *sys.argv[1:]]
    sys.exit(cli.main())


if not st.runtime.exists():
    serve()

PAGES = (
    st.Page(ROOT / "pages" / "explore" / "page.py", title="Explore", icon=":material/query_stats:", default=True),
    st.Page(ROOT / "pages" / "search" / "page.py", title="Search", icon=":material/manage_search:", url_path="search"),
    st.Page(ROOT / "pages" / "lab" / "page.py", title="Lab", icon=":material/science:", url_path="lab"),
    st.Page(ROOT / "pages" / "models" / "page.py", title="Models", icon=":material/category:", url_path="models"),
    st.Page(ROOT / "pages" / "roofline" / "page.py", title="Roofline", icon=":material/speed:", url_path="roofline"),
    st.Page(ROOT / "pages" / "deploy" / "page.py", title="Deploy", icon=":material/rocket_launch:", url_path="deploy"),
    st.Page(ROOT / "pages" / "results" / "page.py", title="Results", icon=":material/fact_check:", url_path="results"),
    st.Page(ROOT / "pages" / "learn" / "page.py", title="Learn", icon=":material/school:", url_path="learn"),
    st.Page(ROOT / "pages" / "present" / "page.py", title="Present", icon=":material/slideshow:", url_path="present"),
)
# What the pages that do not need every control show of them.
SIDEBARS = {
    "search": {"sections": ("space",), "own": ("alpha",)},
    "lab": {"sections": ("space", "machine", "batch")},
    "models": {"sections": ("machine", "batch")},
    "deploy": {"sections": ("batch",)},
    "results": {"sections": ()},
    "learn": {"sections": ("space", "machine")},
    "present": {"sections": ("machine",)},
}

# Before the navigation: without an icon of its own the tab would fetch the page's from the network.
st.set_page_config(page_title="AIQ Explorer", page_icon=str(ROOT / "assets" / "favicon.png"), layout="wide")
page = st.navigation(list(PAGES), position="top")
st.set_page_config(initial_sidebar_state="collapsed" if page.url_path in controls.FOLDED else "auto")
st.html(popovers.WHOLE_LABELS)
with errors.shown():
    controls.draw(**SIDEBARS.get(page.url_path, {}))
    page.run()
