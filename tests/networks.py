"""Networks written where a test needs them."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Lambda(nn.Module):
    """A forward, and the modules and tensors that it uses."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self._forward = forward

    def forward(self, x: Tensor) -> Any:
        return self._forward(self, x)
