"""Rounding that gradients pass: forward as the evaluator rounds, backward as if nothing were, where nothing is clipped.

The straight-through estimator (arXiv 1308.3432), with no gradient for what lies beyond the grid (arXiv 1805.06085).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Rounder = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A tensor -> the tensor rounded, and bool where it was not clipped."""


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rounder: Rounder) -> Tensor:
        rounded, kept = rounder(x)
        ctx.save_for_backward(kept)
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.saved_tensors[0], None


def straight_through(x: Tensor, rounder: Rounder) -> Tensor:
    """`x` rounded, with the gradient of `x` where it was not clipped."""
    rounded: Tensor = _StraightThrough.apply(x, rounder)
    return rounded


def coarsened(x: Tensor, scale: float, low: int, high: int) -> tuple[Tensor, Tensor]:
    """Activations on a static scale, to the last bit as the evaluator rounds them; 0 where the scale is 0."""
    if not scale:
        return torch.zeros_like(x), torch.zeros_like(x, dtype=torch.bool)
    steps = x.mul(1 / scale).round_()
    rounded = steps.clamp(low, high)
    return rounded.mul(scale), rounded == steps


class OnGrid(nn.Module):
    """A layer's weights on their scales, for `parametrize`: the layer sees the rounded ones, training moves others."""

    def __init__(self, scale: Tensor, low: int, high: int) -> None:
        super().__init__()
        self.register_buffer("scale", scale, persistent=False)
        self.low, self.high = low, high

    def forward(self, weight: Tensor) -> Tensor:
        """float[out, ...] -> the same, rounded."""
        return straight_through(weight, self._rounded)

    def _rounded(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.get_buffer("scale")
        # As `rounding.nearest.steps` divides: a channel that is all 0 has scale 0 and stays 0.
        steps = torch.where(scale == 0, 0.0, weight / scale).round_()
        integers = steps.clamp(self.low, self.high)
        return integers * scale, integers == steps
