"""The nodes and tensors of an ONNX file: layers as integers where they can be, and tensors as they are stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from aiq_core.activations import Calibration, TensorRange, levels
from aiq_core.catalog import Model
from aiq_core.errors import UncountableOperatorError
from aiq_core.folding import as_kept
from aiq_core.graph import Operation, folded_norms
from aiq_core.records import FP32_BITS, Policy
from aiq_core.records.kernel_table import INTEGER_BITS
from aiq_core.rounding import RoundedLayer

ZERO = 128
"""The unsigned integer that stands for 0 where values are signed."""

Rounded = Callable[[str, int], RoundedLayer]


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a network's graph leaves out, by place: shapes for one image, tensors that the forward brings along, and
    the axis that holds the images, of what has one.
    """

    shapes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    constants: Mapping[int, NDArray[Any]] = field(default_factory=dict)
    batch: Mapping[int, int] = field(default_factory=dict)


NOTHING = Recorded()


@dataclass(eq=False)
class Writer:
    """The nodes and tensors of a file, as operations are written one by one.

    `values` names what each gives, as those who read it find it, `given` its FP32 value.
    """

    model: Model
    policy: Policy
    rounded: Rounded
    ranges: Calibration | None
    recorded: Recorded
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, onnx.TensorProto] = field(default_factory=dict)
    values: dict[int, str] = field(default_factory=dict)
    given: dict[int, str] = field(default_factory=dict)
    integers: dict[int, str] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    """Dequantized value -> its scale: who reads one may run on integers."""
    integer: list[str] = field(default_factory=list)
    float_bias: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        profile = self.model.profile
        self.bits = profile.named_bits(self.policy)
        self.groups = profile.named_activation_bits(self.policy)
        self.folded_away = {norm.module for norm in folded_norms(profile.graph).values()}
        self.sites = {layer.name: layer for layer in profile.layers if layer.has_site}

    def write(self, place: int, given: str) -> None:
        """What an operation gives, as it is stored."""
        self.values[place] = self.given[place] = given
        bits = self._stored_bits(place)
        if bits != FP32_BITS:
            is_same = bool(self.recorded.shapes) and place not in self.recorded.batch
            self.values[place] = (self._rounded if is_same else self._stored)(place, given, bits)

    def read(self, operation: Operation, which: int = 0) -> str:
        """The value of one of those that an operation reads."""
        return self.values[operation.inputs[which]]

    def reads(self, operation: Operation) -> list[str]:
        """The values of all of them."""
        return [self.values[place] for place in operation.inputs]

    def shape(self, place: int) -> tuple[int, ...]:
        """What an operation gives for one image. Raises UncountableOperatorError where that was not recorded."""
        if place not in self.recorded.shapes:
            raise self.refusal(place, "is of a shape that is not known here")
        return self.recorded.shapes[place]

    def refusal(self, place: int, why: str) -> UncountableOperatorError:
        """An operation that cannot be written."""
        operation = self.model.profile.graph[place]
        name = f"{operation.operator}{f' ({operation.module})' if operation.module else ''}"
        return UncountableOperatorError(f"{name} of {self.model} {why}: it has no form in ONNX here")

    def constant(self, name: str, value: Any) -> str:
        """Adds a tensor of the file's own."""
        self.tensors[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
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
        pair = [self.constant(f"{name}.scale", np.float32(scale)), self.constant(f"{name}.zero", np.uint8(zero))]
        integers = self.node("QuantizeLinear", [value, *pair], f"{name}.integers")
        if bits < INTEGER_BITS:
            ends = [
                self.constant(f"{name}.{end}", np.uint8(zero + level)) for end, level in (("low", low), ("high", high))
            ]
            integers = self.node("Clip", [integers, *ends], f"{name}.clipped")
        self.integers[place] = integers
        made = self.node("DequantizeLinear", [integers, *pair], name)
        self.scales[made] = scale
        return made

    def _rounded(self, place: int, value: str, bits: int) -> str:
        """What is the same for all images, as it would be stored: a runtime computes it once, and stores no integers.

        OpenVINO cannot load a model in which constants are quantized and dequantized before an add.
        """
        found, name = self._range(place), f"rounded_{place}"
        scale = self.constant(f"{name}.scale", np.float32(found.scale(bits) or 1.0))
        ends = [
            self.constant(f"{name}.{end}", np.float32(level))
            for end, level in zip(("low", "high"), levels(bits, found.signed), strict=True)
        ]
        steps = self.node("Round", [self.node("Div", [value, scale], f"{name}.steps")], f"{name}.round")
        return self.node("Mul", [self.node("Clip", [steps, *ends], f"{name}.clipped"), scale], name)

    def _range(self, place: int) -> TensorRange:
        assert self.ranges is not None  # `export` asked for them
        return self.ranges.tensors[place]

    def _stored_bits(self, place: int) -> int:
        """The width at which an operation's result is stored, FP32's where it is not, or on more than eight bits."""
        group = self.model.profile.stored_tensors.get(place)
        bits = FP32_BITS if group is None else self.groups[group]
        return bits if bits <= INTEGER_BITS and self.model.profile.graph[place].operator != "image" else FP32_BITS

    def is_clipped_by_storing(self, place: int, top: float) -> bool:
        """Whether storing an operation's result clips it to 0 and at or below `top` in any case."""
        bits = self._stored_bits(place)
        if bits == FP32_BITS or self._range(place).signed:
            return False
        return levels(bits, False)[1] * self._range(place).scale(bits) <= top * (1 + 1e-6)

    def layer(self, name: str, call: str, read: str) -> list[str]:
        """A layer's weight, [output channels, …], and bias, as integers where it and what it reads have at most eight
        bits; `call` names the one of its calls.
        """
        bits, scale = self.bits.get(name, FP32_BITS), self.scales.get(read)
        if bits == FP32_BITS:
            return self._floats(name, *self.model.folded[name])
        layer = self.rounded(name, bits)
        if scale is None:
            return self._floats(name, layer.weight, layer.bias)
        channels = len(layer.integers)
        steps = np.broadcast_to(layer.scale.reshape(-1), channels).astype(np.float32)
        # An all-zero channel has any scale.
        steps = np.where(steps > 0, steps, np.float32(1))
        if name not in self.integer:
            self.integer.append(name)
            inputs = [
                self.constant(f"{name}.weight.integers", layer.integers),
                self.constant(f"{name}.weight.scale", steps),
                self.constant(f"{name}.weight.zero", np.zeros(channels, np.int8)),
            ]
            self.node("DequantizeLinear", inputs, f"{name}.weight", axis=0)
        return [f"{name}.weight", self._bias(call, np.array(layer.bias, np.float64), np.float64(scale) * steps)]

    def kept(self, name: str) -> list[str]:
        """The weight of a transposed convolution, [input channels, …], and its bias, as floats."""
        bits = self.bits.get(name, FP32_BITS)
        weight, bias = self.model.folded[name]
        if bits != FP32_BITS:
            layer = self.rounded(name, bits)
            weight, bias = layer.weight, layer.bias
        return self._floats(name, as_kept(weight, self.sites[name]), bias)

    def _floats(self, name: str, weight: NDArray[np.float32], bias: Any) -> list[str]:
        return [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", np.array(bias, np.float32))]

    def _bias(self, name: str, bias: NDArray[np.float64], steps: NDArray[np.float64]) -> str:
        counts = np.rint(bias / steps)
        if np.abs(counts).max(initial=0) > np.iinfo(np.int32).max:
            self.float_bias.append(name)
            return self.constant(f"{name}.bias", bias.astype(np.float32))
        inputs = [
            self.constant(f"{name}.bias.integers", counts.astype(np.int32)),
            self.constant(f"{name}.bias.scale", steps.astype(np.float32)),
            self.constant(f"{name}.bias.zero", np.zeros(len(bias), np.int32)),
        ]
        return self.node("DequantizeLinear", inputs, f"{name}.bias", axis=0)
