"""Fused kernels: each layer runs as one with all that follows it element by element, as compilers of networks have it.

A kernel is a layer with the norm folded into it, its activation function and the add that it ends in. It reads its
inputs, a residual included, and writes its output once; a tensor with two readers is read twice. Where two layers meet
in an add, the kernel that runs last takes it, and reads what the other wrote. Pooling, and whatever else no layer's
kernel takes, is a kernel of its own: its bytes count to the layer that it follows. An embedding reads its ids and the
rows they name, as many numbers as it gives, never the whole table. Weights, scales and biases are as stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from aiq_core.errors import UncountableOperatorError
from aiq_core.graph import IN_PLACE, PARTS, RESHAPED, Graph
from aiq_core.records import Granularity, LayerKind, ModelProfile
from aiq_core.traffic.counts import Counts, Numbers, by_group, column
from aiq_core.traffic.stored import stored

ELEMENTWISE = (*IN_PLACE, "add")
"""They fuse into the kernel that wrote their input, where nothing else reads that."""

EMBEDDING = "embedding"

CONSTANTS = ("tensor", "constant")
"""The network's own tensors, such as learned positions: no activations, and not counted."""

_RUN_BY_NOBODY = (*RESHAPED, *PARTS, *CONSTANTS, "image", "output")
_SAME_SIZE = (*ELEMENTWISE, *RESHAPED, "contiguous")


@dataclass(frozen=True, slots=True)
class Kernel:
    """Operations that run as one, by their places in the graph; `reads` has what others wrote, once for every time."""

    operations: tuple[int, ...]
    reads: tuple[int, ...]

    @property
    def writes(self) -> int:
        """The operation whose tensor it writes."""
        return self.operations[-1]


def fused(profile: ModelProfile, granularity: Granularity) -> Counts:
    """Raises UncountableOperatorError where the graph lacks a layer or leaves open how large a tensor is."""
    return replace(stored(profile, granularity), activations=_activations(profile))


def _activations(profile: ModelProfile) -> Numbers:
    tensors, found = _Tensors(profile), by_group(profile)
    follows: dict[int, int] = {}
    for kernel in kernels(profile.graph):
        before = (follows[place] for place in kernel.reads if place in follows)
        row = tensors.layers.get(kernel.operations[0], max(before, default=0))
        follows |= dict.fromkeys(kernel.operations, row)
        for place in (*kernel.reads, kernel.writes):
            elements, group = tensors.size(place)
            found[row, column(profile, group)] += elements
        for place in _looked_up(profile.graph, kernel):
            found[row, -1] += tensors.size(place)[0]  # rows are the network's own, and stay float32
    return found


def _looked_up(graph: Graph, kernel: Kernel) -> Iterable[int]:
    """The operations of a kernel that read rows of a table, as large as what they give."""
    return (place for place in kernel.operations if graph[place].operator == EMBEDDING)


def kernels(graph: Graph) -> tuple[Kernel, ...]:
    """Every kernel of a network, in the order of their first operations."""
    readers = _readers(graph)
    layers = [place for place, operation in enumerate(graph) if operation.operator in tuple(LayerKind)]
    others = [place for place, operation in enumerate(graph) if operation.operator not in _RUN_BY_NOBODY]
    taken: set[int] = set()
    found = []
    # From the last layer on: of two that meet in an add, it takes that.
    for head in (*reversed(layers), *others):
        if head not in taken:
            found.append(_kernel(graph, readers, head, taken))
            taken.update(found[-1].operations)
    return tuple(sorted(found, key=lambda kernel: kernel.operations))


def _kernel(graph: Graph, readers: list[list[int]], head: int, taken: set[int]) -> Kernel:
    """What runs from `head` on: each operation that alone reads the one before it, unless another kernel has it."""
    run = [head]
    while len(readers[run[-1]]) == 1:
        after = readers[run[-1]][0]
        if after in taken or graph[after].operator not in (*ELEMENTWISE, *RESHAPED):
            break
        run.append(after)
    reads = [place for operation in run for place in graph[operation].inputs if place not in run]
    return Kernel(tuple(run), tuple(place for place in reads if graph[place].operator not in CONSTANTS))


def _readers(graph: Graph) -> list[list[int]]:
    """The places that read each operation, one as often as it does."""
    found: list[list[int]] = [[] for _ in graph]
    for place, operation in enumerate(graph):
        for source in operation.inputs:
            found[source].append(place)
    return found


def told(profile: ModelProfile) -> dict[int, int | None]:
    """Operation whose result moves -> its elements, as far as the layers tell."""
    tensors = _Tensors(profile)
    moved = {
        place
        for kernel in kernels(profile.graph)
        for place in (*kernel.reads, kernel.writes, *_looked_up(profile.graph, kernel))
    }
    return {place: tensors.told(place) for place in sorted(moved)}


class _Tensors:
    """The elements and activation groups of a network's tensors: layers say them of what they read and write."""

    def __init__(self, profile: ModelProfile) -> None:
        self._profile, self._graph, self._readers = profile, profile.graph, _readers(profile.graph)
        rows = {layer.name: row for row, layer in enumerate(profile.layers)}
        steps = {place: str(step.module) for place, step in enumerate(profile.graph) if step.operator in (*LayerKind,)}
        for layer in profile.layers:
            if layer.name not in steps.values():
                raise UncountableOperatorError(
                    f"{layer.name} is not in the graph of {profile.model}, so what fuses with it is not known; "
                    "make the model's profile again"
                )
        self.layers = {place: rows[name] for place, name in steps.items() if name in rows}
        self._sizes = dict(profile.sizes)

    def size(self, place: int) -> tuple[int, str | None]:
        """The elements that an operation gives for one image, and their group. Raises UncountableOperatorError."""
        elements = self._sizes.get(place) or self.told(place)
        if elements is None:
            raise UncountableOperatorError(
                f"no layer of {self._profile.model} reads what {self._graph[place].operator} gives, so its bytes "
                "cannot be counted; choose a traffic model without fused kernels"
            )
        return elements, self._profile.groups[place]

    def told(self, place: int) -> int | None:
        """The elements that an operation gives, by what the layers say of theirs."""
        operation = self._graph[place]
        if place in self.layers:
            layer = self._profile.layers[self.layers[place]]
            return layer.output_elements if layer.calls == 1 else None
        if operation.operator in _SAME_SIZE and self._graph[operation.inputs[0]].operator not in CONSTANTS:
            return self.told(operation.inputs[0])
        read = self._as_read(place)
        if read is not None:
            return read
        if operation.operator == "concat":
            parts = [self.told(source) for source in operation.inputs]
            return None if None in parts else sum(part for part in parts if part is not None)
        return None

    def _as_read(self, place: int) -> int | None:
        """The same by the first layer that reads it, or reads what was made of it element by element."""
        for reader in self._readers[place]:
            if reader in self.layers:
                layer = self._profile.layers[self.layers[reader]]
                if layer.calls == 1 and self._graph[reader].inputs[0] == place:
                    return layer.input_elements
            elif self._graph[reader].operator in _SAME_SIZE and (found := self._as_read(reader)) is not None:
                return found
        return None
