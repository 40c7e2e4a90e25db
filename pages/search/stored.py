"""What this page reads of the stores, kept no longer than it must be."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.envelope import PolicyTable
from aiq_core.errors import DataError
from aiq_core.library import Library, read_only
from aiq_core.records import DEFAULT_WIDTHS, FP32_BITS, Policy, Run, RunStatus, Score, SplitName
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
def table(model: Model, images: int) -> PolicyTable | None:
    """What was known of a model a moment ago; None where not even FP32 was."""
    try:
        return known.library().table(model, images)
    except DataError:
        return None


def references(model: Model, images: int) -> dict[int, Score]:
    """Uniform bits -> score, of those that are known."""
    found = table(model, images)
    if found is None:
        return {}
    rows = {bits: found.row(found.profile.uniform(bits)) for bits in DEFAULT_WIDTHS}
    return {bits: found.score[row].item() for bits, row in rows.items() if row is not None}


def judged(library: Library, of: Run, policy: Policy) -> int:
    """How many report images a policy can be judged on: all where it was measured there, else those of the excerpt."""
    model = library.model(of.request.model)
    report = model.dataset.report
    whole = library.shown(model, SplitName.REPORT, policy, report.size, of.request.quantizer)
    return report.shipped if whole is None else report.size


def against_fp32(library: Library, of: Run, policy: Policy, split: SplitName, images: int) -> Comparison | None:
    """A policy against FP32 on the same images, imported ones too; None where either is not known there."""
    model = library.model(of.request.model)
    fp32 = model.profile.uniform(FP32_BITS)
    return library.paired(model, split, images, fp32, policy, of.request.quantizer, imported=True)


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
