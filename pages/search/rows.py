"""The history's rows and its filters; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from aiq_core.records import Run, Score
from aiq_core.wording import duration
from pages.common import names


@dataclass(frozen=True)
class Filters:
    """What the history shows. Empty tuples and texts mean everything; `archived` shows those, and only those."""

    model: str | None = None
    algorithms: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    text: str = ""
    archived: bool = False


@dataclass(frozen=True)
class Row:
    """A run with the AI of its policy and its score, where they are known."""

    run: Run
    intensity: float | None
    score: Score | None


def matching(runs: Iterable[Run], filters: Filters) -> list[Run]:
    """Runs that pass, the newest first."""
    words = filters.text.lower().split()
    found = [
        run
        for run in runs
        if run.archived == filters.archived
        and (filters.model is None or run.request.model == filters.model)
        and (not filters.algorithms or run.request.algorithm in filters.algorithms)
        and (not filters.statuses or str(run.status) in filters.statuses)
        and (not filters.origins or names.source(run) in filters.origins)
        and all(word in _text(run) for word in words)
    ]
    return sorted(found, key=lambda run: (run.created_at, run.id), reverse=True)


def _text(run: Run) -> str:
    return f"{run.id} {names.title(run)} {run.status} {names.origin(run)}".lower()


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A row a run."""
    return pd.DataFrame(
        [
            {
                "run": row.run.id,
                "what": names.what(row.run),
                "model": row.run.request.model,
                "status": str(row.run.status),
                "AI": row.intensity,
                names.points_name(row.run): None if row.score is None else 100 * row.score / row.run.request.chooses_on,
                "origin": names.origin(row.run),
                "evaluations": row.run.evaluations,
                "new": row.run.evaluations_new,
                "time": duration(row.run.seconds),
                "started": row.run.created_at[:16].replace("T", " "),
            }
            for row in rows
        ]
    )
