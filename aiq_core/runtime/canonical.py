"""A trace -> `aiq_core.graph`: what a forward computes, whatever torch's version and its variables call it."""

import operator
from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx, nn

from aiq_core.errors import UncountableOperatorError
from aiq_core.graph import Graph, Operation
from aiq_core.runtime.operators import FORMS, WITH_TENSORS, Flow, flow, operator_of, title

IN_PLACE = (operator.iadd, "add_")
PAIRS = ("kernel_size", "stride", "padding", "dilation", "output_size")
RESHAPES = ("flatten", "reshape", "expand")
VIEWS = (*RESHAPES, "permute", "contiguous", "slice")
"""Operators whose result may lie in their input's memory."""


class Canonical:
    """Writes the graph of a trace whose nodes hold their value for one image as `meta["value"]`.

    `constants` are the attributes of tensors that the forward reads and the state dict lacks, by name. Raises
    UncountableOperatorError for what has no form in the vocabulary.
    """

    def __init__(self, modules: dict[str, nn.Module], constants: Mapping[str, dict[str, Any]], model: str) -> None:
        self._modules, self._constants, self._model = modules, constants, model
        self._graph: list[Operation] = []
        self._memory: list[int] = []  # operation -> the first one in the same memory
        self._place: dict[fx.Node, int] = {}  # node -> the operation whose result it holds by now
        self.places: dict[fx.Node, int] = {}
        """Node -> the operation that it is; a node that changes nothing is none."""
        self.overwrites: set[fx.Node] = set()
        """Nodes that write into the memory of what they read."""

    def graph(self, trace: fx.Graph) -> Graph:
        """The operations in the order of the trace."""
        for node in trace.nodes:
            name = str(node.target)
            if node.op == "output":
                self._write(node, Operation("output", tuple(self._read(source) for source in node.all_input_nodes)))
            elif node.op == "placeholder" and _is_tensor(node):
                self._write(node, Operation("image"))
            elif node.op == "get_attr":
                constant = self._constants.get(name)
                self._write(node, Operation("constant" if constant else "tensor", (), None, constant or {"name": name}))
            elif node.op.startswith("call_") and flow(node, self._modules) is not Flow.SHAPE:
                self._call(node, str(operator_of(node, self._modules)))
        return tuple(self._graph)

    def _call(self, node: fx.Node, name: str) -> None:
        if not _is_tensor(node):
            raise self._refusal(node, "gives no single tensor")
        operands, given = self._arguments(node, name)
        in_place = given.pop("inplace", False) or node.target in IN_PLACE
        given.pop("return_indices", None)
        tensors = [operand for operand in operands if _is_tensor(operand)]
        inputs = tuple(self._read(tensor) for tensor in tensors)
        if name == "dropout" and given["training"]:
            raise self._refusal(node, "drops in evaluation too; give it training=self.training")
        if name in ("identity", "dropout"):
            self._place[node] = inputs[0]
            return
        if len(tensors) < len(operands):
            given["scalar"] = next(operand for operand in operands if not _is_tensor(operand))
        if name in RESHAPES:
            name, given = self._reshaped(node, name, given.get("shape"))
        rank = tensors[0].meta["value"].ndim
        attributes = {key: _settled(key, self._plain(node, value), rank) for key, value in given.items()}
        if attributes.get("stride", 0) is None:
            attributes["stride"] = attributes["kernel_size"]
        self._write(node, Operation(name, inputs, str(node.target) if name in WITH_TENSORS else None, attributes))
        if in_place:
            self.overwrites.add(node)
            self._overwrite(inputs[0])
        if in_place or name in VIEWS:
            self._memory[-1] = self._memory[inputs[0]]

    def _arguments(self, node: fx.Node, name: str) -> tuple[list[Any], dict[str, Any]]:
        """Operands, tensors and numbers in order, and attributes as torch was given them."""
        form, given = FORMS[name], list(node.args)
        if name in ("reshape", "expand", "permute") and not isinstance(given[-1], tuple | list):
            given[1:] = [tuple(given[1:])]  # sizes one by one
        if name == "slice" and not isinstance(given[1], tuple):
            given[1] = (given[1],)
        module = self._modules[str(node.target)] if node.op == "call_module" else None
        if module and (module._forward_pre_hooks or module._forward_hooks):
            raise self._refusal(node, "has hooks, which may change what it gives; remove them")
        names = form.operands if module else (*form.operands, *form.attributes)
        bound: dict[str, Any] = dict(zip(names, given, strict=False)) | node.kwargs
        if len(given) > len(names) or not bound.keys() <= set(names):
            raise self._refusal(node, "has arguments without a canonical form")
        operands = [bound.pop(operand) for operand in form.operands]
        defaults = {key: getattr(module, key) for key in form.attributes} if module else form.attributes
        return operands[0] if name == "concat" else operands, {**defaults, **bound}

    def _reshaped(self, node: fx.Node, name: str, asked: Any) -> tuple[str, dict[str, Any]]:
        """Every way to one vector an image is `flatten`; other shapes are written without the batch's axis."""
        shape = list(node.meta["value"].shape)
        follows = not asked or isinstance(asked[0], fx.Node) or asked[0] == -1
        if not follows or shape[:1] != [1]:
            raise self._refusal(node, "does not keep the batch's axis; let it begin with -1 or the input's own size")
        if name != "expand":
            name = "flatten" if len(shape) == 2 else "reshape"
        return name, {} if name == "flatten" else {"shape": shape[1:]}

    def _read(self, node: fx.Node) -> int:
        if node not in self._place:
            raise self._refusal(node, "is read where its tensor is made of sizes, or is a view of what was overwritten")
        return self._place[node]

    def _write(self, node: fx.Node, operation: Operation) -> None:
        self._place[node] = self.places[node] = len(self._graph)
        self._memory.append(len(self._graph))
        self._graph.append(operation)

    def _overwrite(self, old: int) -> None:
        """Whoever held `old` holds the last operation from here on; other views of that memory hold nothing known."""
        new = len(self._graph) - 1
        for node, place in list(self._place.items()):
            if place == old:
                self._place[node] = new
            elif place != new and self._memory[place] == self._memory[old]:
                del self._place[node]

    def _plain(self, node: fx.Node, value: Any) -> Any:
        """A value in JSON's types; sizes that the forward asks for stand resolved, for one image."""
        match value:
            case None | bool() | int() | float() | str():
                return value
            case tuple() | list():
                return [self._plain(node, part) for part in value]
            case fx.Node() if not _is_tensor(value):
                return self._plain(node, value.meta["value"])
            case slice():
                return ":".join(str(self._plain(node, part)) for part in (value.start, value.stop, value.step))
            case _ if value is ...:
                return "..."
        raise self._refusal(node, f"has an argument {value!r} without a canonical form")

    def _refusal(self, node: fx.Node, why: str) -> UncountableOperatorError:
        return UncountableOperatorError(f"{title(node, self._modules)} in {self._model} {why}")


def _is_tensor(operand: Any) -> bool:
    return isinstance(operand, fx.Node) and isinstance(operand.meta["value"], Tensor)


def _settled(key: str, value: Any, rank: int) -> Any:
    """One way to write what torch takes in several: pairs as two numbers, axes from the front."""
    if key in PAIRS and isinstance(value, int):
        return [value, value]
    if key in ("dim", "dims") and value is not None:
        return value % rank if isinstance(value, int) else [axis % rank for axis in value]
    return value
