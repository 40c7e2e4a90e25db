"""How far what measures is, and a button that stops it."""

import streamlit as st

from aiq_core import jobs, tasks
from aiq_core.errors import AiqError
from pages.common import known


def progress(kind: str, doing: str, watched: list[str]) -> None:
    """The tasks of a kind that run, as a fragment draws them; the page follows when one of `watched` ends."""
    library = known.library()
    running = [task for task in library.store.tasks.all(kind) if task.status in jobs.UNFINISHED]
    if [task.id for task in running] != watched:
        st.rerun()
    try:
        jobs.ensure_worker(library)
    except AiqError as error:
        st.error(str(error), icon=":material/error:")
    for task in running:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.progress(task.share, text=f"{doing}: {task.said or 'waiting for a worker'}")
            st.button("Cancel", key=f"cancel-{task.id}", on_click=tasks.cancel, args=(library, task.id))
