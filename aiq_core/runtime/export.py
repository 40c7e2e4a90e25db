"""Policies written as files and checked against the simulation: integers, then predictions on report images."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from aiq_core.catalog import Model
from aiq_core.deployment.engine import Engine
from aiq_core.errors import EvaluationError
from aiq_core.export.onnx_model import INPUT, Exported, export
from aiq_core.export.packed import packed_model, unpacked_integers
from aiq_core.export.saturation import SAFE_BITS, adds_in_32_bits, reduced, saturating
from aiq_core.records import FP32_BITS, ImageSet, Policy, Quantizer, SplitName
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.cpu import cpu_flags
from aiq_core.runtime.deployment.engines import installed, opened
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.recorded import recorded
from aiq_core.runtime.rounded import RoundedLayers

CHUNK = 125
"""Images a run of the file."""

MOST_APART = 0.3
"""Points between the top-1 of a file and of the simulation beyond which the check says so."""

LEAST_EQUAL = 99.5
"""Percent of predictions that are equal as a rule, at 8 bits on CPUs whose INT8 products do not saturate."""


def exported(
    model: Model, policy: Policy, settings: Quantizer, path: Path, check: bool = True, reduce_range: bool = False
) -> dict[str, Any]:
    """Writes a policy as an ONNX model; what is said of it. Raises EvaluationError where its integers are not ours.

    With `reduce_range`, layers that can saturate on CPUs without VNNI have 7-bit weights: that is another policy.
    """
    rounded = RoundedLayers(model, settings)
    ranges = calibration(model, settings.activations) if settings.activations and policy.has_activations else None
    made = export(model, policy, rounded, ranges, recorded(model))
    layers = saturating(model, policy, made.integer, rounded)
    if reduce_range and layers:
        policy = reduced(model.profile, policy, layers)
        made = export(model, policy, rounded, ranges, recorded(model))
    _check_integers(made, rounded, model, policy)
    write_whole(path, made.save())
    quantized = sum(bits != FP32_BITS for bits in policy.weight_bits)
    said = [
        f"real integer kernels where a runtime has them: {len(made.integer)} of {len(model.profile.layers)} layers; "
        f"{quantized} have quantized weights"
    ]
    if made.float_bias:
        said.append(f"the bias stays FP32, as it overflows 32 bits: {', '.join(made.float_bias)}")
    if layers and reduce_range:
        said.append(f"weights at {SAFE_BITS} bits, so that no sum saturates on CPUs without VNNI: {', '.join(layers)}")
    elif layers:
        here = "this CPU adds them in 32 bits" if adds_in_32_bits(cpu_flags()) else "this CPU is one of them"
        said.append(
            f"on CPUs without VNNI sums of INT8 products can saturate in {len(layers)} layers ({here}); "
            "--reduce-range writes these with 7-bit weights"
        )
    document: dict[str, Any] = {
        "file": str(path),
        "saturating_layers": list(layers),
        "bytes": path.stat().st_size,
        "policy_key": policy.key,
        "integer_layers": list(made.integer),
        "float_bias": list(made.float_bias),
    }
    if check:
        document |= _compared(model, policy, settings, made.save(), said)
    return document | {"said": said}


def packed(model: Model, policy: Policy, settings: Quantizer, path: Path, check: bool = True) -> dict[str, Any]:
    """Writes a policy packed to its widths; what is said of it. Raises EvaluationError where it reads back wrong."""
    rounded = RoundedLayers(model, settings)
    content = packed_model(model, policy, rounded)
    for name, integers in unpacked_integers(content).items():
        if not np.array_equal(integers, rounded(name, model.profile.named_bits(policy)[name]).integers):
            raise EvaluationError(f"{name} reads back otherwise than it was packed; report this")
    write_whole(path, content)
    said = ["packed storage: every weight at its own width, with scales and biases; nothing runs it as it is"]
    return {"file": str(path), "bytes": path.stat().st_size, "policy_key": policy.key, "said": said}


def _check_integers(made: Exported, rounded: RoundedLayers, model: Model, policy: Policy) -> None:
    """Whether the file's integers are those that the simulation multiplies. Raises EvaluationError."""
    bits = model.profile.named_bits(policy)
    found = integers_of(made.proto)
    for name in made.integer:
        if not np.array_equal(found[name], rounded(name, bits[name]).integers):
            raise EvaluationError(f"{name} has other integers in the file than in the simulation; report this")


def integers_of(proto: ModelProto) -> dict[str, NDArray[np.int8]]:
    """Layer -> the integers of its weights in an ONNX model that `export` made."""
    end = ".weight.integers"
    return {
        tensor.name.removesuffix(end): np.asarray(numpy_helper.to_array(tensor), dtype=np.int8)
        for tensor in proto.graph.initializer
        if tensor.name.endswith(end)
    }


def _compared(model: Model, policy: Policy, settings: Quantizer, content: bytes, said: list[str]) -> dict[str, Any]:
    """The file in ONNX Runtime beside the simulation, on all report images that are here."""
    version = installed(Engine.ONNX_RUNTIME)
    if version is None:
        said.append("not checked: onnxruntime is not installed; pip install onnxruntime")
        return {}
    images = model.dataset.available(SplitName.REPORT)
    evaluator = TorchEvaluator(model, ImageSet(SplitName.REPORT, images), settings)
    simulated = evaluator.logits(policy, policy).argmax(axis=1)
    found = predictions(Engine.ONNX_RUNTIME, content, model.dataset.report.images(images), evaluator.threads)
    labels = model.dataset.report.labels[:images]
    ran, meant = (100 * float((each == labels).mean()) for each in (found, simulated))
    equal = 100 * float((found == simulated).mean())
    said.append(
        f"top-1 on {images:,} report images: {ran:.2f} % in ONNX Runtime {version}, {meant:.2f} % "
        f"simulated; {equal:.2f} % of predictions equal"
    )
    if abs(ran - meant) > MOST_APART or equal < LEAST_EQUAL:
        said.append(
            "that is further apart than at 8 bits as a rule: kernels round biases and ties in their own way, which "
            "counts where steps are large; and on CPUs without VNNI, products of INT8 saturate"
        )
    return {
        "report_images": images,
        "report_top1_percent": ran,
        "simulated_top1_percent": meant,
        "agreement_percent": equal,
    }


def predictions(engine: Engine, content: bytes, pixels: NDArray[np.uint8], threads: int) -> NDArray[np.int64]:
    """The classes that a file gives in an engine for images uint8[n, H, W, C], `CHUNK` at a time; int64[n]."""
    chunk = np.zeros((CHUNK, pixels.shape[3], *pixels.shape[1:3]), np.float32)
    call = opened(engine, content, {INPUT: chunk}, threads)
    found = []
    for start in range(0, len(pixels), CHUNK):
        images = as_input(pixels[start : start + CHUNK])
        chunk[: len(images)] = images
        found.append(call()[0][: len(images)].argmax(axis=1))
    return np.concatenate(found)


def as_input(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images uint8[n, H, W, C] as the file reads them, float32[n, C, H, W] of pixels / 255."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)
