"""A recording -> `aiq_core.graph`: what a forward computes, whatever torch's version and its variables call it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from aiq_core.errors import UncountableOperatorError
from aiq_core.graph import EXAMPLE, OVERWRITTEN, Graph, Operation
from aiq_core.records import LayerKind
from aiq_core.runtime.operators import (
    AXES,
    FORMS,
    NOTHING,
    PART,
    RESHAPES,
    Form,
    arguments,
    defaults,
    name_of,
    shares,
    tensor_arguments,
    title_of,
    writes,
)
from aiq_core.runtime.work import Work

PAIRS = ("kernel_size", "stride", "padding", "dilation", "output_size", "output_padding")
NORM = ("weight", "bias", "running_mean", "running_var")


class Canonical:
    """Writes the graph of what was recorded for one image.

    `constants` are the tensors that the forward reads and the state dict lacks, by name; `works` the counted calls and
    `names` what each is called; `code` is a hash of the code where one recording is not all that it does. Raises
    UncountableOperatorError for what has no form in the vocabulary.
    """

    def __init__(
        self,
        constants: Mapping[str, Tensor],
        works: Mapping[fx.Node, Work],
        names: Mapping[fx.Node, str],
        model: str,
        code: str | None = None,
    ) -> None:
        self._constants, self._works, self._names, self._model = constants, works, names, model
        self._image = Operation("image", (), None, {} if code is None else {EXAMPLE: code})
        self._graph: list[Operation] = []
        self._memory: list[int] = []  # operation -> the first one in the same memory
        self._place: dict[fx.Node, int] = {}  # node -> the operation whose result it holds by now
        self._stale: dict[fx.Node, list[int]] = {}  # node -> what was written into its memory since, elsewhere
        self.places: dict[fx.Node, int] = {}
        """Node -> the operation that it is; a node that changes nothing is none."""
        self.results: list[fx.Node] = []
        """Operation -> the node that holds its result."""

    def graph(self, nodes: fx.Graph) -> Graph:
        """The operations in the order of the calls."""
        for node in nodes.nodes:
            if node.op == "output":
                self._write(node, Operation("output", tuple(self._read(source) for source in node.all_input_nodes)))
            elif node.op == "placeholder":
                self._write(node, self._image)
            elif node.op == "call_function":
                self._call(node)
        return tuple(self._graph)

    def _call(self, node: fx.Node) -> None:
        name = name_of(node)
        if node.target is PART:
            source, place = node.args
            assert isinstance(source, fx.Node)
            self._write(node, Operation("part", (self._read(source),), None, {"index": place}))
            self._memory[-1] = self._memory[self._place[source]]
            return
        given = arguments(node)
        if given.get("train", False) and (name in NOTHING or "dropout" in given):
            raise self._refusal(node, "drops in evaluation too; give it training=self.training")
        if name in NOTHING or self._changes_nothing(node, name, given):
            self._place[node] = self._read(given["input"] if "input" in given else given["self"])
            return
        self._write(node, self._operation(node, name, given))
        source = self._graph[-1].inputs[0] if self._graph[-1].inputs else 0
        if writes(node):
            self._overwrite(source)
        if shares(node):
            self._memory[-1] = self._memory[source]

    def _changes_nothing(self, node: fx.Node, name: str, given: dict[str, Any]) -> bool:
        """Whether a call gives the very numbers it reads, in their type and shape."""
        if name not in ("to", "_to_copy", "clone", *RESHAPES, *AXES):
            return False
        source = given["self"].meta["value"]
        if name in AXES:
            return bool(self._order(node, given) == sorted(range(source.ndim)))
        is_same = source.dtype == node.meta["value"].dtype and source.shape == node.meta["value"].shape
        return is_same and name != "clone"

    def _operation(self, node: fx.Node, name: str, given: dict[str, Any]) -> Operation:
        if node in self._works:
            return self._counted(node, name, given, self._works[node])
        if name == "batch_norm":
            return self._norm(node, given)
        if name in AXES:
            return Operation("permute", (self._read(given["self"]),), None, {"dims": self._order(node, given)})
        if name in RESHAPES:
            return self._reshaped(node, name, given["self"])
        if name == "layer_norm" and (module := self._module_of(given, NORM[:2])):
            inputs: tuple[int, ...] = (self._read(given["input"]),)
        else:
            module, inputs = None, tuple(self._read(each) for each in _nodes(given.values()))
        form = FORMS.get(name, Form(name))
        attributes = self._attributes(node, given, form.attributes)
        if form.operator == "hardtanh" and list(attributes.values()) == [0, 6]:
            return Operation("relu6", inputs)
        return Operation(form.operator, inputs, module, attributes)

    def _counted(self, node: fx.Node, name: str, given: dict[str, Any], work: Work) -> Operation:
        attributes: dict[str, Any] = {}
        reads: tuple[Any, ...] = work.reads
        if work.kind.is_convolution:
            assert work.weight is not None or work.stored
            attributes = {"kernel_size": list(work.stored[0].meta["value"].shape[2:])}
            keys = ("stride", "padding", "dilation", "groups")
            attributes |= {key: self._settled(node, key, given[key]) for key in keys}
            attributes["padding_mode"] = "zeros"
            if work.kind.is_transposed:
                attributes["output_padding"] = self._settled(node, "output_padding", given["output_padding"])
        elif work.kind is not LayerKind.LINEAR:
            attributes = self._attributes(node, given, ())
        if work.weight is None:
            reads = tuple(_nodes(given.values()))
        elif str(work.weight.target) != f"{self._names[node]}.weight":
            attributes["weight"] = str(work.weight.target)
        if work.bias is not None and str(work.bias.target) != f"{self._names[node]}.bias":
            attributes["bias"] = str(work.bias.target)
        if work.transposed:
            attributes["transposed"] = True
        return Operation(str(work.kind), tuple(self._read(read) for read in reads), self._names[node], attributes)

    def _norm(self, node: fx.Node, given: dict[str, Any]) -> Operation:
        name = f"batch_norm{max(1, node.meta['value'].ndim - 2)}d"
        attributes = {"eps": given["eps"]}
        if module := self._module_of(given, NORM):
            return Operation(name, (self._read(given["input"]),), module, attributes)
        if given["running_mean"] is None:
            return Operation(name, (self._read(given["input"]),), node.meta["module"], attributes)
        return Operation(name, tuple(self._read(each) for each in _nodes(given.values())), None, attributes)

    def _module_of(self, given: dict[str, Any], names: tuple[str, ...]) -> str | None:
        """The module that has all these tensors of a norm, under their usual names."""
        held = {name: given[name] for name in names if given[name] is not None}
        if not all(node.op == "get_attr" and node.target not in self._constants for node in held.values()):
            return None
        modules = {str(node.target).removesuffix(f".{name}") for name, node in held.items()}
        usual = all(str(node.target) == name or str(node.target).endswith(f".{name}") for name, node in held.items())
        return modules.pop() if usual and len(modules) == 1 else None

    def _reshaped(self, node: fx.Node, name: str, source: fx.Node) -> Operation:
        """Every way to one vector an image is `flatten`; shapes are for one image, whose axis is written where it is
        joined with another.
        """
        shape = list(node.meta["value"].shape)
        first = source.meta["value"].shape[:1] == (1,) and shape[:1] == [1]
        if "expand" in name:
            return Operation("expand", (self._read(source),), None, {"shape": shape[1:] if first else shape})
        if first and len(shape) == 2:
            return Operation("flatten", (self._read(source),))
        whole = {"shape": shape[1:]} if first else {"shape": shape, "batch": True}
        return Operation("reshape", (self._read(source),), None, whole)

    def _order(self, node: fx.Node, given: dict[str, Any]) -> list[int]:
        """The axes of what is read in the order of what is given."""
        probe = torch.empty(tuple(range(2, 2 + given["self"].meta["value"].ndim)), device="meta")
        turned = node.target(probe, *node.args[1:], **node.kwargs)  # type: ignore[operator]
        return [size - 2 for size in turned.shape]

    def _attributes(self, node: fx.Node, given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        """The arguments that are no tensors: the named ones, and those that are not torch's defaults; and which of the
        tensors are given, where that is not plain.
        """
        usual = defaults(node)
        found = {}
        for key, value in given.items():
            if (
                (key in names or value != usual[key])
                and key not in ("device", "layout", "pin_memory")
                and not _has_nodes(value)
            ):
                found[key] = self._settled(node, key, value)
        if not found.get("stride", True):
            found["stride"] = found["kernel_size"]
        held = [key for key, value in given.items() if _has_nodes(value)]
        possible = [key for key in given if key in held or key in tensor_arguments(node)]
        if held != possible[: len(held)]:
            found["operands"] = held
        for key in held:
            if isinstance(given[key], tuple | list) and not all(isinstance(each, fx.Node) for each in given[key]):
                found[key] = [each is not None for each in given[key]]
        return found

    def _settled(self, node: fx.Node, key: str, value: Any) -> Any:
        """One way to write what torch takes in several: pairs as two numbers, axes from the front, in JSON's types."""
        rank = max((each.meta["value"].ndim for each in node.all_input_nodes if _is_tensor(each)), default=0)
        value = self._plain(node, value)
        sizes = len(value) if isinstance(value, list) else 0
        if key in PAIRS and sizes == 1 and self._spatial(node) > 1:
            return value * self._spatial(node)
        if key in PAIRS and isinstance(value, int):
            return [value] * self._spatial(node)
        if name_of(node) == "unsqueeze":
            rank += 1  # the new axis may be the last
        if key in ("dim", "dims") and value is not None and rank:
            return value % rank if isinstance(value, int) else [axis % rank for axis in value]
        return value

    def _spatial(self, node: fx.Node) -> int:
        return int(name_of(node)[-2]) if name_of(node)[-2:-1].isdigit() else node.meta["value"].ndim - 2

    def _plain(self, node: fx.Node, value: Any) -> Any:
        match value:
            case None | bool() | int() | float() | str():
                return value
            case tuple() | list():
                return [self._plain(node, part) for part in value]
            case torch.dtype() | torch.memory_format():
                return str(value).removeprefix("torch.")
        raise self._refusal(node, f"has an argument {value!r} without a canonical form")

    def _read(self, node: fx.Node) -> int:
        if node not in self._place:
            self._own(node)
        for written in self._stale.pop(node, ()):
            before = self._place[node]
            self._write(node, Operation(OVERWRITTEN, (before, written)), is_call=False)
            self._memory[-1] = self._memory[before]
        return self._place[node]

    def _own(self, node: fx.Node) -> None:
        """A tensor of the network's, or one that the forward brings along, where it is first read as such."""
        name = str(node.target)
        if name not in self._constants:
            self._write(node, Operation("tensor", (), None, {"name": name}))
            return
        tensor = self._constants[name]
        said: dict[str, Any] = {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
        if not tensor.is_meta:
            content = tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
            said["sha256"] = hashlib.sha256(content).hexdigest()
        self._write(node, Operation("constant", (), None, said))

    def _write(self, node: fx.Node, operation: Operation, is_call: bool = True) -> None:
        self._place[node] = len(self._graph)
        if is_call:
            self.places[node] = len(self._graph)
        self._memory.append(len(self._graph))
        self._graph.append(operation)
        self.results.append(node)

    def _overwrite(self, old: int) -> None:
        """Who reads the overwritten tensor, or one that lies in its memory, reads the operation that did it."""
        new = len(self._graph) - 1
        for node, place in list(self._place.items()):
            if place == old:
                self._place[node] = new
            elif place != new and self._memory[place] == self._memory[old]:
                self._stale.setdefault(node, []).append(new)

    def _refusal(self, node: fx.Node, why: str) -> UncountableOperatorError:
        return UncountableOperatorError(f"{title_of(node)} in {self._model} {why}")


def _is_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta["value"], Tensor)


def _nodes(given: Any) -> list[fx.Node]:
    """Every tensor among arguments, lists of them included, in order."""
    found: list[fx.Node] = []
    for each in given:
        if isinstance(each, fx.Node):
            found.append(each)
        elif isinstance(each, tuple | list):
            found += _nodes(each)
    return found


def _has_nodes(value: Any) -> bool:
    return bool(_nodes([value]))
