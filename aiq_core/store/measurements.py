"""What was measured on machines: roofs, timings, tables of layers; each a document under its kind and subject."""

import json
from typing import TYPE_CHECKING

from aiq_core.records import Measurement

if TYPE_CHECKING:
    from aiq_core.store.store import Store


class Measurements:
    """The measurements of a store."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def save(self, measurement: Measurement) -> None:
        """Keeps a measurement beside those before it."""
        with self._store.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO measurements (kind, cpu, threads, subject, created_at, document)"
                " VALUES (?,?,?,?,?,?)",
                (
                    *(measurement.kind, measurement.cpu, measurement.threads, measurement.subject),
                    *(measurement.created_at, json.dumps(measurement.document, separators=(",", ":"))),
                ),
            )

    def all(self, of: str | None = None) -> list[Measurement]:
        """Every measurement, of one kind where it is given; of a subject on a machine the oldest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT kind, cpu, threads, subject, created_at, document FROM measurements"
                " WHERE ?1 IS NULL OR kind=?1 ORDER BY kind, cpu, threads, subject, created_at",
                (of,),
            ).fetchall()
        return [
            Measurement(kind, cpu, threads, subject, created_at, json.loads(document))
            for kind, cpu, threads, subject, created_at, document in rows
        ]

    def version(self, kind: str) -> str:
        """Text that changes whenever one of a kind is kept."""
        with self._store.reading() as db:
            row = db.execute("SELECT COUNT(*), MAX(created_at) FROM measurements WHERE kind=?", (kind,)).fetchone()
        return "/".join(map(str, row))
