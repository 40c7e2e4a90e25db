"""The searches that lesson 5 replays."""

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.charts.lessons.walk import Walk, walk
from aiq_core.intensity import intensity
from aiq_core.objective import Objective, default_normaliser
from aiq_core.records import Run
from pages.common import known

ALPHA = 0.9
"""Where the lesson begins."""


@st.cache_resource(max_entries=60, show_spinner=False)
def steps_of(run_id: str, version: str) -> Walk:
    run = known.run(run_id, version)
    profile = known.model(run.request.model).profile
    return walk(run, profile, objective(run).bound(intensity(profile, profile.policy(run.request.fixed))))


def objective(run: Run) -> Objective:
    """The loss that a run made small."""
    request, model = run.request, known.model(run.request.model)
    assert request.alpha is not None
    return Objective(
        model.metric,
        request.alpha,
        run.intensity_normaliser or default_normaliser(model.profile, request.widths),
        request.accuracy_normaliser,
        request.images,
        run.baseline_score or 0,
        run.floor_score or 0,
    )


def walks(model: Model, algorithm: str) -> dict[float, str]:
    """Alpha -> run of an algorithm with the usual settings, on as many images as there are."""
    found: dict[float, Run] = {}
    for run in known.runs(model):
        request = run.request
        if not request.is_ordinary or request.algorithm != algorithm or not request.alpha or not run.evaluations:
            continue
        if request.alpha not in found or request.images > found[request.alpha].request.images:
            found[request.alpha] = run
    return {alpha: found[alpha].id for alpha in sorted(found)}


def run_of(shown: Walk) -> Run:
    return known.run(shown.run_id, known.library().finished_version())
