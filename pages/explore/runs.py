"""Running a search from the page: the offer, live progress with cancel, and what came of it."""

from dataclasses import replace

import streamlit as st

from aiq_core import jobs
from aiq_core.catalog import Model
from aiq_core.library import read_only
from aiq_core.records import UNFUSED, Run, RunStatus, SplitName
from aiq_core.search.greedy import GREEDY
from aiq_core.wording import number
from pages.common import errors, known
from pages.common.controls import View

POLL_S = 1.0


def offer(view: View, algorithm: str, searched: dict[float, Run]) -> None:
    """A button that runs exactly this search, where no run matches it, and one that extends it to all images."""
    if read_only():
        return
    here, everything = view.model.dataset.available(SplitName.SEARCH), known.image_counts(view.model)["all"]
    images = min(view.images, here)
    if not any(abs(alpha - view.alpha) < 1e-9 for alpha in searched):
        excerpt = "" if images == view.images else f", on the {images:,} images that ship with the app"
        counted = "" if view.traffic == UNFUSED else f", {view.traffic} traffic"
        _button(f"Search exactly here ({algorithm}{excerpt}{counted})", view, algorithm, images)
    elif view.images < everything == here:
        _button(f"Extend to all {everything:,} images", view, algorithm, everything)


def first(view: View) -> None:
    """What the page shows of a model that nothing is known of: why it is empty, and the button that changes it."""
    st.markdown(f"#### Nothing is measured yet for {view.model.title} on {view.images:,} search images")
    st.caption("A search measures FP32 first and then fills this page; it can be cancelled and resumed at any time.")
    if not read_only():
        images = min(view.images, view.model.dataset.available(SplitName.SEARCH))
        _button("Run the first search", view, GREEDY.name, images)


def _button(label: str, view: View, algorithm: str, images: int) -> None:
    st.button(
        label,
        icon=":material/play_arrow:",
        on_click=_start,
        args=(view, algorithm, images),
        width="stretch",
        help=f"Runs {algorithm} at alpha {view.alpha:.2f} on {images:,} search images in a process of its own; what is "
        "known already is not evaluated again. All of CIFAR-10 comes with `python -m aiq_core data`.",
    )


def _start(view: View, algorithm: str, images: int) -> None:
    model = view.model
    with errors.kept():
        how = view.space.quantizer(model.dataset)
        usual = view.space.request(model.name, how, model.profile, algorithm, view.alpha, images)
        request = replace(usual, traffic=view.traffic)
        st.session_state["job"] = jobs.submit(known.library(), request).id
        # The page works at one number of images: the one that is searched.
        counts = known.image_counts(view.model)
        st.session_state["images"] = next((name for name, count in counts.items() if count == images), "all")


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
    name = f"{run.request.algorithm}"
    if run.request.alpha is not None:
        name += f" at alpha {run.request.alpha:g}"
    if run.status is RunStatus.QUEUED:
        return f"{name}: waiting for a worker"
    if not run.steps:
        return f"{name}: loading the model, then FP32"
    step, eta = run.steps[-1], jobs.eta_s(known.library(), run)
    left = "" if eta is None else f", about {number(eta, 0)} s left"
    right = 100 * step.score / run.request.images
    so_far = f"AI {step.intensity:.2f}, {right:.2f} % on search, {run.evaluations} evaluations"
    return f"{name}: step {step.index}, {so_far}{left}"


def announcement() -> str:
    """What became of the search that this visitor started."""
    ended = st.session_state.pop("ended", None)
    if ended is None:
        return ""
    run = known.library().run(ended)
    if run.status is RunStatus.DONE:
        return (
            f"Search {run.id} is done: {run.evaluations} evaluations, {run.evaluations_new} of them new. {run.message}"
        )
    return f"Search {run.id} is {run.status}: {run.message or 'its process died'}. Resume it on the Search page."
