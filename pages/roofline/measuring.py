"""Measuring this machine: the button, its progress, what went wrong, and what is known."""

import streamlit as st

from aiq_core import jobs, tasks
from aiq_core.library import read_only
from aiq_core.records import Task
from aiq_core.roof import Roof
from pages.common import errors, known
from pages.roofline.progress import progress

KIND = "measure"
POLL_S = 0.5
READ_ONLY = (
    "This server is read-only (AIQ_READ_ONLY is set), so nothing is measured or entered here. On your own machine "
    "`make app` opens this page, and `python -m aiq_core measure` prints its roof."
)
ABOUT = (
    "Bandwidth by footprint and the peak rates of each number type, for one thread and for all: about a quarter of a "
    "minute, best while nothing else runs. It is then a machine to choose on every page."
)


def draw(roofs: dict[str, Roof]) -> None:
    """What is measured of this machine, and the button that measures it."""
    here = {key: roof for key, roof in roofs.items() if roof.is_here}
    with st.container(border=True, gap="small"):
        st.markdown("**This machine** :gray[measured by its own kernels]")
        if read_only():
            st.caption(READ_ONLY)
            return
        if not here:
            st.markdown("Nothing is measured on this machine yet.")
            st.caption(ABOUT)
        for key, roof in here.items():
            _row(key, roof)
        ran = _tasks()
        running = [task for task in ran if task.status in jobs.UNFINISHED]
        if running:
            st.fragment(progress, run_every=POLL_S)(KIND, "Measuring", [task.id for task in running])
            return
        if ran and ran[-1].status in jobs.RESUMABLE:
            why = ran[-1].message or "its process died"
            st.warning(f"The last measurement is {ran[-1].status}: {why}", icon=":material/info:")
        st.button(
            "Measure again" if here else "Measure this machine",
            key="measure",
            type="secondary" if here else "primary",
            icon=":material/speed:",
            on_click=_start,
            help=ABOUT,
        )


def _row(key: str, roof: Roof) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{roof.machine().name} :gray[{roof.created_at[:10]}]")
        st.button("Show it", key=f"show-{key}", type="tertiary", on_click=choose, args=(key,))


def choose(key: str) -> None:
    """Shows a machine on every page."""
    st.session_state["machine"] = key


def _tasks() -> list[Task]:
    return known.library().store.tasks.all(KIND)


def _start() -> None:
    with errors.kept():
        tasks.submit(known.library(), KIND, {})
