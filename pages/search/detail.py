"""One run: where it stands, its way through the trade-off, its bits with reasons, its moves and their candidates."""

import streamlit as st

from aiq_core import assets, exchange, jobs, statistics
from aiq_core.charts.bits import Bar, BitsData, bits_data, bits_figure, bits_frame
from aiq_core.charts.reasons import reasons
from aiq_core.charts.wording import MINUS, bit_counts, join, number, signed, span
from aiq_core.errors import AiqError
from aiq_core.intensity import intensity
from aiq_core.library import read_only
from aiq_core.records import SEARCHES, Policy, Run, RunStatus, SplitName, Step
from pages.common import known
from pages.common.charts import card, chart
from pages.common.controls import View
from pages.search import actions, names, stored
from pages.search.figures import progress_data, progress_figure, progress_frame
from pages.search.moves import candidates_frame, counts, moves_frame, step_name

LATEST = "latest"
MOVES_PX = 250


def draw(view: View, run: Run) -> None:
    """Everything of a run; drawn again as it grows."""
    _heading(run)
    if run.status in jobs.UNFINISHED:
        st.progress(names.share(run), text=names.progress(run))
    elif run.message:
        st.caption(f":material/info: {run.message}")
    elif run.status is RunStatus.INTERRUPTED:
        st.caption(":material/info: Its process died. Everything evaluated is kept; resume goes on from there.")
    if not run.steps:
        if run.status in jobs.UNFINISHED:
            st.caption("Its first step will show here.")
        return
    _numbers(run)
    step = _step(run)
    left, right = st.columns(2, gap="small")
    with left:
        _trade_off(view, run)
    with right:
        _bits(view, run, step)
    left, right = st.columns(2, gap="small")
    with left:
        _moves(run)
    with right:
        _candidates(run, step)


def _heading(run: Run) -> None:
    colour = names.STATUS_COLOURS.get(run.status, "orange")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown(f"#### {names.title(run)}", width="content")
        with st.container(horizontal=True, width="content", gap="small", vertical_alignment="center"):
            _buttons(run)
    badge = f":{colour}-badge[{names.STATUS_ICONS[run.status]} {run.status}]"
    archived = " :gray-badge[archived]" if run.archived else ""
    st.caption(f"{badge}{archived} {join([f'run {run.id}', names.origin(run), run.created_at[:10], *settings(run)])}")


def settings(run: Run) -> list[str]:
    """What a request sets apart from the usual."""
    request = run.request
    said = [f"{request.images:,} search images"]
    if request.algorithm in SEARCHES:
        said.append("widths " + ", ".join("FP32" if w == 32 else str(w) for w in request.widths))
        if run.intensity_normaliser is not None:
            said.append(f"normaliser {number(run.intensity_normaliser, 2)} FLOPs/byte")
        if run.floor_correct is not None:
            said.append(f"floor {number(100 * run.floor_correct / request.images, 2)} %")
    if request.accuracy_normaliser != 10:
        said.append(f"{request.accuracy_normaliser:g} points count as 1")
    if request.excluded:
        said.append(f"excluded {', '.join(request.excluded)}")
    if request.fixed:
        said.append("held " + ", ".join(f"{layer} at {bits}" for layer, bits in request.fixed.items()))
    if request.max_evaluations is not None:
        said.append(f"at most {request.max_evaluations:,} evaluations")
    if request.max_minutes is not None:
        said.append(f"at most {request.max_minutes:g} minutes")
    if request.quantizer.granularity != "channel":
        said.append(f"a scale per {request.quantizer.granularity}")
    if not request.use_bundled:
        said.append("bundled evaluations not used")
    return said


