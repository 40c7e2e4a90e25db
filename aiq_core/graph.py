"""What a network computes, apart from its tensors: its operations in order, in a vocabulary of our own.

It depends on no framework, its version or the names in its code, so equal networks have equal graphs. The operators:
`image`, `tensor` (one of the weights file), `constant` (one that the forward brings along), `output`, and those of
`runtime.operators.FORMS`. Dropout and identity, which change nothing, are left out, and who reads what was overwritten
in place reads the operation that did it.
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
    producer). JOINED: inputs and output share a width. FRESH: the output is a tensor of its own. SHAPE: sizes and
    checks; no activations.
    """

    SAME = "same"
    JOINED = "joined"
    FRESH = "fresh"
    SHAPE = "shape"


FLOWS: Mapping[str, Flow] = {
    "image": Flow.FRESH,
    "tensor": Flow.FRESH,
    "constant": Flow.FRESH,
    "output": Flow.FRESH,
    "conv2d": Flow.FRESH,
    "linear": Flow.FRESH,
    "batch_norm2d": Flow.SAME,
    "layer_norm": Flow.FRESH,
    "relu": Flow.SAME,
    "relu6": Flow.SAME,
    "gelu": Flow.SAME,
    "hardtanh": Flow.SAME,
    "dropout": Flow.SAME,
    "identity": Flow.SAME,
    "add": Flow.JOINED,
    "concat": Flow.JOINED,
    "max_pool2d": Flow.SAME,
    "avg_pool2d": Flow.FRESH,
    "adaptive_avg_pool2d": Flow.FRESH,
    "mean": Flow.FRESH,
    "flatten": Flow.SAME,
    "reshape": Flow.SAME,
    "expand": Flow.SAME,
    "permute": Flow.SAME,
    "contiguous": Flow.SAME,
    "slice": Flow.SAME,
    "size": Flow.SHAPE,
}
"""Every operator."""


def carriers(graph: Graph) -> tuple[int, ...]:
    """Operation -> the first of those whose results share a width with its own."""
    roots = list(range(len(graph)))
    for place, operation in enumerate(graph):
        if FLOWS[operation.operator] is Flow.FRESH:
            continue
        for source in operation.inputs:
            first, second = sorted((roots[source], roots[place]))
            roots = [first if root == second else root for root in roots]
    return tuple(roots)


def stored_places(graph: Graph) -> tuple[int, ...]:
    """The operations whose results are written to memory: what another than the operator that takes its place reads.

    A ReLU that alone reads a convolution stores the tensor, the convolution does not; an add reads stored tensors.
    """
    read = {source for operation in graph for source in operation.inputs if FLOWS[operation.operator] is not Flow.SAME}
    return tuple(place for place in sorted(read) if graph[place].operator not in ("tensor", "constant"))


def folded_norms(graph: Graph) -> dict[str, Operation]:
    """Convolution -> the batch norm that folds into it: one that alone reads it, in every place where that norm is."""
    read = [place for operation in graph for place in operation.inputs]
    norms = [operation for operation in graph if operation.operator == "batch_norm2d"]
    stay = {
        norm.module for norm in norms if graph[norm.inputs[0]].operator != "conv2d" or read.count(norm.inputs[0]) != 1
    }
    return {str(graph[norm.inputs[0]].module): norm for norm in norms if norm.module not in stay}
