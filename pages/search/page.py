"""Search: start a job, watch it, find every run again, compare two."""

from functools import partial

import streamlit as st

from aiq_core import jobs
from aiq_core.errors import AiqError, UnknownNameError
from aiq_core.library import read_only
from aiq_core.records import Run
from aiq_core.space import space_of
from pages.common import controls, errors, known, names
from pages.common.controls import View
from pages.search import actions, compare, form, history, live, stored


def main() -> None:
    st.session_state.pop(actions.WHOLE, None)
    actions.go()
    view = controls.view()
    actions.forget_other_model(view.model)
    if read_only():
        controls.slot("form").caption("This server is read-only: it shows runs and starts none.")
    else:
        stored.attempt(jobs.reap, known.library())
        with controls.slot("form"):
            form.draw(view)
    errors.say()
    shown, other = _chosen(view)
    if shown is None:
        st.markdown("#### No run of this model yet")
        st.caption("Start one from the sidebar.")
    live.draw(view, shown, comparing=other is not None)
    if shown is not None and other is not None:
        try:
            compare.draw(view, stored.run(shown.id), stored.run(other.id))
        except AiqError as error:
            st.warning(str(error), icon=":material/compare_arrows:")
    history.draw(view)


def _chosen(view: View) -> tuple[Run | None, Run | None]:
    """The run shown and the one it is compared with: the address's, else what is running, the newest, or what ships."""
    by_id = {run.id: run for run in stored.runs()}
    found: list[Run | None] = []
    for key in (actions.RUN, actions.WITH):
        run_id = st.query_params.get(key)
        if run_id is not None and run_id not in by_id:
            newest = list(by_id)[-6:] or ["no runs yet"]
            st.warning(f"The link's run was not found: {UnknownNameError('run', run_id[:40], newest)}.")
            st.query_params.pop(key, None)
        found.append(by_id.get(run_id) if run_id is not None else None)
    shown, other = found
    if shown is None:
        of_model = [run for run in by_id.values() if run.request.model == view.model.name and not run.archived]
        working = [run for run in of_model if run.status in jobs.UNFINISHED]
        own = [run for run in of_model if names.is_own(run)]
        shipped = sorted(of_model, key=partial(_distance, view))
        shown = min(working, key=_age) if working else max(own, key=_age) if own else (shipped or [None])[0]
    return shown, other if shown is not None else None


def _distance(view: View, run: Run) -> tuple[bool, float]:
    """How far a run is from what the sidebar asks for: of its space, then the whole front, then near its alpha."""
    alpha, elsewhere = run.request.alpha, space_of(run.request, view.model.dataset) is not view.space
    if run.request.points is not None:
        return elsewhere, -1
    return elsewhere, 2 if alpha is None else abs(alpha - view.alpha)


def _age(run: Run) -> tuple[bool, str]:
    return run.status is not run.status.RUNNING, run.created_at


main()