def _buttons(run: Run) -> None:
    writable = not read_only() and names.is_own(run)
    if writable and run.status in jobs.UNFINISHED:
        st.button(
            "Cancel",
            key=f"cancel-{run.id}",
            icon=":material/stop_circle:",
            on_click=actions.cancel,
            args=([run.id],),
            help="Stops within two seconds and keeps everything evaluated.",
        )
    if writable and run.status in jobs.RESUMABLE:
        st.button(
            "Resume",
            key=f"resume-{run.id}",
            icon=":material/play_arrow:",
            on_click=actions.resume,
            args=(run.id,),
            help="Goes on from what it evaluated; nothing is evaluated twice.",
        )
    query = actions.explore_query(run, known.image_counts(run.request.model))
    if query is not None:
        st.button(
            "Open in Explore",
            key=f"explore-{run.id}",
            icon=":material/query_stats:",
            type="tertiary",
            on_click=actions.open_in_explore,
            args=(query,),
        )
    if run.status not in jobs.UNFINISHED:
        _compare_button(run)
        st.download_button(
            "Export",
            lambda: _export(run.id),
            f"{run.id}.json",
            "application/json",
            type="tertiary",
            key=f"export-{run.id}",
            icon=":material/download:",
            on_click="ignore",
            help="The run, its steps and every prediction, as JSON that another machine can import.",
        )
        if writable:
            name, icon = ("Restore", ":material/unarchive:") if run.archived else ("Archive", ":material/archive:")
            st.button(
                name,
                key=f"archive-{run.id}",
                icon=icon,
                type="tertiary",
                on_click=actions.archive,
                args=(run.id, not run.archived),
            )


def _export(run_id: str) -> bytes:
    try:
        return exchange.export_run(known.library(), run_id).encode()
    except AiqError as error:  # a download has no other place to say it
        return f"not exported: {error}".encode()


def _compare_button(run: Run) -> None:
    others = {
        other.id: f"{names.what(other)} · {names.origin(other)} · {other.id}"
        for other in reversed(stored.runs())
        if other.request.model == run.request.model
        and other.request.images == run.request.images
        and other.id != run.id
        and other.status not in jobs.UNFINISHED
        and not other.archived
    }
    if not others:
        return
    with st.popover("Compare", icon=":material/compare_arrows:", type="tertiary"):
        chosen = st.selectbox(
            "Compare with",
            list(others),
            index=None,
            format_func=others.__getitem__,
            key=f"compare-{run.id}",
            placeholder="Choose a run of the same images",
        )
        st.button(
            "Compare the two",
            key=f"compare-go-{run.id}",
            disabled=chosen is None,
            on_click=actions.compare,
            args=(run.id, chosen or ""),
        )


def _numbers(run: Run) -> None:
    step, images, searches = run.steps[-1], run.request.images, run.request.algorithm in SEARCHES
    profile = assets.profile(run.request.model)
    before = intensity(profile, profile.uniform(32))
    top1 = statistics.wilson(step.correct, images)
    library = known.library()
    cells = stored.against_fp32(library, run, step.policy, SplitName.SEARCH, images)
    which = "best so far" if run.status in jobs.UNFINISHED else "chosen"
    which = which if searches else "the last listed"
    with st.container(horizontal=True, border=True, gap="small"):
        st.metric(
            "Intensity (FLOPs/byte)",
            number(step.intensity, 2),
            f"{signed(100 * (step.intensity / before - 1), 1)} %".replace(MINUS, "-"),
            width=150,
            help=f"Of the policy {which}; unfused traffic model, batch 1. Computed.",
        )
        drop = None if cells is None else statistics.drop(cells)
        delta = None if drop is None else f"{signed(-drop.value, 2)} points".replace(MINUS, "-")
        noise = drop is not None and drop.contains_zero
        st.metric(
            f"Top-1, {images:,} search",
            f"{number(top1.value, 2)} %",
            delta,
            width=165,
            delta_color="off" if noise else "normal",
            help=f"95 %: {span(top1)}."
            + (
                ""
                if drop is None
                else f" Drop against FP32: {span(drop)} points" + (", within noise." if noise else ".")
            )
            + f" Origin: {names.origin(run)}.",
        )
        _report_metric(run)
        st.metric(
            "Evaluations",
            f"{run.evaluations:,}",
            f"{run.evaluations_new:,} new",
            delta_color="off",
            delta_arrow="off",
            width=120,
            help="Asked for, as if nothing had been known; new: computed by this run.",
        )
        st.metric(
            "Time",
            names.duration(run.seconds),
            names.left(run) or None,
            delta_color="off",
            delta_arrow="off",
            width=150,
        )
        st.metric(
            "Layers",
            f"{len(profile.quantizable)}",
            bit_counts(step.policy),
            delta_color="off",
            delta_arrow="off",
            width=235,
        )


