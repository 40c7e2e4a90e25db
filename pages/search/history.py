"""Every run there is, with filters; a row opens, two rows compare."""

from collections.abc import Callable

import streamlit as st

from aiq_core import jobs
from aiq_core.intensity import intensity
from aiq_core.library import read_only
from aiq_core.records import ImageSet, Run, Score, SplitName
from aiq_core.search.strategies import strategy
from pages.common import known, names
from pages.common.charts import card
from pages.common.controls import View
from pages.search import actions, exchange_panel, rows, stored
from pages.search.rows import Filters, Row

ROW_PX, MOST_PX = 36, 380
SHOWN = "search_rows"
POINTS = st.column_config.NumberColumn(format="%.2f", width=70, help="On the search images that the run chose on.")


def draw(view: View) -> None:
    """Filters, the table, and how to open or compare."""
    everything = stored.runs()
    st.markdown("##### History")
    filters = _filters(view, everything)
    found = rows.matching(everything, filters)
    _row_actions(found)
    if not found:
        st.caption("No run passes these filters.")
        return
    frame = rows.frame([_row(run) for run in found])
    st.session_state[SHOWN] = [run.id for run in found]
    title = f"{len(found):,} of {sum(run.archived == filters.archived for run in everything):,}; "
    with card("Runs", title + "tick one to show it, two to compare them", lambda: frame, "runs"):
        st.dataframe(
            frame.drop(columns=["model"] if filters.model else []),
            key="history",
            hide_index=True,
            height=min(MOST_PX, ROW_PX * (len(frame) + 1)),
            placeholder="–",
            on_select=_picked,
            selection_mode="multi-row",
            alt=f"{len(frame)} runs",
            column_config={
                "run": st.column_config.TextColumn(width=95),
                "what": st.column_config.TextColumn(width=300),
                "status": st.column_config.TextColumn(width=80),
                "AI": st.column_config.NumberColumn(format="%.2f", width=60),
                **dict.fromkeys(map(names.points_name, found), POINTS),
                "origin": st.column_config.TextColumn(width=125),
                "evaluations": st.column_config.NumberColumn(width=85),
                "new": st.column_config.NumberColumn(width=50, help="Computed by this run."),
                "time": st.column_config.TextColumn(width=65),
            },
        )


def _filters(view: View, everything: tuple[Run, ...]) -> Filters:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        model = st.selectbox(
            "Model",
            ["this", "all"],
            key="filter-model",
            width=150,
            format_func={"this": view.model.title, "all": "All models"}.__getitem__,
        )
        kinds = {run.request.algorithm for run in everything}
        algorithms = _filter("kind", 190, kinds, lambda kind: strategy(kind).noun)
        statuses = _filter("status", 170, {str(run.status) for run in everything})
        origins = _filter("origin", 190, {names.source(run) for run in everything})
        text = st.text_input("Text", key="filter-text", placeholder="name, id, alpha …", width=170)
    return Filters(
        model=None if model == "all" else view.model.name,
        algorithms=algorithms,
        statuses=statuses,
        origins=origins,
        text=text,
        archived=bool(st.session_state.get("filter-archived", False)),
    )


def _filter(what: str, width: int, found: set[str], text: Callable[[str], str] = str) -> tuple[str, ...]:
    chosen = st.multiselect(
        what.capitalize(),
        sorted(found),
        width=width,
        key=f"filter-{what}",
        placeholder=f"every {what}",
        format_func=text,
    )
    return tuple(chosen)


def _row_actions(found: list[Run]) -> None:
    """Opening a run by keyboard, without the table; the archive; taking in a run."""
    by_id = {run.id: run for run in found}

    def name(run_id: str) -> str:
        # Without its status: a list whose words change closes under the reader's hands.
        return f"{names.title(by_id[run_id])} · {run_id}" if run_id in by_id else run_id

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.selectbox(
            "Show a run",
            list(by_id),
            index=None,
            key="open-run",
            format_func=name,
            placeholder="Show a run …",
            label_visibility="collapsed",
            on_change=_opened,
            width=420,
        )
        st.toggle("Archived", key="filter-archived", help="Shows the archived runs, and only those.")
        if not read_only():
            exchange_panel.draw()


def _opened() -> None:
    if run_id := st.session_state["open-run"]:
        actions.show(run_id)
        st.session_state["open-run"] = None


def _picked() -> None:
    shown = st.session_state.get(SHOWN, [])
    picked = [shown[row] for row in st.session_state["history"]["selection"]["rows"] if row < len(shown)]
    if len(picked) == 1:
        actions.show(picked[0])
    elif len(picked) >= 2:
        actions.compare(picked[0], picked[-1])


@st.cache_data(max_entries=2000, show_spinner=False)
def _figures(run_id: str, policy: str | None, status: str) -> tuple[float | None, Score | None]:
    """AI and score of a run's policy; the status and policy stand in the key, as they change while it runs."""
    library = known.library()
    run = library.run(run_id)
    if run.policy is None:
        return None, None
    value = intensity(known.model(run.request.model).profile, run.policy, 1, run.request.traffic, run.request.quantizer)
    # The run's own step says it even where the predictions are not here.
    step = next((step for step in reversed(run.steps) if step.policy == run.policy), None)
    if step is not None:
        return value, step.score
    images = run.request.chooses_on
    cells = stored.against_fp32(library, run, run.policy, ImageSet(SplitName.SEARCH, images))
    return value, None if cells is None else round(cells.after.value * images / 100)


def _row(run: Run) -> Row:
    if run.status in jobs.UNFINISHED:
        return Row(run, None, None)
    return Row(run, *_figures(run.id, None if run.policy is None else run.policy.key, str(run.status)))
