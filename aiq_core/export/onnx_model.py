"""A policy as an ONNX model, written from the network's graph: norms folded, our integers and scales exactly.

It takes images as floats, pixels / 255 of [batch, channels, height, width], normalises them, and gives logits.
- A layer whose weights and input both have at most 8 bits runs on integers: weights int8, a scale a channel, between a
  quantize-dequantize pair of its input and its own dequantize. Widths below 8 bits keep their scale in an 8-bit
  container, and what is beyond their grid is clipped there; a ReLU that this clipping does anyway is left out.
- Its bias is int32 at s_x · s_w, which integer kernels ask for; where that overflows, it stays FP32.
- All other layers keep FP32 arithmetic; quantized weights are stored dequantized there.
- The image is normalised in FP32, and what reads it stays FP32: padding is then the mean pixel, as in the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import onnx
from onnx import TensorProto, helper

from aiq_core.activations import Calibration
from aiq_core.catalog import Model
from aiq_core.errors import EvaluationError, UncountableOperatorError
from aiq_core.export.onnx_writer import NOTHING, Recorded, Rounded, Writer
from aiq_core.export.operators import FORMS, INPUT, OUTPUT
from aiq_core.graph import is_example
from aiq_core.records import Policy

OPSET = 17
"""Scales a channel need 13; every runtime of today knows 17."""

IR_VERSION = 9


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


def export(
    model: Model, policy: Policy, rounded: Rounded, ranges: Calibration | None, recorded: Recorded = NOTHING
) -> Exported:
    """The model under a policy. `rounded` gives layers at a width, `ranges` those of activations, where they have bits.

    `recorded` is what more is known of the network's tensors. Raises UncountableOperatorError for an operator that has
    no form here, EvaluationError where ranges are missing.
    """
    model.profile.check(policy)
    if policy.has_activations and ranges is None:
        raise EvaluationError("activations have bits here and no ranges; calibrate them first")
    if is_example(model.profile.graph):
        raise UncountableOperatorError(
            f"{model} may treat other images otherwise than its graph says: it has no form in ONNX here"
        )
    writer = Writer(model, policy, rounded, ranges, recorded)
    for place, operation in enumerate(model.profile.graph):
        form = FORMS.get(operation.operator)
        if form is None:
            raise writer.refusal(place, "is in no table of aiq_core/export")
        writer.write(place, form(writer, place, operation))
    shape: list[str | int | None] = ["batch", *model.card.input_shape]
    graph = helper.make_graph(
        writer.nodes,
        model.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", len(model.card.class_names)])],
        list(writer.tensors.values()),
    )
    made = model_of(graph)
    for key, value in (("model_hash", model.hash), ("policy", policy.key)):
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(made)
    return Exported(made, tuple(writer.integer), tuple(writer.float_bias), writer.given, writer.values, writer.integers)


def model_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    """A graph as a model of the versions that every runtime of today knows."""
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="aiq-explorer")
    made.ir_version = IR_VERSION
    return made
