"""A catalogue's model as what runs: the module with its weights, and the network with its norms folded in."""

import torch
from torch import nn

from aiq_core.catalog import Model
from aiq_core.runtime.models import spec
from aiq_core.runtime.network import Network
from aiq_core.runtime.own.network import Source
from aiq_core.runtime.weights import filled


def module_of(model: Model) -> nn.Module:
    """A model with its weights, in evaluation mode. Raises WeightsError where they do not fit."""
    named = model.card.network
    built = spec(model.name).build() if named is None else Source.parse(named, model.folder).build()
    return filled(built, model.name, model.weights, str(model.folder))


def network_of(model: Model, memory_format: torch.memory_format = torch.channels_last) -> Network:
    """A model with its norms folded, whose layers may be exchanged."""
    card = model.card
    return Network(module_of(model), model.profile, card.input_shape, memory_format, card.result)
