"""What each output of a layer is made of, as the columns of one matrix product."""

from collections.abc import Mapping, Sequence
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
        windows = _windows(_spread(x, how), how, [1] * len(how["stride"]))
        windows = windows.unflatten(1, (-1, *how["kernel_size"]))  # type: ignore[no-untyped-call]
        windows = windows.flip(tuple(range(2, windows.ndim - 1))).flatten(1, -2)
    else:
        windows = _windows(functional.pad(x, _margins(how)), how, how["stride"])
    images, rows, positions = windows.shape
    return windows.view(images, layer.groups, rows // layer.groups, positions).permute(1, 2, 0, 3).flatten(2)


def _windows(x: Tensor, how: Mapping[str, Any], stride: Sequence[int]) -> Tensor:
    """What each position sees, [images, channels x kernel, positions]."""
    kernel, dilation = how["kernel_size"], how["dilation"]
    if len(kernel) == 2:
        return functional.unfold(x, kernel, dilation=dilation, stride=tuple(stride))
    for axis, (size, step, gap) in enumerate(zip(kernel, stride, dilation, strict=True)):
        x = x.unfold(2 + axis, gap * (size - 1) + 1, step)[..., ::gap]
    positions, seen = range(2, 2 + len(kernel)), range(2 + len(kernel), 2 + 2 * len(kernel))
    turned: Tensor = x.permute(0, 1, *seen, *positions)
    return turned.flatten(1, 1 + len(kernel)).flatten(2)


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
