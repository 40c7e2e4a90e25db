"""What this page reads of the stores, kept no longer than it must be."""

import json
from collections.abc import Callable
from typing import Any

import streamlit as st

from aiq_core import fronts
from aiq_core.catalog import Model
from aiq_core.charts.pareto import uniforms
from aiq_core.envelope import PolicyTable
from aiq_core.errors import DataError
from aiq_core.frontier import Measure, Sensitivity, sensitivity
from aiq_core.fronts import Point
from aiq_core.library import Library, read_only
from aiq_core.records import (
    FP32_BITS,
    UNFUSED,
    ImageSet,
    Policy,
    Quantizer,
    Request,
    Run,
    RunStatus,
    Score,
    SplitName,
)
from aiq_core.space import Space
from aiq_core.statistics import Comparison
from pages.common import errors, known

TABLE_TTL_S = 60
"""How old the reference points of a live chart may be: a table of thousands of policies is not read every second."""


@st.cache_resource(max_entries=4, show_spinner=False)
def _runs(version: str) -> tuple[Run, ...]:
    return known.library().runs(archived=True)


def runs() -> tuple[Run, ...]:
    """Every run, archived ones too, without steps."""
    return _runs(known.library().version())


def run(run_id: str) -> Run:
    """A run with its steps as they are now. Raises UnknownNameError."""
    library = known.library()
    found = library.run(run_id)
    # Any other may go on, and end in another way, without a change of the finished ones.
    return known.run(run_id, library.finished_version()) if found.status is RunStatus.DONE else found


def is_stopping(of: Run) -> bool:
    """Whether a running run was asked to stop and has not yet."""
    return of.status is RunStatus.RUNNING and not read_only() and known.library().store.is_cancel_requested(of.id)


@known.cached(8, TABLE_TTL_S)
def _table(model: Model, images: int, quantizer: str, start: int = 0, by: str = UNFUSED) -> PolicyTable | None:
    try:
        return known.library().table(model, images, Quantizer.from_json(json.loads(quantizer)), start=start, by=by)
    except DataError:
        return None


def table(of: Request) -> PolicyTable | None:
    """What was known a moment ago on the images that a request chooses on, rounded as it asks; None without FP32."""
    return _table(known.model(of.model), of.chooses_on, json.dumps(of.quantizer.to_json()))


def confirm_table(of: Request) -> PolicyTable | None:
    """What was known a moment ago on the images that confirm a front, rounded as it asks; None without FP32."""
    on = fronts.confirming(of)
    return _table(known.model(of.model), on.images, json.dumps(of.quantizer.to_json()), on.start, of.traffic)


@known.cached(16)
def _points(run_id: str, steps: int, version: str) -> tuple[Point, ...]:
    return fronts.points(known.library(), known.library().run(run_id), imported=True)


def points(of: Run) -> tuple[Point, ...]:
    """The points of a front, from the lowest AI upwards."""
    version = known.library().table_version(known.model(of.request.model), fronts.confirming(of.request).count)
    return _points(of.id, len(of.steps), version)


def costs(of: Request) -> Sensitivity | None:
    """What widths cost by themselves, as a front measured it; None for other requests, and where it is not here."""
    if of.measure is None:
        return None
    return _costs(known.model(of.model), json.dumps(of.quantizer.to_json()), of.measure)


@known.cached(8, TABLE_TTL_S)
def _costs(model: Model, quantizer: str, measure: str) -> Sensitivity | None:
    return sensitivity.known(model, Quantizer.from_json(json.loads(quantizer)), Measure(measure))


def chooses_on(space: Space, images: int) -> int:
    """How many of so many search images a search of a space chooses on."""
    return space.choosing(images) or images


def baseline(model: Model, images: int) -> Score | None:
    """FP32's score on the first search images, where it is known."""
    found = known.library().shown(model, SplitName.SEARCH, model.profile.uniform(FP32_BITS), images)
    return None if found is None else model.metric.score(found.outcomes[:images], model.dataset.search.labels[:images])


def references(of: Request) -> dict[Policy, Score]:
    """Policies of one width a kind -> score on the images that a request chooses on, of those that are known."""
    found = table(of)
    return {} if found is None else {policy: found.score[row].item() for policy, row in uniforms(found)}


def judged(library: Library, of: Run, policy: Policy) -> int:
    """How many report images a policy can be judged on: all where it was measured there, else those of the excerpt."""
    model = library.model(of.request.model)
    report = model.dataset.report
    whole = library.shown(model, SplitName.REPORT, policy, report.size, of.request.quantizer)
    return report.shipped if whole is None else report.size


def against_fp32(library: Library, of: Run, policy: Policy, on: ImageSet) -> Comparison | None:
    """A policy against FP32 on the same images, imported ones too; None where either is not known there."""
    model = library.model(of.request.model)
    fp32 = model.profile.uniform(FP32_BITS)
    how = of.request.quantizer
    return library.paired(model, on.split, on.images, fp32, policy, how, imported=True, start=on.start)


def attempt(action: Callable[..., Any], *arguments: Any) -> Any:
    """What an action returns; where it fails for a reason that a user can mend, None, and the page says the reason."""
    try:
        with errors.kept():
            return action(*arguments)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        st.session_state[errors.ERROR] = (
            f"{name}{error.strerror or error}; check its permissions and space, or set AIQ_DATA_DIR"
        )
    return None
