"""A folded network whose weights and activations are rounded as the evaluator rounds them, and which can be trained."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from aiq_core.activations import coarser_pixels, levels
from aiq_core.catalog import Model
from aiq_core.errors import SettingError
from aiq_core.records import FP32_BITS, Policy, Quantizer
from aiq_core.rounding import RoundedLayer
from aiq_core.rounding.layer import Floats
from aiq_core.rounding.nearest import ends, steps
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.data import Pixels
from aiq_core.runtime.folded import module_of
from aiq_core.runtime.network import Network, Store
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.runtime.straight_through import OnGrid, coarsened, straight_through

EDGE = 0.49
"""Of a step: how far from its integer a weight may begin, so that training begins where post-training rounding ends."""


class TunedNetwork:
    """A model under a policy, from layers rounded by `settings`: `trained` are the weights behind them, and the biases.

    Layers and norms that stay FP32 stay as they are. Raises SettingError where activations have bits and no ranges.
    """

    def __init__(self, model: Model, policy: Policy, settings: Quantizer) -> None:
        profile = model.profile
        if policy.has_activations and settings.activations is None:
            raise SettingError("no ranges are set for activations; give their rule, or leave them at FP32")
        self._network = folded(model)
        self._ends = {
            name: ends(bits, settings.grid) for name, bits in profile.named_bits(policy).items() if bits != FP32_BITS
        }
        self._scales: dict[str, Floats] = {}
        self.trained: dict[str, nn.Parameter] = {}
        start = RoundedLayers(model, settings)
        for name in self._ends:
            self._begin(name, start(name, profile.named_bits(policy)[name]), model.folded[name].weight)
        groups = profile.named_activation_bits(policy)
        bits = {place: groups[group] for place, group in profile.stored_tensors.items()}
        image = next(place for place, operation in enumerate(profile.graph) if operation.operator == "image")
        # Rounded as pixels, before it is normalised.
        self._image_bits = bits.pop(image, FP32_BITS)
        self._levels = {}
        if settings.activations is not None:
            tensors = calibration(model, settings.activations).tensors
            self._levels = {
                place: (tensors[place].scale(width), *levels(width, tensors[place].signed))
                for place, width in bits.items()
                if width != FP32_BITS
            }

    def _begin(self, name: str, rounded: RoundedLayer, weight: Floats) -> None:
        """Puts a layer where it rounds to `rounded`, as near to the FP32 weights as that allows."""
        layer = self._network.layers[name]
        scale = rounded.scale
        exact = np.divide(weight, scale, out=np.zeros_like(weight), where=scale != 0)
        near = np.clip(exact, rounded.integers - np.float32(EDGE), rounded.integers + np.float32(EDGE))
        layer.weight.data = torch.from_numpy(near * scale).contiguous(memory_format=memory_format(weight.ndim))
        layer.bias.data = torch.from_numpy(rounded.bias.copy())
        for part in (layer.weight, layer.bias):
            part.requires_grad_(True)
        self.trained[f"{name}.bias"] = layer.bias
        parametrize.register_parametrization(layer, "weight", OnGrid(torch.from_numpy(scale), *self._ends[name]))
        self.trained[f"{name}.weight"] = layer.parametrizations.weight.original
        self._scales[name] = scale

    def __call__(self, inputs: Tensor) -> Tensor:
        """Normalised images -> logits, as the evaluator finds them."""
        return run(self._network, inputs, self._store)

    def pixels(self, pixels: NDArray[np.uint8]) -> Pixels:
        """Images at the width of their group."""
        return pixels if self._image_bits == FP32_BITS else coarser_pixels(pixels, self._image_bits)

    def _store(self, place: int, x: Tensor) -> Tensor:
        if place not in self._levels:
            return x
        return straight_through(x, lambda x: coarsened(x, *self._levels[place]))

    def layers(self) -> dict[str, RoundedLayer]:
        """The layers as they round now."""
        return {name: self._layer(name) for name in self._ends}

    def _layer(self, name: str) -> RoundedLayer:
        weight, bias = (self.trained[f"{name}.{part}"].detach().numpy() for part in ("weight", "bias"))
        weight, scale = np.ascontiguousarray(weight), self._scales[name]
        return RoundedLayer(np.clip(steps(weight, scale), *self._ends[name]).astype(np.int8), scale, bias.copy())


def folded(model: Model) -> Network:
    """The FP32 network with its norms folded, nothing of which is trained."""
    module = module_of(model)
    network = Network(module, model.profile, model.card.input_shape, result=model.card.result)
    for each in (module, *network.layers.values()):
        each.requires_grad_(False)
    return network


def run(network: Network, x: Tensor, store: Store = lambda _, x: x) -> Tensor:
    """All parts in turn."""
    for part in range(len(network.parts)):
        x = network.run(part, x, store)
    return x


def memory_format(dimensions: int) -> torch.memory_format:
    """channels_last for weights of convolutions."""
    return torch.channels_last if dimensions == 4 else torch.contiguous_format
