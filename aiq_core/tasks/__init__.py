"""Work that is no search, in the processes that searches run in: submit, cancel, resume, run."""

import textwrap
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from aiq_core import jobs
from aiq_core.errors import AiqError, Cancelled, SettingError, look_up
from aiq_core.execute import HEARTBEAT_S, MOST_SAID, timestamp
from aiq_core.library import Library
from aiq_core.records import RunStatus, Task
from aiq_core.tasks import bench, export, fastest, kernels, linear, measure, trial

Say = Callable[[float, str], None]
"""Hears how far a task is, 0 to 1, and what it is at; raises Cancelled to stop it."""

Work = Callable[[Library, Mapping[str, Any], Say], Mapping[str, Any]]
"""Does a kind of task by its settings; what it found. What it kept before it was stopped, it finds again."""

KINDS: Mapping[str, Work] = {
    "measure": measure.work,
    "kernels": kernels.work,
    "fastest": fastest.work,
    "linear": linear.work,
    "bench": bench.work,
    "export": export.work,
    "try": trial.work,
}


def submit(library: Library, kind: str, settings: Mapping[str, Any]) -> Task:
    """Queues a task and makes sure that a worker is there. Raises UnknownNameError for a kind that is none."""
    look_up("kind of task", kind, KINDS)
    task = Task(f"{kind}-{uuid.uuid4().hex[:8]}", kind, settings, RunStatus.QUEUED, timestamp())
    library.store.tasks.add(task)
    jobs.ensure_worker(library)
    return task


def cancel(library: Library, task_id: str) -> None:
    """Stops a task at the next thing it says; what it kept stays."""
    library.store.tasks.request_cancel(task_id)


def resume(library: Library, task_id: str) -> None:
    """Queues a task that ended early again; it goes on from what it kept."""
    tasks = library.store.tasks
    if not tasks.set_status(task_id, RunStatus.QUEUED, only_from=jobs.RESUMABLE):
        raise SettingError(f"task {task_id} is {tasks.get(task_id).status}, so it cannot be resumed; start a new one")
    jobs.ensure_worker(library)


def run(library: Library, task: Task) -> Task:
    """Runs a task to its end and keeps every state on the way; as it ended."""
    tasks = library.store.tasks
    state = replace(task, status=RunStatus.RUNNING, message="", traceback="", share=0.0, said="")
    written = 0.0

    def say(share: float, said: str) -> None:
        nonlocal state, written
        state = replace(state, share=share, said=said)
        if time.monotonic() - written >= HEARTBEAT_S:
            written = time.monotonic()
            if tasks.is_cancel_requested(task.id):
                raise Cancelled("cancelled; what was measured so far is kept, resume goes on from there")
            tasks.save(state)

    try:
        result = KINDS[task.kind](library, task.settings, say)
        state = replace(state, status=RunStatus.DONE, share=1.0, said="", result=result)
    except Cancelled as error:
        state = replace(state, status=RunStatus.CANCELLED, message=str(error))
    except AiqError as error:
        state = replace(state, status=RunStatus.FAILED, message=str(error))
    except Exception as error:
        said = textwrap.shorten(f"{type(error).__name__}: {error}", MOST_SAID)
        state = replace(state, status=RunStatus.FAILED, message=said, traceback=traceback.format_exc())
    tasks.save(state)
    return state
