"""Layers with their norms folded in, whose weights may be exchanged."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from aiq_core.folding import Folded, as_kept
from aiq_core.records import Layer
from aiq_core.runtime.operators import AXES, COUNTED, arguments, base, taken_apart

Call = Callable[[Tensor, Tensor, Tensor], Tensor]
"""What a layer reads, its weight and its bias -> what it writes."""


class FoldedLayer(nn.Module):
    """A convolution or linear layer with its norm folded in: `weight`, [output channels, …], and `bias`.

    Where it runs several times, each call may have strides of its own; by itself it runs as the first does.
    """

    def __init__(self, folded: Folded, first: Call, memory_format: torch.memory_format) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.from_numpy(array)) for array in folded)
        self._first = first
        lay_out(self, memory_format)

    def forward(self, x: Tensor, call: Call | None = None) -> Tensor:
        """What the layer writes."""
        return (call or self._first)(x, self.weight, self.bias)


def lay_out(module: nn.Module, memory_format: torch.memory_format) -> None:
    """Puts what has height and width in this order.

    By `to`: of one input channel, `contiguous` would leave another layout, and kernels other last bits.
    """
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=memory_format)


def call_of(node: fx.Node, layer: Layer) -> Call:
    """A layer's call apart from its tensors."""
    if not layer.kind.is_convolution:
        return torch.ops.aten.linear.default
    rest = list(arguments(node).values())[3:]
    operator: Any = node.target
    if layer.kind.is_transposed:
        return lambda x, weight, bias: operator(x, as_kept(weight, layer), bias, *rest)
    return lambda x, weight, bias: operator(x, weight, bias, *rest)


def in_any_layout(operator: Any) -> Any:
    """An operator for tensors in any layout of memory: a view asks for the one that the network was made in."""
    return torch.ops.aten.reshape.default if operator is torch.ops.aten.view.default else operator


class Exchange(TorchDispatchMode):
    """Runs the layers of a network with the weights of `layers`."""

    def __init__(self, tensors: Mapping[str, Tensor], layers: Mapping[str, FoldedLayer], sites: set[Layer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # The tensors are held beside their ids, so that no other one gets these.
        self._sites = {id(tensors[site.weight_name]): (tensors[site.weight_name], site) for site in sites}
        self._layers = layers

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What a call gives."""
        kwargs = kwargs or {}
        if (made := taken_apart(self, func, args, kwargs)) is not NotImplemented:
            return made
        given = dict(zip((each.name for each in func._schema.arguments), args, strict=False)) | kwargs
        found = [self._sites[id(each)][1] for each in given.values() if id(each) in self._sites]
        if not found or base(func) not in (*COUNTED, *AXES):
            return in_any_layout(func)(*args, **kwargs)
        if base(func) in AXES:
            turned = func(*args, **kwargs)
            self._sites[id(turned)] = turned, found[0]
            return turned
        layer, site = self._layers[found[0].name], found[0]
        x = next(given[key] for key in ("input", "mat1", "self") if key in given)
        if not site.kind.is_convolution:
            return layer(x, torch.ops.aten.linear.default)

        def call(x: Tensor, weight: Tensor, bias: Tensor) -> Any:
            kept = as_kept(weight, site) if site.kind.is_transposed else weight
            return func(**{**given, "input": x, "weight": kept, "bias": bias})

        return layer(x, call)
