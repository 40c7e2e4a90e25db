"""A model -> its ModelProfile: graph, MACs, weights, activations and their groups, from a trace and its shapes."""

import copy
import hashlib
from collections.abc import Collection
from operator import attrgetter
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from aiq_core.errors import UncountableOperatorError
from aiq_core.records import Layer, LayerKind, ModelProfile
from aiq_core.runtime.canonical import Canonical
from aiq_core.runtime.operators import Flow, flow, is_counted, title

IMAGE_GROUP = "image"
POOLED_GROUP = "pooled"


def profile(model: nn.Module, name: str, input_shape: tuple[int, ...], excluded: Collection[str]) -> ModelProfile:
    """Count a model for one image of `input_shape` (channels, height, width); `excluded` layers stay FP32.

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
    graph = Canonical(modules, constants, name).graph(traced.graph)
    groups = _activation_groups(traced.graph, modules)
    layers = tuple(
        _layer(node, cast(nn.Conv2d | nn.Linear, modules[str(node.target)]), groups, str(node.target) not in excluded)
        for node in traced.graph.nodes
        if is_counted(node, modules)
    )
    used = {layer.input_group for layer in layers} | {layer.output_group for layer in layers}
    return ModelProfile(name, layers, tuple(group for group in dict.fromkeys(groups.values()) if group in used), graph)


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


def _layer(node: fx.Node, module: nn.Conv2d | nn.Linear, groups: dict[fx.Node, str], quantizable: bool) -> Layer:
    source = node.all_input_nodes[0]
    output_elements = _elements(node)
    return Layer(
        name=str(node.target),
        kind=LayerKind.CONV2D if isinstance(module, nn.Conv2d) else LayerKind.LINEAR,
        # Each output element takes one MAC per weight of its output channel; groups are in the weight's shape.
        macs=output_elements * module.weight[0].numel(),
        weights=module.weight.numel(),
        biases=0 if module.bias is None else module.bias.numel(),
        input_elements=_elements(source),
        output_elements=output_elements,
        groups=module.groups if isinstance(module, nn.Conv2d) else 1,
        quantizable=quantizable,
        input_group=groups[source],
        output_group=groups.get(node),
    )


def _elements(node: fx.Node) -> int:
    """Elements of a node's tensor for one image."""
    return int(node.meta["value"].numel())


def _activation_groups(graph: fx.Graph, modules: dict[str, nn.Module]) -> dict[fx.Node, str]:
    """Group name of every node that holds activations; what becomes the logits has none, as it stays FP32.

    Union-find: a node joins its input's group unless it produces a tensor of its own.
    """
    parent: dict[fx.Node, fx.Node] = {}

    def find(node: fx.Node) -> fx.Node:
        while parent[node] is not node:
            node = parent[node]
        return node

    output: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "output":
            output = node.all_input_nodes[0]
            continue
        parent[node] = node
        if is_counted(node, modules) or flow(node, modules) in (Flow.FRESH, Flow.SHAPE):
            continue
        for source in node.all_input_nodes:
            # The earliest node stays the root, so a group is named by its first producer.
            roots = sorted((find(source), find(node)))
            parent[roots[1]] = roots[0]
    logits = find(output) if output is not None else None
    names = {root: _group_name(root) for root in map(find, parent)}
    return {node: names[find(node)] for node in parent if find(node) is not logits}


def _group_name(root: fx.Node) -> str:
    if root.op == "placeholder":
        return IMAGE_GROUP
    if root.op == "call_module" and not _is_pooled(root):
        return str(root.target)
    return POOLED_GROUP if _is_pooled(root) else root.name


def _is_pooled(node: fx.Node) -> bool:
    """Whether a node averages images down to a vector (a convolution or linear layer never does)."""
    shape = getattr(node.meta["value"], "shape", ())
    return bool("pool" in node.name or "mean" in node.name) and all(size == 1 for size in shape[2:])
