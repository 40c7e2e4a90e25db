"""Kernels of linear layers in three engines: the same weights, packed as each wants them, and what they stand for."""

import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aiq_core.linear import GROUP, KERNELS, Kernel
from aiq_core.runtime.deployment.signals import signal_stack_kept

Floats = NDArray[np.float32]
Call = Callable[[], Any]


@dataclass(frozen=True)
class Built:
    """A kernel with its weights: `calls` makes of an input, float32[batch, columns], a call for each copy of them.

    `meant` are the weights that it stands for, dequantized, float32[rows, columns].
    """

    meant: Floats
    calls: Callable[[Floats], list[Call]]


def values(result: Any) -> Floats:
    """What a call gave, float32[batch, rows]."""
    if isinstance(result, torch.Tensor):
        return np.asarray(result.float().numpy())
    return np.asarray(result, dtype=np.float32)


def build(key: str, weights: Floats, copies: int, threads: int) -> Built:
    """A kernel for weights float32[rows, columns], in as many copies, so that a cache need not hold them.

    Raises ImportError where the engine is not installed, and whatever an engine raises that lacks the kernel.
    """
    kernel = KERNELS[key]
    maker = key.partition("-")[0]
    return _MAKERS[maker](kernel, weights, copies, threads)


def versions() -> dict[str, str]:
    """Of Python, and of the engines that are installed."""
    found = {"python": platform.python_version()}
    for name in ("torch", "onnxruntime", "openvino"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _rounded(kernel: Kernel, weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Integers int8[rows, groups, group] and scales float32[rows, groups, 1]: symmetric, to nearest, by the maximum."""
    rows, columns = weights.shape
    grouped = weights.reshape(rows, -1, kernel.group or columns)
    top = 2 ** (kernel.bits - 1) - 1
    scales = np.abs(grouped).max(axis=2, keepdims=True) / top
    return np.rint(grouped / scales).astype(np.int8), scales.astype(np.float32)


def _meant(integers: NDArray[np.int8], scales: Floats) -> Floats:
    return (integers.astype(np.float32) * scales).reshape(len(integers), -1)


def _unsigned(integers: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """The integers above their lowest, two in a byte at 4 bits, the low half first."""
    shifted = (integers.astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    packed: NDArray[np.uint8] = shifted if bits == 8 else shifted[..., 0::2] | (shifted[..., 1::2] << 4)
    return packed


def _torch(kernel: Kernel, weights: Floats, copies: int, threads: int) -> Built:
    torch.set_num_threads(threads)
    if kernel.bits >= 16:
        dtype = torch.float32 if kernel.bits == 32 else torch.bfloat16
        held = [torch.from_numpy(weights).to(dtype, copy=True) for _ in range(copies)]
        meant = held[0].float().numpy()

        def dense(x: Floats) -> list[Call]:
            given = torch.from_numpy(x).to(dtype)
            return [lambda held=each: torch.nn.functional.linear(given, held) for each in held]  # type: ignore[misc]

        return Built(meant, dense)
    integers, scales = _rounded(kernel, weights)
    # In BF16, as its inputs are: with FP32 inputs both operators fall back to loops, a hundred times slower.
    scales = torch.from_numpy(scales).bfloat16().float().numpy()
    ops = torch.ops.aten
    if kernel.bits == 8:
        packed = [torch.from_numpy(integers.reshape(weights.shape)).clone() for _ in range(copies)]
        a_row = torch.from_numpy(scales.reshape(-1)).bfloat16()

        def product(x: torch.Tensor, held: torch.Tensor) -> Any:
            return ops._weight_int8pack_mm(x, held, a_row)

    else:
        wide = torch.from_numpy(integers.reshape(weights.shape).astype(np.int32) + 8)
        packed = [ops._convert_weight_to_int4pack_for_cpu(wide, 1) for _ in range(copies)]
        groups = torch.from_numpy(scales[:, :, 0].T.copy())
        with_zeros = torch.stack([groups, torch.zeros_like(groups)], dim=2).bfloat16().contiguous()

        def product(x: torch.Tensor, held: torch.Tensor) -> Any:
            return ops._weight_int4pack_mm_for_cpu(x, held, GROUP, with_zeros)

    def calls(x: Floats) -> list[Call]:
        given = torch.from_numpy(x).bfloat16()
        return [lambda held=each: product(given, held) for each in packed]  # type: ignore[misc]

    return Built(_meant(integers, scales), calls)


def _onnxruntime(kernel: Kernel, weights: Floats, copies: int, threads: int) -> Built:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rows, columns = weights.shape
    meant = weights
    if kernel.bits == 32:
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        initializers = [numpy_helper.from_array(np.ascontiguousarray(weights.T), "w")]
    else:
        integers, scales = _rounded(kernel, weights)
        meant = _meant(integers, scales)
        # Level 4 multiplies in INT8; at level 0 eight bits take fifty times as long.
        about = {"K": columns, "N": rows, "bits": kernel.bits, "block_size": GROUP, "accuracy_level": 4}
        node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", **about)
        packed = numpy_helper.from_array(_unsigned(integers, kernel.bits), "w")
        initializers = [packed, numpy_helper.from_array(scales.reshape(-1), "s")]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", columns])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", rows])
    graph = helper.make_graph([node], "linear", [given], [made], initializers)
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin between calls take the cores of the other engines.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    sessions = [onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]) for _ in range(copies)]

    def calls(x: Floats) -> list[Call]:
        return [lambda session=each: session.run(None, {"x": x})[0] for each in sessions]  # type: ignore[misc]

    return Built(meant, calls)


def _openvino(kernel: Kernel, weights: Floats, copies: int, threads: int) -> Built:
    import openvino
    from openvino import opset13 as op

    integers, scales = _rounded(kernel, weights) if kernel.bits < 32 else (None, None)
    meant = weights
    if integers is not None and scales is not None:
        scales = scales.astype(np.float16).astype(np.float32) if kernel.bits == 4 else scales
        meant = _meant(integers, scales)
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    # A constant shares the memory of its array, and some kernels read it from there: both are kept.
    kept: list[Any] = []

    def compiled() -> Any:
        x = op.parameter([-1, weights.shape[1]], openvino.Type.f32)
        constant, arrays = _constant(kernel, weights, integers, scales)
        kept.extend(arrays)
        model = openvino.Model([op.matmul(x, constant, False, True)], [x])
        with signal_stack_kept():
            return core.compile_model(model, "CPU", settings).create_infer_request()

    requests = [compiled() for _ in range(copies)]

    def calls(x: Floats) -> list[Call]:
        given = openvino.Tensor(x)
        kept.append(given)
        for request in requests:
            request.set_input_tensor(given)

        def infer(request: Any) -> Any:
            request.infer()
            return request.get_output_tensor().data

        return [lambda request=each: infer(request) for each in requests]  # type: ignore[misc]

    return Built(meant, calls)


def _constant(
    kernel: Kernel, weights: Floats, integers: NDArray[np.int8] | None, scales: Floats | None
) -> tuple[Any, list[Any]]:
    """The weights as OpenVINO's compressed ones, which a product decompresses, and the arrays they lie in."""
    import openvino
    from openvino import opset13 as op

    if integers is None or scales is None:
        whole = weights.copy()
        return op.constant(whole), [whole]
    if kernel.bits == 8:
        bytes_ = integers.reshape(weights.shape).copy()
        return op.multiply(op.convert(op.constant(bytes_), openvino.Type.f32), op.constant(scales[:, :, 0])), [bytes_]
    halves = _unsigned(integers, 4).reshape(-1).copy()
    zero = np.array([0x88], np.uint8)
    grouped = op.constant(openvino.Tensor(halves, list(integers.shape), openvino.Type.u4))
    middle = op.constant(openvino.Tensor(zero, [1, 1, 1], openvino.Type.u4))
    half = openvino.Type.f16
    shifted = op.subtract(op.convert(grouped, half), op.convert(middle, half))
    scaled = op.multiply(shifted, op.constant(scales.astype(np.float16)))
    flat = op.reshape(scaled, op.constant(np.array(weights.shape)), False)
    return op.convert(flat, openvino.Type.f32), [halves, zero]


_MAKERS: Mapping[str, Callable[[Kernel, Floats, int, int], Built]] = {
    "ort": _onnxruntime,
    "torch": _torch,
    "openvino": _openvino,
}
