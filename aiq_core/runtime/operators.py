"""The operators a profile can count, and the canonical form of each call.

After fvcore: an operator that is in no table is an error that names it, never a silent zero.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import fx, nn

from aiq_core.graph import FLOWS, Flow


@dataclass(frozen=True, slots=True)
class Form:
    """An operator of `aiq_core.graph`. `calls` are torch's ways to it: modules' types, functions, names of methods.

    `attributes` hold torch's defaults (None also stands for what must be given) and `operands` the names of its
    tensors, both in the order of torch's arguments.
    """

    calls: tuple[object, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    operands: tuple[str, ...] = ("input",)


COUNTED = ("conv2d", "linear")
"""Those that hold weights and cost FLOPs."""

WITH_TENSORS = (*COUNTED, "batch_norm2d", "layer_norm")

CONVOLUTION = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
POOL = {"kernel_size": None, "stride": None, "padding": 0}
MAX_POOL = POOL | {"dilation": 1, "ceil_mode": False, "return_indices": False}
AVG_POOL = POOL | {"ceil_mode": False, "count_include_pad": True, "divisor_override": None}
HARDTANH = {"min_val": -1.0, "max_val": 1.0, "inplace": False}
DROPOUT = {"p": 0.5, "training": True, "inplace": False}

FORMS: dict[str, Form] = {
    "conv2d": Form((nn.Conv2d,), dict.fromkeys(CONVOLUTION)),
    "linear": Form((nn.Linear,)),
    "batch_norm2d": Form((nn.BatchNorm2d,), {"eps": None}),
    "layer_norm": Form((nn.LayerNorm,), {"normalized_shape": None, "eps": None}),
    "relu": Form((nn.ReLU, torch.relu, F.relu, "relu"), {"inplace": False}),
    "relu6": Form((nn.ReLU6, F.relu6), {"inplace": False}),
    "gelu": Form((nn.GELU, F.gelu), {"approximate": "none"}),
    "hardtanh": Form((nn.Hardtanh,), HARDTANH),
    "dropout": Form((nn.Dropout, F.dropout), DROPOUT),
    "identity": Form((nn.Identity,)),
    "add": Form((operator.add, operator.iadd, torch.add, "add", "add_"), {"alpha": 1}, ("input", "other")),
    "concat": Form((torch.cat,), {"dim": 0}, ("tensors",)),
    "max_pool2d": Form((nn.MaxPool2d, F.max_pool2d), MAX_POOL),
    "avg_pool2d": Form((nn.AvgPool2d, F.avg_pool2d), AVG_POOL),
    "adaptive_avg_pool2d": Form((nn.AdaptiveAvgPool2d, F.adaptive_avg_pool2d), {"output_size": None}),
    "mean": Form((torch.mean, "mean"), {"dim": None, "keepdim": False}),
    "flatten": Form((nn.Flatten, torch.flatten, "flatten"), {"start_dim": 0, "end_dim": -1}),
    "reshape": Form(("view", "reshape"), {"shape": None}),
    "expand": Form(("expand",), {"shape": None}),
    "permute": Form(("permute",), {"dims": None}),
    "contiguous": Form(("contiguous",)),
    "slice": Form((operator.getitem,), {"index": None}),
    "size": Form((operator.eq, getattr, torch._assert, "size", "dim")),
}
"""Every operator; to add one is to give its form here, and its flow in `aiq_core.graph`."""

OPERATORS = {call: name for name, form in FORMS.items() for call in form.calls}


def operator_of(node: fx.Node, modules: dict[str, nn.Module]) -> str | None:
    """The operator of a traced call; None for one in no table."""
    return OPERATORS.get(type(modules[str(node.target)]) if node.op == "call_module" else node.target)


def is_counted(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a traced call holds weights and costs FLOPs."""
    return node.op == "call_module" and operator_of(node, modules) in COUNTED


def flow(node: fx.Node, modules: dict[str, nn.Module]) -> Flow | None:
    """What a traced call without FLOPs does to its input's group; None for an operator in no table."""
    if not node.op.startswith("call_"):
        return Flow.FRESH
    sources = node.all_input_nodes
    if node.op == "call_function" and sources and all(flow(source, modules) is Flow.SHAPE for source in sources):
        return Flow.SHAPE  # arithmetic on sizes, such as height times width
    name = operator_of(node, modules)
    return None if name is None else FLOWS[name]


def title(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    """How an error names a traced call: its operator, and where it stands."""
    if node.op == "call_module":
        return f"{type(modules[str(node.target)]).__name__} ({node.target})"
    return str(getattr(node.target, "__name__", node.target))
