"""Batch normalisation folded into the weights before it, in numpy: the weights that are evaluated and rounded.

w' = w * gamma / sqrt(var + eps), output channel by output channel; the same as `runtime.fold`, without torch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import WeightsError
from aiq_core.records import ModelProfile

EPSILON = np.float32(1e-5)
"""What torch adds to a variance by default."""


def fold(tensors: Mapping[str, NDArray[Any]], profile: ModelProfile) -> dict[str, NDArray[np.float32]]:
    """Layer name -> folded weight of every layer of the profile.

    A norm belongs to the layer that is named like it (`conv1` and `bn1`) or stands before it (`0` and `1`).
    Raises WeightsError where a norm belongs to no layer.
    """
    norms = {key.removesuffix(".running_var") for key in tensors if key.endswith(".running_var")}
    folded = {}
    for layer in profile.layers:
        weight = np.asarray(tensors[f"{layer.name}.weight"], dtype=np.float32)
        norm = norm_of(layer.name)
        if norm in norms:
            norms.remove(norm)
            variance = np.asarray(tensors[f"{norm}.running_var"], dtype=np.float32)
            gain = np.asarray(tensors[f"{norm}.weight"], dtype=np.float32) * (1 / np.sqrt(variance + EPSILON))
            weight = weight * gain.reshape(-1, *(1,) * (weight.ndim - 1))
        folded[layer.name] = weight
    if norms:
        raise WeightsError(
            f"{profile.model} has norms that follow no layer by name: {', '.join(sorted(norms))}; "
            "name them as their layer (conv1, bn1) or put them next in a sequence"
        )
    return folded


def norm_of(layer: str) -> str:
    """The name that a layer's norm would have."""
    parent, dot, last = layer.rpartition(".")
    name = str(int(last) + 1) if last.isdigit() else last.replace("conv", "bn")
    return f"{parent}{dot}{name}"
