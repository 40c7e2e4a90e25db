"""Searches in a real worker process: done, cancelled, killed and resumed, within their limits."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from aiq_core import documents, jobs
from aiq_core import execute as executing
from aiq_core import worker as working
from aiq_core.catalog import Model
from aiq_core.errors import SettingError, StoreError
from aiq_core.execute import Evaluators, execute, execute_together, new_run
from aiq_core.library import Library
from aiq_core.records import (
    Evaluation,
    ImageSet,
    Origin,
    Outcome,
    Outcomes,
    Policy,
    Quantizer,
    Request,
    Run,
    RunStatus,
    SplitName,
    is_done,
)
from aiq_core.space import quantizer
from aiq_core.store import Store
from tests import bundled
from tests.watching import is_over, wait, workers

DIGITS = bundled.model("digits_cnn")
LONG = Request(
    "digits_cnn",
    "coordinate",
    0.9,
    widths=(32, 8, 7, 6, 5, 4, 3, 2),
    activation_widths=(32, 8, 7, 6, 5, 4),
    quantizer=quantizer(bundled.dataset("digits"), "nearest", activations=True),
    images=500,
    use_bundled=False,
)
"""Sweeps over weights and activations: long enough to be stopped on its way."""
SHORT = Request("digits_cnn", "greedy", 0.9, images=500, use_bundled=False)


@pytest.fixture(scope="module")
def evaluators() -> Evaluators:
    return Evaluators(1)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A library of its own; a worker that still lives when the test ends is ended with it."""
    yield Library(Store(tmp_path / "store.sqlite"), None)
    for worker in workers():
        worker.kill()
        worker.wait()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, evaluators: Evaluators) -> Run:
    """LONG from start to end in this process."""
    library = Library(Store(tmp_path_factory.mktemp("uninterrupted") / "store.sqlite"), None)
    return execute(library, library.add_run(new_run(bundled.model(LONG.model), LONG)), evaluators)


def is_under_way(run: Run) -> bool:
    return run.evaluations_new >= 5


def hold(library: Library, run_id: str) -> psutil.Process:
    """The worker, stopped on its way, so that it is still there however slow this process is; never within a write."""
    wait(library, run_id, is_under_way)
    (worker,) = workers()
    connection = sqlite3.connect(library.store.path, timeout=0.1, isolation_level=None)
    while True:
        worker.suspend()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            worker.resume()
            time.sleep(0.02)
            continue
        connection.close()
        return worker


def measured(library: Library) -> dict[str, Evaluation]:
    """Evaluations on the search images, by policy."""
    card = bundled.model("digits_cnn").card
    found = library.store.evaluations(card.model_hash, bundled.dataset("digits").split(SplitName.SEARCH).hash)
    return {evaluation.key.policy: evaluation for evaluation in found}


def assert_nothing_lost(before: dict[str, Evaluation], after: dict[str, Evaluation]) -> None:
    for policy, evaluation in before.items():
        done = is_done(evaluation.outcomes)
        assert (after[policy].outcomes[done] == evaluation.outcomes[done]).all()


def assert_same_search(run: Run, expected: Run) -> None:
    assert run.status is RunStatus.DONE
    assert (run.steps, run.policy, run.evaluations) == (expected.steps, expected.policy, expected.evaluations)
    assert run.message == ""


