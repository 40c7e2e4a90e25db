"""The paper's throughput experiment (arXiv 2512.14090), as its variants: its layers in INT8, random ones, and ours."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from aiq_core.catalog import Model
from aiq_core.deployment.engine import Engine
from aiq_core.deployment.rows import Row, batch_of, kept_timings, rows, variant_key_of
from aiq_core.deployment.timing import Place
from aiq_core.deployment.variant import Variant, deployable, deployed_policy, fp32, int8_layers
from aiq_core.errors import DataError, SettingError, UnknownNameError
from aiq_core.library import Library
from aiq_core.space import JOINT

PAPER_LAYERS: Mapping[str, tuple[str, ...]] = {
    "mobilenet_v2": (
        "features.12.conv.0.0",
        "features.12.conv.2",
        "features.13.conv.0.0",
        "features.13.conv.2",
        "features.14.conv.2",
        "features.15.conv.0.0",
        "features.15.conv.2",
        "features.16.conv.0.0",
        "features.16.conv.2",
        "features.17.conv.0.0",
        "features.17.conv.2",
        "features.18.0",
    ),
    "resnet20": tuple(
        f"layer{stage}.{block}.conv{place}" for stage in (2, 3) for block in range(3) for place in (1, 2)
    ),
}
"""The 12 layers that the paper names for MobileNetV2; it times no ResNet-20, of which these are the 12 largest."""

SEEDS = range(5)
DRAWN = "random-"
"""How the names of variants drawn at random begin, before their seed."""

SEARCHED = Engine.ONNX_RUNTIME, 32
"""The engine and the batch at which the experiment searches for time."""


@dataclass(frozen=True)
class Experiment:
    """What the experiment found of a model on so many threads of a CPU; `rows` by batch, engine and variant."""

    model: Model
    cpu: str
    threads: int
    rows: tuple[Row, ...]

    @property
    def place(self) -> Place:
        """Where and with what it was measured."""
        return self.rows[0].timing.place

    @property
    def batches(self) -> tuple[int, ...]:
        """Those that were measured."""
        return tuple(dict.fromkeys(row.timing.batch for row in self.rows))

    def row(self, engine: Engine, name: str, batch: int) -> Row | None:
        """The row of a variant by its name; None where it was not measured."""
        found = (row for row in self.rows if (row.engine, row.timing.batch) == (engine, batch))
        return next((row for row in found if row.variant.name == name), None)


def experiment(library: Library, model: Model) -> tuple[Variant, ...]:
    """FP32, the paper's layers, as many random ones by `SEEDS`, ours, the fastest, and all INT8, each in its INT8 form.

    Ours is the recommended point of the bundled frontier; the fastest that of the latest search for time, where there
    is one. Raises UnknownNameError for a model that it is not made for.
    """
    if model.name not in PAPER_LAYERS:
        raise UnknownNameError("model of the paper's experiment", model.name, PAPER_LAYERS)
    first: dict[str, Variant] = {}
    for variant in _variants(library, model):
        first.setdefault(variant.key, variant)
    return tuple(first.values())


def experiments(library: Library, model: Model) -> tuple[Experiment, ...]:
    """What is known of the experiment, a machine each: the one with most cells first, of equal ones the latest.

    A machine counts where the paper's layers were timed.
    """
    if model.name not in PAPER_LAYERS:
        return ()
    variants = {variant.key: variant for variant in experiment(library, model)}
    paper = next(key for key, variant in variants.items() if variant.name == "paper")
    kept = [each for each in kept_timings(library, model) if variant_key_of(each) in variants]
    places = {(each.cpu, each.threads) for each in kept if variant_key_of(each) == paper}
    own = {place: [each for each in kept if (each.cpu, each.threads) == place] for place in places}

    def rank(place: tuple[str, int]) -> tuple[int, str]:
        return len(own[place]), max(each.created_at for each in own[place])

    found = []
    for place in sorted(own, key=rank, reverse=True):
        batches = {batch_of(each) for each in own[place]}
        known = rows(library, model, tuple(variants.values()), *place, batches)
        found.append(Experiment(model, *place, tuple(known)))
    return tuple(found)


def _variants(library: Library, model: Model) -> Iterator[Variant]:
    profile, how, names = model.profile, JOINT.quantizer(model.dataset), PAPER_LAYERS[model.name]
    yield fp32(model)
    yield Variant("paper", f"the paper’s {len(names)} layers", int8_layers(profile, names), how)
    for seed in SEEDS:
        chosen = np.random.default_rng(seed).choice(profile.quantizable_names, len(names), replace=False)
        title = f"{len(names)} random layers, seed {seed}"
        yield Variant(f"{DRAWN}{seed}", title, int8_layers(profile, map(str, chosen)), how)
    known = deployable(library, model)
    fronts = [run for run in known if JOINT.is_usual_front(run.request, how, profile)]
    timed = [run for run in known if run.request.table is not None]
    for name, title, runs in (("ours", "ours, by AI", fronts[:1]), ("fastest", "ours, by time", timed[-1:])):
        for run in runs:
            # None of its points is measured here, or its table of kernels is not known.
            with suppress(SettingError, DataError):
                yield Variant(name, title, deployed_policy(library, library.run(run.id)), how)
    yield Variant("int8", "all INT8", profile.uniform(8, 8), how)
