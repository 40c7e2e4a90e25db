"""What a run's buttons do: start, cancel, resume, archive, restore, open in Explore, choose what is shown."""

from collections.abc import Sequence

import streamlit as st

from aiq_core import jobs
from aiq_core.errors import AiqError
from aiq_core.records import SEARCHES, Quantizer, Request, Run
from pages.common import known
from pages.search import stored

RUN, WITH = "run", "with"
EXPLORE = "pages/explore/page.py"
GO = "search_go"


def show(run_id: str | None) -> None:
    """Shows a run; None: whatever is running, else the newest."""
    stop_comparing()
    if run_id is None:
        st.query_params.pop(RUN, None)
    else:
        st.query_params[RUN] = run_id


def compare(first: str, second: str) -> None:
    st.query_params[RUN], st.query_params[WITH] = first, second


def stop_comparing() -> None:
    st.query_params.pop(WITH, None)


def start(requests: Sequence[Request]) -> None:
    """Queues a job's requests. Where the queue is full in the middle, says how many it took."""
    taken: list[Run] = []
    try:
        for request in requests:
            taken.append(jobs.submit(known.library(), request))
    except (AiqError, OSError) as error:
        first = f"{len(taken)} of {len(requests)} were queued. " if taken else ""
        st.session_state[stored.ERROR] = f"{first}{error}"
    if taken:
        show(taken[0].id if len(requests) == 1 else None)
        given = taken[0].request.max_minutes
        if given is not None and given != requests[0].max_minutes:
            st.session_state[stored.NOTE] = f"This server gives a job {given:g} minutes (AIQ_MAX_MINUTES)."


def cancel(run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        stored.attempt(jobs.cancel, known.library(), run_id)


def resume(run_id: str) -> None:
    stored.attempt(jobs.resume, known.library(), run_id)


def archive(run_id: str, archived: bool) -> None:
    stored.attempt(_archive, run_id, archived)


def _archive(run_id: str, archived: bool) -> None:
    known.library().store.set_archived(run_id, archived)


def explore_query(run: Run, counts: dict[str, int]) -> dict[str, str] | None:
    """The address of a run's policy on Explore; None where Explore does not show its kind of policy.

    `counts` are the image sets that Explore works at, by name.
    """
    request = run.request
    images = next((name for name, count in counts.items() if count == request.images), None)
    if run.policy is None or request.quantizer != Quantizer() or images is None:
        return None
    query = {"model": request.model, "policy": run.policy.key}
    if request.algorithm in SEARCHES and request.alpha is not None:
        query |= {"from": str(request.algorithm), "alpha": f"{request.alpha:.2f}"}
    if images != "all":
        query["images"] = images
    return query


def open_in_explore(query: dict[str, str]) -> None:
    """Goes there at the start of the next run: a callback cannot switch pages."""
    st.session_state[GO] = query


def go() -> None:
    """Switches to Explore where a button asked for it. What the link says decides, not what was set there before."""
    query = st.session_state.pop(GO, None)
    if query is not None:
        for key in ("model", "from", "alpha", "images", "budget", "clicked", "ring"):
            st.session_state.pop(key, None)
        st.switch_page(EXPLORE, query_params=query)


def forget_other_model(model: str) -> None:
    """Another model was chosen in the sidebar: a run of the former one is not shown any longer."""
    before = st.session_state.get("search_model")
    st.session_state["search_model"] = model
    if before not in (None, model):
        show(None)
