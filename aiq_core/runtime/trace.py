"""What a network does, as a trace: torch's calls, their values' shapes, and the operation of the graph that each is."""

import hashlib
from dataclasses import dataclass, replace
from inspect import getsource

import torch
from torch import Tensor, fx, nn

from aiq_core.errors import UncountableOperatorError
from aiq_core.graph import Graph
from aiq_core.runtime.canonical import Canonical
from aiq_core.runtime.operators import name_of
from aiq_core.runtime.record import Recording, record
from aiq_core.runtime.work import Work, is_counted, work


@dataclass(frozen=True, eq=False)
class Trace:
    """`nodes` hold their value, for one image unless asked otherwise, on the meta device, as `meta["value"]`; `graph`
    says what they compute.

    `works` are the calls that do multiply-accumulates, and `names` what each is called: its weight's name, else the
    module it is in. `places` gives the operation that a node is, none for one that changes nothing; `results` the node
    that holds an operation's result. `constants` are the tensors that the network does not keep.
    """

    nodes: fx.Graph
    works: dict[fx.Node, Work]
    names: dict[fx.Node, str]
    graph: Graph
    places: dict[fx.Node, int]
    results: tuple[fx.Node, ...]
    constants: dict[str, Tensor]


def trace(
    model: nn.Module,
    name: str,
    input_shape: tuple[int, ...],
    images: int = 1,
    result: str | None = None,
    dtype: torch.dtype | None = None,
) -> Trace:
    """The trace of a model for images of `input_shape` (channels, height, width), or texts of (tokens) where `dtype` is
    int64, in evaluation mode.

    Its graph says what is done with one image, and is of use for `images=1` alone. Raises UncountableOperatorError for
    an operator in no table of `operators` or without a canonical form, and for a forward that does not run or leaves
    open which of its tensors are the logits; `result` names it.
    """
    recording = record(model, name, (images, *input_shape), result, dtype)
    kept = model.state_dict()
    read = {str(node.target) for node in recording.nodes.nodes if node.op == "get_attr"}
    buffers = {key: tensor for key, tensor in model.named_buffers() if key in read - kept.keys()}
    constants = {**buffers, **recording.constants}
    works = _agreed({node: work(node, constants) for node in recording.nodes.nodes if is_counted(node)})
    names = _names(works)
    is_example = recording.by_values or (
        images == 1 and _depends_on_batch(recording, model, name, input_shape, result, dtype)
    )
    canonical = Canonical(constants, works, names, name, _code(model) if is_example else None)
    graph = canonical.graph(recording.nodes)
    return Trace(recording.nodes, works, names, graph, canonical.places, tuple(canonical.results), constants)


def _depends_on_batch(
    recording: Recording,
    model: nn.Module,
    name: str,
    input_shape: tuple[int, ...],
    result: str | None,
    dtype: torch.dtype | None,
) -> bool:
    """Whether two images are not computed by the calls that one is."""
    try:
        two = record(model, name, (2, *input_shape), result, dtype)
    except UncountableOperatorError:  # it takes one at a time, as who runs two is told
        return False
    return two.calls != recording.calls


def _code(model: nn.Module) -> str:
    """A hash of the code of a network's modules, torch's own left out."""
    kinds = {type(module) for module in model.modules()}
    sources = sorted(getsource(kind) for kind in kinds if not kind.__module__.startswith("torch."))
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()


def _names(works: dict[fx.Node, Work]) -> dict[fx.Node, str]:
    """What every counted call is called; calls of one weight share its name."""
    sites = {str(site.site) for site in works.values() if site.site is not None}
    found, taken = {}, set(sites)
    for node, each in works.items():
        name = each.site
        if name is None:
            path = node.meta["module"]
            stem = path if path and path not in taken else f"{path}.{name_of(node)}".removeprefix(".")
            name, count = stem, 1
            while name in taken:
                name, count = f"{stem}_{count}", count + 1
            taken.add(name)
        found[node] = name
    return found


def _agreed(works: dict[fx.Node, Work]) -> dict[fx.Node, Work]:
    """Calls of one weight are one site only where they use it in the same way: as the same kind, with the same bias."""
    ways: dict[str, set[object]] = {}
    for each in works.values():
        if each.site is not None:
            bias = None if each.bias is None else each.bias.target
            ways.setdefault(each.site, set()).add((each.kind, each.transposed, bias))
    return {
        node: replace(each, weight=None, bias=None, transposed=False)
        if each.site is not None and len(ways[each.site]) > 1
        else each
        for node, each in works.items()
    }
