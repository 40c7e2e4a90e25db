"""The operators a profile can count: those that cost FLOPs, and those that do not and what they do to widths.

After fvcore: an operator that is in no table is an error that names it, never a silent zero.
"""

import operator
from enum import StrEnum

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import fx, nn

COUNTED_MODULES: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.Linear)


class Flow(StrEnum):
    """What an operator without FLOPs does to the activation group of its input.

    SAME: the output is the input's tensor, rounded at the same width (batch normalisation and ReLU fuse into
    their producer). JOINED: inputs and output share a width. FRESH: the output is a tensor of its own.
    SHAPE: sizes and checks; no activations.
    """

    SAME = "same"
    JOINED = "joined"
    FRESH = "fresh"
    SHAPE = "shape"


MODULES: dict[type[nn.Module], Flow] = {
    nn.BatchNorm2d: Flow.SAME,
    nn.ReLU: Flow.SAME,
    nn.ReLU6: Flow.SAME,
    nn.GELU: Flow.SAME,
    nn.Hardtanh: Flow.SAME,
    nn.Dropout: Flow.SAME,
    nn.Identity: Flow.SAME,
    nn.Flatten: Flow.SAME,
    nn.MaxPool2d: Flow.SAME,
    nn.AvgPool2d: Flow.FRESH,
    nn.AdaptiveAvgPool2d: Flow.FRESH,
    nn.LayerNorm: Flow.FRESH,
}

FUNCTIONS: dict[object, Flow] = {
    operator.add: Flow.JOINED,
    operator.iadd: Flow.JOINED,
    torch.add: Flow.JOINED,
    torch.cat: Flow.JOINED,
    torch.flatten: Flow.SAME,
    torch.relu: Flow.SAME,
    F.relu: Flow.SAME,
    F.relu6: Flow.SAME,
    F.gelu: Flow.SAME,
    F.dropout: Flow.SAME,
    F.max_pool2d: Flow.SAME,
    F.avg_pool2d: Flow.FRESH,
    F.adaptive_avg_pool2d: Flow.FRESH,
    torch.mean: Flow.FRESH,
    operator.getitem: Flow.SAME,
    operator.eq: Flow.SHAPE,
    getattr: Flow.SHAPE,
    torch._assert: Flow.SHAPE,
}

METHODS: dict[str, Flow] = {
    "add": Flow.JOINED,
    "add_": Flow.JOINED,
    "mean": Flow.FRESH,
    "relu": Flow.SAME,
    "flatten": Flow.SAME,
    "view": Flow.SAME,
    "reshape": Flow.SAME,
    "permute": Flow.SAME,
    "expand": Flow.SAME,
    "contiguous": Flow.SAME,
    "size": Flow.SHAPE,
    "dim": Flow.SHAPE,
}


def is_counted(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a traced call holds weights and costs FLOPs."""
    return node.op == "call_module" and type(modules[str(node.target)]) in COUNTED_MODULES


def flow(node: fx.Node, modules: dict[str, nn.Module]) -> Flow | None:
    """What a traced call without FLOPs does to its input's group; None for an operator in no table."""
    match node.op:
        case "call_module":
            return MODULES.get(type(modules[str(node.target)]))
        case "call_function":
            if node.all_input_nodes and all(flow(source, modules) is Flow.SHAPE for source in node.all_input_nodes):
                return Flow.SHAPE  # arithmetic on sizes, such as height times width
            return FUNCTIONS.get(node.target)
        case "call_method":
            return METHODS.get(str(node.target))
        case "get_attr":
            return Flow.FRESH
        case _:
            return Flow.FRESH


def title(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    """How an error names a traced call: its operator, and where it stands."""
    if node.op == "call_module":
        return f"{type(modules[str(node.target)]).__name__} ({node.target})"
    return str(getattr(node.target, "__name__", node.target))
