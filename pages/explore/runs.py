"""Running a search from the page: the offer, live progress with cancel, and what came of it."""

from dataclasses import replace

import streamlit as st

from aiq_core import jobs
from aiq_core.catalog import Model
from aiq_core.estimate import estimate
from aiq_core.library import read_only
from aiq_core.records import UNFUSED, Request, Run, RunStatus, SplitName
from aiq_core.search.baselines import MANUAL
from aiq_core.search.frontier import FRONTIER
from aiq_core.search.greedy import GREEDY
from aiq_core.search.strategies import FRONTS, strategy
from aiq_core.wording import duration, number
from pages.common import errors, fronts, known
from pages.common.controls import View
from pages.common.selection import comparable
from pages.explore.shown import Shown

POLL_S = 1.0
USUAL_TIME = "a minute"
"""Of a network whose costs of widths ship with the app."""


def offer(shown: Shown) -> None:
    """A button that runs exactly what is asked for, where no run matches it, and one that extends it to all images.

    Where nothing is asked for by name, and no front is known of both kinds of bits, it is the frontier.
    """
    if read_only():
        return
    view = shown.view
    here, everything = view.model.dataset.available(SplitName.SEARCH), known.image_counts(view.model)["all"]
    images = min(view.images, here)
    if view.algorithm in FRONTS and view.algorithm != FRONTIER.name:
        command = f"python -m aiq_core frontier {view.model.name} --algorithm {view.algorithm}"
        st.caption(f"Drawn by hundreds of evaluations, as a rival: `{command}`")
        return
    if view.algorithm == FRONTIER.name and not fronts.can_measure_costs(view.model):
        st.caption(f"A frontier needs calibration images, and {view.model.dataset.title} has none.")
        return
    wants_front = view.algorithm is None and view.space.is_joint and not shown.front.policies
    algorithm = FRONTIER.name if wants_front else view.algorithm or GREEDY.name
    if algorithm == FRONTIER.name:
        is_known = bool(shown.front.policies)
    else:
        searched = comparable(shown.finished, algorithm, shown.table)
        is_known = any(abs(alpha - view.alpha) < 1e-9 for alpha in searched)
    if not is_known:
        excerpt = "" if images == view.images else f", on the {images:,} images that ship with the app"
        how = excerpt + ("" if view.traffic == UNFUSED else f", {view.traffic} traffic")
        front = algorithm == FRONTIER.name
        label = f"{_whole(view, images)}{how}" if front else f"Search exactly here ({algorithm}{how})"
        _button(label, view, algorithm, images)
    elif view.images < everything == here:
        _button(f"Extend to all {everything:,} images", view, algorithm, everything)


def judge(shown: Shown) -> None:
    """A button that measures what is shown on report images, and the points of its front with it, where it is not yet.

    Which images choose, and which judge what was chosen, is kept apart: a front is confirmed on search images alone.
    """
    view, images = shown.view, shown.found.report_images
    here = view.model.dataset.available(SplitName.REPORT)
    if read_only() or shown.found.report is not None or here < images or known.unfinished(view.model):
        return
    policies = tuple(dict.fromkeys((shown.chosen.policy, *shown.front.policies)))
    how = view.space.quantizer(view.model.dataset)
    asked = Request(
        view.model.name, MANUAL.name, images=view.images, quantizer=how, policies=policies, traffic=view.traffic
    )
    points = f" and the {len(shown.front.policies)} points of the front" if shown.front.policies else ""
    st.button(
        f"Judge on {images:,} report images",
        icon=":material/gavel:",
        on_click=_submit,
        args=(asked,),
        width="stretch",
        help=f"Measures the policy shown{points} on images by which none was chosen; a process of its own does.",
    )


def first(view: View) -> None:
    """What the page shows of a model that nothing is known of: why it is empty, and the button that changes it."""
    if known.unfinished(view.model):
        st.markdown(f"#### {view.model.title} is being measured")
        st.caption("This page fills once that is done. Whether it stays open does not matter.")
        return
    st.markdown(f"#### Nothing is measured yet for {view.model.title} on {view.images:,} search images")
    images = min(view.images, view.model.dataset.available(SplitName.SEARCH))
    if not fronts.can_measure_costs(view.model):
        st.caption(
            "A search measures FP32 first and then fills this page; it can be cancelled and resumed at any time."
        )
        if not read_only():
            _button("Run the first search", view, GREEDY.name, images)
        return
    st.caption(
        "The whole frontier is the best policy at each AI, from few bits to fewer, each measured; it can be cancelled "
        "and resumed at any time."
    )
    if not read_only():
        _button(_whole(view, images), view, FRONTIER.name, images)


