"""What works number by number, and what makes numbers add up to one."""

import math
from collections.abc import Mapping

import numpy as np

from aiq_core.export.onnx_writer import Writer
from aiq_core.export.operators.form import Form, name_of
from aiq_core.graph import Operation

UNARY = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "exp": "Exp",
    "sqrt": "Sqrt",
    "neg": "Neg",
    "abs": "Abs",
    "hardswish": "HardSwish",
    "softsign": "Softsign",
    "erf": "Erf",
}


def _unary(w: Writer, place: int, operation: Operation) -> str:
    return w.node(UNARY[operation.operator], [w.read(operation)], name_of(place, operation))


def _relu(w: Writer, place: int, operation: Operation) -> str:
    if w.is_clipped_by_storing(place, np.inf):
        return w.read(operation)
    return w.node("Relu", [w.read(operation)], name_of(place, operation))


def _relu6(w: Writer, place: int, operation: Operation) -> str:
    if w.is_clipped_by_storing(place, 6.0):
        return w.read(operation)
    ends = [w.constant("zero", np.float32(0)), w.constant("six", np.float32(6))]
    return w.node("Clip", [w.read(operation), *ends], name_of(place, operation))


def _clip(w: Writer, place: int, operation: Operation) -> str:
    how, name = operation.attributes, name_of(place, operation)
    low, high = (how.get(end, how.get(f"{end}_val")) for end in ("min", "max"))
    if len(operation.inputs) > 1:
        raise w.refusal(place, "is given tensors as its ends")
    ends = [
        "" if end is None else w.constant(f"{name}.{key}", np.float32(end))
        for key, end in (("low", low), ("high", high))
    ]
    return w.node("Clip", [w.read(operation), *ends], name)


def _hardsigmoid(w: Writer, place: int, operation: Operation) -> str:
    return w.node("HardSigmoid", [w.read(operation)], name_of(place, operation), alpha=1 / 6, beta=0.5)


def _sloped(kind: str, key: str, usual: float) -> Form:
    def form(w: Writer, place: int, operation: Operation) -> str:
        slope = operation.attributes.get(key, usual)
        return w.node(kind, [w.read(operation)], name_of(place, operation), alpha=slope)

    return form


def _silu(w: Writer, place: int, operation: Operation) -> str:
    name, read = name_of(place, operation), w.read(operation)
    return w.node("Mul", [read, w.node("Sigmoid", [read], f"{name}.share")], name)


def _gelu(w: Writer, place: int, operation: Operation) -> str:
    """x · (1 + erf(x / √2)) / 2, in the order by which runtimes know it."""
    name, read = name_of(place, operation), w.read(operation)
    if operation.attributes.get("approximate", "none") != "none":
        raise w.refusal(place, f"is approximated by {operation.attributes['approximate']}")
    root, one, half = (
        w.constant(f"gelu.{key}", np.float32(value))
        for key, value in (("root", math.sqrt(2)), ("one", 1), ("half", 0.5))
    )
    share = w.node("Erf", [w.node("Div", [read, root], f"{name}.scaled")], f"{name}.erf")
    return w.node(
        "Mul", [w.node("Mul", [read, w.node("Add", [share, one], f"{name}.sum")], f"{name}.twice"), half], name
    )


BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}


def _binary(w: Writer, place: int, operation: Operation) -> str:
    how, name = operation.attributes, name_of(place, operation)
    if how.get("alpha", 1) != 1 or set(how) - {"alpha", "other"}:
        raise w.refusal(place, f"is given {dict(how)}")
    inputs = w.reads(operation)
    if "other" in how:
        inputs.append(w.constant(f"{name}.other", np.float32(how["other"])))
    return w.node(BINARY[operation.operator], inputs, name)


def _softmax(w: Writer, place: int, operation: Operation) -> str:
    return w.node("Softmax", [w.read(operation)], name_of(place, operation), axis=operation.attributes["dim"])


FUNCTIONS: Mapping[str, Form] = {
    "relu": _relu,
    "relu6": _relu6,
    "hardsigmoid": _hardsigmoid,
    "silu": _silu,
    "gelu": _gelu,
    "elu": _sloped("Elu", "alpha", 1.0),
    "leaky_relu": _sloped("LeakyRelu", "negative_slope", 0.01),
    "softmax": _softmax,
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max", "hardtanh"), _clip),
}
