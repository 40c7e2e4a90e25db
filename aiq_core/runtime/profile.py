"""A model -> its ModelProfile: graph, MACs, weights, activations and their groups, from a trace and its shapes."""

import json
from collections.abc import Collection, Iterable
from dataclasses import replace

import torch
from torch import Tensor, fx, nn

from aiq_core.graph import carriers, is_example
from aiq_core.records import Layer, ModelProfile
from aiq_core.runtime.operators import name_of
from aiq_core.runtime.trace import Trace, trace
from aiq_core.runtime.work import Work, elements, shape_of
from aiq_core.traffic.fused import told

IMAGE_GROUP = "image"
POOLED_GROUP = "pooled"


def profile(
    model: nn.Module,
    name: str,
    input_shape: tuple[int, ...],
    excluded: Collection[str],
    result: str | None = None,
    dtype: torch.dtype | None = None,
) -> ModelProfile:
    """Count a model for one image of `input_shape` (channels, height, width), or for one text of (tokens) where `dtype`
    is int64; `excluded` layers stay FP32.

    Raises UncountableOperatorError for an operator in no table of `operators` or without a canonical form, and for a
    forward that does not run or leaves open which of its tensors are the logits; `result` names it.
    """
    traced = trace(model, name, input_shape, result=result, dtype=dtype)
    groups = _activation_groups(traced)
    layers = _layers(traced, groups, excluded)
    used = {group for layer in layers for group in (*layer.read_groups, layer.output_group)}
    named = tuple(group for group in dict.fromkeys(groups) if group is not None and group in used)
    found = ModelProfile(name, layers, named, traced.graph)
    sizes = tuple((place, elements(traced.results[place]), said) for place, said in told(found).items())
    return replace(found, sizes=tuple((place, size) for place, size, said in sizes if size != said))


def profile_text(counted: ModelProfile) -> str:
    """A profile as JSON, an operation a line."""
    document = counted.to_json()
    operations = ",\n  ".join(json.dumps(operation) for operation in document.pop("graph"))
    rest = json.dumps(document, indent=1).removesuffix("\n}")
    return f'{rest},\n "graph": [\n  {operations}\n ]\n}}\n'


def _layers(traced: Trace, groups: list[str | None], excluded: Collection[str]) -> tuple[Layer, ...]:
    calls: dict[str, list[fx.Node]] = {}
    for node, name in traced.names.items():
        calls.setdefault(name, []).append(node)
    counted: set[str] = set()
    return tuple(_layer(traced, name, nodes, groups, name not in excluded, counted) for name, nodes in calls.items())


def _layer(
    traced: Trace, name: str, calls: list[fx.Node], groups: list[str | None], quantizable: bool, counted: set[str]
) -> Layer:
    """A layer from its calls; `counted` has the tensors that are counted by now."""
    works = [traced.works[node] for node in calls]
    first, places = works[0], traced.places
    operations = [traced.graph[places[node]] for node in calls]
    # What is a weight is counted as such.
    reads = [
        [
            (0 if read in work.stored else elements(read), groups[place])
            for read, place in zip(work.reads, operation.inputs, strict=False)
        ]
        for work, operation in zip(works, operations, strict=True)
    ]
    weight, bias = first.weight, first.bias
    own = {str(node.target): node for node in _tensors(first, traced) if str(node.target) not in counted}
    counted.update(own)
    matrices = [
        elements(node) for node in own.values() if node is weight or (weight is None and node.meta["value"].ndim > 1)
    ]
    return Layer(
        name=name,
        kind=first.kind,
        macs=sum(work.macs for work in works),
        weights=sum(matrices),
        biases=sum(map(elements, own.values())) - sum(matrices),
        input_elements=sum(call[0][0] for call in reads),
        output_elements=sum(map(elements, calls)),
        groups=int(operations[0].attributes.get("groups", 1)),
        quantizable=quantizable and weight is not None,
        input_group=reads[0][0][1],
        output_group=groups[places[calls[0]]],
        calls=len(calls),
        others=tuple(other for call in reads for other in call[1:]),
        has_site=weight is not None,
        weight=None if weight is None or weight.target == f"{name}.weight" else str(weight.target),
        bias=None if bias is None or bias.target == f"{name}.bias" else str(bias.target),
        transposed=first.transposed,
        channels=shape_of(calls[0])[1] if first.kind.is_transposed else 0,
    )


def _tensors(work: Work, traced: Trace) -> Iterable[fx.Node]:
    """The network's own tensors that a call keeps, those that a computed weight is made of among them."""
    waiting, found = list(work.stored), dict[fx.Node, None]()
    while waiting:
        node = waiting.pop(0)
        if node.op == "get_attr" and str(node.target) not in traced.constants:
            found[node] = None
        waiting += [] if node.meta["live"] else node.all_input_nodes
    return found


def _activation_groups(traced: Trace) -> list[str | None]:
    """Operation -> the name of its activation group; what becomes the logits has none, as it stays FP32, nor has what
    no image passes through, nor anything where not all images go the same way. All calls of one layer read one group
    and write one.
    """
    roots = list(carriers(traced.graph))

    def join(places: list[int]) -> None:
        joined = {roots[place] for place in places}
        for place, root in enumerate(roots):
            if root in joined:
                roots[place] = min(joined)

    for name in dict.fromkeys(traced.names.values()):
        calls = [traced.graph[traced.places[node]] for node, other in traced.names.items() if other == name]
        if len(calls) > 1:
            join([traced.places[node] for node, other in traced.names.items() if other == name])
            for sources in zip(*(call.inputs for call in calls), strict=False):
                join(list(sources))
    if is_example(traced.graph):
        return [None] * len(roots)
    nodes = traced.results
    live = {roots[place] for place, node in enumerate(nodes) if node.meta["live"] and node.op != "output"}
    logits = roots[traced.graph[-1].inputs[0]]
    names: dict[int, str] = {}
    for root in sorted(live):
        names[root] = _group_name(traced, nodes[root], set(names.values()))
    return [names[root] if root in live and root != logits else None for root in roots]


def _group_name(traced: Trace, root: fx.Node, taken: set[str]) -> str:
    if root.op == "placeholder":
        return IMAGE_GROUP
    if root in traced.names:
        stem = traced.names[root]
    else:
        stem = POOLED_GROUP if _is_pooled(root) else root.meta["module"] or name_of(root)
    name, count = stem, 1
    while name in taken:
        name, count = f"{stem}_{count}", count + 1
    return name


def _is_pooled(node: fx.Node) -> bool:
    """Whether a node averages images down to a vector."""
    value = node.meta["value"]
    shape = value.shape if isinstance(value, Tensor) else ()
    return ("pool" in name_of(node) or "mean" in name_of(node)) and all(size == 1 for size in shape[2:])
