"""Torch's operators, as a recording sees them: which are counted, which do no multiply-accumulates, their form.

After fvcore: an operator that is in no table is an error that names it, never a silent zero. Torch itself says which
of its operators work element by element, reduce or only look at memory, and what larger ones are made of.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.utils._python_dispatch import TorchDispatchMode

PART = operator.getitem
"""One of several results of an operator."""


@dataclass(frozen=True, slots=True)
class Form:
    """How an operator of torch is written in `aiq_core.graph`: its name there, and the arguments that are written.

    An operator without one goes by torch's name, with the arguments that are not torch's defaults.
    """

    operator: str
    attributes: tuple[str, ...] = ()


POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
AVG_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")

FORMS: dict[str, Form] = {
    "add": Form("add", ("alpha",)),
    "cat": Form("concat", ("dim",)),
    "relu": Form("relu"),
    "relu6": Form("relu6"),
    "gelu": Form("gelu", ("approximate",)),
    "hardtanh": Form("hardtanh", ("min_val", "max_val")),
    "layer_norm": Form("layer_norm", ("normalized_shape", "eps")),
    "max_pool2d": Form("max_pool2d", POOL),
    "avg_pool2d": Form("avg_pool2d", AVG_POOL),
    "adaptive_avg_pool2d": Form("adaptive_avg_pool2d", ("output_size",)),
    "mean": Form("mean", ("dim", "keepdim")),
    "expand_as": Form("expand"),
    "clone": Form("contiguous"),
    "_to_copy": Form("to"),
}

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
PRODUCTS = ("matmul", "mm", "bmm", "mv", "dot", "addmm", "addmv", "baddbmm", "addbmm")
ATTENTION = ("scaled_dot_product_attention",)
RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
COUNTED = frozenset((*CONVOLUTIONS, *TRANSPOSED, "linear", *PRODUCTS, *ATTENTION, *RECURRENT))
"""Those of multiply-accumulates; `aiq_core.runtime.work` says how many."""

RESHAPES = ("flatten", "view", "reshape", "_unsafe_view", "unflatten", "expand", "expand_as")
AXES = ("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "mT", "numpy_T")
NOTHING = ("alias", "detach", "lift_fresh", "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
"""They give what they read, in evaluation."""

UNCOUNTED = frozenset(
    (
        *NOTHING,
        *RESHAPES,
        *AXES,
        # norms and what makes numbers add up to one
        *("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "native_layer_norm"),
        *("native_group_norm", "local_response_norm", "softmax", "log_softmax", "_softmax", "_log_softmax"),
        *("_safe_softmax", "norm", "linalg_vector_norm", "logsumexp", "cumsum", "cumprod", "var_mean", "std_mean"),
        # number by number
        *("hardswish", "glu", "prelu", "floor_divide", "_prelu_kernel", "log_sigmoid", "log_sigmoid_forward"),
        *("_weight_norm", "_weight_norm_interface"),
        # pooling and resizing
        *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
        *("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d_with_indices", "adaptive_max_pool1d"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d"),
        *("adaptive_max_pool2d", "adaptive_max_pool3d", "fractional_max_pool2d", "_adaptive_avg_pool3d"),
        *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d"),
        *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
        *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "grid_sampler_2d", "grid_sampler_3d"),
        # tensors moved, cut, joined and looked up
        *("cat", "stack", "pad", "constant_pad_nd", "roll", "flip", "repeat", "tile", "repeat_interleave", "index"),
        *("index_select", "gather", "scatter", "scatter_add", "index_put", "index_add", "index_copy", "index_fill"),
        *("masked_select", "masked_scatter", "masked_fill", "embedding", "embedding_bag", "one_hot", "take"),
        *("copy", "fill", "zero", "clone", "contiguous", "to", "_to_copy", "pixel_shuffle", "pixel_unshuffle"),
        *("channel_shuffle", "native_channel_shuffle", "im2col", "col2im", "tril", "triu", "rot90", "as_strided"),
        *("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d"),
        *("replication_pad2d", "replication_pad3d", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes"),
        # comparisons of whole tensors, sorting
        *("topk", "sort", "argsort", "max", "min", "median", "mode", "nonzero", "unique", "searchsorted", "bucketize"),
        *("_local_scalar_dense", "item", "is_nonzero", "equal", "_assert_async", "_assert_tensor_metadata"),
        *("_assert_scalar", "sym_size", "sym_constrain_range_for_size"),
    )
)  # fmt: skip
"""Those that torch's tags say nothing of."""

