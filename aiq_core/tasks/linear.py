"""Timing a linear layer with real kernels, under this machine's own roof."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiq_core.errors import SettingError
from aiq_core.library import Library
from aiq_core.linear import BATCHES, PART, Linear
from aiq_core.roof import ROOF, Roof
from aiq_core.tasks.measure import measured, most_threads

SIZE = 4096
ROOF_SHARE = 0.2
"""Of the whole, where the roof is not known yet."""

Say = Callable[[float, str], None]


def work(library: Library, settings: Mapping[str, Any], say: Say) -> Mapping[str, Any]:
    """Times a layer of `rows` x `columns` at `batches` on `threads`; keeps every batch as it is done."""
    found = timed(
        library,
        settings.get("rows", SIZE),
        settings.get("columns", SIZE),
        settings.get("batches", BATCHES),
        settings.get("threads", 1),
        say,
    )
    return found.to_json()


def timed(library: Library, rows: int, columns: int, batches: Sequence[int], threads: int, say: Say) -> Linear:
    """The layer, kept; goes on from what an earlier call of the same settings had timed when it was stopped.

    Raises SettingError for more threads than there are, and for sizes that kernels cannot pack or memory cannot hold.
    """
    from aiq_core.runtime.deployment.linear import check, measure_linear

    if not 1 <= threads <= most_threads():
        raise SettingError(f"threads={threads} is not offered; this machine has 1 to {most_threads()}")
    check(rows, columns, batches)
    roof, before = _roof(library, threads, say)
    return measure_linear(
        rows,
        columns,
        batches,
        roof,
        lambda done, whole, told: say(before + (1 - before) * done / whole, told),
        lambda found: library.store.measurements.save(found.measurement),
        _begun(library, roof, rows, columns, batches),
    )


def _roof(library: Library, threads: int, say: Say) -> tuple[Roof, float]:
    """This machine's roof, measured where it is not known yet, and the share of the whole that this took."""
    from aiq_core.runtime.cpu import cpu_kind

    cpu = cpu_kind()
    for each in library.measurements(ROOF):
        if (each.cpu, each.threads) == (cpu, threads):
            return Roof.from_json(each.document), 0.0
    (roof,) = measured(library, [threads], lambda share, told: say(ROOF_SHARE * share, told))
    return roof, ROOF_SHARE


def _begun(library: Library, roof: Roof, rows: int, columns: int, batches: Sequence[int]) -> Linear | None:
    """The latest part of the same layer, batches, machine and versions that was never finished."""
    from aiq_core.runtime.deployment.linear_kernels import versions

    parts = [Linear.from_json(each.document) for each in library.store.measurements.all(PART)]
    whole = {each.created_at for each in library.store.measurements.all() if each.kind != PART}
    wanted = (roof.cpu, roof.threads, rows, columns, tuple(sorted(set(batches))), versions())
    fitting = [
        part
        for part in parts
        if (part.cpu, part.threads, part.rows, part.columns, part.batches, part.versions) == wanted
        and part.created_at not in whole
    ]
    return max(fitting, key=lambda part: part.created_at, default=None)
