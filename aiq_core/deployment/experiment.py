"""The paper's throughput experiment (arXiv 2512.14090), as its variants: its layers in INT8, random ones, and ours."""

from collections.abc import Iterator, Mapping

import numpy as np

from aiq_core.catalog import Model
from aiq_core.deployment.variant import Variant, deployable, deployed_policy, fp32, int8_layers
from aiq_core.errors import UnknownNameError
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


def _variants(library: Library, model: Model) -> Iterator[Variant]:
    profile, how, names = model.profile, JOINT.quantizer(model.dataset), PAPER_LAYERS[model.name]
    yield fp32(model)
    yield Variant("paper", f"the paper’s {len(names)} layers", int8_layers(profile, names), how)
    for seed in SEEDS:
        chosen = np.random.default_rng(seed).choice(profile.quantizable_names, len(names), replace=False)
        title = f"{len(names)} random layers, seed {seed}"
        yield Variant(f"random-{seed}", title, int8_layers(profile, map(str, chosen)), how)
    for run in deployable(library, model):
        if JOINT.is_usual_front(run.request, how, profile):
            yield Variant("ours", "ours, by AI", deployed_policy(library, library.run(run.id)), how)
            break
    timed = [run for run in deployable(library, model) if run.request.table is not None]
    for run in timed[-1:]:
        yield Variant("fastest", "ours, by time", deployed_policy(library, library.run(run.id)), how)
    yield Variant("int8", "all INT8", profile.uniform(8, 8), how)
