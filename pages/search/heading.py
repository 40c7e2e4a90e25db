"""A run's name, where it stands, what it was asked, and its buttons."""

from functools import partial

import streamlit as st

from aiq_core import jobs
from aiq_core.library import read_only
from aiq_core.records import DEFAULT_ACCURACY_NORMALISER, FP32_BITS, UNFUSED, Quantizer, Run
from aiq_core.search.strategies import strategy
from aiq_core.space import JOINT, WEIGHTS
from aiq_core.wording import bit_counts, join, number, uniform_name
from pages.common import known, names
from pages.search import actions, stored


def draw(run: Run) -> None:
    """Name, status, settings, and what may be done with the run."""
    colour = names.STATUS_COLOURS.get(run.status, "orange")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown(f"#### {names.title(run)}", width="content")
        with st.container(horizontal=True, width="content", gap="small", vertical_alignment="center"):
            _buttons(run)
    badge = f":{colour}-badge[{names.STATUS_ICONS[run.status]} {run.status}]"
    archived = " :gray-badge[archived]" if run.archived else ""
    said = join([f"run {run.id}", names.origin(run), run.created_at[:10], *settings(run)])
    # Not a caption: it would draw the badge at 60 %, too faint to read.
    st.markdown(f"{badge}{archived} :small[:gray[{said}]]")


def settings(run: Run) -> list[str]:
    """What a request sets apart from the usual."""
    request = run.request
    said = [(JOINT if request.is_joint else WEIGHTS).title]
    if request.choose_images is None or (request.measure is not None and not request.refinement):
        said.append(f"{request.images:,} search images")
    else:
        confirming = request.images - request.choose_images
        said.append(f"{request.choose_images:,} search images choose, {confirming:,} confirm")
    how = strategy(request.algorithm)
    if how.searches or how.front:
        said.append(f"widths {_widths(request.widths)}")
        if request.activation_widths != (FP32_BITS,):
            said.append(f"of activations {_widths(request.activation_widths)}")
    if how.draws:
        said.append(f"seed {request.seed}")
    if how.uses_costs:
        said.append(f"costs by {request.measure}")
        if request.refinement:
            said.append(f"refined by {request.refinement:,} evaluations")
    if how.searches:
        if request.start is not None:
            said.append(f"from {uniform_name(request.start) or bit_counts(request.start)}")
        if run.intensity_normaliser is not None:
            said.append(f"normaliser {number(run.intensity_normaliser, 2)} FLOPs/byte")
        if run.floor_score is not None:
            said.append(f"floor {number(100 * run.floor_score / request.chooses_on, 2)} %")
    if request.accuracy_normaliser != DEFAULT_ACCURACY_NORMALISER:
        said.append(f"{request.accuracy_normaliser:g} points count as 1")
    if request.traffic != UNFUSED:
        said.append(f"{request.traffic} traffic")
    if request.excluded:
        said.append(f"excluded {', '.join(request.excluded)}")
    if request.fixed:
        said.append("held " + ", ".join(f"{layer} at {bits}" for layer, bits in request.fixed.items()))
    if request.max_evaluations is not None:
        said.append(f"at most {request.max_evaluations:,} evaluations")
    if request.max_minutes is not None:
        said.append(f"at most {request.max_minutes:g} minutes")
    if request.quantizer.rounding != Quantizer().rounding:
        said.append(f"weights rounded by {request.quantizer.rounding}")
    if request.quantizer.activations is not None and request.is_joint:
        said.append(f"ranges by {request.quantizer.activations.rule}")
    if request.quantizer.granularity != "channel":
        said.append(f"a scale per {request.quantizer.granularity}")
    if not request.use_bundled:
        said.append("bundled evaluations not used")
    return said


def _widths(widths: tuple[int, ...]) -> str:
    return ", ".join("FP32" if width == FP32_BITS else str(width) for width in widths)


def _buttons(run: Run) -> None:
    writable = not read_only() and names.is_own(run)
    if writable and run.status in jobs.UNFINISHED:
        st.button(
            "Cancel",
            key=f"cancel-{run.id}",
            disabled=stored.is_stopping(run),
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
    query = names.explore_query(run)
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
            partial(known.exported, run.id),
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


def _compare_button(run: Run) -> None:
    others = {
        other.id: f"{names.what(other)} · {names.origin(other)} · {other.id}"
        for other in reversed(stored.runs())
        if other.request.model == run.request.model
        and other.request.images == run.request.images
        and other.id != run.id
        and other.status not in jobs.UNFINISHED
        and (other.policy is not None or other.request.points is not None)
        and not other.archived
    }
    if not others or (run.policy is None and run.request.points is None):
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
