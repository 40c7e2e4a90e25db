"""What every layer reads over the calibration images, summed up for the roundings that ask: one pass of the network."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from aiq_core.catalog import Model, cache_dir
from aiq_core.catalog.dataset import CALIBRATION
from aiq_core.errors import EvaluationError, SettingError
from aiq_core.records import Layer, LayerKind, ModelProfile
from aiq_core.rounding import LayerStatistics
from aiq_core.runtime.chunk import chunk_of
from aiq_core.runtime.columns import columns
from aiq_core.runtime.data import to_input
from aiq_core.runtime.folded import network_of
from aiq_core.wording import size

CHUNK = 32
"""Images a forward: their unfolded inputs are held in float64."""

MATRICES = 5
"""As large as a layer's moments are needed at once when it is rounded."""

HELD_BYTES = 2**28
"""Of moments that are held; beyond, they wait on the disk, as a layer is rounded at a time."""


@lru_cache(maxsize=1)
def layer_statistics(model: Model) -> Mapping[str, LayerStatistics]:
    """Quantizable layer -> what it read in the folded FP32 network on the shipped calibration images.

    Those of the last model are held, for its next evaluator. Products are summed in float64, so torch's threads change
    them by what they change FP32 activations by, and by the order of sums. Raises EvaluationError for inputs that are
    NaN or infinite, and SettingError where memory cannot hold the moments.
    """
    require_memory(model.profile)
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
    split.images(split.size)  # which checks them
    chunk = chunk_of(profile, CHUNK)
    with torch.inference_mode():
        for start in range(0, split.size, chunk):
            x = to_input(split.read(start, start + chunk), model.card.mean, model.card.std)
            for part in range(len(network.parts)):
                x = network.run(part, x)
    for name, (_, total, _) in sums.items():
        if not total.isfinite().all():
            raise EvaluationError(
                f"{name} of {model} reads NaN or infinite numbers; round to nearest, or mend the network"
            )
    whole = sum(xx.nbytes for _, _, xx in sums.values())
    found: dict[str, LayerStatistics] | _OnDisk = {} if whole <= HELD_BYTES else _OnDisk()
    for name in tuple(sums):
        n, x, xx = sums.pop(name)
        with torch.inference_mode():
            found[name] = LayerStatistics(xx.div_(n).numpy(), x.div_(n).numpy())
    return found


def require_memory(profile: ModelProfile) -> None:
    """Raises SettingError where the moments of what layers read take more memory than is free."""
    needs = {
        layer.name: layer.groups * (layer.weights // layer.output_channels) ** 2 * np.dtype(np.float64).itemsize
        for layer in profile.quantizable
    }
    widest, free = max(needs, key=lambda name: needs[name]), psutil.virtual_memory().available
    whole = max(sum(needs.values()) + needs[widest], MATRICES * needs[widest])
    if whole > free:
        raise SettingError(
            f"rounding {widest} of {profile.model} by calibration images takes {size(whole)} of memory, and "
            f"{size(free)} are free: add the model again with `--exclude {widest}`, or round to nearest or by mse"
        )


class _OnDisk(Mapping[str, LayerStatistics]):
    """Statistics whose moments lie in a file without a name, which ends with them."""

    def __init__(self) -> None:
        cache_dir().mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=cache_dir())  # noqa: SIM115 - it is open as long as this lives
        self._places: dict[str, tuple[int, np.ndarray]] = {}

    def __setitem__(self, name: str, kept: LayerStatistics) -> None:
        self._places[name] = self._file.seek(0, 2), kept.mean
        kept.second_moment.tofile(self._file)

    def __getitem__(self, name: str) -> LayerStatistics:
        place, mean = self._places[name]
        self._file.seek(place)
        groups, k = mean.shape
        return LayerStatistics(np.fromfile(self._file, np.float64, groups * k * k).reshape(groups, k, k), mean)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
