"""The paper's model: each layer reads its weights, bias and input and writes its output; nothing else is counted."""

import numpy as np

from aiq_core.records import Granularity, ModelProfile
from aiq_core.traffic.counts import Counts, by_group, column, of_layers


def unfused(profile: ModelProfile, granularity: Granularity) -> Counts:
    """Biases are those of the unfolded network, and no scales are counted: the granularity changes nothing."""
    activations = by_group(profile)
    for row, layer in enumerate(profile.layers):
        for elements, group in ((layer.input_elements, layer.input_group), *layer.others):
            activations[row, column(profile, group)] += elements
        activations[row, column(profile, layer.output_group)] += layer.output_elements
    return Counts(
        # A layer that runs several times reads its weights each time, a recurrent one once for all its steps.
        weights=of_layers(profile.layers, "weights") * of_layers(profile.layers, "calls"),
        biases=of_layers(profile.layers, "biases") * of_layers(profile.layers, "calls"),
        weight_scales=np.zeros(len(profile.layers)),
        activations=activations,
        activation_scales=by_group(profile),
    )
