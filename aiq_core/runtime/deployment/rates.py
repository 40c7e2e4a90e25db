"""Measures what a runtime's own convolutions reach, on shapes that suit them."""

from datetime import UTC, datetime
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.rates import Rates
from aiq_core.deployment.rounds import Pace, interleaved
from aiq_core.export.onnx_model import model_of
from aiq_core.hardware import NumberType
from aiq_core.runtime.cpu import cpu_kind
from aiq_core.runtime.deployment.engines import installed, opened

BATCH = 32
DENSE = ((64, 16, 3), (128, 8, 3), (256, 8, 1), (512, 4, 1))
DEPTHWISE = ((192, 16, 3), (384, 8, 3), (768, 4, 3))
"""(channels, height and width, kernel) of the shapes; the best counts."""

PACE = Pace(rounds=7, again=0, at_least_s=0.002, warm_s=0)


def measure_rates(engine: Engine, threads: int) -> Rates:
    """The rates of an engine. Raises what `engines.opened` raises."""

    def best(shapes: tuple[tuple[int, int, int], ...], depthwise: bool) -> dict[NumberType, float]:
        return {
            kind: max(_rate(engine, threads, shape, depthwise, kind) for shape in shapes)
            for kind in (NumberType.FP32, NumberType.INT8)
        }

    return Rates(
        engine,
        str(installed(engine)),
        threads,
        cpu_kind(),
        datetime.now(UTC).isoformat(timespec="seconds"),
        best(DENSE, False),
        best(DEPTHWISE, True),
    )


def _rate(engine: Engine, threads: int, shape: tuple[int, int, int], depthwise: bool, kind: NumberType) -> float:
    """Operations/s of a convolution that keeps its input's size."""
    channels, side, kernel = shape
    model = _convolution(channels, side, kernel, channels if depthwise else 1, kind is NumberType.INT8)
    random = np.random.default_rng(0)
    size = (BATCH, channels, side, side)
    image = (
        random.integers(0, 256, size).astype(np.uint8) if kind is NumberType.INT8 else random.random(size, np.float32)
    )
    found = interleaved({shape: opened(engine, model, {"x": image}, threads)}, PACE)
    seconds = median(found.seconds[shape])
    return float(2 * image.size * kernel**2 * (1 if depthwise else channels) / seconds)


def _convolution(channels: int, side: int, kernel: int, groups: int, integers: bool) -> bytes:
    """A convolution as an ONNX model, of integers between a dequantizing and a quantizing, or of floats."""
    random = np.random.default_rng(0)
    shape = (channels, channels // groups, kernel, kernel)
    tensors, nodes = [], []

    def constant(name: str, value: NDArray[Any]) -> str:
        tensors.append(numpy_helper.from_array(value, name))
        return name

    inputs = ["x", "weight"]
    if integers:
        constant("integers", random.integers(-127, 128, shape).astype(np.int8))
        step, zero = constant("step", np.array(0.01, np.float32)), constant("zero", np.array(0, np.uint8))
        weight = [
            constant("steps", np.full(channels, 0.01, np.float32)),
            constant("zeros", np.zeros(channels, np.int8)),
        ]
        nodes.append(helper.make_node("DequantizeLinear", ["x", step, zero], ["read"]))
        nodes.append(helper.make_node("DequantizeLinear", ["integers", *weight], ["weight"], axis=0))
        inputs[0] = "read"
    else:
        constant("weight", random.random(shape, np.float32))
    made = "made" if integers else "y"
    pads = [kernel // 2] * 4
    nodes.append(helper.make_node("Conv", inputs, [made], kernel_shape=[kernel, kernel], pads=pads, group=groups))
    if integers:
        nodes.append(helper.make_node("QuantizeLinear", [made, "step", "zero"], ["y"]))
    kind = TensorProto.UINT8 if integers else TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, kind, [BATCH, channels, side, side]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "convolution", values[:1], values[1:], tensors)
    content: bytes = model_of(graph).SerializeToString()
    return content
