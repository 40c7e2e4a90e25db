"""Tensors that come in, go out, or are turned, cut and joined."""

from collections.abc import Mapping, Sequence

import numpy as np

from aiq_core.export.onnx_writer import Writer
from aiq_core.export.operators.form import INPUT, OUTPUT, Form, name_of
from aiq_core.graph import Operation


def _image(w: Writer, place: int, operation: Operation) -> str:
    mean, std = (
        w.constant(f"image.{part}", np.array(values, np.float32).reshape(1, -1, 1, 1))
        for part, values in (("mean", w.model.card.mean), ("std", w.model.card.std))
    )
    return w.node("Div", [w.node("Sub", [INPUT, mean], "image.centred"), std], "image.normalised")


def _output(w: Writer, place: int, operation: Operation) -> str:
    return w.node("Identity", [w.read(operation)], OUTPUT)


def _contiguous(w: Writer, place: int, operation: Operation) -> str:
    """How a tensor lies in memory is the runtime's to say; it is a tensor of its own all the same."""
    return w.node("Identity", [w.read(operation)], name_of(place, operation))


def _cut(w: Writer, place: int, operation: Operation) -> str:
    """What is taken apart by who reads it."""
    return w.read(operation)


def _tensor(w: Writer, place: int, operation: Operation) -> str:
    name = str(operation.attributes["name"])
    return w.constant(name, w.model.weights[name])


def _constant(w: Writer, place: int, operation: Operation) -> str:
    if place not in w.recorded.constants:
        raise w.refusal(place, "is a tensor that is not known here")
    value = w.constant(f"constant_{place}", w.recorded.constants[place])
    axis = w.recorded.batch.get(place)
    return value if axis is None else _for_all(w, value, w.shape(place), axis)


def _integers(w: Writer, name: str, values: Sequence[int]) -> str:
    return w.constant(name, np.array(values, np.int64))


def _for_all(w: Writer, value: str, shape: Sequence[int], axis: int) -> str:
    """A value that is the same of all images, as often as there are images along an axis of its `shape`."""
    name = f"{value}.for_all_{axis}"
    if any(node.name == name for node in w.nodes):
        return name
    count = w.node("Slice", [w.node("Shape", [INPUT], f"{name}.image"), *_ends(w, name, 0, 1)], f"{name}.count")
    parts = [_integers(w, f"{name}.before", shape[:axis])] if axis else []
    parts.append(count)
    parts += [_integers(w, f"{name}.after", shape[axis + 1 :])] if axis + 1 < len(shape) else []
    return w.node("Expand", [value, w.node("Concat", parts, f"{name}.sizes", axis=0)], name)


def _ends(w: Writer, name: str, start: int, end: int, axis: int = 0, step: int = 1) -> list[str]:
    keys = ("start", "end", "axis", "step")
    return [_integers(w, f"{name}.{key}", [value]) for key, value in zip(keys, (start, end, axis, step), strict=True)]


def _concat(w: Writer, place: int, operation: Operation) -> str:
    sources, axis = w.reads(operation), w.recorded.batch.get(place)
    if axis is not None:  # torch sees nothing in what is expanded to one image, such as a class token
        sources = [
            source if at in w.recorded.batch else _for_all(w, source, w.shape(at), axis)
            for source, at in zip(sources, operation.inputs, strict=True)
        ]
    return w.node("Concat", sources, name_of(place, operation), axis=operation.attributes["dim"])


def _slice(w: Writer, place: int, operation: Operation) -> str:
    how, name = operation.attributes, name_of(place, operation)
    end = how.get("end")
    ends = _ends(
        w,
        name,
        how.get("start") or 0,
        np.iinfo(np.int64).max if end is None else end,
        how.get("dim", 0),
        how.get("step", 1),
    )
    return w.node("Slice", [w.read(operation), *ends], name)


