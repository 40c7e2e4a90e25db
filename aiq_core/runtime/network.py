"""A folded network that runs part by part, each from one tensor to one tensor, with a say in what it stores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from aiq_core.errors import UncountableOperatorError
from aiq_core.folding import Folded, as_kept, fold
from aiq_core.graph import NORMS, OVERWRITTEN, folded_norms
from aiq_core.records import Layer, ModelProfile
from aiq_core.runtime.operators import AXES, COUNTED, arguments, base, shares, writes
from aiq_core.runtime.record import logits
from aiq_core.runtime.trace import Trace, trace

Store = Callable[[int, Tensor], Tensor]
"""(operation of the graph, its result) -> what is stored of it; the result may be changed in place."""

Call = Callable[[Tensor, Tensor, Tensor], Tensor]
"""What a layer reads, its weight and its bias -> what it writes."""


@dataclass(frozen=True, eq=False)
class Part:
    """Nodes that lead from one tensor to the next, the layers among them and the operations they store."""

    nodes: tuple[fx.Node, ...]
    layers: tuple[str, ...]
    stored: tuple[int, ...]


class FoldedLayer(nn.Module):
    """A convolution or linear layer with its norm folded in: `weight`, [output channels, …], and `bias`.

    Where it runs several times, each call may have strides of its own; by itself it runs as the first does.
    """

    def __init__(self, folded: Folded, first: Call, memory_format: torch.memory_format) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.from_numpy(array)) for array in folded)
        self._first = first
        _lay_out(self, memory_format)

    def forward(self, x: Tensor, call: Call | None = None) -> Tensor:
        """What the layer writes."""
        return (call or self._first)(x, self.weight, self.bias)


def _lay_out(module: nn.Module, memory_format: torch.memory_format) -> None:
    """Puts what has height and width in this order.

    By `to`: of one input channel, `contiguous` would leave another layout, and kernels other last bits.
    """
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=memory_format)


def _call(node: fx.Node, layer: Layer) -> Call:
    """A layer's call apart from its tensors."""
    if not layer.kind.is_convolution:
        return torch.ops.aten.linear.default
    rest = list(arguments(node).values())[3:]
    operator: Any = node.target
    if layer.kind.is_transposed:
        return lambda x, weight, bias: operator(x, as_kept(weight, layer), bias, *rest)
    return lambda x, weight, bias: operator(x, weight, bias, *rest)


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

    `is_whole` says that what the network calls depends on the values of activations: it runs as one part then, with
    exchanged weights, and stores nothing.
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
        self._module = network.eval()
        self._first = trace(network, profile.model, input_shape, result=result)
        folded = fold({name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}, profile)
        _lay_out(self._module, memory_format)
        self._tensors: dict[str, Tensor] = {**dict(network.named_buffers()), **dict(network.named_parameters())}
        sites = {layer.name: layer for layer in profile.layers if layer.has_site}
        self._calls = {node: sites[name] for node, name in self._first.names.items() if name in sites}
        first = {layer.name: _call(node, layer) for node, layer in reversed(self._calls.items())}
        self.layers: dict[str, Any] = {
            name: FoldedLayer(tensors, first[name], memory_format) for name, tensors in folded.items()
        }
        self.is_whole = self._first.by_values
        self._nodes = _in_order(self._first)
        self._cuts = [] if self.is_whole else _cuts(self._first, self._stored(self._first.places))
        self._plans = {1: self._plan(self._first)}
        self.parts = tuple(map(self._part, self._plans[1].parts))

    def _stored(self, places: dict[fx.Node, int]) -> dict[fx.Node, int]:
        return {node: place for node, place in places.items() if place in self._profile.stored_tensors}

    def _part(self, nodes: tuple[fx.Node, ...]) -> Part:
        places = self._plans[1].places
        layers = (self._first.names[node] for node in nodes if node in self._first.names)
        names = tuple(name for name in dict.fromkeys(layers) if name in self.layers)
        return Part(nodes, names, tuple(places[node] for node in nodes if node in places))

    def _plan(self, traced: Trace) -> _Plan:
        """How the batch runs that was traced: in the same parts as one image, node by node."""
        nodes = _in_order(traced)
        if [node.target for node in nodes if node.op == "call_function"] != [
            node.target for node in self._nodes if node.op == "call_function"
        ]:
            raise UncountableOperatorError(
                f"{self._profile.model} calls other operators for a batch than for one image, so its parts are not "
                "known; let its forward not depend on the batch's size"
            )
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
        within = frozenset(same[node] for node in stored if _lies_in(node, filled))
        return _Plan(
            parts,
            {same[node]: place for node, place in stored.items()},
            {
                same[node]: (traced.works[same[node]].reads[0], self.layers[layer.name], _call(same[node], layer))
                for node, layer in self._calls.items()
            },
            frozenset(same[node] for node in norms),
            traced.constants,
            frozenset(same[node] for node in stored if _is_shared(same[node], ends)) - within,
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
            return x.clone() if _is_overwritten(node) else x
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
        operator: Any = node.target
        return operator(*fx.node.map_arg(args, given), **fx.node.map_arg(kwargs, given))  # type: ignore[arg-type]

    def _tensor(self, node: fx.Node, plan: _Plan) -> Tensor:
        name = str(node.target)
        return plan.constants[name] if name in plan.constants else self._tensors[name]

    def _whole(self, x: Tensor) -> Tensor:
        """The module's own forward, its layers exchanged as they are called."""
        with _Exchange(self._tensors, self.layers, set(self._calls.values())):
            return logits(self._module(x), len(x), self._profile.model, self._result)


class _Exchange(TorchDispatchMode):
    """Runs the layers of a network with the weights of `layers`."""

    def __init__(self, tensors: Mapping[str, Tensor], layers: Mapping[str, FoldedLayer], sites: set[Layer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # The tensors are held beside their ids, so that no other one gets these.
        self._sites = {id(tensors[site.weight_name]): (tensors[site.weight_name], site) for site in sites}
        self._layers = layers

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What a call gives."""
        given = dict(zip((each.name for each in func._schema.arguments), args, strict=False)) | (kwargs or {})
        found = [self._sites[id(each)][1] for each in given.values() if id(each) in self._sites]
        if not found or base(func) not in (*COUNTED, *AXES):
            return func(*args, **(kwargs or {}))
        if base(func) in AXES:
            turned = func(*args, **(kwargs or {}))
            self._sites[id(turned)] = turned, found[0]
            return turned
        layer, site = self._layers[found[0].name], found[0]
        if site.kind.is_convolution:
            weight = as_kept(layer.weight, site) if site.kind.is_transposed else layer.weight
            return func(**{**given, "weight": weight, "bias": layer.bias})
        x = next(given[key] for key in ("input", "mat1", "self") if key in given)
        return torch.ops.aten.linear.default(x, layer.weight, layer.bias)


def _on(device: torch.device) -> Callable[[Any], Any]:
    """An argument, on this device."""
    return lambda each: device if isinstance(each, torch.device) else each


def _in_order(traced: Trace) -> list[fx.Node]:
    """What is run; the network's own tensors are at hand, unless something is written into them."""
    return [node for node in traced.nodes.nodes if node.op != "get_attr" or _is_overwritten(node)]


def _is_overwritten(node: fx.Node) -> bool:
    """Whether something writes into a node's memory, perhaps through a view."""
    return any(
        user.op == "call_function"
        and (
            (writes(user) and user.args[0] is node) or (shares(user) and user.args[0] is node and _is_overwritten(user))
        )
        for user in node.users
    )


def _is_shared(node: fx.Node, ends: set[fx.Node]) -> bool:
    """Whether what a node gives lies in memory that others read too, or that is kept between parts."""
    while shares(node):
        source = node.all_input_nodes[0]
        if len(source.users) > 1 or source in ends or source.op != "call_function":
            return True
        node = source
    return False


def _lies_in(node: fx.Node, wholes: set[fx.Node]) -> bool:
    """Whether a node gives a part of one of these, in its memory."""
    while shares(node):
        node = node.all_input_nodes[0]
        if node in wholes:
            return True
    return False


WIDE = 2
"""Times as large as tensors shortly before and after: such a tensor is no place to cut, for keeping it costs memory."""
NEAR = 2
"""How many possible cuts away is shortly."""


def _cuts(traced: Trace, stored: dict[fx.Node, int]) -> list[int]:
    """Where a part begins: after stored tensors that are all that goes on and that nothing overwrites."""
    nodes = _in_order(traced)
    last = {source: position for position, node in enumerate(nodes) for source in node.all_input_nodes}
    cuts = []
    alive: set[fx.Node] = set()
    for position, node in enumerate(nodes):
        alive = {other for other in {*alive, node} if last.get(other, -1) > position}
        if alive == {node} and node in stored and node.op != "placeholder" and not _is_overwritten(node):
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
    return [position + 1 for position in kept if position + 1 < len(nodes)]
