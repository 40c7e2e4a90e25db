"""A run's figures: of its policy so far, and what it took."""

import streamlit as st

from aiq_core import jobs
from aiq_core.intensity import intensity
from aiq_core.records import ImageSet, Run, RunStatus, SplitName
from aiq_core.search.strategies import strategy
from aiq_core.statistics import Comparison, Interval
from aiq_core.wording import MINUS, duration, number, per_byte, signed, span
from pages.common import known, names
from pages.search import stored


def draw(run: Run) -> None:
    """The latest policy's figures on search images, on report images where it is done, and evaluations and time."""
    step, request = run.steps[-1], run.request
    chosen_on = ImageSet(SplitName.SEARCH, request.chooses_on)
    with st.container(horizontal=True, border=True, gap="small"):
        _intensity(run)
        metric = known.model(request.model).metric
        cells = stored.against_fp32(known.library(), run, step.policy, chosen_on)
        chooses = "" if request.choose_images is None else "The search chose on these, which flatters it. "
        _points(run, chosen_on, "search", metric.interval(step.score, chosen_on.images), cells, chooses)
        _judges(run)
        st.metric(
            "Evaluations",
            f"{run.evaluations:,}",
            f"{run.evaluations_new:,} new",
            delta_color="off",
            delta_arrow="off",
            width=125,
            help="Asked for, as if nothing had been known; new: computed by this run.",
        )
        st.metric(
            "Time",
            duration(run.seconds),
            names.left(run) or None,
            delta_color="off",
            delta_arrow="off",
            width=150,
            help="Of its last start: a resumed run gets back what it evaluated before at once.",
        )


def _intensity(run: Run) -> None:
    step, profile = run.steps[-1], known.model(run.request.model).profile
    by = run.request.traffic
    before = intensity(profile, profile.uniform(32), 1, by, run.request.quantizer)
    which = "the best so far" if run.status in jobs.UNFINISHED else "the one chosen"
    which = which if strategy(run.request.algorithm).searches else "the last one listed"
    st.metric(
        per_byte(by),
        number(step.intensity, 2),
        f"{signed(100 * (step.intensity / before - 1), 1)} %".replace(MINUS, "-"),
        width=140,
        help=f"Arithmetic intensity of a policy, {which}; {by} traffic model, batch 1. Computed.",
    )


def _points(run: Run, on: ImageSet, judges: str, points: Interval, cells: Comparison | None, note: str = "") -> None:
    metric = known.model(run.request.model).metric
    drop = None if cells is None else cells.drop
    said = ""
    if drop is not None:
        noise = ", within noise" if drop.contains_zero else ""
        said = f" Drop against FP32: {number(drop.value, 2)} points ({span(drop)}{noise})."
    st.metric(
        f"{metric.title.capitalize()}, {on.count:,} {judges}",
        f"{number(points.value, 2)} {metric.unit}",
        None if drop is None else f"{signed(-drop.value, 2)} points".replace(MINUS, "-"),
        delta_color="off" if drop is not None and drop.contains_zero else "normal",
        width=165,
        help=f"{note}95 %: {span(points)}.{said} Origin: {names.origin(run)}.",
    )


def _judges(run: Run) -> None:
    """The chosen policy on the images that did not choose it: those kept apart to confirm on, and report images."""
    library, request = known.library(), run.request
    if run.status is not RunStatus.DONE or run.policy is None:
        return
    judges = [("report", ImageSet(SplitName.REPORT, stored.judged(library, run, run.policy)))]
    if request.choose_images is not None:
        judges.insert(0, ("confirm", ImageSet(SplitName.SEARCH, request.images, request.choose_images)))
    for name, on in judges:
        cells = stored.against_fp32(library, run, run.policy, on)
        if cells is not None:
            _points(run, on, name, cells.after, cells)
