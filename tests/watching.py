"""A run in a worker process, watched from a test."""

import time
from collections.abc import Callable

import psutil

from aiq_core import jobs
from aiq_core.library import Library
from aiq_core.records import Run

WAIT_S = 100


def workers() -> list[psutil.Process]:
    """The worker processes that this one started and that live."""
    children = psutil.Process().children()
    living = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "aiq_core.worker" in child.cmdline()]


def wait(library: Library, run_id: str, until: Callable[[Run], bool]) -> Run:
    """The run as soon as `until` holds; a worker is kept at it, as pages and the command line do."""
    end = time.monotonic() + WAIT_S
    while not until(run := library.store.run(run_id)):
        assert time.monotonic() < end, f"{run.status} after {WAIT_S} s: {run.message}"
        if run.status in jobs.UNFINISHED:
            jobs.ensure_worker(library)
        time.sleep(0.01)
    return run


def is_over(run: Run) -> bool:
    return run.status not in jobs.UNFINISHED
