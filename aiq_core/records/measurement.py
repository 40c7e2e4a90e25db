"""What was measured on a machine, as it is kept: whatever it is of, a document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Measurement:
    """A document that was measured by `threads` threads of a CPU; `kind` and `subject` say of what.

    Of the same kind and subject on the same machine the latest counts; those before it are kept.
    """

    kind: str
    cpu: str
    threads: int
    subject: str
    created_at: str
    document: Mapping[str, Any]
