"""Parts of an exported network as ONNX models of their own: one kernel, or two that follow each other.

A kernel is a layer with all that runs in it, as `traffic.fused` has it. It computes in FP32 or in INT8; in INT8 it
reads and writes integers. What lies between two kernels is stored as integers where one of them computes in INT8, or
where another kernel that reads it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference

from aiq_core.activations import Calibration
from aiq_core.catalog import Model
from aiq_core.export.onnx_model import INPUT, Exported, export, model_of
from aiq_core.export.onnx_writer import NOTHING, Recorded, Rounded
from aiq_core.hardware import NumberType
from aiq_core.records import FP32_BITS
from aiq_core.traffic.fused import kernels

FP32, INT8 = NumberType.FP32, NumberType.INT8
BITS = {FP32: FP32_BITS, INT8: 8}


@dataclass(frozen=True, eq=False)
class Piece:
    """An ONNX model; `inputs` have their type and shape at a batch. Pieces of one `signature` take the same time."""

    proto: onnx.ModelProto
    inputs: Mapping[str, tuple[type, tuple[int, ...]]]

    @cached_property
    def signature(self) -> str:
        """All that its time depends on: operators in order, with their attributes, shapes and types."""
        graph = self.proto.graph
        made = {node.output[0]: place for place, node in enumerate(graph.node)}
        shapes = {tensor.name: f"{list(tensor.dims)}{tensor.data_type}" for tensor in graph.initializer}
        fed = {name: f"{shape}{kind.__name__}" for name, (kind, shape) in self.inputs.items()}
        parts = []
        for node in graph.node:
            read = (shapes.get(name) or fed.get(name) or str(made[name]) for name in node.input if name)
            attributes = (str(helper.printable_attribute(attribute)) for attribute in node.attribute)
            parts.append(f"{node.op_type}({', '.join(read)}; {', '.join(sorted(attributes))})")
        return "\n".join([*parts, ", ".join(str(made[output.name]) for output in graph.output)])


class Pieces:
    """The pieces of a model at a batch."""

    def __init__(
        self, model: Model, batch: int, rounded: Rounded, ranges: Calibration, recorded: Recorded = NOTHING
    ) -> None:
        profile = model.profile
        self.kernels = kernels(profile.graph)
        self._layer_of = {
            name: place
            for place, kernel in enumerate(self.kernels)
            for operation in kernel.operations
            if (name := profile.graph[operation].module) is not None
        }
        self._exported = {
            (stored, computed): export(model, profile.uniform(BITS[computed], BITS[stored]), rounded, ranges, recorded)
            for stored, computed in ((FP32, FP32), (INT8, FP32), (INT8, INT8))
        }
        self._shapes = _shapes(self._exported[FP32, FP32].proto, batch)
        self._graph = profile.graph

    @cached_property
    def edges(self) -> tuple[tuple[int, int, int], ...]:
        """(kernel that writes, kernel that reads, operation whose result it is), by place in `kernels`."""
        writer = {kernel.writes: place for place, kernel in enumerate(self.kernels)}
        return tuple(
            (writer[read], reader, read)
            for reader, kernel in enumerate(self.kernels)
            for read in kernel.reads
            if read in writer
        )

    def can_run_in_int8(self, kernel: int) -> bool:
        """Whether all that a kernel reads can be stored as integers: not the image."""
        return all(place in self._exported[INT8, INT8].stored for place in self.kernels[kernel].reads)

    def inside(self, kernel: int) -> int | None:
        """The operation within a kernel whose result can be stored as integers, None where there is none."""
        stored = self._exported[INT8, INT8].stored
        return next((place for place in self.kernels[kernel].operations[:-1] if place in stored), None)

    @cached_property
    def windows(self) -> tuple[tuple[int, ...], ...]:
        """Of each kernel, itself and those before it, from the first that writes what it reads."""
        writer = {kernel.writes: place for place, kernel in enumerate(self.kernels)}
        return tuple(
            tuple(range(min((writer[read] for read in kernel.reads if read in writer), default=place), place + 1))
            for place, kernel in enumerate(self.kernels)
        )

    def piece(self, computed: Mapping[int, NumberType], stored: NumberType) -> Piece:
        """Kernels by place and what each computes in; `stored` is how what lies between them is.

        It reads what others wrote, and gives what none of them reads.
        """
        written = {self.kernels[place].writes for place in computed}
        read_inside = {read for place in computed for read in self.kernels[place].reads}
        reads = {
            read: kind for place, kind in computed.items() for read in self.kernels[place].reads if read not in written
        }
        either = self._exported[stored, FP32]
        exports = {place: self._exported[stored, kind if stored is INT8 else FP32] for place, kind in computed.items()}
        inputs: dict[str, tuple[type, tuple[int, ...]]] = {}
        for read, kind in reads.items():
            shape = self._shapes[self._exported[FP32, FP32].values[read]]
            if self._graph[read].operator == "image":
                inputs[INPUT] = (np.float32, self._shapes[INPUT])
            elif kind is INT8 and read in either.stored:
                inputs[either.stored[read]] = (np.uint8, shape)
            else:
                inputs[either.values[read]] = (np.float32, shape)
        outputs = []
        for place, kind in computed.items():
            writes = self.kernels[place].writes
            if writes not in read_inside:
                integers = either.stored.get(writes) if kind is INT8 else None
                outputs.append(integers or either.given[writes])
        return Piece(self._cut(exports, either, inputs, outputs), inputs)

    def _cut(
        self,
        exports: Mapping[int, Exported],
        either: Exported,
        inputs: dict[str, tuple[type, tuple[int, ...]]],
        outputs: Sequence[str],
    ) -> onnx.ModelProto:
        """The model from `inputs`, to which the images may come, to `outputs`; each layer as it stands in the export of
        its kernel.
        """

        def source(name: str) -> Exported:
            layer = name if name in self._layer_of else name.rpartition(".weight")[0] or name.rpartition(".bias")[0]
            return exports.get(self._layer_of.get(layer, -1), either)

        nodes: dict[str, onnx.NodeProto] = {}
        tensors: dict[str, onnx.TensorProto] = {}

        def visit(name: str) -> None:
            # What an operator may do without has no name.
            if not name or name in nodes or name in tensors or name in inputs:
                return
            if name == INPUT:  # asked how many images there are
                inputs[INPUT] = (np.float32, self._shapes[INPUT])
                return
            found = source(name)
            if name in found.tensors:
                tensors[name] = found.tensors[name]
                return
            node = found.nodes[name]
            for each in node.input:
                visit(each)
            nodes[name] = node

        for output in outputs:
            visit(output)
        integers = set(either.stored.values())
        graph = helper.make_graph(
            list(nodes.values()),
            "piece",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
                for name, (kind, shape) in inputs.items()
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.UINT8 if name in integers else TensorProto.FLOAT, None)
                for name in outputs
            ],
            list(tensors.values()),
        )
        return model_of(graph)


def _shapes(proto: onnx.ModelProto, batch: int) -> dict[str, tuple[int, ...]]:
    """Every value's shape at a batch."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    fixed.graph.output[0].type.tensor_type.shape.dim[0].dim_value = batch
    graph = shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True).graph
    return {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
