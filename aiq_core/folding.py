"""Batch normalisation folded into the convolution before it, in numpy: the tensors that are evaluated and rounded.

w' = w * gamma / sqrt(var + eps) and b' = (b - mean) / sqrt(var + eps) * gamma + beta, output channel by output channel.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import WeightsError
from aiq_core.graph import NORMS, folded_norms
from aiq_core.records import Layer, ModelProfile

Tensors = Mapping[str, NDArray[Any]]


class Folded(NamedTuple):
    """A layer's tensors as a deployed network has them, float32: the weight as [output channels, …], whatever way the
    network keeps it, and a bias, 0 where there is none.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


def fold(tensors: Tensors, profile: ModelProfile) -> dict[str, Folded]:
    """Layer name -> its tensors, with the norm that alone reads it folded in; other norms stay in the network.

    Raises WeightsError for a norm without running statistics.
    """
    for operation in profile.graph:
        if (
            operation.operator in NORMS
            and operation.module is not None
            and f"{operation.module}.running_var" not in tensors
        ):
            raise WeightsError(
                f"{operation.module} of {profile.model} keeps no running statistics, so what it gives depends on which "
                "images run together; train it with track_running_stats=True"
            )
    norms, folded = folded_norms(profile.graph), {}
    for layer in profile.layers:
        if not layer.has_site:
            continue
        weight = channels_first(np.asarray(tensors[layer.weight_name], dtype=np.float32), layer)
        channels = len(weight)
        bias = _vector(tensors, layer.bias_name, 0, channels)
        if layer.name in norms:
            norm = norms[layer.name]
            gamma, beta = (
                _vector(tensors, f"{norm.module}.{part}", default, channels)
                for part, default in (("weight", 1), ("bias", 0))
            )
            mean, variance = (
                np.asarray(tensors[f"{norm.module}.running_{part}"], dtype=np.float32) for part in ("mean", "var")
            )
            inverse = 1 / np.sqrt(variance + np.float32(norm.attributes["eps"]))
            # In torch's own order, to the last bit.
            weight = weight * (gamma * inverse).reshape(-1, *(1,) * (weight.ndim - 1))
            bias = (bias - mean) * inverse * gamma + beta
        folded[layer.name] = Folded(weight, bias)
    return folded


def channels_first(weight: NDArray[np.float32], layer: Layer) -> NDArray[np.float32]:
    """A layer's weight as [output channels, inputs of each, …]."""
    if layer.transposed:
        return np.ascontiguousarray(weight.T)
    if not layer.kind.is_transposed:
        return weight
    inputs, outputs, *kernel = weight.shape
    split = weight.reshape(layer.groups, inputs // layer.groups, outputs, *kernel)
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(-1, inputs // layer.groups, *kernel))


def as_kept(weight: Any, layer: Layer) -> Any:
    """The weight of a transposed convolution, an array or a tensor of [output channels, …], as it is kept."""
    outputs, inputs, *kernel = weight.shape
    split = weight.reshape(layer.groups, outputs // layer.groups, inputs, *kernel)
    return split.swapaxes(1, 2).reshape(-1, outputs // layer.groups, *kernel)


def _vector(tensors: Tensors, name: str, default: float, channels: int) -> NDArray[np.float32]:
    """A tensor with a number a channel, float32; the default where the network has none."""
    return np.asarray(tensors.get(name, np.full(channels, default)), dtype=np.float32)
