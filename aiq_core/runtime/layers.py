"""What each layer reads for one image, kept beside the weights: from it a page shows what rounding does to a map."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aiq_core.catalog import Model
from aiq_core.graph import Operation
from aiq_core.records import Layer, LayerKind
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.folded import network_of
from aiq_core.runtime.network import Network

FILE = "layers.npz"
IMAGE = 0
"""Which report image: the first, which ships with the app."""


def write_layers(model: Model) -> None:
    """Write layers.npz of a model into its folder. Inputs are float16, 1e-3 exact.

    None where a layer is neither a convolution alike in both directions nor linear on vectors: nothing draws those.
    """
    counted, folded = model.profile, network_of(model, torch.contiguous_format)
    operations = {step.module: step for step in counted.graph if step.operator in tuple(LayerKind)}
    if folded.is_whole or not all(_is_drawn(layer, operations[layer.name]) for layer in counted.quantizable):
        return
    image = model.dataset.report.images(IMAGE + 1)[IMAGE]
    pixels = (image / np.float32(255) - np.array(model.card.mean)) / np.array(model.card.std)
    batch = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32))
    inputs = _inputs(folded, counted.quantizable_names, batch)
    arrays: dict[str, NDArray[Any]] = {}
    for layer, read in inputs.items():
        arrays[f"input.{layer}"] = read.astype(np.float16)
        arrays[f"bias.{layer}"] = folded.layers[layer].bias.detach().numpy()
        arrays[f"geometry.{layer}"] = np.array(_geometry(operations[layer]))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_whole(model.folder / FILE, buffer.getvalue())


def _inputs(network: Network, names: Sequence[str], batch: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    """Layer -> what it reads for a batch of one image, without the batch's axis."""
    found: dict[str, NDArray[np.float32]] = {}
    handles = [
        network.layers[name].register_forward_pre_hook(
            lambda _, read, name=name: found.__setitem__(name, read[0][0].detach().numpy().copy())
        )
        for name in names
    ]
    with torch.inference_mode():
        for part in range(len(network.parts)):
            batch = network.run(part, batch)
    for handle in handles:
        handle.remove()
    return found


def _is_drawn(layer: Layer, operation: Operation) -> bool:
    """Whether what it does to one image is a map, or a number an output."""
    how = operation.attributes
    if layer.kind is LayerKind.CONV2D:
        alike = all(len(set(how[key])) == 1 for key in ("stride", "padding") if not isinstance(how[key], str))
        return layer.calls == 1 and alike and not isinstance(how["padding"], str) and set(how["dilation"]) == {1}
    return layer.kind is LayerKind.LINEAR and layer.calls == 1 and layer.output_elements == layer.output_channels


def _geometry(operation: Operation) -> tuple[int, int, int]:
    """Stride, padding and groups; a linear layer is a convolution of one pixel."""
    how = operation.attributes
    return (how["stride"][0], how["padding"][0], how["groups"]) if operation.operator == "conv2d" else (1, 0, 1)
