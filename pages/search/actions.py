"""What a run's buttons do: start, cancel, resume, archive, restore, open in Explore, choose what is shown."""

from collections.abc import Sequence

import streamlit as st

from aiq_core import jobs
from aiq_core.catalog import Model
from aiq_core.records import UNFUSED, Request
from pages.common import controls, errors, known
from pages.search import stored

RUN, WITH = "run", "with"
EXPLORE = "pages/explore/page.py"
GO = "search_go"
WHOLE = "search_whole"
"""Set by every action: a button in the live part runs only that part again, and the page has to follow."""


def show(run_id: str | None) -> None:
    """Shows a run; None: whatever is running, else the newest."""
    stop_comparing()
    st.session_state[WHOLE] = True
    controls.put(RUN, run_id)


def compare(first: str, second: str) -> None:
    st.session_state[WHOLE] = True
    st.query_params[RUN], st.query_params[WITH] = first, second


def stop_comparing() -> None:
    st.query_params.pop(WITH, None)


def start(requests: Sequence[Request]) -> None:
    """Queues a job's requests, all or none; shows the run, or of a sweep whichever is running."""
    runs = stored.attempt(jobs.submit_sweep, known.library(), requests)
    if runs:
        show(runs[0].id if len(runs) == 1 else None)
        given = runs[0].request.max_minutes
        if given is not None and given != requests[0].max_minutes:
            st.session_state[errors.NOTE] = f"This server gives a job {given:g} minutes (AIQ_MAX_MINUTES)."


def cancel(run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        stored.attempt(jobs.cancel, known.library(), run_id)
    st.session_state[WHOLE] = True


def resume(run_id: str) -> None:
    stored.attempt(jobs.resume, known.library(), run_id)
    st.session_state[WHOLE] = True


def archive(run_id: str, archived: bool) -> None:
    stored.attempt(known.library().store.set_archived, run_id, archived)
    st.session_state[WHOLE] = True


def open_in_explore(query: dict[str, str]) -> None:
    """Sets the shared controls as the address `query` would; `go` then switches the page, which a callback cannot."""
    state = st.session_state
    state["model"], state[controls.POLICY] = query["model"], query.get("policy")
    state["from"] = query.get("from", controls.BEST)
    state["alpha"] = float(query.get("alpha", controls.DEFAULT_ALPHA))
    state["images"] = query.get("images", known.usual_images(known.model(query["model"])))
    state["space"] = query.get("space", controls.DEFAULT_SPACE)
    state["traffic"] = query.get("traffic", UNFUSED)
    state["budget"], state[controls.PINNED], state[controls.CLICKED] = controls.OFF, None, False
    state[GO] = state[WHOLE] = True


def go() -> None:
    """Switches to Explore where a button asked for it."""
    if st.session_state.pop(GO, False):
        st.switch_page(EXPLORE)


def forget_other_model(model: Model) -> None:
    """Another model was chosen in the sidebar: a run of the former one is not shown any longer."""
    before = st.session_state.get("search_model")
    st.session_state["search_model"] = model
    if before not in (None, model):
        show(None)
