"""The process that runs queued searches and tasks, one after another, until none is left."""

import contextlib
import os

from filelock import Timeout

from aiq_core import jobs, tasks
from aiq_core.execute import Evaluators, execute_together
from aiq_core.library import Library, open_library
from aiq_core.records import Run, RunStatus

NICENESS = 5
"""A search gives way to the browser that watches it."""

SLOT_WAIT_S = 1.0
"""A slot that is taken longer than this has a worker; somebody who looks whether it has holds it for a moment."""


def main() -> None:
    """Takes a free slot and works until the queue is empty; returns at once where every slot is taken."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    library = open_library()
    evaluators = Evaluators()
    # Looked at again after the slot is free: a run queued in between found it taken and started no worker.
    while jobs.is_waiting(library):
        if not _work_in_a_slot(library, evaluators):
            return


def _work_in_a_slot(library: Library, evaluators: Evaluators) -> bool:
    for slot in range(jobs.most_workers()):
        with contextlib.suppress(Timeout), jobs.slot_lock(library, slot).acquire(SLOT_WAIT_S):
            jobs.arrived(library)
            jobs.reap(library)
            while _run_task(library) or _work_once(library, evaluators):
                pass
            return True
    return False


def _run_task(library: Library) -> bool:
    """Runs the oldest queued task that no other worker has; whether there was one."""
    for task_id in library.store.tasks.with_status(RunStatus.QUEUED):
        with contextlib.suppress(Timeout), jobs.run_lock(library, task_id).acquire(blocking=False):
            if library.store.tasks.set_status(task_id, RunStatus.RUNNING, only_from=[RunStatus.QUEUED]):
                tasks.run(library, library.store.tasks.get(task_id))
                return True
    return False


def _work_once(library: Library, evaluators: Evaluators) -> bool:
    """Runs the oldest queued run that no other worker has, with the rest of its sweep; whether there was one."""
    with contextlib.ExitStack() as locks:
        group: list[Run] = []
        for run_id in library.store.with_status(RunStatus.QUEUED):
            run = library.store.run(run_id)
            if group and (run.request.sweep is None or run.request.sweep != group[0].request.sweep):
                continue
            # The lock comes before the status, so that a running run always has a live holder or is to be reaped.
            with contextlib.suppress(Timeout):
                locks.enter_context(jobs.run_lock(library, run_id).acquire(blocking=False))
                if library.store.set_status(run_id, RunStatus.RUNNING, only_from=[RunStatus.QUEUED]):
                    group.append(run)
        execute_together(library, group, evaluators)
        return bool(group)


if __name__ == "__main__":
    main()
