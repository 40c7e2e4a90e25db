"""What each layer reads for one image, kept beside the weights: from it a page shows what rounding does to a map."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aiq_core.catalog import Dataset
from aiq_core.catalog.model import read_weights
from aiq_core.graph import Operation
from aiq_core.records import LayerKind
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.models import spec
from aiq_core.runtime.network import Network
from aiq_core.runtime.profile import profile
from aiq_core.runtime.weights import network_with

FILE = "layers.npz"
IMAGE = 0
"""Which report image: the first, which ships with the app."""


def write_layers(name: str, dataset: Dataset, folder: Path) -> None:
    """Write layers.npz of a model whose weights lie in `folder`, for its data set. Inputs are float16, 1e-3 exact."""
    model = spec(name)
    tensors = read_weights(folder / "weights.safetensors")
    network = network_with(model, tensors, f"{folder}")
    counted = profile(network, name, model.input_shape, model.excluded)
    folded = Network(network, counted, model.input_shape, torch.contiguous_format)
    image = dataset.report.excerpt[IMAGE]
    pixels = (image / np.float32(255) - np.array(model.mean)) / np.array(model.std)
    batch = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32))
    inputs = _inputs(folded, counted.quantizable_names, batch)
    operations = {step.module: step for step in counted.graph if step.operator in tuple(LayerKind)}
    arrays: dict[str, NDArray[Any]] = {}
    for layer, read in inputs.items():
        arrays[f"input.{layer}"] = read.astype(np.float16)
        arrays[f"bias.{layer}"] = folded.layers[layer].bias.detach().numpy()
        arrays[f"geometry.{layer}"] = np.array(_geometry(operations[layer]))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_whole(folder / FILE, buffer.getvalue())


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


def _geometry(operation: Operation) -> tuple[int, int, int]:
    """Stride, padding and groups; a linear layer is a convolution of one pixel."""
    how = operation.attributes
    return (how["stride"][0], how["padding"][0], how["groups"]) if operation.operator == "conv2d" else (1, 0, 1)
