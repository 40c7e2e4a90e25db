"""As a deployed network is stored: the scales that rounding needs, and the biases that folding makes."""

from dataclasses import replace

import numpy as np

from aiq_core.graph import folded_norms
from aiq_core.records import Granularity, Layer, ModelProfile
from aiq_core.traffic.counts import Counts, Numbers, by_group, column, of_layers
from aiq_core.traffic.unfused import unfused


def stored(profile: ModelProfile, granularity: Granularity) -> Counts:
    """The unfused model's traffic and every number that a deployed network keeps besides its weights.

    All are float32, as the evaluator computes with them: a bias an output channel where a norm is folded in, a scale an
    output channel (or a tensor) of quantized weights, and a scale a quantized activation tensor, whose range is fixed
    before any image is seen. Norms that stay in the network are no layers and are not counted.
    """
    norms = folded_norms(profile.graph)
    calls = of_layers(profile.layers, "calls")
    scales = [layer.output_channels if granularity is Granularity.CHANNEL else 1 for layer in profile.layers]
    return replace(
        unfused(profile, granularity),
        biases=np.array([_biases(layer, layer.name in norms) for layer in profile.layers], dtype=np.float64) * calls,
        weight_scales=np.array(scales, dtype=np.float64) * calls,
        activation_scales=_activation_scales(profile),
    )


def _biases(layer: Layer, is_folded: bool) -> int:
    return layer.output_channels if is_folded else layer.biases


def _activation_scales(profile: ModelProfile) -> Numbers:
    """One a tensor: with the layer that writes it, or else, as of the image, with the first that reads it."""
    found = by_group(profile)
    written = {layer.output_group for layer in profile.layers}
    for row, layer in enumerate(profile.layers):
        if layer.output_group is not None:
            found[row, column(profile, layer.output_group)] += 1
        for group in layer.read_groups:
            if group not in written:
                found[row, column(profile, group)] += 1
                written.add(group)
    return found
