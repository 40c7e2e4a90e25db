"""Measurements of digits_cnn by hand: what a bench would have kept on a machine that nobody has."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.nodes import Node, Nodes
from aiq_core.deployment.rows import kept_variants
from aiq_core.deployment.timing import Deployed, Place, Timing
from aiq_core.deployment.variant import Variant, variants
from aiq_core.library import Library
from aiq_core.records import Run
from tests import bundled

MODEL = bundled.model("digits_cnn")
PLACE = Place("a CPU", 1, ("avx2",), {"torch": "2.9", "onnxruntime": "1.32"})
AT = "2026-01-02T00:00:00.000+00:00"
REPORT = MODEL.dataset.report.size
EAGER_S = 0.08
"""Seconds a batch of 8 in PyTorch."""


def timing(engine: Engine, variant: Variant, batch: int = 8, factor: float = 1.0, place: Place = PLACE) -> Timing:
    """FP32 takes 40 ms a batch of 8 in a runtime, the variant `factor` times less; rounds are 10 % off either way."""
    whole = (EAGER_S if engine not in RUNTIMES else 0.04) * batch / 8
    plain = tuple(whole * each for each in (0.9, 1.0, 1.1))
    return Timing(
        model=MODEL.name,
        model_hash=MODEL.hash,
        engine=engine,
        version="1.32",
        variant=variant,
        batch=batch,
        seconds=tuple(each / factor for each in plain),
        engine_fp32_s=plain,
        eager_fp32_s=tuple(EAGER_S * batch / 8 * each for each in (0.9, 1.0, 1.1)),
        unsteady=0,
        place=place,
        created_at=AT,
    )


def deployed(engine: Engine, variant: Variant, wrong: int = 0, place: Place = PLACE) -> Deployed:
    """Right on all report images but the first ones."""
    labels = MODEL.dataset.report.labels
    outcomes = np.where(np.arange(REPORT) < wrong, (labels + 1) % 10, labels).astype(np.uint8)
    return Deployed(MODEL.name, MODEL.hash, engine, "1.32", variant, outcomes, REPORT - wrong, place, AT)


def nodes(engine: Engine, variant: Variant) -> Nodes:
    """Half of the time in one integer kernel, a quarter in one that did not fuse, the rest in a reorder."""
    first, second = MODEL.profile.quantizable_names[1:3]
    found = (
        Node(first, "QLinearConv", 0.5, (first,), True),
        Node(second, "Conv", 0.25, (second,)),
        Node("Reorder", "Reorder", 0.25),
    )
    return Nodes(MODEL.hash, engine, "1.32", variant, 8, found, (first, second), PLACE, AT)


def save(
    library: Library,
    run: Run,
    factors: Mapping[str, float],
    wrong: Mapping[str, int] | None = None,
    place: Place = PLACE,
) -> None:
    """A bench of a run at a batch of 8 in PyTorch and ONNX Runtime; `factors` are × FP32 by the variant's name."""
    found = {variant.name: variant for variant in variants(library, MODEL, run)}
    keep = library.store.measurements.save
    cells = [(Engine.EAGER, "fp32"), *((Engine.ONNX_RUNTIME, name) for name in ("fp32", *factors))]
    for engine, name in cells:
        made = timing(engine, found[name], factor=factors.get(name, 1.0), place=place)
        keep(made.measurement)
        keep(deployed(engine, found[name], (wrong or {}).get(name, 0), place).measurement)
        if engine in RUNTIMES:
            keep(replace(nodes(engine, found[name]), place=place).measurement)
    keep(kept_variants(MODEL, run, found.values(), made))
