"""A folded network that runs part by part, each from one tensor to one tensor, with a say in what it stores."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, fx, nn

from aiq_core.folding import fold
from aiq_core.graph import NORMS, OVERWRITTEN, folded_norms, is_example
from aiq_core.records import ModelProfile
from aiq_core.runtime.folded_layer import Call, Exchange, FoldedLayer, call_of, in_any_layout, lay_out
from aiq_core.runtime.logits import logits
from aiq_core.runtime.parts import cuts_of, in_order, is_overwritten, is_shared, lies_in
from aiq_core.runtime.trace import Trace, trace

Store = Callable[[int, Tensor], Tensor]
"""(operation of the graph, its result) -> what is stored of it; the result may be changed in place."""


@dataclass(frozen=True, eq=False)
class Part:
    """Nodes that lead from one tensor to the next, the layers among them and the operations they store."""

    nodes: tuple[fx.Node, ...]
    layers: tuple[str, ...]
    stored: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Plan:
    """How a batch of one size runs: nodes in parts, the operations they store, calls of layers and folded norms."""

    parts: tuple[tuple[fx.Node, ...], ...]
    places: dict[fx.Node, int]
    calls: dict[fx.Node, tuple[fx.Node, FoldedLayer, Call]]
    norms: frozenset[fx.Node]
    constants: dict[str, Tensor]
    copied: frozenset[fx.Node]
    """Stored tensors that lie in memory which others read."""
    within: frozenset[fx.Node]
    """Those that were written into a part of another tensor, and are read there."""
    done: dict[fx.Node, list[fx.Node]]
    """Node -> what nothing reads after it."""


class Network:
    """`layers` are the convolutions and linear layers by name: their weight and bias may be exchanged between runs.

    `is_whole` says that what the network calls depends on the values of activations or on the batch's size: it runs as
    one part then, with exchanged weights, and stores nothing.
    """

    def __init__(
        self,
        network: nn.Module,
        profile: ModelProfile,
        input_shape: tuple[int, ...],
        memory_format: torch.memory_format = torch.channels_last,
        result: str | None = None,
    ) -> None:
        self._profile, self._shape, self._result = profile, input_shape, result
        self._device = torch.device("cpu")
        self._module = network
        self._first = trace(network, profile.model, input_shape, result=result)
        folded = fold({name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}, profile)
        lay_out(self._module, memory_format)
        self._tensors = _tensors(network)
        sites = {layer.name: layer for layer in profile.layers if layer.has_site}
        self._calls = {node: sites[name] for node, name in self._first.names.items() if name in sites}
        first = {layer.name: call_of(node, layer) for node, layer in reversed(self._calls.items())}
        self.layers: dict[str, Any] = {
            name: FoldedLayer(tensors, first[name], memory_format) for name, tensors in folded.items()
        }
        self.is_whole = is_example(self._first.graph)
        if self.is_whole:
            network.eval()
        self._nodes = in_order(self._first)
        self._cuts = [] if self.is_whole else cuts_of(self._first, self._stored(self._first.places))
        self._plans = {1: self._plan(self._first)}
        self.parts = tuple(map(self._part, self._plans[1].parts))

    def to(self, device: torch.device) -> Self:
        """The network on a device, with its folded layers and the constants of its forwards."""
        self._device = device
        for module in (self._module, *self.layers.values()):
            module.to(device)
        self._tensors = _tensors(self._module)
        self._plans = {
            images: replace(plan, constants=self._here(plan.constants)) for images, plan in self._plans.items()
        }
        return self

    def _here(self, constants: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self._device) for name, tensor in constants.items()}

    def _stored(self, places: dict[fx.Node, int]) -> dict[fx.Node, int]:
        return {node: place for node, place in places.items() if place in self._profile.stored_tensors}

    def _part(self, nodes: tuple[fx.Node, ...]) -> Part:
        places = self._plans[1].places
        layers = (self._first.names[node] for node in nodes if node in self._first.names)
        names = tuple(name for name in dict.fromkeys(layers) if name in self.layers)
        return Part(nodes, names, tuple(places[node] for node in nodes if node in places))

    def _plan(self, traced: Trace) -> _Plan:
        """How the batch runs that was traced: in the same parts as one image, node by node."""
        nodes = in_order(traced)
        same = dict(zip(self._nodes, nodes, strict=True))
        stored = self._stored(self._first.places)
        gone = {norm.module for norm in folded_norms(self._profile.graph).values()}
        graph = self._first.graph
        norms = [
            node
            for node, place in self._first.places.items()
            if graph[place].operator in NORMS and graph[place].module in gone
        ]
        parts = tuple(tuple(nodes[start:past]) for start, past in pairwise([0, *self._cuts, len(nodes)]))
        last = {source: node for part in parts for node in part for source in node.all_input_nodes}
        done: dict[fx.Node, list[fx.Node]] = {}
        for source, node in last.items():
            done.setdefault(node, []).append(source)
        ends = {part[-1] for part in parts}
        filled = {node for node, step in zip(self._first.results, graph, strict=True) if step.operator == OVERWRITTEN}
        within = frozenset(same[node] for node in stored if lies_in(node, filled))
        return _Plan(
            parts,
            {same[node]: place for node, place in stored.items()},
            {
                same[node]: (traced.works[same[node]].reads[0], self.layers[layer.name], call_of(same[node], layer))
                for node, layer in self._calls.items()
            },
            frozenset(same[node] for node in norms),
            self._here(traced.constants),
            frozenset(same[node] for node in stored if is_shared(same[node], ends)) - within,
            within,
            done,
        )

    def run(self, part: int, x: Tensor, store: Store = lambda _, x: x) -> Tensor:
        """What a part makes of the tensor of the one before, or of the images."""
        if self.is_whole:
            return self._whole(x)
        if len(x) not in self._plans:
            traced = trace(self._module, self._profile.model, self._shape, len(x), self._result)
            self._plans[len(x)] = self._plan(traced)
        plan = self._plans[len(x)]
        values: dict[fx.Node, Any] = {}
        if part:
            values[plan.parts[part - 1][-1]] = x
        value: Any = x
        for node in plan.parts[part]:
            value = self._value(node, values, plan, x)
            if node in plan.places:
                stored = store(plan.places[node], value.clone() if node in plan.copied else value)
                value = value.copy_(stored) if node in plan.within and stored is not value else stored
            values[node] = value
            for source in plan.done.get(node, ()):
                values.pop(source, None)
        result: Tensor = value
        return result

    def _value(self, node: fx.Node, values: dict[fx.Node, Any], plan: _Plan, x: Tensor) -> Any:
        def given(source: fx.Node) -> Any:
            return values[source] if source in values else self._tensor(source, plan)

        if node.op == "placeholder":
            return x.clone() if is_overwritten(node) else x
        if node.op == "get_attr":
            return self._tensor(node, plan).clone()
        if node.op == "output":
            return given(node.all_input_nodes[0])
        if node in plan.norms:
            return given(node.all_input_nodes[0])
        if node in plan.calls:
            read, layer, call = plan.calls[node]
            return layer(given(read), call)
        args, kwargs = (fx.node.map_aggregate(each, _on(x.device)) for each in (node.args, node.kwargs))
        operator: Any = in_any_layout(node.target)
        return operator(*fx.node.map_arg(args, given), **fx.node.map_arg(kwargs, given))  # type: ignore[arg-type]

    def _tensor(self, node: fx.Node, plan: _Plan) -> Tensor:
        name = str(node.target)
        return plan.constants[name] if name in plan.constants else self._tensors[name]

    def _whole(self, x: Tensor) -> Tensor:
        """The module's own forward, its layers exchanged as they are called."""
        with Exchange(self._tensors, self.layers, set(self._calls.values())):
            return logits(self._module(x), len(x), self._profile.model, self._result)


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_buffers()), **dict(network.named_parameters())}


def _on(device: torch.device) -> Callable[[Any], Any]:
    """An argument, on this device."""
    return lambda each: device if isinstance(each, torch.device) else each
