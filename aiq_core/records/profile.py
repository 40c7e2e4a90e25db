"""A network as the traffic model sees it: its layers, its activation groups, and its sites, which can have widths."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from enum import StrEnum
from functools import cached_property
from typing import Any

from aiq_core.errors import SettingError
from aiq_core.graph import Graph, Operation, carriers, stored_places
from aiq_core.records.policy import FP32_BITS, OFFERED_BITS, Policy


class LayerKind(StrEnum):
    """Operators that do multiply-accumulates."""

    CONV1D = "conv1d"
    CONV2D = "conv2d"
    CONV3D = "conv3d"
    CONV_TRANSPOSE1D = "conv_transpose1d"
    CONV_TRANSPOSE2D = "conv_transpose2d"
    CONV_TRANSPOSE3D = "conv_transpose3d"
    LINEAR = "linear"
    MATMUL = "matmul"
    ATTENTION = "attention"
    LSTM = "lstm"
    GRU = "gru"
    RNN = "rnn"

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution, transposed or not."""
        return self.startswith("conv")

    @property
    def is_transposed(self) -> bool:
        """Whether it is a transposed convolution, whose weights are kept [inputs, outputs, …]."""
        return self.startswith("conv_transpose")


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution or linear layer of the unfolded model, or other multiply-accumulates, counted for one image.

    `macs` are multiply-accumulates (FLOPs are twice that); the rest are element counts. A layer that runs several times
    has its work and activations in sum, its weights once. `input_group` and `output_group` name activation groups; the
    logits have none, nor has what no image passes through. `others` are further tensors that it reads, such as the keys
    and values of attention: (elements, group).

    `has_site` says that its weights are one tensor of the network's, `{name}.weight` or `weight`, which may be
    exchanged, with the bias `{name}.bias` or `bias`; `transposed`, that a linear layer's is kept [inputs, outputs].
    `channels` are output channels where they do not follow from the work.
    """

    name: str
    kind: LayerKind
    macs: int
    weights: int
    biases: int
    input_elements: int
    output_elements: int
    groups: int
    quantizable: bool
    input_group: str | None
    output_group: str | None
    calls: int = 1
    others: tuple[tuple[int, str | None], ...] = ()
    has_site: bool = True
    weight: str | None = None
    bias: str | None = None
    transposed: bool = False
    channels: int = 0

    @property
    def output_channels(self) -> int:
        """Output channels, or outputs of a linear layer: each element takes as many MACs as its channel has weights."""
        return self.channels or self.weights * self.output_elements // self.macs

    @property
    def weight_name(self) -> str:
        """The name of its weight among the network's tensors."""
        return self.weight or f"{self.name}.weight"

    @property
    def bias_name(self) -> str:
        """The name of its bias, whether there is one or not."""
        return self.bias or f"{self.name}.bias"

    @property
    def read_groups(self) -> tuple[str, ...]:
        """The activation groups that it reads."""
        groups = (self.input_group, *(group for _, group in self.others))
        return tuple(group for group in groups if group is not None)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document, without what is as usual."""
        usual = {field.name: field.default for field in fields(self) if field.default is not MISSING}
        return {key: value for key, value in asdict(self).items() if key not in usual or value != usual[key]}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Layer":
        """The layer that `to_json` wrote."""
        others = tuple((elements, group) for elements, group in entry.get("others", ()))
        return cls(**{**entry, "kind": LayerKind(entry["kind"]), "others": others})


class SiteKind(StrEnum):
    """What can have a width of its own."""

    WEIGHTS = "weights"
    ACTIVATIONS = "activations"


@dataclass(frozen=True, slots=True)
class Site:
    """A place that has a width: a layer's weights, by the layer's name, or an activation group, by the group's."""

    kind: SiteKind
    name: str

    def __str__(self) -> str:
        """As people read it: a layer goes by its name, a group never does, as many share their name with a layer."""
        return self.name if self.kind is SiteKind.WEIGHTS else f"activations of {self.name}"


@dataclass(frozen=True, slots=True)
class Move:
    """A site to a width."""

    site: Site
    bits: int