def test_cancelled_it_keeps_everything_and_resumes_to_the_same_steps(library: Library, uninterrupted: Run) -> None:
    run = jobs.submit(library, LONG)
    assert (run.id, run.status) == (LONG.digest, RunStatus.QUEUED)
    worker = hold(library, run.id)
    jobs.cancel(library, run.id)
    time.sleep(executing.HEARTBEAT_S)
    worker.resume()
    asked_at = time.monotonic()
    cancelled = wait(library, run.id, is_over)
    assert time.monotonic() - asked_at < 10
    assert cancelled.status is RunStatus.CANCELLED
    assert cancelled.message == "cancelled; everything evaluated so far is kept, resume goes on from there"
    kept = measured(library)
    assert len(kept) >= cancelled.evaluations_new
    assert len(cancelled.steps) < len(uninterrupted.steps)
    assert cancelled.steps == uninterrupted.steps[: len(cancelled.steps)]
    # Resumed, and asked for a second time: one worker does both.
    jobs.resume(library, run.id)
    again = jobs.submit(library, LONG)
    assert again.id == f"{run.id}-2"
    resumed, second = (wait(library, run_id, is_over) for run_id in (run.id, again.id))
    assert_same_search(resumed, uninterrupted)
    assert_nothing_lost(kept, measured(library))
    # At most the one evaluation that was stopped half-way is begun twice.
    assert resumed.evaluations_new <= uninterrupted.evaluations_new - cancelled.evaluations_new + 1
    assert_same_search(second, uninterrupted)
    assert (second.evaluations, second.evaluations_new) == (uninterrupted.evaluations, 0)
    with pytest.raises(SettingError, match=f"run {run.id} is done, so it cannot be resumed; start a new one"):
        jobs.resume(library, run.id)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals")
def test_killed_it_is_found_and_resumes_to_the_same_steps(library: Library, uninterrupted: Run) -> None:
    run = jobs.submit(library, LONG)
    worker = hold(library, run.id)
    assert jobs.reap(library) == []  # alive, it is nobody's to reap
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(10)
    reported = library.store.run(run.id)
    assert reported.status is RunStatus.RUNNING
    kept = measured(library)
    assert jobs.reap(library) == [run.id]
    assert jobs.reap(library) == []
    interrupted = library.store.run(run.id)
    assert interrupted == replace(reported, status=RunStatus.INTERRUPTED)
    # Whatever the run reported was on disk: its count, its winners in full, its steps.
    assert len(kept) >= reported.evaluations_new >= 5
    assert interrupted.steps == uninterrupted.steps[: len(interrupted.steps)]
    assert all(kept[step.policy.key].is_complete(500) for step in interrupted.steps)
    jobs.resume(library, run.id)
    resumed = wait(library, run.id, is_over)
    assert_same_search(resumed, uninterrupted)
    assert_nothing_lost(kept, measured(library))
    assert resumed.evaluations_new <= uninterrupted.evaluations_new - reported.evaluations_new + 1


def test_one_worker_is_started_however_often_it_is_asked_for(library: Library) -> None:
    """Importing takes a worker seconds, in which pages and the command line ask again and again."""
    with jobs.run_lock(library, SHORT.digest):  # so that the run stays queued whatever the worker does
        run = jobs.submit(library, SHORT)
        for _ in range(20):
            jobs.ensure_worker(library)
        assert len(workers()) == 1
        assert library.store.run(run.id).status is RunStatus.QUEUED
    jobs.cancel(library, run.id)


# Without a process of their own: the queue, and what a search may spend.


@pytest.fixture
def no_worker(library: Library) -> Iterator[None]:
    """Every slot is taken, so nothing that is queued starts."""
    with jobs.slot_lock(library, 0):
        yield


