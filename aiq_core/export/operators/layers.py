"""Layers, norms and pooling, as ONNX has them."""

import math
from collections.abc import Mapping

import numpy as np

from aiq_core.export.onnx_writer import Writer
from aiq_core.export.operators.form import Form, name_of
from aiq_core.graph import Operation

NORM = ("weight", "bias", "running_mean", "running_var")
RANKS = (1, 2, 3)


def _layer_inputs(w: Writer, call: str, operation: Operation) -> list[str]:
    """What a layer reads, its weight and its bias; a computed weight is read like anything else."""
    name, read = str(operation.module), w.read(operation)
    return [read, *w.layer(name, call, read)] if name in w.sites else w.reads(operation)


def _convolution(w: Writer, place: int, operation: Operation) -> str:
    how = operation.attributes
    if how["padding_mode"] != "zeros" or isinstance(how["padding"], str):
        raise w.refusal(place, f"pads with {how['padding']!r}, {how['padding_mode']}")
    name, call = str(operation.module), _call(w, place, operation)
    shared = {
        "kernel_shape": how["kernel_size"],
        "strides": how["stride"],
        "pads": [*how["padding"], *how["padding"]],
        "dilations": how["dilation"],
        "group": how["groups"],
    }
    if "output_padding" not in how:
        return w.node("Conv", _layer_inputs(w, call, operation), call, **shared)
    if name not in w.sites:
        raise w.refusal(place, "has a computed weight")
    inputs = [w.read(operation), *w.kept(name)]
    return w.node("ConvTranspose", inputs, call, **shared, output_padding=how["output_padding"])


def _linear(w: Writer, place: int, operation: Operation) -> str:
    call, shapes = _call(w, place, operation), w.recorded.shapes
    read, weight, *bias = _layer_inputs(w, call, operation)
    if place not in shapes or len(shapes[place]) == 2:
        return w.node("Gemm", [read, weight, *bias], call, transB=1)
    turned = w.node("Transpose", [weight], f"{call}.turned", perm=[1, 0])
    product = w.node("MatMul", [read, turned], call)
    return w.node("Add", [product, *bias], f"{call}.sum") if bias else product


def _call(w: Writer, place: int, operation: Operation) -> str:
    """The name of a layer's node; of one that runs again, another."""
    before = sum(each.module == operation.module for each in w.model.profile.graph[:place])
    return f"{operation.module}.call_{before}" if before else str(operation.module)


def _matmul(w: Writer, place: int, operation: Operation) -> str:
    if len(operation.inputs) != 2 or operation.attributes:  # a third tensor is added, before the two
        raise w.refusal(place, f"is given {len(operation.inputs)} tensors and {dict(operation.attributes)}")
    return w.node("MatMul", w.reads(operation), name_of(place, operation))


def _attention(w: Writer, place: int, operation: Operation) -> str:
    """Queries times keys by the root of their width, softmax, times values."""
    how, name = operation.attributes, name_of(place, operation)
    if set(how) - {"scale"} or len(operation.inputs) > 4:
        raise w.refusal(place, f"is given {dict(how)}")
    query, key, value, *mask = w.reads(operation)
    axes = list(range(len(w.shape(operation.inputs[1]))))
    turned = w.node("Transpose", [key], f"{name}.turned", perm=[*axes[:-2], axes[-1], axes[-2]])
    scale = how.get("scale") or 1 / math.sqrt(w.shape(operation.inputs[0])[-1])
    factor = w.constant(f"{name}.scale", np.float32(scale))
    scores = w.node("Mul", [w.node("MatMul", [query, turned], f"{name}.product"), factor], f"{name}.scores")
    if mask:
        scores = w.node("Add", [scores, *mask], f"{name}.masked")
    return w.node("MatMul", [w.node("Softmax", [scores], f"{name}.shares", axis=-1), value], name)


def _batch_norm(w: Writer, place: int, operation: Operation) -> str:
    if operation.module in w.folded_away:
        return w.read(operation)
    name, weights = str(operation.module), w.model.weights
    if operation.module is None:
        raise w.refusal(place, "has no tensors of its own")
    variance = weights[f"{name}.running_var"]
    usual = {"weight": np.ones_like(variance), "bias": np.zeros_like(variance)}
    parts = [
        w.constant(f"{name}.{part}", np.asarray(weights.get(f"{name}.{part}", usual.get(part)), np.float32))
        for part in NORM
    ]
    return w.node(
        "BatchNormalization",
        [w.read(operation), *parts],
        _call(w, place, operation),
        epsilon=operation.attributes["eps"],
    )


def _layer_norm(w: Writer, place: int, operation: Operation) -> str:
    sizes, name = operation.attributes["normalized_shape"], name_of(place, operation)
    if operation.module is None:
        given = w.reads(operation)[1:]
    else:
        weights = w.model.weights
        given = [
            w.constant(key, np.asarray(weights[key], np.float32))
            for key in (f"{operation.module}.weight", f"{operation.module}.bias")
            if key in weights
        ]
    scale = given or [w.constant(f"{name}.weight", np.ones(sizes, np.float32))]
    return w.node(
        "LayerNormalization",
        [w.read(operation), *scale],
        name,
        axis=-len(sizes),
        epsilon=operation.attributes["eps"],
    )


def _pool(kind: str) -> Form:
    def form(w: Writer, place: int, operation: Operation) -> str:
        how = operation.attributes
        shared = {
            "kernel_shape": how["kernel_size"],
            "strides": how.get("stride") or how["kernel_size"],
            "pads": [*how["padding"], *how["padding"]],
            "ceil_mode": int(how["ceil_mode"]),
        }
        if kind == "MaxPool":
            shared["dilations"] = how["dilation"]
        elif how.get("divisor_override"):
            raise w.refusal(place, f"divides by {how['divisor_override']}")
        else:
            shared["count_include_pad"] = int(how["count_include_pad"])
        return w.node(kind, [w.read(operation)], name_of(place, operation), **shared)

    return form


def _adaptive_avg_pool(w: Writer, place: int, operation: Operation) -> str:
    """Over the whole image, or over windows of one size."""
    name, sizes = name_of(place, operation), list(operation.attributes["output_size"])
    if all(size == 1 for size in sizes):
        return w.node("GlobalAveragePool", [w.read(operation)], name)
    before = w.shape(operation.inputs[0])[-len(sizes) :]
    if any(old % new for old, new in zip(before, sizes, strict=True)):
        raise w.refusal(place, f"makes {sizes} of {list(before)}, by windows of several sizes")
    windows = [old // new for old, new in zip(before, sizes, strict=True)]
    return w.node("AveragePool", [w.read(operation)], name, kernel_shape=windows, strides=windows)


def _mean(w: Writer, place: int, operation: Operation) -> str:
    how = operation.attributes
    return w.node(
        "ReduceMean", [w.read(operation)], name_of(place, operation), axes=how["dim"], keepdims=int(how["keepdim"])
    )


LAYERS: Mapping[str, Form] = {
    "linear": _linear,
    "matmul": _matmul,
    "attention": _attention,
    "layer_norm": _layer_norm,
    "mean": _mean,
    **{f"{kind}{rank}d": _convolution for kind in ("conv", "conv_transpose") for rank in RANKS},
    **{f"batch_norm{rank}d": _batch_norm for rank in RANKS},
    **{f"max_pool{rank}d": _pool("MaxPool") for rank in RANKS},
    **{f"avg_pool{rank}d": _pool("AveragePool") for rank in RANKS},
    **{f"adaptive_avg_pool{rank}d": _adaptive_avg_pool for rank in RANKS},
}