def _report_metric(run: Run) -> None:
    if run.status is not RunStatus.DONE or run.policy is None:
        return
    library = known.library()
    images = stored.judged(library, run, run.policy)
    cells = stored.against_fp32(library, run, run.policy, SplitName.REPORT, images)
    if cells is None:
        return
    top1, drop = statistics.wilson(cells.both + cells.gained, images), statistics.drop(cells)
    st.metric(
        f"Top-1, {images:,} report",
        f"{number(top1.value, 2)} %",
        f"{signed(-drop.value, 2)} points".replace(MINUS, "-"),
        width=165,
        delta_color="off" if drop.contains_zero else "normal",
        help=f"95 %: {span(top1)}. Drop against FP32: {span(drop)} points"
        + (", within noise." if drop.contains_zero else "."),
    )


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
    model = run.request.model
    data = progress_data([("this run", run)], assets.profile(model), stored.references(model, run.request.images))
    title = "each move taken, and what lost" if run.request.algorithm in SEARCHES else "the policies listed"
    with card("Its way", title, progress_frame(data), f"{run.id}-way"):
        alt = f"Top-1 against FLOPs per byte over {len(run.steps)} steps of run {run.id}; the moves table has them all."
        chart(progress_figure(data, view.look), f"way-{run.id}", f"{run.id}-way", alt)


def policy_bits(run: Run, policy: Policy, position: int | None, pinned: Policy | None = None) -> BitsData:
    """The bars of a policy with their reasons at a step of the run."""
    profile = assets.profile(run.request.model)
    why = reasons(profile, policy, run, position)
    table = stored.table(run.request.model, run.request.images)
    if table is not None:
        return bits_data(profile, policy, why, table, pinned, origin=run.id)
    bars = [
        Bar(
            layer.name,
            bits,
            layer.weights,
            layer.weights * bits / 8,
            (),
            reason,
            None if pinned is None else pinned.weight_bits[index],
        )
        for index, (layer, bits, reason) in enumerate(zip(profile.quantizable, policy.weight_bits, why, strict=True))
    ]
    return BitsData(profile.model, tuple(bars), run.request.images, run.id)


def _bits(view: View, run: Run, step: Step) -> None:
    data = policy_bits(run, step.policy, run.steps.index(step))
    with card("Bits per layer", f"after step {step.index}; hover for the reasons", bits_frame(data), f"{run.id}-bits"):
        alt = ", ".join(f"{bar.layer} {bar.bits}" for bar in data.bars)
        chart(bits_figure(data, view.look), f"bits-{run.id}", f"{run.id}-bits", f"Bits per layer: {alt}")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _step_box(run)
            st.caption(step.reason, width="stretch")


def _moves(run: Run) -> None:
    frame = moves_frame(run)
    with card("Moves", "newest first, with their reasons", frame, f"{run.id}-moves"):
        st.dataframe(
            frame,
            key=f"moves-{run.id}",
            hide_index=True,
            height=MOVES_PX,
            alt=f"{len(frame)} moves of run {run.id}",
            column_config={
                "step": st.column_config.NumberColumn(width=48),
                "move": st.column_config.TextColumn(width=170),
                "AI": st.column_config.NumberColumn(format="%.2f", width=55),
                "top-1 %": st.column_config.NumberColumn(format="%.2f", width=62),
                "loss": st.column_config.NumberColumn(format="%.4f", width=68),
            },
        )


def _candidates(run: Run, step: Step) -> None:
    title = f"step {step.index}: {counts(step)}" if step.candidates else "nothing was chosen between"
    frame = candidates_frame(step, run.request.images)
    with card("Candidates", title, frame, f"{run.id}-candidates-{step.index}"):
        if not step.candidates:
            st.caption("Listed policies are measured as they are: no candidates, no pruning.")
            return
        st.dataframe(
            frame,
            key=f"candidates-{run.id}",
            hide_index=True,
            height=MOVES_PX,
            alt=f"{len(frame)} candidates of step {step.index}",
            column_config={
                "move": st.column_config.TextColumn(width=170),
                "outcome": st.column_config.TextColumn(width=80),
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
