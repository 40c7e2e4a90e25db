"""The search for time: a table of kernels, measured where it is not known, and a frontier along what it predicts."""

from collections.abc import Callable, Mapping
from typing import Any

from aiq_core import jobs, space
from aiq_core.deployment.engine import Engine
from aiq_core.deployment.prediction import Measured
from aiq_core.library import Library
from aiq_core.records import KernelTable, Request, SplitName
from aiq_core.tasks import kernels

Say = Callable[[float, str], None]


def work(library: Library, settings: Mapping[str, Any], say: Say) -> Mapping[str, Any]:
    """Measures what a search for time of a `model` in an `engine` at a `batch` needs, and queues it."""
    model = settings["model"]
    table = known_table(library, model, Engine(settings["engine"]), settings["batch"], settings["threads"], say)
    return {"table": table.hash, "run": jobs.submit(library, request(library, model, table)).id}


def known_table(library: Library, model: str, engine: Engine, batch: int, threads: int, say: Say) -> KernelTable:
    """The table of this CPU: the one that is known, or measured now."""
    from aiq_core.runtime.cpu import cpu_kind

    known = Measured.of(library, library.model(model).hash, engine, batch, threads, cpu_kind()).table
    return known or kernels.measured(library, model, engine, batch, threads, say)


def request(
    library: Library,
    model: str,
    table: KernelTable,
    points: int = space.TIME_POINTS,
    within: tuple[str, ...] = (),
    images: int | None = None,
) -> Request:
    """The frontier along a table's time, on all search images that are here unless told otherwise."""
    known = library.model(model)
    count = images or known.dataset.available(SplitName.SEARCH)
    how = space.JOINT.quantizer(known.dataset)
    return space.JOINT.time_request(model, how, known.profile, count, table.hash, points, within)
