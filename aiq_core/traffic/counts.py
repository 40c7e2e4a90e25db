"""What a traffic model counts of a network, apart from a policy: numbers to move, each kind at a width of its own."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import Layer, ModelProfile

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Counts:
    """Numbers that each layer moves, and so bytes that are linear in a policy's widths.

    Once a batch, float64[layers]: `weights`, at the layer's width; `biases`, in float32; `weight_scales`, in float32
    where the weights are quantized. An image, float64[layers, groups + 1]: `activations`, at the width of an activation
    group, those of the last column in float32. `activation_scales`, of the same shape, are float32 and once a batch,
    where the group is quantized.
    """

    weights: Numbers
    biases: Numbers
    weight_scales: Numbers
    activations: Numbers
    activation_scales: Numbers


def of_layers(layers: Iterable[Layer], name: str) -> Numbers:
    """A count of every layer, float64[layers]."""
    return np.array([getattr(layer, name) for layer in layers], dtype=np.float64)


def column(profile: ModelProfile, group: str | None) -> int:
    """Where a group stands among `activations`; what has no group, as the logits, stays float32: the last column."""
    return -1 if group is None else profile.activation_groups.index(group)


def by_group(profile: ModelProfile) -> Numbers:
    """Nothing yet of any layer and group, float64[layers, groups + 1]."""
    return np.zeros((len(profile.layers), len(profile.activation_groups) + 1))
