"""What a network computes, apart from its tensors: its operations in order, in a vocabulary of our own.

It depends on no framework, its version or the names in its code, so equal networks have equal graphs. The operators:
`image`, `tensor` (one of the weights file), `constant` (one that the forward brings along), `output`, `part` (one of
several results), `overwritten` (a tensor, and what was written into a part of it), the kinds of layers, and those of
`runtime.operators`. Dropout and identity, which change nothing, are left out, and who reads what was overwritten in
place reads the operation that did it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `inputs` are the places in the graph of those it reads, in the order of its arguments.

    `module` names the module whose tensors it uses. `attributes` hold all else that decides the result, in plain JSON
    types: sizes and steps as (height, width), axes counted from the batch's, 0.
    """

    operator: str
    inputs: tuple[int, ...] = ()
    module: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)


Graph = tuple[Operation, ...]


class Flow(StrEnum):
    """What an operator does to the tensor that it reads.

    SAME: the output takes the input's place in memory, at its width (batch normalisation and ReLU fuse into their
    producer). JOINED: inputs and output share a width. FRESH: the output is a tensor of its own.
    """

    SAME = "same"
    JOINED = "joined"
    FRESH = "fresh"


IN_PLACE = (
    *("batch_norm1d", "batch_norm2d", "batch_norm3d", "relu", "relu6", "gelu", "hardtanh", "silu", "hardswish"),
    *("hardsigmoid", "sigmoid", "tanh", "elu", "leaky_relu", "mish", "softplus", "celu", "selu", "log_sigmoid"),
    *("clamp", "clamp_min", "clamp_max"),
)
"""What works number by number on one tensor, and so can run where that was made."""

RESHAPED = ("flatten", "reshape", "permute", "unsqueeze", "squeeze")
"""They move nothing: who reads one reads the tensor that it looks at."""

PARTS = (
    *("expand", "slice", "part", "select", "narrow", "chunk", "split", "split_with_sizes", "unbind", "diagonal"),
    *("unfold", "as_strided", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes"),
)
"""Nor do these, of which the tensor read is a part, or several times over."""

COPIED = (
    *("contiguous", "to", "roll", "flip", "repeat", "index", "index_select", "pixel_shuffle", "pixel_unshuffle"),
    *("channel_shuffle", "pad", "constant_pad_nd", "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d"),
    *("adaptive_max_pool2d", "upsample_nearest2d"),
)
"""They give some of the very numbers that they read, and perhaps zeros."""

JOINED = ("add", "concat", "stack", "overwritten", "copy")

FLOWS: Mapping[str, Flow] = {
    **dict.fromkeys((*IN_PLACE, *RESHAPED, *PARTS, *COPIED), Flow.SAME),
    **dict.fromkeys(JOINED, Flow.JOINED),
}
"""Every operator that does not give a tensor of its own; the others do."""


def flow(operation: Operation) -> Flow:
    """What an operation does to the tensor that it reads."""
    return FLOWS.get(operation.operator, Flow.FRESH)


def carriers(graph: Graph) -> tuple[int, ...]:
    """Operation -> the first of those whose results share a width with its own."""
    roots = list(range(len(graph)))
    for place, operation in enumerate(graph):
        if flow(operation) is Flow.FRESH:
            continue
        for source in operation.inputs:
            first, second = sorted((roots[source], roots[place]))
            roots = [first if root == second else root for root in roots]
    return tuple(roots)


def stored_places(graph: Graph) -> tuple[int, ...]:
    """The operations whose results are written to memory: what another than the operator that takes its place reads.

    A ReLU that alone reads a convolution stores the tensor, the convolution does not; an add reads stored tensors. The
    network's own tensors are no results, and what was overwritten in part was stored in parts.
    """
    read = {source for operation in graph for source in operation.inputs if flow(operation) is not Flow.SAME}
    return tuple(place for place in sorted(read) if graph[place].operator not in UNSTORED)


EXAMPLE = "example"
"""An attribute of `image` where what is computed depends on its values or on the batch's size: the graph is what one
example did, and this a hash of the code.
"""


def is_example(graph: Graph) -> bool:
    """Whether other images may go another way than the graph says."""
    return any(operation.operator == "image" and EXAMPLE in operation.attributes for operation in graph)


OVERWRITTEN = "overwritten"
UNSTORED = ("tensor", "constant", OVERWRITTEN)

NORMS = ("batch_norm1d", "batch_norm2d", "batch_norm3d")
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")


def folded_norms(graph: Graph) -> dict[str, Operation]:
    """Convolution -> the batch norm that folds into it: one that alone reads it, in every place where that norm is.

    None where the graph is an example, as other images may go another way.
    """
    if is_example(graph):
        return {}
    read = [place for operation in graph for place in operation.inputs]
    norms = [operation for operation in graph if operation.operator in NORMS and operation.module is not None]
    stay = {
        norm.module
        for norm in norms
        if graph[norm.inputs[0]].operator not in CONVOLUTIONS or read.count(norm.inputs[0]) != 1
    }
    return {str(graph[norm.inputs[0]].module): norm for norm in norms if norm.module not in stay}
