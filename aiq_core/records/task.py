"""Work that is no search and takes a process of its own: what was asked, how far it is, what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiq_core.records.run import RunStatus


@dataclass(frozen=True, eq=False)
class Task:
    """A task of a kind with its settings. `share` is how far it is, 0 to 1, and `said` what it is at.

    `message` says why it ended, where it did not end well; `result` is what it found.
    """

    id: str
    kind: str
    settings: Mapping[str, Any]
    status: RunStatus
    created_at: str
    share: float = 0.0
    said: str = ""
    message: str = ""
    traceback: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What has no column of its own, JSON-ready."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_json(
        cls, document: Mapping[str, Any], *, id: str, kind: str, status: RunStatus, created_at: str
    ) -> "Task":
        """The task that `to_json` wrote, with what stood beside it."""
        return cls(id=id, kind=kind, status=status, created_at=created_at, **document)


_FIELDS = ("settings", "share", "said", "message", "traceback", "result")
