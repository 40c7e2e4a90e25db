"""One run: where it stands, its path through the trade-off, its bits with reasons, its moves and their candidates."""

from functools import partial

import pandas as pd
import streamlit as st

from aiq_core import jobs
from aiq_core.charts.bits import bits_frame
from aiq_core.charts.bits_figure import bits_figure
from aiq_core.records import Run, RunStatus, Step
from aiq_core.search.strategies import strategy
from aiq_core.wording import bit_counts
from pages.common import known, names
from pages.common.charts import card, chart
from pages.common.controls import View
from pages.search import front, heading, numbers, stored
from pages.search.bars import policy_bits
from pages.search.figures import progress_data, progress_figure, progress_frame
from pages.search.moves import candidates_frame, counts, moves_frame, policies_frame, step_name

LATEST = "latest"
STOPPING = "stopping after this chunk of images; everything evaluated is kept"
MOVES_PX, ROW_PX = 250, 35


def draw(view: View, run: Run) -> None:
    """Everything of a run; drawn again as it grows."""
    heading.draw(run)
    if run.status in jobs.UNFINISHED:
        st.progress(names.share(run), text=STOPPING if stored.is_stopping(run) else names.progress(run))
    elif run.status is RunStatus.FAILED:
        st.error(run.message, icon=names.STATUS_ICONS[run.status])
        if run.traceback:
            with st.expander("Traceback"):
                st.code(run.traceback, language=None)
    elif run.message:
        st.caption(f":material/info: {run.message}")
    elif run.status is RunStatus.INTERRUPTED:
        st.caption(":material/info: Its process died. Everything evaluated is kept; resume goes on from there.")
    if not run.steps:
        if run.status in jobs.UNFINISHED:
            what = "step" if strategy(run.request.algorithm).front is None else "point"
            st.caption(f"Its first {what} will show here.")
        return
    if strategy(run.request.algorithm).front:
        front.draw(view, run)
        return
    numbers.draw(run)
    step = _step(run)
    left, right = st.columns(2, gap="small")
    with left:
        _trade_off(view, run)
    with right:
        _bits(view, run, step)
    if not strategy(run.request.algorithm).searches:
        _policies(run)
        return
    left, right = st.columns(2, gap="small")
    with left:
        _moves(run)
    with right:
        _candidates(run, step)


def _step(run: Run) -> Step:
    """The step that bits and candidates show: the latest, until the reader picks one."""
    by_name = {str(step.index): step for step in run.steps}
    picked = st.session_state.get(f"step-{run.id}", LATEST)
    return by_name.get(picked, run.steps[-1])


def _step_box(run: Run) -> None:
    by_name = {str(step.index): step for step in reversed(run.steps)}
    st.selectbox(
        "Step",
        [LATEST, *by_name],
        key=f"step-{run.id}",
        label_visibility="collapsed",
        width=260,
        format_func=lambda key: f"Step {LATEST}" if key == LATEST else step_name(by_name[key], run),
    )


def _trade_off(view: View, run: Run) -> None:
    model = known.model(run.request.model)
    data = progress_data([("this run", run)], model.profile, stored.references(run.request))
    title = "each move taken, and what lost" if strategy(run.request.algorithm).searches else "the policies listed"
    with card("Path", title, partial(progress_frame, data), f"{run.id}-path"):
        points = model.metric.title.capitalize()
        alt = f"{points} against FLOPs per byte over {len(run.steps)} steps of run {run.id}; the moves table has all."
        chart(progress_figure(data, view.look), f"path-{run.id}", f"{run.id}-path", alt)


def _bits(view: View, run: Run, step: Step) -> None:
    data = policy_bits(run, step.policy, run.steps.index(step))
    widths, title = bit_counts(step.policy), f"after step {step.index}"
    # With both kinds it would fill the card's line, and stands below.
    both = step.policy.has_activations
    with card(data.title, title if both else f"{title}: {widths}", partial(bits_frame, data), f"{run.id}-bits"):
        chart(bits_figure(data, view.look), f"bits-{run.id}", f"{run.id}-bits", f"{data.title}: {data.spoken}")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _step_box(run)
            st.caption(step.reason, width="stretch")
        if both:
            st.caption(widths)


def _moves(run: Run) -> None:
    frame = moves_frame(run)
    with card("Moves", "newest first, with their reasons", lambda: frame, f"{run.id}-moves"):
        _table("moves", run, frame, f"run {run.id}", {"step": 48, "move": _move_px(run), "why": 330})


def _move_px(run: Run) -> int:
    """How wide a column of moves is: `activations of …` takes more."""
    return 265 if run.request.is_joint else 165


def _policies(run: Run) -> None:
    frame = policies_frame(run)
    with card("Policies", "measured as listed: no candidates, no pruning", lambda: frame, f"{run.id}-policies"):
        _table("policies", run, frame, f"run {run.id}", {"policy": 55})


def _candidates(run: Run, step: Step) -> None:
    title = f"step {step.index}: {counts(step)}"
    frame = candidates_frame(step, run)
    with card("Candidates", title, lambda: frame, f"{run.id}-candidates-{step.index}"):
        _table("candidates", run, frame, f"step {step.index}", {"move": _move_px(run), "outcome": 80, "why": 290})


def _table(kind: str, run: Run, frame: pd.DataFrame, whose: str, widths: dict[str, int]) -> None:
    """Rows of a run; `widths` are those of its columns besides the figures, in pixels."""
    st.dataframe(
        frame,
        key=f"{kind}-{run.id}",
        hide_index=True,
        height=min(MOVES_PX, ROW_PX * (len(frame) + 1) + 2),
        placeholder="–",
        alt=f"{len(frame)} {kind} of {whose}",
        column_config={
            **{name: st.column_config.Column(width=px) for name, px in widths.items()},
            "AI": st.column_config.NumberColumn(format="%.2f", width=55),
            "top-1 %": st.column_config.NumberColumn(format="%.2f", width=62),
            "loss": st.column_config.NumberColumn(format="%.4f", width=68),
            "lowest loss possible": st.column_config.NumberColumn(
                "bound",
                format="%.4f",
                width=68,
                help="Its loss if it lost no accuracy at all: what pruning compares.",
            ),
        },
    )
