"""Machines as users entered them."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiq_core import entered
from aiq_core.hardware import Machine

if TYPE_CHECKING:
    from aiq_core.store.store import Store


class Machines:
    """The entered machines of a store."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def add(self, machine: Machine) -> None:
        """Keeps a machine under its key."""
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO machines (key, created_at, document) VALUES (?,?,?)",
                (machine.key, datetime.now(UTC).isoformat(), json.dumps(entered.to_json(machine))),
            )

    def remove(self, key: str) -> None:
        """Forgets the machine of a key, if there is one."""
        with self._store.writing() as db:
            db.execute("DELETE FROM machines WHERE key=?", (key,))

    def all(self) -> list[Machine]:
        """Every machine, oldest first."""
        with self._store.reading() as db:
            rows = db.execute("SELECT key, document FROM machines ORDER BY created_at, key").fetchall()
        return [entered.machine(key=key, **json.loads(document)) for key, document in rows]

    def version(self, kind: str) -> str:
        """Text that changes whenever these do, or the measurements of a kind, which make machines too."""
        with self._store.reading() as db:
            parts = db.execute(
                "SELECT (SELECT GROUP_CONCAT(cpu || threads || created_at) FROM measurements WHERE kind=?),"
                " (SELECT GROUP_CONCAT(key || created_at) FROM machines)",
                (kind,),
            ).fetchone()
        return "/".join(part or "" for part in parts)
