"""Searches in processes of their own: submit, cancel, resume; what died, tasks too, is found and marked."""

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from aiq_core import execute
from aiq_core.errors import SettingError
from aiq_core.library import Library
from aiq_core.records import Request, Run, RunStatus
from aiq_core.search.strategies import strategy

ROOT = Path(__file__).parent.parent

UNFINISHED = (RunStatus.QUEUED, RunStatus.RUNNING)
RESUMABLE = (RunStatus.CANCELLED, RunStatus.INTERRUPTED, RunStatus.FAILED)

STARTING_S = 60.0
"""How long a started worker may take to its slot before another is started in its place."""

_started: list["subprocess.Popen[bytes]"] = []
"""Workers that this process started, polled so that none stays a zombie."""


def _limit(name: str, default: str) -> float:
    text = os.environ.get(name, default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value > 0:
        raise SettingError(f"{name}={text!r} is not a number above 0; unset it for {default}")
    return value


def most_workers() -> int:
    """How many searches run at once on this machine: AIQ_WORKERS, one by default."""
    return int(_limit("AIQ_WORKERS", "1"))


def submit(library: Library, request: Request) -> Run:
    """Queues a request and makes sure that a worker is there. Raises SettingError where it cannot be run.

    A server may refuse a queue longer than AIQ_MAX_QUEUE, or a search without a budget of at most
    AIQ_MAX_MINUTES: such a request is given that budget.
    """
    return submit_sweep(library, [request])[0]


def submit_sweep(library: Library, requests: Sequence[Request]) -> list[Run]:
    """Queues requests that advance together on one memo, as `submit` queues one: all of them or none."""
    waiting = len(library.store.with_status(*UNFINISHED))
    most = _limit("AIQ_MAX_QUEUE", "1000")
    if waiting + len(requests) > most:
        raise SettingError(f"{waiting} searches are queued, this server takes at most {most:.0f}; wait for one to end")
    sweep = uuid.uuid4().hex[:8] if len(requests) > 1 else None
    runs = [
        execute.new_run(library.model(request.model), _placed(replace(request, sweep=sweep)), library.machines)
        for request in requests
    ]
    runs = [library.add_run(run) for run in runs]
    ensure_worker(library)
    return runs


def _placed(request: Request) -> Request:
    """The request on AIQ_DEVICE where it names no device itself, with no more minutes than this server gives."""
    if request.device is None and request.cluster is None:
        request = replace(request, device=os.environ.get("AIQ_DEVICE"))
    if "AIQ_MAX_MINUTES" in os.environ:
        minutes = _limit("AIQ_MAX_MINUTES", "60")
        return replace(request, max_minutes=min(request.max_minutes or minutes, minutes))
    return request


def resume(library: Library, run_id: str) -> None:
    """Queues a cancelled, interrupted or failed run again; nothing is evaluated twice."""
    if not library.store.set_status(run_id, RunStatus.QUEUED, only_from=RESUMABLE):
        status = library.store.run(run_id).status
        raise SettingError(f"run {run_id} is {status}, so it cannot be resumed; start a new one instead")
    ensure_worker(library)


def cancel(library: Library, run_id: str) -> None:
    """Stops a run within one chunk of images; everything it evaluated is kept."""
    library.store.request_cancel(run_id)


def reap(library: Library) -> list[str]:
    """Marks runs and tasks whose worker died as interrupted; returns their ids."""
    dead = []
    for held in (library.store, library.store.tasks):
        for each in held.with_status(RunStatus.RUNNING):
            with contextlib.suppress(Timeout), run_lock(library, each).acquire(blocking=False):
                if held.set_status(each, RunStatus.INTERRUPTED, only_from=[RunStatus.RUNNING]):
                    dead.append(each)
    return dead


def is_waiting(library: Library) -> bool:
    """Whether a run or a task is queued."""
    return any(held.with_status(RunStatus.QUEUED) for held in (library.store, library.store.tasks))


def ensure_worker(library: Library) -> None:
    """Starts a worker where runs or tasks are queued and a slot is free."""
    _started[:] = [process for process in _started if process.poll() is None]
    reap(library)
    if not is_waiting(library):
        return
    for slot in range(most_workers()):
        with contextlib.suppress(Timeout), slot_lock(library, slot).acquire(blocking=False):
            if not _is_starting(_starting_file(library, slot)):
                _starting_file(library, slot).write_text(str(_spawn(library)))
                return


def arrived(library: Library) -> None:
    """Called by a worker that has its slot: the next free slot is not waiting for it any more."""
    for slot in range(most_workers()):
        path = _starting_file(library, slot)
        if path.exists() and path.read_text() == str(os.getpid()):
            path.unlink(missing_ok=True)


def _starting_file(library: Library, slot: int) -> Path:
    """Holds the id of the worker that was started for a slot, until it has one: importing takes it seconds."""
    return library.store.path.parent / "locks" / f"worker-{slot}.starting"


def _is_starting(path: Path) -> bool:
    """Whether a worker was started lately, lives, and has not reached its slot yet."""
    try:
        if time.time() - path.stat().st_mtime > STARTING_S:
            return False
        return psutil.Process(int(path.read_text())).status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return False


def _spawn(library: Library) -> int:
    """Starts a worker and returns its process id."""
    folder = library.store.path.parent
    environment = {**os.environ, "AIQ_DATA_DIR": str(folder)}
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiq_core.worker"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started.append(process)
    return process.pid


def slot_lock(library: Library, slot: int) -> FileLock:
    """Held by the worker in that slot while it lives: the system lets go of it when the process dies."""
    return _lock(library, f"worker-{slot}")


def run_lock(library: Library, run_id: str) -> FileLock:
    """Held by the worker of a run or a task while it lives."""
    return _lock(library, f"run-{run_id}")


def _lock(library: Library, name: str) -> FileLock:
    folder = library.store.path.parent / "locks"
    folder.mkdir(exist_ok=True)
    return FileLock(folder / f"{name}.lock", thread_local=False)


def expected_steps(library: Library, run: Run) -> int | None:
    """How many steps a run will take at most, None where nobody can say."""
    request = run.request
    if request.points is not None:
        # Of what is drawn only the policies on the front so far are steps.
        return None if request.refinement or strategy(request.algorithm).draws else request.points
    return len(request.policies) or strategy(request.algorithm).most_steps(free_sites(library, request))


def free_sites(library: Library, request: Request) -> int:
    """How many sites a search may move."""
    return len(request.movable(library.model(request.model).profile))


def share_done(library: Library, run: Run) -> float:
    """How far a run is, 0 to 1, by its steps; where nobody can say how many there will be, by how many as a rule."""
    most, request = expected_steps(library, run), run.request
    if request.points is not None and most is None:
        return min(0.95, run.evaluations / (request.points + request.refinement))
    if most:
        return len(run.steps) / most
    likely = strategy(run.request.algorithm).likely_steps(free_sites(library, run.request))
    return min(0.95, len(run.steps) / max(1, likely))


def eta_s(library: Library, run: Run) -> float | None:
    """Seconds left, from this run's own pace and what each step tries; None before its first step or without an end.

    Of a front too: most of its seconds went into costs of widths, before its first step.
    """
    total, done = expected_steps(library, run), len(run.steps)
    if total is None or not 0 < done < total or run.request.points is not None:
        return None
    tries = [1 if run.request.policies else strategy(run.request.algorithm).tries(step, total) for step in range(total)]
    return run.seconds * sum(tries[done:]) / sum(tries[:done])