@pytest.mark.usefixtures("no_worker")
def test_a_full_queue_is_refused(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_MAX_QUEUE", "2")
    first = jobs.submit(library, SHORT)
    with pytest.raises(SettingError, match="1 searches are queued, this server takes at most 2"):
        jobs.submit_sweep(library, [SHORT, LONG])
    assert len(library.runs()) == 1  # all of a sweep or none
    jobs.submit(library, SHORT)
    with pytest.raises(SettingError, match="2 searches are queued, this server takes at most 2; wait for one to end"):
        jobs.submit(library, SHORT)
    jobs.cancel(library, first.id)
    assert library.store.run(first.id).status is RunStatus.CANCELLED
    jobs.submit(library, SHORT)
    assert workers() == []


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("text", ["0", "-1", "many", "nan"])
def test_a_limit_that_is_none_is_named(library: Library, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AIQ_MAX_QUEUE", text)
    with pytest.raises(SettingError, match=f"AIQ_MAX_QUEUE='{text}' is not a number above 0; unset it for 1000"):
        jobs.submit(library, SHORT)


@pytest.mark.usefixtures("no_worker")
def test_a_server_may_limit_minutes(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_MAX_MINUTES", "5")
    asked = [None, 2.0, 30.0]
    runs = [jobs.submit(library, replace(SHORT, max_minutes=minutes)) for minutes in asked]
    assert [run.request.max_minutes for run in runs] == [5.0, 2.0, 5.0]


@pytest.mark.usefixtures("no_worker")
def test_what_cannot_run_is_never_queued(library: Library) -> None:
    with pytest.raises(SettingError, match="alpha=2"):
        jobs.submit(library, replace(SHORT, alpha=2.0))
    with pytest.raises(SettingError):
        jobs.submit_sweep(library, [SHORT, replace(SHORT, alpha=2.0)])
    assert library.runs() == ()


def run_here(library: Library, request: Request, evaluators: Evaluators) -> Run:
    return execute(library, library.add_run(new_run(bundled.model(request.model), request)), evaluators)


@pytest.mark.parametrize("most", [1, 7, 30])
def test_a_budget_of_evaluations_ends_at_the_best_so_far(
    library: Library, evaluators: Evaluators, uninterrupted: Run, most: int
) -> None:
    run = run_here(library, replace(LONG, max_evaluations=most), evaluators)
    assert (run.status, run.evaluations) == (RunStatus.DONE, most)
    assert run.message == f"stopped at its budget of {most} evaluations with the best so far"
    assert run.steps == uninterrupted.steps[: len(run.steps)]
    assert len(run.steps) < len(uninterrupted.steps)
    profile = bundled.profile("digits_cnn")
    assert run.policy == (run.steps[-1].policy if run.steps else profile.uniform(32))
    # What is shown is judged: on search and on report.
    for split, policy in ((split, policy) for split in SplitName for policy in (profile.uniform(32), run.policy)):
        found = library.evaluation(bundled.model("digits_cnn"), split, policy, LONG.quantizer)
        assert found is not None and found.is_complete(500)


def test_a_budget_that_suffices_says_nothing(library: Library, evaluators: Evaluators, uninterrupted: Run) -> None:
    run = run_here(library, replace(LONG, max_evaluations=uninterrupted.evaluations), evaluators)
    assert_same_search(run, uninterrupted)


def test_minutes_that_are_spent_at_once_leave_the_start(library: Library, evaluators: Evaluators) -> None:
    run = run_here(library, replace(SHORT, max_minutes=1e-6, fixed={"linear": 8}), evaluators)
    assert run.status is RunStatus.DONE
    assert run.message == "stopped at its budget of 1e-06 minutes with the best so far"
    assert run.policy == bundled.profile("digits_cnn").policy({"linear": 8})
    assert (run.steps, run.evaluations) == ((), 0)


def test_fixed_layers_below_the_floor_fail_with_the_limit_that_binds(library: Library, evaluators: Evaluators) -> None:
    names = bundled.profile("digits_cnn").quantizable_names
    run = run_here(library, replace(SHORT, fixed=dict.fromkeys(names[:4], 2)), evaluators)
    assert run.status is RunStatus.FAILED
    assert "the start and fixed layers alone reach" in run.message and "lower the floor to" in run.message
    assert run.policy is None and run.steps == ()


def test_a_floor_above_fp32_fails_with_both_numbers(library: Library, evaluators: Evaluators) -> None:
    run = run_here(library, replace(SHORT, floor_percent=99.9), evaluators)
    assert run.status is RunStatus.FAILED
    assert run.message.startswith("floor=99.9 % is above FP32's 97.60 % on these 500 images")


def test_what_cannot_win_is_stopped_early(library: Library, evaluators: Evaluators) -> None:
    """With one layer left, its widths are tried in the order of their bound and the losers' images are saved."""
    run = run_here(library, replace(SHORT, widths=(32, 4, 3, 2), floor_percent=97.6), evaluators)
    stopped = [c for step in run.steps for c in step.candidates if c.outcome is Outcome.CANNOT_WIN]
    assert stopped
    assert sum(not evaluation.is_complete(500) for evaluation in measured(library).values()) > 0


def test_runs_of_a_sweep_take_turns_and_end_as_if_alone(
    library: Library, evaluators: Evaluators, tmp_path: Path
) -> None:
    requests = [replace(SHORT, alpha=alpha, widths=(32, 4, 3)) for alpha in (0.1, 0.5, 0.9)]
    together = execute_together(
        library, [library.add_run(new_run(bundled.model(request.model), request)) for request in requests], evaluators
    )
    alone = [
        run_here(Library(Store(tmp_path / f"{i}.sqlite"), None), request, evaluators)
        for i, request in enumerate(requests)
    ]
    assert [run.steps for run in together] == [run.steps for run in alone]
    assert [run.status for run in together] == [RunStatus.DONE] * 3
    assert sum(run.evaluations_new for run in together) < sum(run.evaluations_new for run in alone)


# What nobody foresaw: one run ends with its reason, the others and the worker go on.

SPOILT = replace(SHORT, images=250)
"""The run of a sweep that meets the error; the other one, SHORT, asks for other images."""


class Spoilt:
    """Evaluators of which those of SPOILT raise an error: when made (`at` 0), or at their `at`-th policy."""

    def __init__(self, sound: Evaluators, error: BaseException, at: int) -> None:
        self._sound, self._error, self._at = sound, error, at

    def __call__(self, model: Model, images: ImageSet, quantizer: Quantizer, device: str | None = None) -> Any:
        self._evaluator = self._sound(model, images, quantizer, device)
        if images.images != SPOILT.images:
            return self._evaluator
        if self._at == 0:
            raise self._error
        return self

    @property
    def origin(self) -> Origin:
        return self._evaluator.origin

    def integers(self, policy: Policy) -> str:
        return ""

    def expect(self, coming: Iterable[object]) -> None:
        pass

    def chunks(self, policy: Policy, base: Policy, outcomes: Outcomes) -> Iterator[Outcomes]:
        self._at -= 1
        if self._at == 0:
            raise self._error
        return self._evaluator.chunks(policy, base, outcomes)


def add_sweep(library: Library) -> list[Run]:
    return [library.add_run(new_run(DIGITS, replace(request, sweep="together"))) for request in (SPOILT, SHORT)]


@pytest.mark.parametrize(
    ("error", "at", "asked"),
    [
        # Its policies are FP32, which is not counted, two that are, and the one that fails.
        (ValueError("no `such`\n  chunk"), 4, 2),
        (MemoryError(), 0, 0),
    ],
)
def test_a_run_that_fails_keeps_why_and_its_sweep_goes_on(
    library: Library, evaluators: Evaluators, error: Exception, at: int, asked: int
) -> None:
    failed, sound = execute_together(library, add_sweep(library), Spoilt(evaluators, error, at))
    assert (sound.status, sound.message, sound.traceback) == (RunStatus.DONE, "", "")
    assert (failed.status, failed.evaluations, failed.evaluations_new) == (RunStatus.FAILED, asked, asked)
    assert failed.finished_at is not None
    said = {ValueError: "ValueError: no 'such' chunk", MemoryError: "MemoryError"}[type(error)]
    assert f"`{said}`; everything evaluated so far is kept, resume tries again" in failed.message
    assert f"`python -m aiq_core show {failed.id} --json` prints its traceback" in failed.message
    assert "\n" not in failed.message
    assert failed.traceback.startswith("Traceback (most recent call last)")
    assert 'test_jobs.py", line' in failed.traceback and "raise self._error" in failed.traceback
    assert documents.run_document(library, failed)["traceback"] == failed.traceback
    assert "traceback" not in documents.run_document(library, sound)
    # Resumed, it starts anew and says nothing any more.
    again = execute(library, failed, evaluators)
    assert (again.status, again.message, again.traceback) == (RunStatus.DONE, "", "")


def test_a_run_that_cannot_even_start_leaves_its_sweep_alone(
    library: Library, evaluators: Evaluators, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, faults = add_sweep(library), [OSError(5, "Input/output error", "profile.json")]

    def model(name: str) -> Model:
        if faults:
            raise faults.pop()
        return bundled.model(name)

    monkeypatch.setattr(library, "model", model)
    failed, sound = execute_together(library, runs, evaluators)
    assert (failed.status, sound.status) == (RunStatus.FAILED, RunStatus.DONE)
    assert "`OSError: [Errno 5] Input/output error: 'profile.json'`" in failed.message
    assert failed.origin is not None


def test_a_run_whose_end_cannot_be_stored_leaves_its_sweep_alone(
    library: Library, evaluators: Evaluators, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full when it fails: the log has the reason, and it is found interrupted."""
    save_run = Store.save_run

    def save(store: Store, run: Run, *steps: Any) -> None:
        if run.status is RunStatus.FAILED:
            raise StoreError("the disk is full")
        save_run(store, run, *steps)

    monkeypatch.setattr(Store, "save_run", save)
    failed, sound = execute_together(library, add_sweep(library), Spoilt(evaluators, ValueError("reason"), 4))
    assert (failed.status, sound.status) == (RunStatus.RUNNING, RunStatus.DONE)
    assert "ValueError: reason" in caplog.text and "StoreError: the disk is full" in caplog.text
    assert jobs.reap(library) == [failed.id]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_what_ends_a_process_ends_it(library: Library, evaluators: Evaluators, error: BaseException) -> None:
    with pytest.raises(type(error)):
        execute_together(library, add_sweep(library), Spoilt(evaluators, error, 4))


def test_a_worker_takes_the_next_run_after_one_that_failed(
    library: Library, evaluators: Evaluators, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = library.add_run(replace(new_run(DIGITS, SPOILT), created_at="2026-01-01T00:00:00.000+00:00"))
    second = library.add_run(new_run(DIGITS, SHORT))
    monkeypatch.setenv("AIQ_DATA_DIR", str(library.store.path.parent))
    monkeypatch.setattr(os, "nice", lambda niceness: None)
    monkeypatch.setattr(working, "Evaluators", lambda: Spoilt(evaluators, RuntimeError("out of luck"), 4))
    working.main()
    assert "`RuntimeError: out of luck`" in library.store.run(first.id).message
    assert [library.store.run(run.id).status for run in (first, second)] == [RunStatus.FAILED, RunStatus.DONE]


# How often a run is written.


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Every state of a run that is written from now on."""
    written: list[Run] = []
    save_run = Store.save_run

    def save(store: Store, run: Run, *steps: Any) -> None:
        written.append(run)
        save_run(store, run, *steps)

    monkeypatch.setattr(Store, "save_run", save)
    return written


def test_known_evaluations_are_not_written_one_by_one(
    library: Library, evaluators: Evaluators, uninterrupted: Run, writes: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(library, LONG, evaluators)
    writes.clear()
    monkeypatch.setattr(executing, "HEARTBEAT_S", 60)
    again = run_here(library, LONG, evaluators)
    assert_same_search(again, uninterrupted)
    # That it runs, what its settings come to, each step, that it is done.
    assert len(writes) == 3 + len(again.steps)
    assert again.evaluations > len(writes)


def test_between_steps_a_run_says_how_far_it_is(
    library: Library, evaluators: Evaluators, writes: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executing, "HEARTBEAT_S", 0)
    run = run_here(library, SHORT, evaluators)
    assert {written.evaluations for written in writes} == set(range(run.evaluations + 1))