NEW = frozenset(
    f"{name}{like}"
    for name in ("zeros", "ones", "empty", "full", "rand", "randn", "randint")
    for like in ("_like", "_strided")
) | frozenset(f"new_{name}" for name in ("zeros", "ones", "empty", "full", "empty_strided"))
"""They read no values, only the shape or the type of a tensor."""


def base(func: Any) -> str:
    """An operator's name without its overload and the mark of those that work in place."""
    name = str(func._schema.name).removeprefix("aten::")
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def is_known(func: Any) -> bool:
    """Whether an operator is recorded as it is; others are what they are made of, or an error."""
    tags = (torch.Tag.pointwise, torch.Tag.reduction)
    name = base(func)
    return name in COUNTED or name in UNCOUNTED or any(tag in func.tags for tag in tags) or bool(func.is_view)


def makes_new(func: Any) -> bool:
    """Whether an operator makes a tensor of numbers alone, even where it is given one."""
    return base(func) in NEW


def weight_first(equation: str, operands: Sequence[torch.Tensor], *path: Any) -> bool | None:
    """Whether an einsum is a linear layer of a parameter kept [inputs, outputs], True, or [outputs, inputs], False.

    None where it is neither.
    """
    read, _, output = equation.replace(" ", "").partition("->")
    if len(operands) != 2 or not isinstance(operands[1], torch.nn.Parameter) or operands[1].ndim != 2:
        return None
    x, weight = read.split(",")
    if "." in weight or not x or x[-1] not in weight:
        return None
    outputs = weight.replace(x[-1], "")
    is_linear = len(outputs) == 1 and outputs not in x and output == x[:-1] + outputs
    return weight[0] == x[-1] if is_linear else None


def taken_apart(mode: TorchDispatchMode, func: Any, args: Any, kwargs: Any) -> Any:
    """What a call gives that is made of others, which `mode` sees in its place; NotImplemented for one that is not."""
    if base(func) == "einsum" and (turned := weight_first(*args)) is not None:
        x, weight = args[1]
        with mode:
            return torch.ops.aten.linear.default(x, weight.t() if turned else weight)
    if is_known(func) or not func._can_decompose():
        return NotImplemented
    with mode:
        return func.decompose(*args, **kwargs)


def is_random(func: Any) -> bool:
    """Whether an operator draws numbers."""
    return torch.Tag.nondeterministic_seeded in func.tags


def is_empty(func: Any) -> bool:
    """Whether an operator makes a tensor of whatever its memory held."""
    return "empty" in base(func)


def writes(node: fx.Node) -> bool:
    """Whether a call overwrites what it reads."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and any(each.alias_info and each.alias_info.is_write for each in schema.arguments)


def shares(node: fx.Node) -> bool:
    """Whether what a call gives may lie in the memory of what it reads."""
    if node.op != "call_function":
        return False
    return (
        node.target is PART
        or writes(node)
        or getattr(node.target, "is_view", False)
        or base(node.target) in _MAYBE_SHARED
    )


_MAYBE_SHARED = (*NOTHING, *RESHAPES, "contiguous", "to")


def name_of(node: fx.Node) -> str:
    """The operator's name in torch, of any node."""
    if node.target is PART:
        return "part"
    return base(node.target) if node.op == "call_function" else node.op


def arguments(node: fx.Node) -> dict[str, Any]:
    """What a call is given, by torch's names, its defaults among them."""
    schema = node.target._schema  # type: ignore[union-attr]
    found = {}
    for place, argument in enumerate(schema.arguments):
        given = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        found[argument.name] = given
    return found


def defaults(node: fx.Node) -> dict[str, Any]:
    """Torch's defaults of a call."""
    schema = node.target._schema  # type: ignore[union-attr]
    return {argument.name: argument.default_value for argument in schema.arguments}


def tensor_arguments(node: fx.Node) -> list[str]:
    """The arguments of a call that may be tensors."""
    schema = node.target._schema  # type: ignore[union-attr]
    return [argument.name for argument in schema.arguments if "Tensor" in str(argument.type)]


def title(func: Any, module: str, line: str | None) -> str:
    """How an error names a call: its operator, the module that it is in, and the line."""
    name = func if isinstance(func, str) else str(func).removeprefix("aten.")
    name = name.removesuffix(".default")
    where = ", ".join(part for part in (module, line) if part)
    return f"{name} ({where})" if where else name


def title_of(node: fx.Node) -> str:
    """The same of a node."""
    target = node.target if node.op == "call_function" and node.target is not PART else node.name
    return title(target, node.meta.get("module", ""), node.meta.get("line"))
