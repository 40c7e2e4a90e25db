"""An ONNX model opened in a runtime, its threads and its precision pinned."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.deployment.engine import Engine, installed, remedy
from aiq_core.errors import EvaluationError, SettingError
from aiq_core.hardware import NumberType
from aiq_core.runtime.deployment.signals import signal_stack_kept

NOT_WANTED = ["WeightBiasQuantization"]
"""What ONNX Runtime must not do: wherever what a layer reads and writes is quantized, it would run the layer in
INT8, though a policy leaves it at FP32, at one scale of its own for all its weights."""

Feed = Mapping[str, NDArray[Any]]
Call = Callable[[], list[NDArray[Any]]]
"""Runs the model once on the arrays that it was opened with; its outputs, which the next call may overwrite."""


def opened(engine: Engine, content: bytes, feed: Feed, threads: int, precision: NumberType = NumberType.FP32) -> Call:
    """The model in a runtime, with fixed shapes: those of `feed`, which it is run on.

    Float layers run in `precision`, FP32 or BF16. Raises SettingError for a runtime that is not installed or lacks the
    precision, EvaluationError for a model that it cannot load.
    """
    if installed(engine) is None:
        raise SettingError(f"{engine.words} is {remedy(engine)}")
    return _OPEN[engine](content, feed, threads, precision)


def has(engine: Engine, precision: NumberType) -> bool:
    """Whether an installed engine runs float layers in a precision on this CPU."""
    if precision is NumberType.FP32:
        return True
    return engine is Engine.OPENVINO and precision is NumberType.BF16 and _has_bf16()


def _has_bf16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def ort_session(content: bytes, threads: int, precision: NumberType, profile: str | None = None) -> Any:
    """An ONNX Runtime session; with `profile`, one that writes what its nodes take to a file of that prefix."""
    import onnxruntime

    if precision is not NumberType.FP32:
        raise SettingError(f"ONNX Runtime has no {precision} on CPUs; choose FP32, or OpenVINO")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # Else its threads would go on spinning while another engine is timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], disabled_optimizers=NOT_WANTED
        )
    except Exception as error:
        raise _unloadable(Engine.ONNX_RUNTIME, error) from None


def _onnxruntime(content: bytes, feed: Feed, threads: int, precision: NumberType) -> Call:
    session = ort_session(content, threads, precision)
    inputs = dict(feed)
    return lambda: list(session.run(None, inputs))


def openvino_compiled(content: bytes, feed: Feed, threads: int, precision: NumberType, profile: bool = False) -> Any:
    """An OpenVINO model compiled for the shapes of `feed`; with `profile`, its requests tell what nodes take."""
    import openvino

    if precision is NumberType.BF16 and not _has_bf16():
        raise SettingError("this CPU has no BF16 arithmetic that OpenVINO uses; choose FP32")
    core = openvino.Core()
    try:
        model = core.read_model(content)
        model.reshape({name: list(array.shape) for name, array in feed.items()})
        # Pinned: where there is AMX, its own choice would be BF16.
        hint = "bf16" if precision is NumberType.BF16 else "f32"
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": hint,
            "ENABLE_CPU_PINNING": False,
            "PERF_COUNT": profile,
        }
        with signal_stack_kept():
            return core.compile_model(model, "CPU", settings)
    except Exception as error:
        raise _unloadable(Engine.OPENVINO, error) from None


def openvino_request(compiled: Any, feed: Feed) -> Any:
    """A request of a compiled model on `feed`, which it reads in place."""
    import openvino

    request = compiled.create_infer_request()
    for name, array in feed.items():
        request.set_tensor(name, openvino.Tensor(np.ascontiguousarray(array), shared_memory=True))
    return request


def _openvino(content: bytes, feed: Feed, threads: int, precision: NumberType) -> Call:
    compiled = openvino_compiled(content, feed, threads, precision)
    request = openvino_request(compiled, feed)
    outputs = range(len(compiled.outputs))

    def call() -> list[NDArray[Any]]:
        request.infer()
        return [request.get_output_tensor(place).data for place in outputs]

    return call


_OPEN: Mapping[Engine, Callable[[bytes, Feed, int, NumberType], Call]] = {
    Engine.ONNX_RUNTIME: _onnxruntime,
    Engine.OPENVINO: _openvino,
}


def _unloadable(engine: Engine, error: Exception) -> EvaluationError:
    said = str(error).strip().splitlines()
    return EvaluationError(
        f"{engine.words} cannot load this model ({said[-1][:200] if said else type(error).__name__}); export it again"
    )
