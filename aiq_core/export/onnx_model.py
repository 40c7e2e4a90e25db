"""A policy as an ONNX model, written from the network's graph: norms folded, our integers and scales exactly.

It takes images as floats, pixels / 255 of [batch, channels, height, width], normalises them, and gives logits.
- A layer whose weights and input both have at most 8 bits runs on integers: weights int8, a scale a channel, between a
  quantize-dequantize pair of its input and its own dequantize. Widths below 8 bits keep their scale in an 8-bit
  container, and what is beyond their grid is clipped there; a ReLU that this clipping does anyway is left out.
- Its bias is int32 at s_x · s_w, which integer kernels ask for; where that overflows, it stays FP32.
- All other layers keep FP32 arithmetic; quantized weights are stored dequantized there.
- The image is normalised in FP32, and what reads it stays FP32: padding is then the mean pixel, as in the network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from aiq_core.activations import Calibration, TensorRange, levels
from aiq_core.catalog import Model
from aiq_core.errors import EvaluationError, UncountableOperatorError
from aiq_core.graph import Operation, folded_norms
from aiq_core.records import FP32_BITS, Policy
from aiq_core.records.kernel_table import INTEGER_BITS
from aiq_core.rounding import RoundedLayer

OPSET = 17
"""Scales a channel need 13; every runtime of today knows 17."""

IR_VERSION = 9

IMAGE_AXES = ("image", "channel", "row", "column")
ZERO = 128
"""The unsigned integer that stands for 0 where values are signed."""

INPUT, OUTPUT = "image", "logits"

Rounded = Callable[[str, int], RoundedLayer]


@dataclass(frozen=True, eq=False)
class Exported:
    """An ONNX model; `integer` are the layers that run on integers, `float_bias` those of them with an FP32 bias.

    `given` names the FP32 value that an operation of the graph gives, `values` what those find who read it, dequantized
    where integers are stored of it, and `stored` these.
    """

    proto: onnx.ModelProto
    integer: tuple[str, ...]
    float_bias: tuple[str, ...]
    given: Mapping[int, str]
    values: Mapping[int, str]
    stored: Mapping[int, str]

    @cached_property
    def nodes(self) -> dict[str, onnx.NodeProto]:
        """Nodes by the value that each gives."""
        return {node.output[0]: node for node in self.proto.graph.node}

    @cached_property
    def tensors(self) -> dict[str, onnx.TensorProto]:
        """The file's own tensors by name."""
        return {tensor.name: tensor for tensor in self.proto.graph.initializer}

    def save(self) -> bytes:
        """The file."""
        content: bytes = self.proto.SerializeToString()
        return content


def export(model: Model, policy: Policy, rounded: Rounded, ranges: Calibration | None) -> Exported:
    """The model under a policy. `rounded` gives layers at a width, `ranges` those of activations, where they have bits.

    Raises UncountableOperatorError for an operator that has no form here, EvaluationError where ranges are missing.
    """
    model.profile.check(policy)
    if policy.has_activations and ranges is None:
        raise EvaluationError("activations have bits here and no ranges; calibrate them first")
    return _Writer(model, policy, rounded, ranges).write()


def model_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    """A graph as a model of the versions that every runtime of today knows."""
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="aiq-explorer")
    made.ir_version = IR_VERSION
    return made


