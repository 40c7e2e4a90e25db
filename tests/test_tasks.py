"""Tasks: queued, run by a worker of their own, stopped, resumed, and kept in every state."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aiq_core import jobs, tasks
from aiq_core.errors import SettingError, UnknownNameError
from aiq_core.library import Library
from aiq_core.records import RunStatus, Task
from aiq_core.roof import ROOF
from aiq_core.store import Store


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    return Library(Store(tmp_path / "store.sqlite"), None)


def queued(library: Library, kind: str, **settings: Any) -> Task:
    task = Task("one", kind, settings, RunStatus.QUEUED, "2026-01-01T00:00:00")
    library.store.tasks.add(task)
    return task


def test_a_worker_measures_this_machine(library: Library) -> None:
    task = tasks.submit(library, "measure", {"threads": [1]})
    end = time.monotonic() + 60
    while library.store.tasks.get(task.id).status in jobs.UNFINISHED and time.monotonic() < end:
        time.sleep(0.1)
    done = library.store.tasks.get(task.id)
    assert done.status is RunStatus.DONE, done
    (kept,) = library.measurements(ROOF)
    assert done.result["roofs"] == [kept.document]


def test_a_task_that_cannot_be_done_says_why(library: Library) -> None:
    ended = tasks.run(library, queued(library, "measure", threads=[10_000]))
    assert ended.status is RunStatus.FAILED
    assert ended.message.startswith("threads=10000 is not offered; this machine has 1 to ")
    assert library.store.tasks.get("one").message == ended.message


def test_an_unforeseen_error_is_kept_whole(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(library: Library, settings: Mapping[str, Any], say: tasks.Say) -> Mapping[str, Any]:
        return {"found": 1 // int(settings["by"])}

    monkeypatch.setitem(dict(tasks.KINDS), "divide", work)
    monkeypatch.setattr(tasks, "KINDS", {"divide": work})
    ended = tasks.run(library, queued(library, "divide", by=0))
    assert ended.status is RunStatus.FAILED
    assert ended.message.startswith("ZeroDivisionError")
    assert "settings" in ended.traceback


def test_cancelled_where_it_next_says_something_and_resumed(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[float] = []

    def work(library: Library, settings: Mapping[str, Any], say: tasks.Say) -> Mapping[str, Any]:
        for place in range(len(said), 4):
            said.append(place / 4)
            if place == 2:
                library.store.tasks.request_cancel("one")
            say(place / 4, f"part {place}")
        return {"parts": 4}

    monkeypatch.setattr(tasks, "KINDS", {"parts": work})
    monkeypatch.setattr(tasks, "HEARTBEAT_S", 0.0)
    started: list[Callable[..., None]] = []
    monkeypatch.setattr(jobs, "ensure_worker", started.append)
    library.store.tasks.add(Task("one", "parts", {}, RunStatus.RUNNING, "2026-01-01T00:00:00"))
    ended = tasks.run(library, library.store.tasks.get("one"))
    assert (ended.status, ended.share) == (RunStatus.CANCELLED, 0.5)
    tasks.resume(library, "one")
    assert started
    assert tasks.run(library, library.store.tasks.get("one")).result == {"parts": 4}
    assert said == [0, 0.25, 0.5, 0.75]
    with pytest.raises(SettingError, match="task one is done, so it cannot be resumed"):
        tasks.resume(library, "one")


def test_a_queued_task_is_cancelled_at_once_and_one_without_a_worker_is_found(library: Library) -> None:
    queued(library, "measure")
    tasks.cancel(library, "one")
    assert library.store.tasks.get("one").status is RunStatus.CANCELLED
    library.store.tasks.add(Task("two", "measure", {}, RunStatus.RUNNING, "2026-01-02T00:00:00"))
    assert jobs.reap(library) == ["two"]
    assert library.store.tasks.get("two").status is RunStatus.INTERRUPTED


def test_names_that_are_none(library: Library) -> None:
    with pytest.raises(UnknownNameError, match="unknown kind of task 'dance'"):
        tasks.submit(library, "dance", {})
    with pytest.raises(UnknownNameError, match="unknown task 'x'"):
        library.store.tasks.get("x")
