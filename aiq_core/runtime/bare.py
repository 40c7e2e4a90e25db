"""Networks without values: their weights are made where nothing is kept, so that the largest take no memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
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
