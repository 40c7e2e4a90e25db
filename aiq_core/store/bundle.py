"""Writing a store as a bundle: what the app ships with, small, sorted and without a journal."""

import sqlite3
from pathlib import Path

from aiq_core.records import RunStatus
from aiq_core.store import database
from aiq_core.store.schema import APPLICATION_ID
from aiq_core.store.store import Store

SHOWN = "WHERE done=images OR quantizer NOT LIKE '%\"activations\"%'"
"""Evaluations that ship: joint searches leave thousands that were stopped early, which no page shows."""


def publish(store: Store, path: Path) -> None:
    """Writes evaluations and every finished run to `path`, replaced in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished, packed = path.with_suffix(".new"), path.with_suffix(".packed")
    for leftover in (unfinished, packed):
        leftover.unlink(missing_ok=True)
    target = sqlite3.connect(unfinished, isolation_level=None)
    try:
        target.execute(f"PRAGMA application_id={APPLICATION_ID}")
        target.execute("PRAGMA journal_mode=DELETE")
        database.migrate(target)
        target.execute("ATTACH DATABASE ? AS workshop", (str(store.path),))
        with database.transaction(target):
            target.execute(f"INSERT INTO evaluations SELECT * FROM workshop.evaluations {SHOWN} ORDER BY 1, 2, 3, 4, 5")
            target.execute("INSERT INTO runs SELECT * FROM workshop.runs WHERE status=? ORDER BY id", (RunStatus.DONE,))
            target.execute(
                "INSERT INTO steps SELECT * FROM workshop.steps WHERE run_id IN (SELECT id FROM runs) ORDER BY 1, 2"
            )
        target.execute("DETACH DATABASE workshop")
        target.execute("VACUUM INTO ?", (str(packed),))
    finally:
        target.close()
    unfinished.unlink()
    packed.replace(path)
