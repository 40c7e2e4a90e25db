"""What was done to the policy, step by step, for undo and redo; pure."""

from dataclasses import dataclass, replace

from aiq_core.records import Policy

MOST_ENTRIES = 200
"""How many policies are remembered of a model; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy and what led to it. A start is a policy taken from elsewhere, which edits are compared with."""

    policy: Policy
    text: str
    is_start: bool = False


@dataclass(frozen=True)
class History:
    """The policies of a session in order; `index` is the one shown, those after it can be redone."""

    entries: tuple[Entry, ...]
    index: int = 0

    @property
    def current(self) -> Entry:
        return self.entries[self.index]

    @property
    def start(self) -> Entry:
        """Where the shown policy's editing began."""
        before = self.entries[: self.index + 1]
        return next((entry for entry in reversed(before) if entry.is_start), before[0])

    @property
    def undone(self) -> Entry | None:
        """What undo would take back."""
        return self.current if self.index else None

    @property
    def redone(self) -> Entry | None:
        """What redo would bring back."""
        return self.entries[self.index + 1] if self.index + 1 < len(self.entries) else None

    def push(self, entry: Entry) -> "History":
        """The history with a new policy shown and nothing to redo. An edit that changes nothing adds nothing."""
        if entry.policy == self.current.policy and not entry.is_start:
            return self
        entries = (*self.entries[: self.index + 1], entry)[-MOST_ENTRIES:]
        return History(entries, len(entries) - 1)

    def linked(self, start: Entry, policy: Policy) -> "History":
        """The history at a policy that was edited from a start: where both stand nearest, else with them at its end."""
        places = sorted(range(len(self.entries)), key=lambda place: abs(place - self.index))
        found = (replace(self, index=place) for place in places)
        same = (one for one in found if one.current.policy == policy and one.start.policy == start.policy)
        begun = self if self.start.policy == start.policy else self.push(start)
        return next(same, None) or begun.push(Entry(policy, "the link's edits"))

    def undo(self) -> "History":
        return replace(self, index=max(0, self.index - 1))

    def redo(self) -> "History":
        return replace(self, index=min(len(self.entries) - 1, self.index + 1))
