"""A policy set by hand, kept as a run: no steps, no evaluations of its own, and nothing is measured for it."""

from dataclasses import replace
from datetime import UTC, datetime

from aiq_core import execute
from aiq_core.catalog import Model
from aiq_core.errors import SettingError
from aiq_core.library import Library
from aiq_core.records import Origin, Policy, Request, Run, RunStatus, SplitName
from aiq_core.search.baselines import MANUAL
from aiq_core.store.store import SAVED

LABEL_LENGTH = 60


def save_manual(library: Library, model: Model, policy: Policy, images: int, label: str) -> Run:
    """Keeps a policy as a finished run of `images` search images under an id of its own.

    Raises SettingError where the label is too long or the very same run is kept already, DataError where nothing
    can be written.
    """
    label = label.strip()
    if len(label) > LABEL_LENGTH:
        raise SettingError(f"the name has {len(label)} characters; use at most {LABEL_LENGTH}")
    request = Request(model.name, MANUAL.name, images=images, policies=(policy,), label=label or None)
    same = [run for run in library.runs(model, archived=True) if run.request.digest == request.digest]
    if same:
        raise SettingError(f"this policy is kept already as run {same[0].id}; give it another name to keep it twice")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    found = library.evaluation(model, SplitName.SEARCH, policy)
    known = found is not None and found.is_complete(images)
    machine = found.origin if found is not None and known else Origin("not measured", "-", 0, 0, now)
    run = replace(
        execute.new_run(model, request),
        status=RunStatus.DONE,
        origin=replace(machine, created_at=now, source=SAVED),
        finished_at=now,
        policy=policy,
        message="Set by hand in the Lab and kept as it is: no search chose it.",
    )
    return library.add_run(run)