def _part(w: Writer, place: int, operation: Operation) -> str:
    """One of the pieces of a tensor that another operation cut."""
    source = operation.inputs[0]
    cut = w.model.profile.graph[source]
    if cut.operator not in CUT:
        raise w.refusal(place, f"is one of several results of {cut.operator}")
    axis, which, name = cut.attributes.get("dim", 0), operation.attributes["index"], name_of(place, operation)
    if cut.operator == "unbind":
        return w.node("Gather", [w.values[source], w.constant(f"{name}.index", np.int64(which))], name, axis=axis)
    whole = w.shape(cut.inputs[0])[axis]
    if "split_sizes" in cut.attributes:
        start = sum(cut.attributes["split_sizes"][:which])
    else:
        size = cut.attributes.get("split_size") or -(-whole // cut.attributes["chunks"])
        start = which * size
    ends = _ends(w, name, start, start + w.shape(place)[axis], axis)
    return w.node("Slice", [w.values[source], *ends], name)


CUT = ("chunk", "split", "split_with_sizes", "unbind")


def _select(w: Writer, place: int, operation: Operation) -> str:
    how, name = operation.attributes, name_of(place, operation)
    index = w.constant(f"{name}.index", np.int64(how["index"]))
    return w.node("Gather", [w.read(operation), index], name, axis=how["dim"])


def _index(w: Writer, place: int, operation: Operation) -> str:
    given = operation.attributes.get("indices", [True])
    if len(operation.inputs) != 2 or not given[-1] or set(operation.attributes) - {"indices"}:
        raise w.refusal(place, "looks up by several tensors")
    return w.node("Gather", w.reads(operation), name_of(place, operation), axis=len(given) - 1)


def _flatten(w: Writer, place: int, operation: Operation) -> str:
    return w.node("Flatten", [w.read(operation)], name_of(place, operation), axis=1)


def _reshape(w: Writer, place: int, operation: Operation) -> str:
    name, sizes = name_of(place, operation), list(w.shape(place))
    axis = w.recorded.batch.get(place)
    if axis is not None:
        sizes[axis] = -1
    return w.node("Reshape", [w.read(operation), _integers(w, f"{name}.shape", sizes)], name)


def _expand(w: Writer, place: int, operation: Operation) -> str:
    name, source = name_of(place, operation), operation.inputs[0]
    sizes, axis = list(w.shape(place)), w.recorded.batch.get(place)
    if axis is not None and source not in w.recorded.batch:
        return _for_all(w, w.read(operation), sizes, axis)
    if axis is not None:
        sizes[axis] = 1  # which leaves it as it is
    return w.node("Expand", [w.read(operation), _integers(w, f"{name}.shape", sizes)], name)


def _permute(w: Writer, place: int, operation: Operation) -> str:
    return w.node("Transpose", [w.read(operation)], name_of(place, operation), perm=operation.attributes["dims"])


def _axes(kind: str) -> Form:
    def form(w: Writer, place: int, operation: Operation) -> str:
        name, axes = name_of(place, operation), operation.attributes.get("dim")
        if axes is None:
            raise w.refusal(place, "leaves open which axes go")
        listed = _integers(w, f"{name}.axes", [axes] if isinstance(axes, int) else axes)
        return w.node(kind, [w.read(operation), listed], name)

    return form


def _pad(w: Writer, place: int, operation: Operation) -> str:
    how, name = operation.attributes, name_of(place, operation)
    if how.get("mode", "constant") != "constant":
        raise w.refusal(place, f"pads by {how['mode']}")
    # Torch begins at the last axis, each with its two ends.
    rank = len(w.recorded.shapes.get(place, IMAGE_AXES))
    ends = [*how["pad"], *[0] * (2 * rank - len(how["pad"]))]
    pads = _integers(w, f"{name}.pads", [*ends[::2][::-1], *ends[1::2][::-1]])
    filled = w.constant(f"{name}.filled", np.float32(how.get("value") or 0))
    return w.node("Pad", [w.read(operation), pads, filled], name)


IMAGE_AXES = ("image", "channel", "row", "column")


def _roll(w: Writer, place: int, operation: Operation) -> str:
    """The end of each axis before its beginning."""
    how, value = operation.attributes, w.read(operation)
    if "dims" not in how:
        raise w.refusal(place, "rolls a tensor as one row")
    for count, (shift, axis) in enumerate(zip(how["shifts"], how["dims"], strict=True)):
        name, size = f"{name_of(place, operation)}.{count}", w.shape(place)[axis]
        cut = -shift % size
        parts = [
            w.node("Slice", [value, *_ends(w, f"{name}.{key}", start, stop, axis)], f"{name}.{key}")
            for key, start, stop in (("end", cut, size), ("start", 0, cut))
        ]
        value = w.node("Concat", parts, name, axis=axis)
    return w.node("Identity", [value], name_of(place, operation))


TENSORS: Mapping[str, Form] = {
    "image": _image,
    "output": _output,
    "tensor": _tensor,
    "constant": _constant,
    "concat": _concat,
    "slice": _slice,
    "part": _part,
    "select": _select,
    "index": _index,
    "flatten": _flatten,
    "reshape": _reshape,
    "expand": _expand,
    "permute": _permute,
    "squeeze": _axes("Squeeze"),
    "unsqueeze": _axes("Unsqueeze"),
    "pad": _pad,
    "roll": _roll,
    "contiguous": _contiguous,
    **dict.fromkeys(CUT, _cut),
}
