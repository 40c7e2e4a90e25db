"""Runs kept, numbered, moved between states and packed into a bundle."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiq_core.errors import StoreError, UnknownNameError
from aiq_core.execute import new_run
from aiq_core.records import (
    Candidate,
    Evaluation,
    Granularity,
    Move,
    Origin,
    Outcome,
    Policy,
    Quantizer,
    Request,
    Run,
    RunStatus,
    Site,
    SiteKind,
    Step,
)
from aiq_core.store import Store
from aiq_core.store.bundle import publish
from tests import bundled

HERE = Origin("this cpu", "2.14.1", threads=2, chunk=250, created_at="2026-01-01T00:00:00+00:00")
MODEL = bundled.model("digits_cnn")
EVERYTHING = Request(
    "digits_cnn",
    "coordinate",
    0.1 + 0.2,
    widths=(32, 8, 2),
    intensity_normaliser=60.0,
    accuracy_normaliser=5.0,
    floor_percent=89.5,
    excluded=("linear",),
    fixed={"block1.conv": 8, "block2.conv": 4},
    images=500,
    quantizer=Quantizer("nearest", Granularity.TENSOR),
    label="a – label",
    max_evaluations=99,
    max_minutes=1.5,
    use_bundled=False,
)


BLOCK3, BLOCK4 = Site(SiteKind.WEIGHTS, "block3.conv"), Site(SiteKind.WEIGHTS, "block4.conv")
GROUP = Site(SiteKind.ACTIVATIONS, "block3.conv")


def step(index: int, **changes: object) -> Step:
    policy = Policy((8, 4, 32, 4, 32), (32,) * 6)
    candidates = (
        Candidate(Move(BLOCK4, 4), 10.25, -0.5, Outcome.WON, needs=480, score=481, loss=-0.49),
        Candidate(Move(BLOCK3, 4), 1 / 3, -0.4, Outcome.PRUNED),
    )
    return replace(
        Step(index, 1, Move(BLOCK4, 4), policy, 1 / 3, 481, -0.49, "reason", candidates),
        **changes,  # type: ignore[arg-type]
    )


def test_a_run_with_everything_comes_back_equal(store: Store) -> None:
    run = store.add_run(replace(new_run(MODEL, EVERYTHING), origin=HERE, message="said", traceback="Traceback …"))
    steps = (step(1), step(2, move=None, candidates=()), step(3, move=Move(GROUP, 8), candidates=()))
    run = replace(run, policy=steps[1].policy, evaluations=5, evaluations_new=2, floor_score=448, seconds=1.25)
    store.save_run(run, steps[:1])
    store.save_run(run, steps[1:])
    assert Store(store.path).run(run.id) == replace(run, steps=steps)
    assert store.runs() == [run]


def test_a_run_without_a_traceback_stands_as_in_versions_that_knew_none(store: Store, finished_run: Run) -> None:
    store.add_run(finished_run)
    (text,) = sqlite3.connect(store.path).execute("SELECT document FROM runs").fetchone()
    assert set(json.loads(text)) == {
        *("request", "model_hash", "search_hash", "report_hash", "origin", "finished_at", "policy", "evaluations"),
        *("evaluations_new", "intensity_normaliser", "floor_correct", "baseline_correct", "seconds", "message"),
    }
    assert store.run(finished_run.id).traceback == ""


def test_a_digest_names_the_request() -> None:
    assert new_run(MODEL, EVERYTHING).id == EVERYTHING.digest == Request.from_json(EVERYTHING.to_json()).digest
    assert replace(EVERYTHING, alpha=0.3).digest != EVERYTHING.digest
    assert len(EVERYTHING.digest) == 10


def test_equal_requests_get_ids_in_a_row(store: Store) -> None:
    first = new_run(MODEL, EVERYTHING)
    ids = [store.add_run(first).id for _ in range(3)]
    assert ids == [first.id, f"{first.id}-2", f"{first.id}-3"]
    assert (
        store.add_run(new_run(MODEL, replace(EVERYTHING, alpha=0.5)), reserved=[]).id
        == replace(EVERYTHING, alpha=0.5).digest
    )
    other = new_run(MODEL, replace(EVERYTHING, alpha=0.6))
    assert store.add_run(other, reserved=[other.id]).id == f"{other.id}-2"


def test_an_unknown_run_lists_what_there_is(store: Store, finished_run: Run) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown run 'nosuch'; choose from \(no runs yet\)"):
        store.run("nosuch")
    store.add_run(finished_run)
    with pytest.raises(UnknownNameError, match=f"choose from {finished_run.id}"):
        store.run("nosuch")


def test_a_status_moves_only_from_where_it_may(store: Store, finished_run: Run) -> None:
    run = store.add_run(replace(finished_run, status=RunStatus.QUEUED))
    assert not store.set_status(run.id, RunStatus.INTERRUPTED, only_from=[RunStatus.RUNNING])
    assert store.set_status(run.id, RunStatus.RUNNING, only_from=[RunStatus.QUEUED])
    assert not store.set_status(run.id, RunStatus.RUNNING, only_from=[RunStatus.QUEUED])
    assert store.with_status(RunStatus.RUNNING, RunStatus.QUEUED) == [run.id]
    assert store.run(run.id).status is RunStatus.RUNNING


def test_cancelling(store: Store, finished_run: Run) -> None:
    queued = store.add_run(replace(finished_run, status=RunStatus.QUEUED))
    running = store.add_run(replace(finished_run, status=RunStatus.RUNNING))
    done = store.add_run(finished_run)
    for run in (queued, running, done):
        store.request_cancel(run.id)
    assert [store.run(run.id).status for run in (queued, running, done)] == ["cancelled", "running", "done"]
    assert [store.is_cancel_requested(run.id) for run in (queued, running, done)] == [False, True, False]
    # Queued again, it starts with a clean slate.
    store.set_status(running.id, RunStatus.QUEUED, only_from=[RunStatus.RUNNING])
    assert not store.is_cancel_requested(running.id)


def test_steps_are_replaced_when_a_run_starts_again(store: Store, finished_run: Run) -> None:
    run = store.add_run(finished_run)
    store.clear_steps(run.id)
    assert store.run(run.id).steps == ()
    store.save_run(run, [step(1)])
    store.save_run(run, [step(1, reason="again")])
    assert [s.reason for s in store.run(run.id).steps] == ["again"]


def test_a_copy_is_whole_while_the_store_is_in_use(
    store: Store, finished_run: Run, evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    store.add_run(finished_run)
    store.save_evaluation(evaluation())
    writer = sqlite3.connect(store.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    store.copy_to(tmp_path / "copy.sqlite")
    writer.close()
    copied = Store(tmp_path / "copy.sqlite", immutable=True)
    assert copied.run(finished_run.id) == finished_run
    assert np.array_equal(copied.evaluations()[0].outcomes, evaluation().outcomes)


# The bundle.


def test_publishing_twice_gives_the_same_bytes(
    store: Store, finished_run: Run, evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    for bits in (8, 4, 32):
        store.save_evaluation(evaluation(bits))
    store.add_run(finished_run)
    publish(store, tmp_path / "a.sqlite")
    publish(store, tmp_path / "b.sqlite")
    assert (tmp_path / "a.sqlite").read_bytes() == (tmp_path / "b.sqlite").read_bytes()
    publish(store, tmp_path / "a.sqlite")  # over the old one
    assert (tmp_path / "a.sqlite").read_bytes() == (tmp_path / "b.sqlite").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("[ab].*")) == ["a.sqlite", "b.sqlite"]


def test_the_order_of_writing_does_not_show(
    finished_run: Run, evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    for name, order in (("a", (8, 4, 32)), ("b", (4, 32, 8))):
        store = Store(tmp_path / f"{name}-store.sqlite")
        for bits in order:
            store.save_evaluation(evaluation(bits))
        publish(store, tmp_path / f"{name}.sqlite")
    assert (tmp_path / "a.sqlite").read_bytes() == (tmp_path / "b.sqlite").read_bytes()


def test_a_bundle_holds_finished_runs_and_answers_without_a_journal(
    store: Store, finished_run: Run, evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    done = store.add_run(finished_run)
    for status in RunStatus:
        if status is not RunStatus.DONE:
            store.add_run(replace(finished_run, status=status))
    store.save_evaluation(evaluation())
    folder = tmp_path / "bundle"
    publish(store, folder / "results.sqlite")
    bundle = Store(folder / "results.sqlite", immutable=True)
    assert [run.id for run in bundle.runs()] == [done.id]
    assert bundle.run(done.id) == finished_run
    assert bundle.evaluation(evaluation().key) is not None
    assert [path.name for path in folder.iterdir()] == ["results.sqlite"]
    assert (folder / "results.sqlite").read_bytes()[18:20] == b"\x01\x01"  # journal, not write-ahead log
    with pytest.raises(StoreError, match="read-only"):
        bundle.save_evaluation(evaluation(8))


def test_versions_change_with_what_they_are_of(
    store: Store, finished_run: Run, evaluation: Callable[..., Evaluation]
) -> None:
    model = finished_run.model_hash
    runs, policies = [store.finished_version()], [store.evaluations_version(model, 500)]
    store.add_run(finished_run)
    runs.append(store.finished_version())
    store.save_run(finished_run)  # a heartbeat
    assert store.finished_version() == runs[-1]
    store.set_archived(finished_run.id, True)
    runs.append(store.finished_version())
    assert len(set(runs)) == len(runs)
    store.save_evaluation(evaluation(4, 10))
    policies.append(store.evaluations_version(model, 500))
    assert len(set(policies)) == len(policies)
    assert store.evaluations_version(model, 501) == store.evaluations_version("0" * 16, 500)
