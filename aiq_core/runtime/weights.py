"""Tensors into a network and out of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import nn

from aiq_core.errors import WeightsError
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.models import ModelSpec

TRACKED = "num_batches_tracked"
"""A counter of batch normalisation that inference does not use; weights files leave it out."""


def network_with(model: ModelSpec, tensors: Mapping[str, NDArray[Any]], source: str) -> nn.Module:
    """The model with these tensors, in evaluation mode. Raises WeightsError, naming `source`, where they do not fit."""
    return filled(model.build(), model.name, tensors, source)


def filled(network: nn.Module, name: str, tensors: Mapping[str, NDArray[Any]], source: str) -> nn.Module:
    """A network with these tensors, in evaluation mode; it computes in float32 on the CPU, whatever it was built in.

    Raises WeightsError, naming `source`, where they do not fit.
    """
    network = network.to("cpu", torch.float32)
    state = {key: torch.from_numpy(np.array(value)) for key, value in tensors.items()}
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{source} does not fit {name} ({error}); use weights trained for it") from None
    wrong = [f"no {key}" for key in missing if not key.endswith(TRACKED)] + [f"unknown {key}" for key in unexpected]
    if wrong:
        raise WeightsError(f"{source} does not fit {name} ({', '.join(wrong)}); use weights trained for it")
    return network.eval()


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's tensors as safetensors, all but the counters of batch normalisation."""
    state = network.state_dict().items()
    # In row-major order, whatever memory format the network ran in.
    kept = {key: np.ascontiguousarray(value.detach().numpy()) for key, value in state if not key.endswith(TRACKED)}
    write_whole(path, save(kept))