@dataclass(frozen=True)
class ModelProfile:
    """What is known of a network without its tensors: layers and activation groups, in network order, and `graph`.

    An activation group is the set of tensors that must share a width: those joined by adds or coming from
    one producer. `activation_groups` names them; each layer says which it reads and writes. `graph` is all that the
    network computes. `sizes` are the elements of what an operation gives, by its place, where no layer tells.
    """

    model: str
    layers: tuple[Layer, ...]
    activation_groups: tuple[str, ...]
    graph: Graph = ()
    sizes: tuple[tuple[int, int], ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Once: what is counted is looked up by the profile, which may have thousands of operations.
        return hash((self.model, self.layers, self.activation_groups, self.graph, self.sizes))

    @cached_property
    def quantizable(self) -> tuple[Layer, ...]:
        """The layers a policy gives bits to, in network order."""
        return tuple(layer for layer in self.layers if layer.quantizable)

    @cached_property
    def quantizable_names(self) -> tuple[str, ...]:
        """Names of `quantizable`."""
        return tuple(layer.name for layer in self.quantizable)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Every place that can have a width, in network order: what a layer reads, its weights, what it writes."""
        found: dict[Site, None] = {}
        for layer in self.layers:
            found |= {Site(SiteKind.ACTIVATIONS, group): None for group in layer.read_groups}
            if layer.quantizable:
                found[Site(SiteKind.WEIGHTS, layer.name)] = None
            if layer.output_group is not None:
                found[Site(SiteKind.ACTIVATIONS, layer.output_group)] = None
        return tuple(found)

    @cached_property
    def weight_sites(self) -> tuple[Site, ...]:
        """The sites of `quantizable`."""
        return tuple(Site(SiteKind.WEIGHTS, name) for name in self.quantizable_names)

    @cached_property
    def stored_tensors(self) -> Mapping[int, str]:
        """Operation of `graph` whose result is written to memory -> its activation group, in the graph's order."""
        named = {place: self.groups[place] for place in stored_places(self.graph)}
        return {place: group for place, group in named.items() if group is not None}

    @cached_property
    def groups(self) -> tuple[str | None, ...]:
        """Operation of `graph` -> the activation group of its result."""
        roots = carriers(self.graph)
        groups: dict[int, str | None] = {}
        layers = {layer.name: layer for layer in self.layers}
        for place, operation in enumerate(self.graph):
            if operation.operator in tuple(LayerKind):
                layer = layers[str(operation.module)]
                groups[roots[place]] = layer.output_group
                # A call of several reads its own part of `others`, all of one group.
                read = [layer.input_group, *(group for _, group in layer.others)][: len(operation.inputs)]
                groups |= {roots[source]: group for source, group in zip(operation.inputs, read, strict=False)}
        return tuple(groups.get(root) for root in roots)

    @cached_property
    def _places(self) -> dict[Site, int]:
        """Where each site's width stands among those of its kind in a policy."""
        groups = (Site(SiteKind.ACTIVATIONS, name) for name in self.activation_groups)
        return {site: place for sites in (self.weight_sites, groups) for place, site in enumerate(sites)}

    def width(self, policy: Policy, site: Site) -> int:
        """The bits that a policy gives a site."""
        widths = policy.weight_bits if site.kind is SiteKind.WEIGHTS else policy.activation_bits
        return widths[self._places[site]]

    def operands(self, layer: Layer) -> tuple[Site | None, Site | None]:
        """The sites whose wider decides a layer's arithmetic: its weights, or else a second tensor, and what it reads.

        None stands for what stays FP32.
        """
        read = layer.input_group and Site(SiteKind.ACTIVATIONS, layer.input_group)
        if layer.quantizable:
            return Site(SiteKind.WEIGHTS, layer.name), read or None
        if layer.weights or not layer.others:
            return None, read or None
        second = layer.others[0][1]
        return (Site(SiteKind.ACTIVATIONS, second) if second else None), read or None

    def operand_bits(self, policy: Policy, layer: Layer) -> tuple[int, int]:
        """The widths of `operands`."""
        first, second = (FP32_BITS if site is None else self.width(policy, site) for site in self.operands(layer))
        return first, second

    def moved(self, policy: Policy, *moves: Move) -> Policy:
        """The policy after moves. Raises SettingError for a site that is not one of this network."""
        widths = {SiteKind.WEIGHTS: list(policy.weight_bits), SiteKind.ACTIVATIONS: list(policy.activation_bits)}
        for move in moves:
            if move.site not in self._places:
                raise self._unknown(move.site)
            widths[move.site.kind][self._places[move.site]] = move.bits
        return Policy(tuple(widths[SiteKind.WEIGHTS]), tuple(widths[SiteKind.ACTIVATIONS]))

    def check(self, policy: Policy) -> None:
        """Raises SettingError for a policy of another network's lengths, or with a width that is not offered."""
        sizes = len(self.quantizable), len(self.activation_groups)
        found = len(policy.weight_bits), len(policy.activation_bits)
        if found != sizes:
            raise SettingError(
                f"policy {policy.key[:80]!r} gives bits to {found[0]} layers and {found[1]} activation groups, "
                f"{self.model} has {sizes[0]} and {sizes[1]}; use a policy of this model"
            )
        for bits in (*policy.weight_bits, *policy.activation_bits):
            if bits not in OFFERED_BITS:
                raise SettingError(f"bits={bits} is not offered; choose from {', '.join(map(str, OFFERED_BITS))}")

    def fits(self, policy: Policy) -> bool:
        """Whether `check` passes."""
        try:
            self.check(policy)
        except SettingError:
            return False
        return True

    @cached_property
    def flops(self) -> int:
        """FLOPs of one image: 2 x MACs over all layers."""
        return 2 * sum(layer.macs for layer in self.layers)

    @cached_property
    def item(self) -> str:
        """What it is counted for: an image, or a text, of which it reads token ids."""
        looked_up = (
            self.graph[source].operator for op in self.graph if op.operator == "embedding" for source in op.inputs
        )
        return "text" if "image" in looked_up else "image"

    def uniform(self, bits: int, activation_bits: int = FP32_BITS) -> Policy:
        """The policy with every quantizable layer at `bits` and every activation group at `activation_bits`."""
        return Policy((bits,) * len(self.quantizable), (activation_bits,) * len(self.activation_groups))

    def policy(self, bits: Mapping[str, int], activation_bits: Mapping[str, int] | None = None) -> Policy:
        """The policy with the named layers and activation groups at the given bits and the rest at FP32.

        Raises SettingError for a layer that is not quantizable here, a group that is none, or a width not offered.
        """
        named = {SiteKind.WEIGHTS: bits, SiteKind.ACTIVATIONS: activation_bits or {}}
        moves = [Move(Site(kind, name), width) for kind, widths in named.items() for name, width in widths.items()]
        for move in moves:
            if move.site not in self._places:
                raise self._unknown(move.site)
            if move.bits not in OFFERED_BITS:
                raise SettingError(
                    f"bits={move.bits} is not offered for {move.site}; choose from {', '.join(map(str, OFFERED_BITS))}"
                )
        return self.moved(self.uniform(FP32_BITS), *moves)

    def _unknown(self, site: Site) -> SettingError:
        if site.kind is SiteKind.WEIGHTS:
            said, names = "layer {!r} is not quantizable in {}", self.quantizable_names
        else:
            said, names = "{!r} is no activation group of {}", self.activation_groups
        return SettingError(f"{said.format(site.name, self.model)}; choose from {', '.join(names)}")

    def named_bits(self, policy: Policy) -> dict[str, int]:
        """Layer name -> weight bits of a policy, in network order."""
        return dict(zip(self.quantizable_names, policy.weight_bits, strict=True))

    def named_activation_bits(self, policy: Policy) -> dict[str, int]:
        """Activation group -> bits of a policy, in network order."""
        return dict(zip(self.activation_groups, policy.activation_bits, strict=True))

    def writers(self, group: str) -> tuple[Layer, ...]:
        """The layers that write an activation group; none write the image, or what pooling makes."""
        return self._users.get(group, ((), ()))[0]

    def readers(self, group: str) -> tuple[Layer, ...]:
        """The layers that read an activation group."""
        return self._users.get(group, ((), ()))[1]

    @cached_property
    def _users(self) -> Mapping[str, tuple[tuple[Layer, ...], tuple[Layer, ...]]]:
        """Activation group -> the layers that write it, and those that read it."""
        found: defaultdict[str, tuple[list[Layer], list[Layer]]] = defaultdict(lambda: ([], []))
        for layer in self.layers:
            if layer.output_group is not None:
                found[layer.output_group][0].append(layer)
            for group in dict.fromkeys(layer.read_groups):
                found[group][1].append(layer)
        return {group: (tuple(writers), tuple(readers)) for group, (writers, readers) in found.items()}

    def elements(self, site: Site) -> int:
        """A layer's weights, or the elements of one tensor of a group, for one image: the largest where they differ."""
        if site.kind is SiteKind.WEIGHTS:
            return self.quantizable[self._places[site]].weights
        written = [layer.output_elements for layer in self.writers(site.name)]
        read = [
            elements
            for layer in self.readers(site.name)
            for elements, group in ((layer.input_elements, layer.input_group), *layer.others)
            if group == site.name
        ]
        return max([*written, *read])

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        return {
            "model": self.model,
            "activation_groups": list(self.activation_groups),
            "layers": [layer.to_json() for layer in self.layers],
            **({"sizes": [list(size) for size in self.sizes]} if self.sizes else {}),
            "graph": [asdict(operation) for operation in self.graph],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "ModelProfile":
        """The profile that `to_json` wrote."""
        layers = tuple(map(Layer.from_json, document["layers"]))
        graph = tuple(Operation(**{**entry, "inputs": tuple(entry["inputs"])}) for entry in document["graph"])
        sizes = tuple((place, elements) for place, elements in document.get("sizes", ()))
        return cls(document["model"], layers, tuple(document["activation_groups"]), graph, sizes)
