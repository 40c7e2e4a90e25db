"""Folded tensors put into the network, as every deployed one has them."""

import torch
from torch import nn

from aiq_core.folding import fold
from aiq_core.graph import folded_norms
from aiq_core.records import ModelProfile


def fold_batch_norm(network: nn.Module, profile: ModelProfile) -> nn.Module:
    """Gives, in place, every layer its tensors of `folding.fold`, and each norm in them an Identity's place.

    Layer names stay. Returns the network. Raises WeightsError.
    """
    tensors = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    for name, folded in fold(tensors, profile).items():
        layer = network.get_submodule(name)
        layer.weight, layer.bias = (nn.Parameter(torch.from_numpy(array)) for array in folded)
    gone = {network.get_submodule(str(norm.module)) for norm in folded_norms(profile.graph).values()}
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if module in gone:
            network.set_submodule(name, nn.Identity())
    return network
