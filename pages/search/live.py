"""What is running and waiting, read from the store every second while something is unfinished."""

import streamlit as st

from aiq_core import jobs
from aiq_core.records import Run
from pages.common import known, names
from pages.common.controls import View
from pages.search import actions, detail, stored

POLL_S = 1.0
MOST_LISTED = 4
SEEN = "search_seen"


def draw(view: View, shown: Run | None, comparing: bool) -> None:
    """The queue, and the shown run unless two are compared. A finished page does not poll."""
    unfinished = known.unfinished()
    st.session_state[SEEN] = known.standings(unfinished)
    every = POLL_S if unfinished else None
    run_id = None if shown is None or comparing else shown.id
    st.fragment(_fragment, run_every=every)(view, run_id)


def _fragment(view: View, run_id: str | None) -> None:
    if st.session_state.get(actions.WHOLE):
        st.rerun()
    unfinished = known.unfinished()
    if unfinished:
        # A restart of the machine leaves queued runs without a worker; one that died is found and marked.
        stored.attempt(jobs.ensure_worker, known.library())
    if known.standings(unfinished) != st.session_state.get(SEEN):
        # A run began or ended: history, form and polling follow.
        st.rerun()
    _queue([run for run in unfinished if run.id != run_id])
    if run_id is not None:
        shown = next((run for run in unfinished if run.id == run_id), None)
        detail.draw(view, shown or stored.run(run_id))


def _queue(others: list[Run]) -> None:
    if not others:
        return
    with st.container(border=True, gap=None):
        for run in others[:MOST_LISTED]:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"{names.STATUS_ICONS[run.status]} **{names.title(run)}** :gray[{names.progress(run)}]")
                st.button("Show", key=f"show-{run.id}", type="tertiary", on_click=actions.show, args=(run.id,))
                st.button("Cancel", key=f"cancel-{run.id}", type="tertiary", on_click=actions.cancel, args=([run.id],))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if len(others) > MOST_LISTED:
                st.caption(f"and {len(others) - MOST_LISTED} more in the queue", width="content")
            if len(others) > 1:
                st.button(
                    f"Cancel all {len(others)}",
                    key="cancel-others",
                    type="tertiary",
                    on_click=actions.cancel,
                    args=([run.id for run in others],),
                )