@dataclass(eq=False)
class _Writer:
    """Writes a graph's operations one by one. `values` names what each gives, as those who read it find it."""

    model: Model
    policy: Policy
    rounded: Rounded
    ranges: Calibration | None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, onnx.TensorProto] = field(default_factory=dict)
    values: dict[int, str] = field(default_factory=dict)
    given: dict[int, str] = field(default_factory=dict)
    integers: dict[int, str] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    """Dequantized value -> its scale: who reads one may run on integers."""
    integer: list[str] = field(default_factory=list)
    float_bias: list[str] = field(default_factory=list)

    def write(self) -> Exported:
        profile = self.model.profile
        self.bits = profile.named_bits(self.policy)
        self.groups = profile.named_activation_bits(self.policy)
        self.folded_away = {norm.module for norm in folded_norms(profile.graph).values()}
        for place, operation in enumerate(profile.graph):
            write = getattr(self, f"_{operation.operator}", None)
            if write is None:
                raise UncountableOperatorError(
                    f"{operation.operator} of {self.model} has no form in ONNX here; add one to aiq_core/export"
                )
            self.values[place] = self.given[place] = write(place, operation)
            bits = self._stored_bits(place)
            if bits != FP32_BITS:
                self.values[place] = self._stored(place, self.values[place], bits)
        shape: list[str | int | None] = ["batch", *self.model.card.input_shape]
        graph = helper.make_graph(
            self.nodes,
            self.model.name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", len(self.model.card.class_names)])],
            list(self.tensors.values()),
        )
        made = model_of(graph)
        for key, value in (("model_hash", self.model.hash), ("policy", self.policy.key)):
            entry = made.metadata_props.add()
            entry.key, entry.value = key, value
        onnx.checker.check_model(made)
        return Exported(made, tuple(self.integer), tuple(self.float_bias), self.given, self.values, self.integers)

    # Parts

    def _constant(self, name: str, value: Any) -> str:
        self.tensors[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def _node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Adds a node; its one output has its name."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def _stored(self, place: int, value: str, bits: int) -> str:
        """A value as it is stored: quantized to eight bits at its scale, clipped to its grid, and dequantized.

        Unsigned also where values are signed, for runtimes fuse a layer only where what it reads and writes has one
        type. Clipped as integers, for they fuse it only where nothing stands before the quantizing. At eight bits
        nothing is clipped: of a signed tensor -128 then is a level more.
        """
        found = self._range(place)
        scale = found.scale(bits) or 1.0
        low, high = levels(bits, found.signed)
        name, zero = f"stored_{place}", ZERO if found.signed else 0
        pair = [self._constant(f"{name}.scale", np.float32(scale)), self._constant(f"{name}.zero", np.uint8(zero))]
        integers = self._node("QuantizeLinear", [value, *pair], f"{name}.integers")
        if bits < INTEGER_BITS:
            ends = [
                self._constant(f"{name}.{end}", np.uint8(zero + level)) for end, level in (("low", low), ("high", high))
            ]
            integers = self._node("Clip", [integers, *ends], f"{name}.clipped")
        self.integers[place] = integers
        made = self._node("DequantizeLinear", [integers, *pair], name)
        self.scales[made] = scale
        return made

    def _range(self, place: int) -> TensorRange:
        assert self.ranges is not None  # `export` asked for them
        return self.ranges.tensors[place]

    def _stored_bits(self, place: int) -> int:
        """The width at which an operation's result is stored, FP32's where it is not, or on more than eight bits."""
        group = self.model.profile.stored_tensors.get(place)
        bits = FP32_BITS if group is None else self.groups[group]
        return bits if bits <= INTEGER_BITS and self.model.profile.graph[place].operator != "image" else FP32_BITS

    def _is_clipped_by_storing(self, place: int, top: float) -> bool:
        """Whether storing an operation's result clips it to 0 and at or below `top` in any case."""
        bits = self._stored_bits(place)
        if bits == FP32_BITS or self._range(place).signed:
            return False
        return levels(bits, False)[1] * self._range(place).scale(bits) <= top * (1 + 1e-6)

    def _layer(self, name: str, read: str) -> list[str]:
        """A layer's weight and bias, as integers where it and what it reads have at most eight bits."""
        bits = self.bits.get(name, FP32_BITS)
        if bits == FP32_BITS:
            weight, bias = self.model.folded[name]
            return [self._constant(f"{name}.weight", weight), self._constant(f"{name}.bias", bias)]
        layer = self.rounded(name, bits)
        scale = self.scales.get(read)
        if scale is None:
            return [
                self._constant(f"{name}.weight", layer.weight),
                self._constant(f"{name}.bias", np.array(layer.bias)),
            ]
        self.integer.append(name)
        channels = len(layer.integers)
        steps = np.broadcast_to(layer.scale.reshape(-1), channels).astype(np.float32)
        # An all-zero channel has any scale.
        steps = np.where(steps > 0, steps, np.float32(1))
        inputs = [
            self._constant(f"{name}.weight.integers", layer.integers),
            self._constant(f"{name}.weight.scale", steps),
            self._constant(f"{name}.weight.zero", np.zeros(channels, np.int8)),
        ]
        weight_name = self._node("DequantizeLinear", inputs, f"{name}.weight", axis=0)
        return [weight_name, self._bias(name, np.array(layer.bias, np.float64), np.float64(scale) * steps)]

    def _bias(self, name: str, bias: NDArray[np.float64], steps: NDArray[np.float64]) -> str:
        counts = np.rint(bias / steps)
        if np.abs(counts).max(initial=0) > np.iinfo(np.int32).max:
            self.float_bias.append(name)
            return self._constant(f"{name}.bias", bias.astype(np.float32))
        inputs = [
            self._constant(f"{name}.bias.integers", counts.astype(np.int32)),
            self._constant(f"{name}.bias.scale", steps.astype(np.float32)),
            self._constant(f"{name}.bias.zero", np.zeros(len(bias), np.int32)),
        ]
        return self._node("DequantizeLinear", inputs, f"{name}.bias", axis=0)

    # Operators

    def _image(self, place: int, operation: Operation) -> str:
        mean, std = (
            self._constant(f"image.{part}", np.array(values, np.float32).reshape(1, -1, 1, 1))
            for part, values in (("mean", self.model.card.mean), ("std", self.model.card.std))
        )
        return self._node("Div", [self._node("Sub", [INPUT, mean], "image.centred"), std], "image.normalised")

    def _conv2d(self, place: int, operation: Operation) -> str:
        name, read, how = str(operation.module), self.values[operation.inputs[0]], operation.attributes
        if how["padding_mode"] != "zeros" or isinstance(how["padding"], str):
            raise UncountableOperatorError(
                f"{name} pads with {how['padding']!r}, {how['padding_mode']}; export knows zeros"
            )
        return self._node(
            "Conv",
            [read, *self._layer(name, read)],
            name,
            kernel_shape=how["kernel_size"],
            strides=how["stride"],
            pads=[*how["padding"], *how["padding"]],
            dilations=how["dilation"],
            group=how["groups"],
        )

    def _linear(self, place: int, operation: Operation) -> str:
        name, read = str(operation.module), self.values[operation.inputs[0]]
        return self._node("Gemm", [read, *self._layer(name, read)], name, transB=1)

    def _batch_norm2d(self, place: int, operation: Operation) -> str:
        read, name = self.values[operation.inputs[0]], str(operation.module)
        if operation.module in self.folded_away:
            return read
        weights = self.model.weights
        parts = [
            self._constant(f"{name}.{part}", np.asarray(weights[f"{name}.{part}"], np.float32))
            for part in ("weight", "bias", "running_mean", "running_var")
        ]
        return self._node("BatchNormalization", [read, *parts], name, epsilon=operation.attributes["eps"])

    def _relu(self, place: int, operation: Operation) -> str:
        if self._is_clipped_by_storing(place, np.inf):
            return self.values[operation.inputs[0]]
        return self._node("Relu", [self.values[operation.inputs[0]]], f"relu_{place}")

    def _relu6(self, place: int, operation: Operation) -> str:
        if self._is_clipped_by_storing(place, 6.0):
            return self.values[operation.inputs[0]]
        ends = [self._constant("zero", np.float32(0)), self._constant("six", np.float32(6))]
        return self._node("Clip", [self.values[operation.inputs[0]], *ends], f"relu6_{place}")

    def _add(self, place: int, operation: Operation) -> str:
        return self._node("Add", [self.values[source] for source in operation.inputs], f"add_{place}")

    def _concat(self, place: int, operation: Operation) -> str:
        sources = [self.values[source] for source in operation.inputs]
        return self._node("Concat", sources, f"concat_{place}", axis=operation.attributes["dim"])

    def _slice(self, place: int, operation: Operation) -> str:
        how = operation.attributes
        names = ("start", "end", "dim", "step")
        values = [np.array([how.get(name, 1)], dtype=np.int64) for name in names]
        parts = [self._constant(f"{name}_{place}", value) for name, value in zip(names, values, strict=True)]
        return self._node("Slice", [self.values[operation.inputs[0]], *parts], f"slice_{place}")

    def _pad(self, place: int, operation: Operation) -> str:
        how = operation.attributes
        if how.get("mode", "constant") != "constant":
            raise UncountableOperatorError(f"padding by {how['mode']} has no form in ONNX here; it knows constants")
        # Torch begins at the last axis, each with its two ends; images have four axes.
        ends = [*how["pad"], *[0] * (2 * len(IMAGE_AXES) - len(how["pad"]))]
        pads = np.array([*ends[::2][::-1], *ends[1::2][::-1]], dtype=np.int64)
        parts = [
            self._constant(f"pads_{place}", pads),
            self._constant(f"filled_{place}", np.float32(how.get("value") or 0)),
        ]
        return self._node("Pad", [self.values[operation.inputs[0]], *parts], f"pad_{place}")

    def _max_pool2d(self, place: int, operation: Operation) -> str:
        how = operation.attributes
        return self._node(
            "MaxPool",
            [self.values[operation.inputs[0]]],
            f"max_pool_{place}",
            kernel_shape=how["kernel_size"],
            strides=how["stride"] or how["kernel_size"],
            pads=[*how["padding"], *how["padding"]],
            dilations=how["dilation"],
            ceil_mode=int(how["ceil_mode"]),
        )

    def _avg_pool2d(self, place: int, operation: Operation) -> str:
        how = operation.attributes
        return self._node(
            "AveragePool",
            [self.values[operation.inputs[0]]],
            f"avg_pool_{place}",
            kernel_shape=how["kernel_size"],
            strides=how["stride"] or how["kernel_size"],
            pads=[*how["padding"], *how["padding"]],
            ceil_mode=int(how["ceil_mode"]),
            count_include_pad=int(how["count_include_pad"]),
        )

    def _adaptive_avg_pool2d(self, place: int, operation: Operation) -> str:
        if list(operation.attributes["output_size"]) != [1, 1]:
            raise UncountableOperatorError(
                f"adaptive pooling to {operation.attributes['output_size']} has no form in ONNX here; it knows 1 × 1"
            )
        return self._node("GlobalAveragePool", [self.values[operation.inputs[0]]], f"pool_{place}")

    def _mean(self, place: int, operation: Operation) -> str:
        how = operation.attributes
        return self._node(
            "ReduceMean",
            [self.values[operation.inputs[0]]],
            f"mean_{place}",
            axes=how["dim"],
            keepdims=int(how["keepdim"]),
        )

    def _flatten(self, place: int, operation: Operation) -> str:
        return self._node("Flatten", [self.values[operation.inputs[0]]], f"flatten_{place}", axis=1)

    def _contiguous(self, place: int, operation: Operation) -> str:
        return self.values[operation.inputs[0]]

    def _output(self, place: int, operation: Operation) -> str:
        return self._node("Identity", [self.values[operation.inputs[0]]], OUTPUT)
