"""Measures what this machine sustains: bytes a second by footprint, and operations a second a number type."""

import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.errors import EvaluationError
from aiq_core.export.onnx_model import model_of
from aiq_core.hardware import NumberType
from aiq_core.roof import Bandwidth, Roof, Spread, threads_words
from aiq_core.runtime.cpu import cpu_flags, cpu_kind
from aiq_core.runtime.deployment.engines import installed, opened

FOOTPRINTS = tuple(2**power for power in range(16, 30))
"""Bytes: 64 KiB to 512 MiB, beyond the caches of what runs this."""

ROUNDS = 7
AT_LEAST_S = 0.004
"""A round of a kernel, which is called again until it took that long: far above what a clock tells apart."""

SIZES = (512, 1024, 1536)
"""Rows of the square matrices whose products show the peak of a type; the best counts."""

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "i8mm", "bf16")
"""Of those that a CPU names, the ones that decide what inference runs at."""

Report = Callable[[str], None]
Product = Callable[[int], Callable[[], object]]
"""Rows of square matrices -> a call that multiplies two."""


def measure_roof(threads: int, report: Report = lambda told: None) -> Roof:
    """The roof of so many threads. `report` hears what is measured, and may raise to stop."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    with torch.inference_mode():
        curve = []
        for footprint in FOOTPRINTS:
            report(f"bandwidth at {footprint / 2**20:g} MiB, {threads_words(threads)}")
            curve.append(_bandwidth(footprint))
        peaks = {}
        for kind, products in _PRODUCTS.items():
            report(f"peak rate of {kind}, {threads_words(threads)}")
            rates = (_rate(product, size) for product in products for size in SIZES)
            peaks[kind] = max(rates, key=lambda rate: rate.value)
    return Roof(
        cpu=cpu_kind(),
        threads=threads,
        curve=tuple(curve),
        peaks=peaks,
        flags=tuple(flag for flag in FLAGS if flag in cpu_flags()),
        versions={"torch": torch.__version__, "python": platform.python_version()},
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.perf_counter() - start,
    )


def _bandwidth(footprint: int) -> Bandwidth:
    """The best of three kernels at a footprint: what is sustained, not what one of them happens to lose."""
    found = []
    for name, (moved, call) in _kernels(footprint):
        times = _times(call)
        found.append(Bandwidth(footprint, name, Spread(*(moved / each for each in _spread(times)))))
    return max(found, key=lambda point: point.rate.value)


def _kernels(footprint: int) -> Iterator[tuple[str, tuple[int, Callable[[], object]]]]:
    """Name -> (bytes moved a call, call)."""
    third = footprint // 12
    a, b, c = (torch.ones(third) for _ in range(3))
    yield "triad", (12 * third, lambda: torch.add(b, c, alpha=0.5, out=a))
    x = torch.ones(footprint // 4)
    yield "sum", (footprint, x.sum)
    rows = int((footprint / 4) ** 0.5)
    matrix, vector, out = torch.ones(rows, rows), torch.ones(rows), torch.empty(rows)
    yield "matrix-vector", (4 * rows * rows, lambda: torch.mv(matrix, vector, out=out))


def _torch(dtype: torch.dtype) -> Product:
    def product(size: int) -> Callable[[], object]:
        if dtype is torch.int8:
            a = torch.randint(-127, 128, (size, size), dtype=dtype)
            return lambda: torch._int_mm(a, a)
        b = torch.rand(size, size).to(dtype)
        return lambda: torch.mm(b, b)

    return product


def _onnx(engine: Engine) -> Product:
    """FP32 in a runtime: on some CPUs their kernels reach twice what torch's do."""

    def product(size: int) -> Callable[[], object]:
        a = np.random.default_rng(0).random((size, size), np.float32)
        return opened(engine, _matrix_product(a), {"x": a}, torch.get_num_threads())

    return product


def _matrix_product(weights: NDArray[np.float32]) -> bytes:
    """An input times constant weights, as an ONNX model."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, weights.shape) for name in ("x", "y")]
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    tensors = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph([node], "product", values[:1], values[1:], tensors)
    content: bytes = model_of(graph).SerializeToString()
    return content


_PRODUCTS: dict[NumberType, tuple[Product, ...]] = {
    NumberType.FP32: (_torch(torch.float32), *(_onnx(engine) for engine in RUNTIMES if installed(engine))),
    NumberType.BF16: (_torch(torch.bfloat16),),
    NumberType.INT8: (_torch(torch.int8),),
}


STEPS = len(FOOTPRINTS) + len(_PRODUCTS)
"""How often `measure_roof` reports."""


def _rate(product: Product, size: int) -> Spread:
    """Operations/s of a product of matrices of that size: 2 · size³ each."""
    return Spread(*(2 * size**3 / each for each in _spread(_times(product(size)))))


def _times(call: Callable[[], object]) -> list[float]:
    """Seconds a call, a figure a round. Raises EvaluationError where the clock does not go on."""
    call()
    begun = time.perf_counter()
    call()
    once = time.perf_counter() - begun
    calls = max(1, int(AT_LEAST_S / max(once, 1e-7)))
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter() - begun) / calls)
    if min(rounds) <= 0:
        raise EvaluationError("this machine's clock stood still while a kernel ran; measure again")
    return rounds


def _spread(times: list[float]) -> tuple[float, float, float]:
    """The median, the longest and the shortest, so that rates come as value, low, high."""
    return float(np.median(times)), max(times), min(times)
