"""Work that is no search, as it stands in the database."""

import json
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiq_core.errors import UnknownNameError
from aiq_core.records import RunStatus, Task

if TYPE_CHECKING:
    from aiq_core.store.store import Store

_COLUMNS = "id, kind, status, created_at, document"


class Tasks:
    """The tasks of a store."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def add(self, task: Task) -> None:
        """Keeps a new task."""
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO tasks (id, kind, status, heartbeat_at, created_at, document) VALUES (?,?,?,?,?,?)",
                (task.id, task.kind, task.status, time.time(), task.created_at, json.dumps(task.to_json())),
            )

    def save(self, task: Task) -> None:
        """Writes a task's state, and that its worker lives."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE tasks SET status=?, heartbeat_at=?, document=? WHERE id=?",
                (task.status, time.time(), json.dumps(task.to_json()), task.id),
            )

    def all(self, kind: str | None = None) -> list[Task]:
        """Every task, of one kind where it is given, oldest first."""
        with self._store.reading() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM tasks WHERE ?1 IS NULL OR kind=?1 ORDER BY created_at, id", (kind,)
            ).fetchall()
        return [_task(row) for row in rows]

    def get(self, task_id: str) -> Task:
        """One task. Raises UnknownNameError."""
        with self._store.reading() as db:
            row = db.execute(f"SELECT {_COLUMNS} FROM tasks WHERE id=?", (task_id,)).fetchone()
        if row is None:
            raise UnknownNameError("task", task_id, [task.id for task in self.all()][-10:] or ["(no tasks yet)"])
        return _task(row)

    def with_status(self, *statuses: RunStatus) -> list[str]:
        """Ids of the tasks in those statuses, oldest first."""
        return [task.id for task in self.all() if task.status in statuses]

    def set_status(self, task_id: str, status: RunStatus, only_from: Iterable[RunStatus]) -> bool:
        """Moves a task to a status if it stands in one of `only_from`; whether it did."""
        allowed = list(only_from)
        marks = ",".join("?" * len(allowed))
        with self._store.writing() as db:
            cursor = db.execute(
                f"UPDATE tasks SET status=?, cancel_requested=0 WHERE id=? AND status IN ({marks})",
                (status, task_id, *allowed),
            )
            return cursor.rowcount == 1

    def request_cancel(self, task_id: str) -> None:
        """Asks the worker of a task to stop; a queued task is cancelled at once."""
        self.set_status(task_id, RunStatus.CANCELLED, [RunStatus.QUEUED])
        with self._store.writing() as db:
            db.execute("UPDATE tasks SET cancel_requested=1 WHERE id=? AND status=?", (task_id, RunStatus.RUNNING))

    def is_cancel_requested(self, task_id: str) -> bool:
        """Whether somebody asked a task to stop."""
        with self._store.reading() as db:
            row = db.execute("SELECT cancel_requested FROM tasks WHERE id=?", (task_id,)).fetchone()
        return row is None or bool(row[0])


def _task(row: tuple[str, ...]) -> Task:
    task_id, kind, status, created_at, document = row
    return Task.from_json(json.loads(document), id=task_id, kind=kind, status=RunStatus(status), created_at=created_at)
