"""A folded network that runs part by part, each from one tensor to one tensor, with a say in what it stores."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn

from aiq_core.records import ModelProfile
from aiq_core.runtime.canonical import VIEWS
from aiq_core.runtime.fold import fold_batch_norm
from aiq_core.runtime.trace import Trace, trace

Store = Callable[[int, Tensor], Tensor]
"""(operation of the graph, its result) -> what is stored of it; the result may be changed in place."""


@dataclass(frozen=True, eq=False)
class Part:
    """Nodes that lead from one tensor to the next, the layers among them and the operations they store."""

    nodes: tuple[fx.Node, ...]
    layers: tuple[str, ...]
    stored: tuple[int, ...]


class Network:
    """`layers` are the convolutions and linear layers by name: their weight and bias may be exchanged between runs."""

    def __init__(self, network: nn.Module, profile: ModelProfile, input_shape: tuple[int, ...]) -> None:
        traced = trace(network, profile.model, input_shape)
        fold_batch_norm(network, profile).to(memory_format=torch.channels_last)
        self._module = network.eval()
        self._clones = any(node.op == "placeholder" and _is_overwritten(node, traced) for node in traced.places)
        self._places = {node: place for node, place in traced.places.items() if place in profile.stored_tensors}
        self.layers: dict[str, Any] = {layer.name: network.get_submodule(layer.name) for layer in profile.layers}
        self.parts = tuple(self._part(nodes) for nodes in _cut(traced, self._places))
        last = {source: node for part in self.parts for node in part.nodes for source in node.all_input_nodes}
        self._done: dict[fx.Node, list[fx.Node]] = {}
        for source, node in last.items():
            self._done.setdefault(node, []).append(source)

    def _part(self, nodes: Iterable[fx.Node]) -> Part:
        nodes = tuple(nodes)
        layers = (str(node.target) for node in nodes if node.op == "call_module")
        stored = tuple(self._places[node] for node in nodes if node in self._places)
        return Part(nodes, tuple(name for name in layers if name in self.layers), stored)

    def run(self, part: int, x: Tensor, store: Store = lambda _, x: x) -> Tensor:
        """What a part makes of the tensor of the one before, or of the images."""
        values: dict[fx.Node, Any] = {}
        if part:
            values[self.parts[part - 1].nodes[-1]] = x
        for node in self.parts[part].nodes:
            value = self._image(x) if node.op == "placeholder" else self._value(node, values)
            if node in self._places:
                value = store(self._places[node], value)
            values[node] = value
            for source in self._done.get(node, ()):
                values.pop(source, None)
        result: Tensor = value
        return result

    def _image(self, x: Tensor) -> Tensor:
        return x.clone() if self._clones else x

    def _value(self, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        if node.op == "output":
            return fx.node.map_arg(node.args[0], values.__getitem__)
        if node.op == "get_attr":
            found: Any = self._module
            for part in str(node.target).split("."):
                found = getattr(found, part)
            return found
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "call_module":
            return self._module.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]


def _is_overwritten(node: fx.Node, traced: Trace) -> bool:
    """Whether something writes into a node's memory, perhaps through a view."""

    def is_view(user: fx.Node) -> bool:
        return user not in traced.places or traced.graph[traced.places[user]].operator in VIEWS

    return any(user in traced.overwrites or (is_view(user) and _is_overwritten(user, traced)) for user in node.users)


WIDE = 2
"""Times as large as tensors shortly before and after: such a tensor is no place to cut, for keeping it costs memory."""
NEAR = 2
"""How many possible cuts away is shortly."""


def _cut(traced: Trace, stored: dict[fx.Node, int]) -> list[list[fx.Node]]:
    """The nodes in parts, cut after stored tensors that are all that goes on and that nothing overwrites."""
    nodes = [node for node in traced.nodes.nodes if node.users or node.op in ("output", "placeholder")]
    last = {source: position for position, node in enumerate(nodes) for source in node.all_input_nodes}
    cuts = []
    alive: set[fx.Node] = set()
    for position, node in enumerate(nodes):
        alive = {other for other in {*alive, node} if last.get(other, -1) > position}
        if alive == {node} and node in stored and node.op != "placeholder" and not _is_overwritten(node, traced):
            cuts.append(position)
    sizes = [nodes[position].meta["value"].numel() for position in cuts]
    kept = [
        position
        for index, position in enumerate(cuts)
        if not (
            any(WIDE * size < sizes[index] for size in sizes[max(0, index - NEAR) : index])
            and any(WIDE * size < sizes[index] for size in sizes[index + 1 : index + 1 + NEAR])
        )
    ]
    bounds = [0, *(position + 1 for position in kept if position + 1 < len(nodes)), len(nodes)]
    return [nodes[first:past] for first, past in pairwise(bounds)]
