"""What a network computes, apart from its tensors: its operations in order, in a vocabulary of our own.

It depends on no framework, its version or the names in its code, so equal networks have equal graphs. The operators:
`image`, `tensor` (one of the weights file), `constant` (one that the forward brings along), `output`, and those of
`runtime.operators.FORMS`. Dropout and identity, which change nothing, are left out, and who reads what was overwritten
in place reads the operation that did it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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


def folded_norms(graph: Graph) -> dict[str, Operation]:
    """Convolution -> the batch norm that folds into it: one that alone reads it, in every place where that norm is."""
    read = [place for operation in graph for place in operation.inputs]
    norms = [operation for operation in graph if operation.operator == "batch_norm2d"]
    stay = {
        norm.module for norm in norms if graph[norm.inputs[0]].operator != "conv2d" or read.count(norm.inputs[0]) != 1
    }
    return {str(graph[norm.inputs[0]].module): norm for norm in norms if norm.module not in stay}
