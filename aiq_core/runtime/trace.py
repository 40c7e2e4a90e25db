"""What a network does, as a trace: torch's nodes, their values' shapes, and the operation of the graph that each is."""

import copy
import hashlib
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn

from aiq_core.errors import UncountableOperatorError
from aiq_core.graph import Graph
from aiq_core.runtime.canonical import Canonical
from aiq_core.runtime.operators import flow, is_counted, title


@dataclass(frozen=True, eq=False)
class Trace:
    """`nodes` hold their value for one image, on the meta device, as `meta["value"]`; `graph` says what they compute.

    `places` gives the operation that a node is, none for one that changes nothing; `overwrites` are the nodes that
    write into the memory of what they read. `modules` are those of a copy, without values.
    """

    nodes: fx.Graph
    modules: dict[str, nn.Module]
    graph: Graph
    places: dict[fx.Node, int]
    overwrites: set[fx.Node]


def trace(model: nn.Module, name: str, input_shape: tuple[int, ...]) -> Trace:
    """The trace of a model for one image of `input_shape` (channels, height, width), in evaluation mode.

    Raises UncountableOperatorError for an operator in no table of `operators` or without a canonical form, or a layer
    that runs twice.
    """
    # A copy, so that the caller's model keeps its mode and statistics.
    copied = copy.deepcopy(model).eval()
    traced = fx.GraphModule(copied, _Tracer().trace(copied))
    modules = dict(traced.named_modules())
    _check_countable(traced.graph, modules, name)
    constants = _constants(traced, model, name)
    # On the meta device nothing is computed.
    _Values(traced.to("meta")).run(torch.zeros(1, *input_shape, device="meta"))
    canonical = Canonical(modules, constants, name)
    graph = canonical.graph(traced.graph)
    return Trace(traced.graph, modules, graph, canonical.places, canonical.overwrites)


class _Tracer(fx.Tracer):
    """Follows buffers too: arithmetic on them would else be done once, on the values of an untrained network."""

    proxy_buffer_attributes = True


class _Values(fx.Interpreter):
    """Keeps what every node gives, a tensor or a size, as its `meta["value"]`."""

    def run_node(self, n: fx.Node) -> Any:
        n.meta["value"] = super().run_node(n)
        return n.meta["value"]


def _constants(traced: fx.GraphModule, model: nn.Module, name: str) -> dict[str, dict[str, Any]]:
    """What the canonical graph says of each tensor that the forward reads and the state dict lacks."""
    found: dict[str, dict[str, Any]] = {}
    read = {str(node.target) for node in traced.graph.nodes if node.op == "get_attr"}
    for target in read - model.state_dict().keys():
        tensor: Tensor = attrgetter(target)(traced)
        if tensor.is_meta:
            raise UncountableOperatorError(
                f"{target} in {name} is a constant on the meta device, which keeps no values; build the model elsewhere"
            )
        content = tensor.detach().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
        found[target] = {
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    return found


def _check_countable(graph: fx.Graph, modules: dict[str, nn.Module], name: str) -> None:
    seen: set[str] = set()
    for node in graph.nodes:
        if not is_counted(node, modules):
            if flow(node, modules) is None:
                raise UncountableOperatorError(
                    f"{title(node, modules)} in {name} cannot be counted; add it to aiq_core/runtime/operators.py, "
                    "or choose a model without it"
                )
        elif str(node.target) in seen:
            raise UncountableOperatorError(
                f"{title(node, modules)} in {name} runs twice, so its weights would be counted twice; "
                "give each call a layer of its own"
            )
        else:
            seen.add(str(node.target))
