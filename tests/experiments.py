"""The throughput experiment of a model by hand: what a benchmark would have kept on a machine that nobody has."""

from collections.abc import Mapping

import numpy as np

from aiq_core.catalog import Model
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.experiment import experiment
from aiq_core.deployment.timing import Deployed, Place, Timing
from aiq_core.deployment.variant import Variant
from aiq_core.library import Library
from aiq_core.records import KernelTable, KernelTimes

PLACE = Place("a CPU", 1, ("avx2",), {"torch": "2.9", "onnxruntime": "1.32"})
AT = "2026-01-02T00:00:00+00:00"
EAGER_S, FP32_S = 0.004, 0.002
"""Seconds an image in PyTorch, and in a runtime."""
IMAGES = 100
SPREAD = (0.9, 1.0, 1.1)
"""Rounds, as parts of their median; all of a round are alike, so ratios have no spread."""


def variants(library: Library, model: Model) -> dict[str, Variant]:
    """The experiment's variants by name."""
    return {variant.name: variant for variant in experiment(library, model)}


def timing(model: Model, engine: Engine, variant: Variant, batch: int, factor: float, place: Place = PLACE) -> Timing:
    """A variant that takes `factor` times less than FP32 in the same engine."""
    own = (FP32_S if engine in RUNTIMES else EAGER_S) * batch
    return Timing(
        model=model.name,
        model_hash=model.hash,
        engine=engine,
        version="1.32",
        variant=variant,
        batch=batch,
        seconds=tuple(own * each / factor for each in SPREAD),
        engine_fp32_s=tuple(own * each for each in SPREAD),
        eager_fp32_s=tuple(EAGER_S * batch * each for each in SPREAD),
        unsteady=0,
        place=place,
        created_at=AT,
    )


def deployed(model: Model, engine: Engine, variant: Variant, wrong: int, place: Place = PLACE) -> Deployed:
    """Right on all of the first report images but the first `wrong`."""
    labels = model.dataset.report.labels[:IMAGES]
    outcomes = np.where(np.arange(IMAGES) < wrong, (labels + 1) % 10, labels).astype(np.uint8)
    return Deployed(model.name, model.hash, engine, "1.32", variant, outcomes, IMAGES - wrong, place, AT)


def save(
    library: Library,
    model: Model,
    factors: Mapping[tuple[Engine, int], Mapping[str, float]],
    wrong: Mapping[str, int] | None = None,
    place: Place = PLACE,
) -> None:
    """Variants by name and how many times as fast as FP32 they are, by engine and batch; `wrong` by variant."""
    known, keep = variants(library, model), library.store.measurements.save
    for (engine, batch), cells in factors.items():
        for name, factor in {"fp32": 1.0, **cells}.items():
            keep(timing(model, engine, known[name], batch, factor, place).measurement)
            keep(deployed(model, engine, known[name], (wrong or {}).get(name, 0), place).measurement)


def table(model: Model, engine: Engine, batch: int, factor: float, place: Place = PLACE) -> KernelTable:
    """One kernel for all, which takes `factor` times what FP32 was measured to take, in whatever type."""
    kernel = KernelTimes((0,), (model.profile.quantizable_names[0],), FP32_S * batch * factor, None)
    where = {"model_hash": model.hash, "engine": str(engine), "version": "1.32", "batch": batch}
    made = {"threads": place.threads, "cpu": place.cpu, "created_at": AT, "seconds": 1.0}
    return KernelTable(**where, **made, kernels=(kernel,), borders=())  # type: ignore[arg-type]
