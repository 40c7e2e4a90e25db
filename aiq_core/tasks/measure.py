"""Measuring this machine's roof, for each number of threads asked for."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiq_core.errors import SettingError
from aiq_core.library import Library
from aiq_core.roof import Roof


def work(library: Library, settings: Mapping[str, Any], say: Callable[[float, str], None]) -> Mapping[str, Any]:
    """Measures the roof of each of `settings["threads"]`, one and all by default; keeps each as it is done."""
    return {"roofs": [roof.to_json() for roof in measured(library, settings.get("threads"), say)]}


def measured(library: Library, threads: Sequence[int] | None, say: Callable[[float, str], None]) -> list[Roof]:
    """The roofs of so many threads, kept. Raises SettingError for more threads than there are."""
    try:
        from aiq_core.runtime.roof import STEPS, measure_roof
    except ModuleNotFoundError as error:
        raise SettingError(f"measuring needs {error.name}, which is not here; `make app` installs it") from None

    counts = default_threads() if threads is None else threads
    for count in counts:
        if not 1 <= count <= most_threads():
            raise SettingError(f"threads={count} is not offered; this machine has 1 to {most_threads()}")
    found: list[Roof] = []
    done = iter(range(STEPS * len(counts)))
    for count in counts:
        found.append(measure_roof(count, lambda text: say(next(done) / (STEPS * len(counts)), text)))
        library.store.measurements.save(found[-1].measurement)
    return found


def most_threads() -> int:
    """How many threads this machine runs at once."""
    return os.cpu_count() or 1


def default_threads() -> list[int]:
    """One, and all."""
    return sorted({1, most_threads()})
