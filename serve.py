"""The server that `python app.py` starts: Streamlit's, with pages/instant before it unless AIQ_INSTANT=0."""

import os
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

# A folder named pages turns on Streamlit's old way with pages until the first visitor's script has run, so that
# visitor, on a link to a sub-page, is told that there is no such page. This says beforehand that it is not so.
PagesManager.uses_pages_directory = False

SCRIPT = Path(__file__).parent / "app.py"
if os.environ.get("AIQ_INSTANT", "").lower() in ("0", "false", "no"):
    app = st.App(SCRIPT)
else:
    from pages.instant.answer import lifespan, routes

    app = st.App(SCRIPT, routes=routes(), lifespan=lifespan)
