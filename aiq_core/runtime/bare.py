"""Networks without values: their weights are made where nothing is kept, so that the largest take no memory."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class _Bare(TorchFunctionMode):
    """Weights are made empty before they are set, and so hold nothing to lose; what is computed from numbers stays."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def bare(build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` makes, in evaluation mode, on the meta device as far as it is made of weights."""
    with _Bare():
        return build().eval()


def without_values(model: nn.Module) -> nn.Module:
    """A copy whose tensors have no values; the model itself keeps its mode and statistics."""
    held: dict[int, Any] = {}
    for module in model.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                moved = tensor.detach().to("meta")
                is_parameter = isinstance(tensor, nn.Parameter)
                held[id(tensor)] = nn.Parameter(moved, tensor.requires_grad) if is_parameter else moved
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:  # a weight computed before, which no copy takes along
                held[id(value)] = value.detach().clone()
    return copy.deepcopy(model, held)
