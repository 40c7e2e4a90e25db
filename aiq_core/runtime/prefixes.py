"""Activations of shared prefixes, kept under a byte limit."""

from collections import OrderedDict

from torch import Tensor

Key = tuple[int, int, tuple[int, ...]]
"""(chunk, boundary, bits of every layer before the boundary)."""


class PrefixCache:
    """Tensors by chunk, boundary and prefix bits; drops what was used least recently, but never what is in use.

    Searches scan the chunks in a circle, where plain least-recently-used would drop each entry just before its
    turn. So an entry makes way only for one of the same chunk and boundary, or once it has sat unused through
    more lookups than there are entries; where nothing can go, the new one is not kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._entries: OrderedDict[Key, Tensor] = OrderedDict()
        self._used_at: dict[Key, int] = {}
        self._clock = 0

    def get(self, key: Key) -> Tensor | None:
        """The tensor under a key, or None."""
        self._clock += 1
        tensor = self._entries.get(key)
        if tensor is None:
            return None
        self._entries.move_to_end(key)
        self._used_at[key] = self._clock
        return tensor

    def put(self, key: Key, tensor: Tensor) -> None:
        """Keeps a tensor if it fits beside what is in use."""
        if key in self._entries:
            return
        size = tensor.nbytes
        while self.held_bytes + size > self.limit_bytes and self._entries:
            oldest = next(iter(self._entries))
            if self._clock - self._used_at[oldest] <= 4 * len(self._entries):
                return
            self._drop(oldest)
        if self.held_bytes + size <= self.limit_bytes:
            self._entries[key] = tensor
            self._used_at[key] = self._clock
            self.held_bytes += size

    def clear(self) -> None:
        """Drops everything."""
        for key in list(self._entries):
            self._drop(key)

    def _drop(self, key: Key) -> None:
        self.held_bytes -= self._entries.pop(key).nbytes
        del self._used_at[key]
