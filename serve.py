"""The server that `python app.py` starts: Streamlit's, with pages/instant before it."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.instant.answer import lifespan, routes

# A folder named pages turns on Streamlit's old way with pages until the first visitor's script has run, so that
# visitor, on a link to a sub-page, is told that there is no such page. This says beforehand that it is not so.
PagesManager.uses_pages_directory = False

app = st.App(Path(__file__).parent / "app.py", routes=routes(), lifespan=lifespan)
