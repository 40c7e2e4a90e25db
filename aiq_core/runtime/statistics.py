"""What every layer reads over the calibration images, summed up for the roundings that ask: one pass of the network."""

from collections import defaultdict
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from aiq_core.catalog import Model
from aiq_core.catalog.dataset import CALIBRATION
from aiq_core.errors import EvaluationError
from aiq_core.rounding import LayerStatistics
from aiq_core.runtime.data import to_input
from aiq_core.runtime.fold import fold_batch_norm
from aiq_core.runtime.models import spec
from aiq_core.runtime.weights import network_with

CHUNK = 32
"""Images a forward: their unfolded inputs are held in float64."""


@lru_cache(maxsize=1)
def layer_statistics(model: Model) -> dict[str, LayerStatistics]:
    """Quantizable layer -> what it read in the folded FP32 network on the shipped calibration images.

    Those of the last model are held, for its next evaluator. Products are summed in float64, so torch's threads change
    them by what they change FP32 activations by, and by the order of sums. Raises EvaluationError for inputs that are
    NaN or infinite.
    """
    network = fold_batch_norm(network_with(spec(model.name), model.weights, str(model.folder)), model.profile)
    sums: dict[str, list[Any]] = defaultdict(lambda: [0, 0, 0])

    def take(name: str, module: nn.Conv2d | nn.Linear, read: tuple[Tensor, ...]) -> None:
        x = _columns(module, read[0]).double()
        kept = sums[name]
        kept[0] += x.shape[-1]
        kept[1] += x.sum(dim=-1)
        kept[2] += x @ x.transpose(1, 2)

    for name in model.profile.quantizable_names:
        network.get_submodule(name).register_forward_pre_hook(partial(take, name))
    images = model.dataset.split(CALIBRATION).excerpt
    with torch.inference_mode():
        for start in range(0, len(images), CHUNK):
            network(to_input(images[start : start + CHUNK], model.card.mean, model.card.std))
    for name, (_, total, _) in sums.items():
        if not total.isfinite().all():
            raise EvaluationError(
                f"{name} of {model} reads NaN or infinite numbers; round to nearest, or mend the network"
            )
    return {name: LayerStatistics((xx / n).numpy(), (x / n).numpy()) for name, (n, x, xx) in sums.items()}


def _columns(module: nn.Conv2d | nn.Linear, x: Tensor) -> Tensor:
    """What each output is made of, [groups, k, images x positions], k in the order of a channel's weights."""
    if isinstance(module, nn.Linear):
        return x.reshape(-1, x.shape[-1]).T[None]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = functional.pad(x, module._reversed_padding_repeated_twice, mode=mode)
    unfolded = functional.unfold(padded, module.kernel_size, dilation=module.dilation, stride=module.stride)
    images, rows, positions = unfolded.shape
    grouped = unfolded.view(images, module.groups, rows // module.groups, positions)
    return grouped.permute(1, 2, 0, 3).flatten(2)
