"""Which of the tensors that a forward gives are the logits."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from aiq_core.errors import UncountableOperatorError


def logits(given: Any, images: int, name: str, result: str | None) -> Tensor:
    """The tensor of [images, classes] among what a forward gives."""
    found = dict(_tensors(given, ""))
    if result is not None:
        if result not in found:
            raise UncountableOperatorError(
                f"{name} gives nothing called {result!r}; choose from {', '.join(found) or 'no tensor at all'}"
            )
        return found[result]
    likely = [key for key, tensor in found.items() if tensor.ndim == 2 and len(tensor) == images]
    if len(found) == 1:
        likely = list(found)
    if len(likely) != 1:
        shapes = ", ".join(f"{key} {list(tensor.shape)}" for key, tensor in found.items())
        raise UncountableOperatorError(
            f"{name} gives {shapes or 'no tensor'}, so which are the logits is open; name one of them by --result"
        )
    return found[likely[0]]


def _tensors(given: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a nested result with its path, such as `aux.0`."""
    if isinstance(given, Tensor):
        yield path or "result", given
    elif isinstance(given, Mapping):
        for key, part in given.items():
            yield from _tensors(part, f"{path}.{key}" if path else str(key))
    elif isinstance(given, tuple | list):
        names = getattr(given, "_fields", range(len(given)))
        for key, part in zip(names, given, strict=True):
            yield from _tensors(part, f"{path}.{key}" if path else str(key))
    elif is_dataclass(given):
        for field in fields(given):
            yield from _tensors(getattr(given, field.name), f"{path}.{field.name}" if path else field.name)
