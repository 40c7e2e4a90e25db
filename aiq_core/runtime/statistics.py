"""What every layer reads over the calibration images, summed up for the roundings that ask: one pass of the network."""

from collections import defaultdict
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from aiq_core.catalog import Model
from aiq_core.catalog.dataset import CALIBRATION
from aiq_core.errors import EvaluationError
from aiq_core.records import Layer, LayerKind
from aiq_core.rounding import LayerStatistics
from aiq_core.runtime.columns import columns
from aiq_core.runtime.data import to_input
from aiq_core.runtime.folded import network_of

CHUNK = 32
"""Images a forward: their unfolded inputs are held in float64."""


@lru_cache(maxsize=1)
def layer_statistics(model: Model) -> dict[str, LayerStatistics]:
    """Quantizable layer -> what it read in the folded FP32 network on the shipped calibration images.

    Those of the last model are held, for its next evaluator. Products are summed in float64, so torch's threads change
    them by what they change FP32 activations by, and by the order of sums. Raises EvaluationError for inputs that are
    NaN or infinite.
    """
    profile, network = model.profile, network_of(model, torch.contiguous_format)
    operations = {step.module: step for step in profile.graph if step.operator in tuple(LayerKind)}
    sums: dict[str, list[Any]] = defaultdict(lambda: [0, 0, 0])

    def take(layer: Layer, _: nn.Module, read: tuple[Tensor, ...]) -> None:
        x = columns(layer, operations[layer.name], read[0]).double()
        kept = sums[layer.name]
        kept[0] += x.shape[-1]
        kept[1] += x.sum(dim=-1)
        kept[2] += x @ x.transpose(1, 2)

    for layer in profile.quantizable:
        network.layers[layer.name].register_forward_pre_hook(partial(take, layer))
    split = model.dataset.split(CALIBRATION)
    images = split.images(split.size)
    with torch.inference_mode():
        for start in range(0, len(images), CHUNK):
            x = to_input(images[start : start + CHUNK], model.card.mean, model.card.std)
            for part in range(len(network.parts)):
                x = network.run(part, x)
    for name, (_, total, _) in sums.items():
        if not total.isfinite().all():
            raise EvaluationError(
                f"{name} of {model} reads NaN or infinite numbers; round to nearest, or mend the network"
            )
    return {name: LayerStatistics((xx / n).numpy(), (x / n).numpy()) for name, (n, x, xx) in sums.items()}
