"""A model -> its ModelProfile: graph, MACs, weights, activations and their groups, from a trace and its shapes."""

from collections.abc import Collection
from typing import cast

from torch import fx, nn

from aiq_core.graph import Flow
from aiq_core.records import Layer, LayerKind, ModelProfile
from aiq_core.runtime.operators import flow, is_counted
from aiq_core.runtime.trace import trace

IMAGE_GROUP = "image"
POOLED_GROUP = "pooled"


def profile(model: nn.Module, name: str, input_shape: tuple[int, ...], excluded: Collection[str]) -> ModelProfile:
    """Count a model for one image of `input_shape` (channels, height, width); `excluded` layers stay FP32.

    Raises UncountableOperatorError for an operator in no table of `operators` or without a canonical form, or a layer
    that runs twice.
    """
    traced = trace(model, name, input_shape)
    modules = traced.modules
    groups = _activation_groups(traced.nodes, modules)
    layers = tuple(
        _layer(node, cast(nn.Conv2d | nn.Linear, modules[str(node.target)]), groups, str(node.target) not in excluded)
        for node in traced.nodes.nodes
        if is_counted(node, modules)
    )
    used = {layer.input_group for layer in layers} | {layer.output_group for layer in layers}
    return ModelProfile(
        name, layers, tuple(group for group in dict.fromkeys(groups.values()) if group in used), traced.graph
    )


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
