"""A store of evaluations and runs in one SQLite file, safe among threads and processes."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aiq_core.errors import StoreError, UnknownNameError
from aiq_core.records import Evaluation, EvaluationKey, Origin, Run, RunStatus, Step, is_done
from aiq_core.store import codec, database
from aiq_core.store.machines import Machines
from aiq_core.store.measurements import Measurements
from aiq_core.store.tasks import Tasks

MEASURED, BUNDLED, IMPORTED, SAVED = "measured", "bundled", "imported", "saved by hand"
"""Where a row comes from: computed by this store's machine, shipped with the app, brought by a user, or a run that was
none: a policy kept as it was set."""

_EVALUATION_COLUMNS = (
    "model_hash, split_hash, quantizer, policy, source, images, done, predicted, cpu, torch, threads, chunk, "
    "created_at, integers"
)


class Store:
    """One database file. `immutable` opens it for reading only, without locks: nobody may write it meanwhile."""

    def __init__(self, path: Path, immutable: bool = False) -> None:
        self.path, self.immutable = path, immutable
        self._local = threading.local()
        # Held for as long as the store is: threads come and go, and each last connection to close would checkpoint the
        # write-ahead log and take it away.
        self._first: sqlite3.Connection | None = self._connection()
        self.measurements, self.machines, self.tasks = Measurements(self), Machines(self), Tasks(self)

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connect = database.connect_immutable if self.immutable else database.connect
            connection = self._local.connection = connect(self.path)
        return connection

    def close(self) -> None:
        """Closes this thread's connection, and the first one."""
        self._first = None
        connection = self._local.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection; SQLite's errors say what to do."""
        with database.translated(self.path):
            yield self._connection()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection in one transaction. Raises StoreError where nothing may be written."""
        if self.immutable:
            raise StoreError(f"{self.path} is read-only; write to a store of your own")
        with database.translated(self.path), database.transaction(self._connection()):
            yield self._connection()

    def version(self) -> str:
        """Text that changes whenever anything was written, by any thread or process."""
        parts = []
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            stat = path.stat() if path.exists() else None
            parts.append("-" if stat is None else f"{stat.st_mtime_ns:x}.{stat.st_size:x}")
        return "/".join(parts)

    def evaluations_version(self, model_hash: str, images: int) -> str:
        """Text that changes whenever an evaluation of a model on at least so many images was written."""
        with self.reading() as db:
            row = db.execute(
                "SELECT COUNT(*), TOTAL(done), MAX(created_at) FROM evaluations WHERE model_hash=? AND done>=?",
                (model_hash, images),
            ).fetchone()
        return "/".join(map(str, row))

    def finished_version(self) -> str:
        """Text that changes whenever a run was finished, archived or restored."""
        with self.reading() as db:
            (text,) = db.execute(
                "SELECT GROUP_CONCAT(id || archived) FROM (SELECT id, archived FROM runs WHERE status=? ORDER BY id)",
                (RunStatus.DONE,),
            ).fetchone()
        return text or ""

    # Evaluations

    def evaluation(self, key: EvaluationKey, sources: Iterable[str] = (MEASURED,)) -> Evaluation | None:
        """The evaluation of that key from the first of `sources` that has one."""
        with self.reading() as db:
            for source in sources:
                row = db.execute(
                    f"SELECT {_EVALUATION_COLUMNS} FROM evaluations WHERE model_hash=? AND split_hash=?"
                    " AND quantizer=? AND policy=? AND source=?",
                    (key.model_hash, key.split_hash, key.quantizer, key.policy, source),
                ).fetchone()
                if row is not None:
                    return _evaluation(row)
        return None

    def evaluations(self, model_hash: str | None = None, split_hash: str | None = None) -> list[Evaluation]:
        """Every evaluation, of one model and split where they are given, measured before imported."""
        with self.reading() as db:
            rows = db.execute(
                f"SELECT {_EVALUATION_COLUMNS} FROM evaluations WHERE (?1 IS NULL OR model_hash=?1)"
                " AND (?2 IS NULL OR split_hash=?2) ORDER BY source DESC, quantizer, policy",
                (model_hash, split_hash),
            ).fetchall()
        return [_evaluation(row) for row in rows]

    def evaluations_of(self, model_hash: str) -> int:
        """How many evaluations there are of a model."""
        with self.reading() as db:
            (count,) = db.execute("SELECT COUNT(*) FROM evaluations WHERE model_hash=?", (model_hash,)).fetchone()
        return int(count)

    def save_evaluation(self, evaluation: Evaluation) -> int:
        """Keeps an evaluation: merged with a stored partial of the same origin, never over a complete one.

        Returns how many images two origins predict differently; the stored predictions then stand.
        """
        with self.writing() as db:
            stored = self.evaluation(evaluation.key, (evaluation.origin.source,))
            outcomes, disagreements = evaluation.outcomes, 0
            if stored is not None:
                both = is_done(stored.outcomes) & is_done(outcomes)
                disagreements = int(np.count_nonzero(both & (stored.outcomes != outcomes)))
                if stored.done(len(stored.outcomes)) == len(stored.outcomes):
                    return disagreements
                if evaluation.origin.can_resume(stored.origin) and evaluation.integers == stored.integers:
                    outcomes = np.where(is_done(stored.outcomes), stored.outcomes, outcomes)
                elif evaluation.done(len(outcomes)) < stored.done(len(outcomes)):
                    return disagreements
            self._insert(db, replace(evaluation, outcomes=outcomes))
            return disagreements

    def _insert(self, db: sqlite3.Connection, evaluation: Evaluation) -> None:
        key, origin, images = evaluation.key, evaluation.origin, len(evaluation.outcomes)
        db.execute(
            f"INSERT OR REPLACE INTO evaluations ({_EVALUATION_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(key.model_hash, key.split_hash, key.quantizer, key.policy, origin.source),
                *(images, evaluation.done(images), codec.pack(evaluation.outcomes)),
                *(origin.cpu, origin.torch, origin.threads, origin.chunk, origin.created_at, evaluation.integers),
            ),
        )

    # Runs

    def add_run(self, run: Run, reserved: Iterable[str] = ()) -> Run:
        """Keeps a new run; where its id is taken or `reserved`, it gets the next free one: ID-2, ID-3 and so on."""
        with self.writing() as db:
            similar = db.execute("SELECT id FROM runs WHERE id=?1 OR id LIKE ?1 || '-%'", (run.id,))
            taken = {*reserved, *(row[0] for row in similar)}
            number, free = 1, run.id
            while free in taken:
                number += 1
                free = f"{run.id}-{number}"
            run = replace(run, id=free)
            db.execute(
                "INSERT INTO runs (id, model, algorithm, alpha, status, archived, heartbeat_at, created_at, document)"
                " VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    *(run.id, run.request.model, run.request.algorithm, run.request.alpha, run.status, run.archived),
                    *(time.time(), run.created_at, _json(codec.run_to_json(run))),
                ),
            )
            self._insert_steps(db, run.id, run.steps)
        return run

    def save_run(self, run: Run, new_steps: Iterable[Step] = ()) -> None:
        """Writes a run's state and appends steps, in one transaction; also its heartbeat."""
        with self.writing() as db:
            db.execute(
                "UPDATE runs SET status=?, heartbeat_at=?, document=? WHERE id=?",
                (run.status, time.time(), _json(codec.run_to_json(run)), run.id),
            )
            self._insert_steps(db, run.id, new_steps)

    def _insert_steps(self, db: sqlite3.Connection, run_id: str, steps: Iterable[Step]) -> None:
        db.executemany(
            "INSERT OR REPLACE INTO steps (run_id, position, document) VALUES (?,?,?)",
            [(run_id, step.index, codec.pack_step(step)) for step in steps],
        )

    def clear_steps(self, run_id: str) -> None:
        """Forgets a run's steps before it starts again; its evaluations stay, so they come back at once."""
        with self.writing() as db:
            db.execute("DELETE FROM steps WHERE run_id=?", (run_id,))

    def runs(self, model: str | None = None) -> list[Run]:
        """Every run without its steps, oldest first."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT id, status, archived, created_at, document FROM runs WHERE ?1 IS NULL OR model=?1"
                " ORDER BY created_at, id",
                (model,),
            ).fetchall()
        return [_run(row) for row in rows]

    def has_run(self, run_id: str) -> bool:
        """Whether there is a run of that id."""
        with self.reading() as db:
            return db.execute("SELECT 1 FROM runs WHERE id=?", (run_id,)).fetchone() is not None

    def run(self, run_id: str) -> Run:
        """One run with its steps. Raises UnknownNameError."""
        with self.reading() as db:
            row = db.execute(
                "SELECT id, status, archived, created_at, document FROM runs WHERE id=?", (run_id,)
            ).fetchone()
            if row is None:
                known = [r[0] for r in db.execute("SELECT id FROM runs ORDER BY created_at DESC LIMIT 10")]
                raise UnknownNameError("run", run_id, known or ["(no runs yet)"])
            steps = db.execute("SELECT document FROM steps WHERE run_id=? ORDER BY position", (run_id,)).fetchall()
        return replace(_run(row), steps=tuple(codec.unpack_step(blob) for (blob,) in steps))

    def set_status(self, run_id: str, status: RunStatus, only_from: Iterable[RunStatus]) -> bool:
        """Moves a run to a status if it stands in one of `only_from`; whether it did."""
        allowed = list(only_from)
        with self.writing() as db:
            cursor = db.execute(
                f"UPDATE runs SET status=?, cancel_requested=0 WHERE id=? AND status IN ({_marks(allowed)})",
                (status, run_id, *allowed),
            )
            return cursor.rowcount == 1

    def with_status(self, *statuses: RunStatus) -> list[str]:
        """Ids of the runs in those statuses, oldest first."""
        with self.reading() as db:
            rows = db.execute(
                f"SELECT id FROM runs WHERE status IN ({_marks(statuses)}) ORDER BY created_at, id", statuses
            )
            return [row[0] for row in rows]

    def request_cancel(self, run_id: str) -> None:
        """Asks the worker of a run to stop; a queued run is cancelled at once."""
        with self.writing() as db:
            db.execute("UPDATE runs SET cancel_requested=1 WHERE id=? AND status=?", (run_id, RunStatus.RUNNING))
            db.execute(
                "UPDATE runs SET status=? WHERE id=? AND status=?", (RunStatus.CANCELLED, run_id, RunStatus.QUEUED)
            )

    def is_cancel_requested(self, run_id: str) -> bool:
        """Whether somebody asked a run to stop."""
        with self.reading() as db:
            row = db.execute("SELECT cancel_requested FROM runs WHERE id=?", (run_id,)).fetchone()
        return row is None or bool(row[0])

    def heartbeat_age_s(self, run_id: str) -> float:
        """Seconds since the worker of a run last wrote."""
        with self.reading() as db:
            row = db.execute("SELECT heartbeat_at FROM runs WHERE id=?", (run_id,)).fetchone()
        return time.time() - row[0] if row else float("inf")

    def set_archived(self, run_id: str, archived: bool) -> None:
        """Hides a run from the history, or brings it back."""
        with self.writing() as db:
            db.execute("UPDATE runs SET archived=? WHERE id=?", (archived, run_id))

    # Copies

    def copy_to(self, path: Path) -> None:
        """Writes a consistent copy of the whole store through SQLite's backup API, also while it is in use.

        Raises StoreError where there is a file already.
        """
        if path.exists():
            raise StoreError(f"{path} exists already and was left untouched; move it away or name another file")
        with self.reading() as db, database.translated(path):
            target = sqlite3.connect(path)
            try:
                db.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
            finally:
                target.close()


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _evaluation(row: tuple[Any, ...]) -> Evaluation:
    *identity, source, _, _, predicted, cpu, torch, threads, chunk, created_at, integers = row
    origin = Origin(cpu, torch, threads, chunk, created_at, source)
    return Evaluation(EvaluationKey(*identity), codec.unpack(predicted), origin, integers)


def _run(row: tuple[Any, ...]) -> Run:
    run_id, status, archived, created_at, document = row
    return codec.run_from_json(
        json.loads(document), id=run_id, status=status, archived=bool(archived), created_at=created_at
    )
