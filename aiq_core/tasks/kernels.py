"""Measuring what predictions of time are made from: the roof, a runtime's rates, and a table of a model's kernels."""

from collections.abc import Callable, Mapping
from typing import Any

from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.prediction import Measured
from aiq_core.errors import SettingError
from aiq_core.library import Library
from aiq_core.records import KernelTable
from aiq_core.space import JOINT
from aiq_core.tasks import measure

Say = Callable[[float, str], None]


def work(library: Library, settings: Mapping[str, Any], say: Say) -> Mapping[str, Any]:
    """Measures the kernels of a `model` in an `engine` at a `batch` on so many `threads`; keeps them."""
    model, engine = settings["model"], Engine(settings["engine"])
    table = measured(library, model, engine, settings["batch"], settings["threads"], say)
    return {"table": table.hash}


def measured(library: Library, model: str, engine: Engine, batch: int, threads: int, say: Say) -> KernelTable:
    """The table, kept; the roof and the rates that predictions need with it are measured where they are not known.

    Raises SettingError for an engine that is no runtime or not installed, UncountableOperatorError for a network that
    has no form in ONNX.
    """
    from aiq_core.runtime.cpu import cpu_kind
    from aiq_core.runtime.deployment.rates import measure_rates
    from aiq_core.runtime.deployment.table import measure_table

    if engine not in RUNTIMES:
        raise SettingError(f"engine={engine} runs no kernels of its own; choose {' or '.join(RUNTIMES)}")
    if not batch >= 1:
        raise SettingError(f"batch={batch} is not offered; choose 1 or more images")
    known = library.model(model)
    before = Measured.of(library, known.hash, engine, batch, threads, cpu_kind())
    if before.roof is None:
        measure.measured(library, [threads], lambda share, told: say(0.2 * share, told))
    if before.rates is None:
        say(0.2, f"rates of {engine.words}")
        library.store.measurements.save(measure_rates(engine, threads).measurement)
    settings = JOINT.quantizer(known.dataset)
    table = measure_table(known, settings, engine, batch, threads, lambda share, told: say(0.25 + 0.75 * share, told))
    library.store.measurements.save(table.measurement)
    return table
