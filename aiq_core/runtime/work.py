"""The multiply-accumulates of a recorded call, and whose weights it uses."""

from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor, fx

from aiq_core.errors import UncountableOperatorError
from aiq_core.records import LayerKind
from aiq_core.runtime.operators import (
    ATTENTION,
    AXES,
    COUNTED,
    PRODUCTS,
    RECURRENT,
    TRANSPOSED,
    arguments,
    name_of,
    title_of,
)

WEIGHT = ".weight"


@dataclass(frozen=True, eq=False)
class Work:
    """A counted call, for a batch of the size that was recorded.

    `reads` are the tensors that pass through, in torch's order; `weight` and `bias` the nodes of a convolution's or a
    linear layer's own, where they are the network's. `transposed` says that the weight is kept [inputs, outputs].
    `stored` are all the network's tensors that it uses.
    """

    kind: LayerKind
    macs: int
    reads: tuple[fx.Node, ...]
    stored: tuple[fx.Node, ...]
    weight: fx.Node | None = None
    bias: fx.Node | None = None
    transposed: bool = False

    @property
    def site(self) -> str | None:
        """Its weight's name, without the last part where that is `weight`; None where it has no weight of its own."""
        return None if self.weight is None else str(self.weight.target).removesuffix(WEIGHT)


def is_counted(node: fx.Node) -> bool:
    """Whether a call does multiply-accumulates."""
    return node.op == "call_function" and name_of(node) in COUNTED


def is_own(node: Any, constants: Any = ()) -> bool:
    """Whether a node is a tensor of the network's."""
    return isinstance(node, fx.Node) and node.op == "get_attr" and str(node.target) not in constants


def work(node: fx.Node, constants: Any = ()) -> Work:
    """What a counted call does; `constants` names the tensors that are not the network's.

    Raises UncountableOperatorError for weights that meet no work.
    """
    name, given = name_of(node), arguments(node)
    if name in RECURRENT:
        found = _recurrent(name, given)
    elif name in PRODUCTS:
        found = _product(node, name, given, constants)
    elif name in ATTENTION:
        found = _attention(given)
    else:
        found = _weighted(node, name, given, constants)
    if found.macs < 1:
        raise UncountableOperatorError(
            f"{title_of(node)} does no multiply-accumulate on tensors of "
            f"{', '.join(str(list(shape_of(read))) for read in found.reads)}; give it an input that is not empty"
        )
    return found


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """The shape of what a node gives."""
    return tuple(node.meta["value"].shape)


def elements(node: fx.Node) -> int:
    """How many numbers a node gives; of several tensors, those of the first."""
    value = node.meta["value"]
    return int(value.numel() if isinstance(value, Tensor) else value[0].numel())


def _weighted(node: fx.Node, name: str, given: dict[str, Any], constants: Any) -> Work:
    x, weight, bias = given["input"], given["weight"], given["bias"]
    shape = shape_of(weight)
    backwards = name in TRANSPOSED or given.get("transposed", False)
    # Each output meets the weights of its channel; the other way about, each input does.
    macs = elements(x if backwards else node) * prod(shape[1:])
    kind = LayerKind.LINEAR if name == "linear" else LayerKind(f"conv{'_transpose' * backwards}{len(shape) - 2}d")
    stored = tuple(each for each in (weight, bias) if each is not None)
    matrix, is_turned = _matrix(weight, constants) if name == "linear" else (weight, False)
    if not is_own(matrix, constants) or not (bias is None or is_own(bias, constants)):
        return Work(kind, macs, (x,), stored)
    return Work(kind, macs, (x,), stored, matrix, bias, is_turned)


def _product(node: fx.Node, name: str, given: dict[str, Any], constants: Any) -> Work:
    """A product of matrices; with a matrix of the network's, it is a linear layer."""
    operands = [each for each in given.values() if isinstance(each, fx.Node)]
    added, (first, second) = operands[:-2], operands[-2:]
    macs = elements(node) * shape_of(first)[-1]
    if name == "addbmm":
        macs *= shape_of(first)[0]
    bias = added[0] if added else None
    plain = given.get("alpha", 1) == 1 and given.get("beta", 1) == 1
    vector = bias is None or (is_own(bias, constants) and shape_of(bias) == shape_of(second)[-1:])
    weight, is_turned = _matrix(second, constants)
    if weight is not None and first.meta["live"] and plain and vector:
        stored = (weight,) if bias is None else (weight, bias)
        return Work(LayerKind.LINEAR, macs, (first,), stored, weight, bias, transposed=not is_turned)
    return Work(LayerKind.MATMUL, macs, tuple(operands), tuple(each for each in operands if not each.meta["live"]))


def _matrix(node: fx.Node, constants: Any) -> tuple[fx.Node | None, bool]:
    """The network's own matrix that a node is, perhaps with its axes exchanged; None where it is none."""
    is_turned = node.op == "call_function" and name_of(node) in AXES
    source = node.all_input_nodes[0] if is_turned else node
    is_matrix = is_own(source, constants) and len(shape_of(source)) == 2
    return source if is_matrix else None, is_turned


def _attention(given: dict[str, Any]) -> Work:
    """Queries with keys, then weights with values; a mask saves nothing of either."""
    query, key, value = (shape_of(given[name]) for name in ("query", "key", "value"))
    macs = prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
    reads = tuple(each for each in given.values() if isinstance(each, fx.Node))
    return Work(LayerKind.ATTENTION, macs, reads, ())


def _recurrent(name: str, given: dict[str, Any]) -> Work:
    """Each step of each sequence meets every matrix once; gates' elementwise work aside."""
    x = given["data"] if "data" in given else given["input"]
    steps = elements(x) // shape_of(x)[-1]
    stored = tuple(given["params"])
    macs = steps * sum(elements(each) for each in stored if len(shape_of(each)) == 2)
    kind = LayerKind.RNN if name.startswith("rnn") else LayerKind(name)
    return Work(kind, macs, (x,), stored)
