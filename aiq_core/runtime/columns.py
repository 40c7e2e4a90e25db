"""What each output of a layer is made of, as the columns of one matrix product."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from aiq_core.graph import Operation
from aiq_core.records import Layer


def columns(layer: Layer, operation: Operation, x: Tensor) -> Tensor:
    """What a layer reads, [groups, k, images x positions], k in the order of a channel's weights.

    `operation` is the layer's in the network's graph.
    """
    if not layer.kind.is_convolution:
        return x.reshape(-1, x.shape[-1]).T[None]
    how = operation.attributes
    if layer.kind.is_transposed:
        x, stride = _spread(x, how), [1] * len(how["stride"])
    else:
        x, stride = functional.pad(x, _margins(how)), how["stride"]
    for axis, (kernel, step, gap) in enumerate(zip(how["kernel_size"], stride, how["dilation"], strict=True)):
        x = x.unfold(2 + axis, gap * (kernel - 1) + 1, step)[..., ::gap]
    spatial = len(how["kernel_size"])
    if layer.kind.is_transposed:
        x = x.flip(tuple(range(2 + spatial, 2 + 2 * spatial)))
    # [images, channels, positions …, kernel …]
    split = x.reshape(len(x), layer.groups, -1, *x.shape[2:])
    kernel_axes, positions = range(3 + spatial, 3 + 2 * spatial), range(3, 3 + spatial)
    turned: Tensor = split.permute(1, 2, *kernel_axes, 0, *positions)
    return turned.flatten(1, 1 + spatial).flatten(2)


def _margins(how: Mapping[str, Any]) -> list[int]:
    """Zeros before and after each axis, the last axis first."""
    found = []
    for axis in reversed(range(len(how["kernel_size"]))):
        if how["padding"] == "same":
            total = how["dilation"][axis] * (how["kernel_size"][axis] - 1)
            found += [total // 2, total - total // 2]
        else:
            found += [0, 0] if how["padding"] == "valid" else [how["padding"][axis]] * 2
    return found


def _spread(x: Tensor, how: Mapping[str, Any]) -> Tensor:
    """The input of a convolution that gives what a transposed one does of `x`: its numbers apart, in zeros."""
    shape = [(size - 1) * step + 1 for size, step in zip(x.shape[2:], how["stride"], strict=True)]
    apart = torch.zeros(*x.shape[:2], *shape, dtype=x.dtype)
    apart[(slice(None), slice(None), *(slice(None, None, step) for step in how["stride"]))] = x
    margins = []
    for axis in reversed(range(len(shape))):
        margin = how["dilation"][axis] * (how["kernel_size"][axis] - 1) - how["padding"][axis]
        margins += [margin, margin + how["output_padding"][axis]]
    return functional.pad(apart, margins)