def _whole(view: View, images: int) -> str:
    """The frontier with what it will take here."""
    seconds = estimate(known.library(), [_request(view, FRONTIER.name, images)], known.runs(view.model)).likely_s
    return f"Whole frontier, about {USUAL_TIME if seconds is None else duration(seconds)}"


def _button(label: str, view: View, algorithm: str, images: int) -> None:
    what = "the frontier" if algorithm == FRONTIER.name else f"{algorithm} at alpha {view.alpha:.2f}"
    dataset = view.model.dataset
    rest = "" if dataset.is_here else f" All of {dataset.title} comes with `python -m aiq_core data`."
    st.button(
        label,
        icon=":material/play_arrow:",
        on_click=_start,
        args=(view, algorithm, images),
        width="stretch",
        help=f"Runs {what} on {images:,} search images in a process of its own; what is known already is not evaluated "
        f"again.{rest}",
    )


def _start(view: View, algorithm: str, images: int) -> None:
    _submit(_request(view, algorithm, images))
    # The page works at one number of images: the one that is searched.
    counts = known.image_counts(view.model)
    st.session_state["images"] = next((name for name, count in counts.items() if count == images), "all")


def _submit(asked: Request) -> None:
    with errors.kept():
        st.session_state["job"] = jobs.submit(known.library(), asked).id


def _request(view: View, algorithm: str, images: int) -> Request:
    """What a button asks for: the frontier, or a search at the view's alpha."""
    model, how = view.model, view.space.quantizer(view.model.dataset)
    if algorithm == FRONTIER.name:
        usual = view.space.front_request(model.name, how, model.profile, images)
    else:
        usual = view.space.request(model.name, how, model.profile, algorithm, view.alpha, images)
    return replace(usual, traffic=view.traffic)


def watch(view: View) -> None:
    """Live progress of the model's unfinished runs, found again after a reload, and a message when one ends."""
    errors.say()
    if read_only():
        return
    running = known.unfinished(view.model)
    if running or st.session_state.get("job"):
        st.fragment(_progress, run_every=POLL_S if running else None)(view.model)


def _progress(model: Model) -> None:
    library = known.library()
    jobs.ensure_worker(library)
    running = known.unfinished(model)
    for run in running:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.progress(jobs.share_done(library, run), text=_text(run))
            st.button("Cancel", key=f"cancel-{run.id}", on_click=jobs.cancel, args=(library, run.id))
    job = st.session_state.get("job")
    if job and all(run.id != job for run in running):
        st.session_state.pop("job")
        st.session_state["ended"] = job
        st.rerun()
    elif not running:
        st.rerun()


def _text(run: Run) -> str:
    name = strategy(run.request.algorithm).noun
    if run.request.alpha is not None:
        name += f" at alpha {run.request.alpha:g}"
    if run.status is RunStatus.QUEUED:
        return f"{name}: waiting for a worker"
    if not run.steps:
        return f"{name}: {run.message or 'loading the model, then FP32'}"
    step, eta = run.steps[-1], jobs.eta_s(known.library(), run)
    left = "" if eta is None else f", about {number(eta, 0)} s left"
    right = 100 * step.score / run.request.chooses_on
    so_far = f"AI {step.intensity:.2f}, {right:.2f} % on search, {run.evaluations} evaluations"
    what = "step" if run.request.points is None else "point"
    return f"{name}: {what} {step.index}, {so_far}{left}"


def announcement() -> str:
    """What became of the search that this visitor started."""
    ended = st.session_state.pop("ended", None)
    if ended is None:
        return ""
    run = known.library().run(ended)
    name = "Search" if strategy(run.request.algorithm).searches else strategy(run.request.algorithm).noun.capitalize()
    if run.status is RunStatus.DONE:
        return (
            f"{name} {run.id} is done: {run.evaluations} evaluations, {run.evaluations_new} of them new. {run.message}"
        )
    return f"{name} {run.id} is {run.status}: {run.message or 'its process died'}. Resume it on the Search page."
