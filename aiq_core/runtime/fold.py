"""Folding batch normalisation into the convolution before it, as every deployed network has it."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Replaces, in place, each Conv2d whose only reader is a BatchNorm2d by their fusion, and that norm by Identity.

    Expects a model in eval mode that torch.fx can trace. Layer names stay. Returns the model.
    """
    graph = torch.fx.symbolic_trace(model).graph
    modules = dict(model.named_modules())
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules.get(node.target), nn.BatchNorm2d):
            continue
        producer = node.args[0]
        convolution = modules.get(producer.target) if producer.op == "call_module" else None
        if isinstance(convolution, nn.Conv2d) and len(producer.users) == 1:
            fused = fuse_conv_bn_eval(convolution, modules[node.target])
            # Into the same objects, so that views on them (a spec's segments) see the folded weights.
            convolution.weight, convolution.bias = fused.weight, fused.bias
            _replace(model, node.target, nn.Identity())
    return model


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
