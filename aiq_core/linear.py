"""A linear layer by batch: the bytes that narrow weights save, the time that real kernels take, where the gain ends."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf
from typing import Any

from aiq_core.hardware import NumberType
from aiq_core.records import Measurement
from aiq_core.roof import Spread

LINEAR = "linear"
"""The kind of measurement that a timed linear layer is."""

PART = "linear-part"
"""The kind of one that was stopped before its last batch; the next one goes on from it."""

GONE = 1.1
"""A gain below which narrow weights are said to buy nothing."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of an engine: `bits` a weight, a scale of `scale_bytes` for each `group` of weights (None: an output).

    `activation_bytes` are those of a number it reads or writes; `arithmetic` is what it
    multiplies in where the CPU has it.
    """

    engine: str
    bits: int
    arithmetic: NumberType
    group: int | None = None
    scale_bytes: int = 0
    activation_bytes: int = 4

    @property
    def name(self) -> str:
        """`ONNX Runtime, 4 bits`."""
        return f"{self.engine}, {self.width}"

    @property
    def width(self) -> str:
        """`FP32`, `BF16`, `8 bits`."""
        return {32: "FP32", 16: "BF16"}.get(self.bits, f"{self.bits} bits")

    def stored_bytes(self, rows: int, columns: int) -> float:
        """Bytes of the packed weights with their scales."""
        scales = rows * columns / (self.group or columns) * self.scale_bytes
        return rows * columns * self.bits / 8 + scales

    def moved_bytes(self, rows: int, columns: int, batch: float) -> float:
        """Bytes of weights, scales, input and output, each once."""
        return self.stored_bytes(rows, columns) + batch * (rows + columns) * self.activation_bytes


ONNX_RUNTIME, PYTORCH, OPENVINO = "ONNX Runtime", "PyTorch", "OpenVINO"
GROUP = 128

KERNELS: Mapping[str, Kernel] = {
    "ort-fp32": Kernel(ONNX_RUNTIME, 32, NumberType.FP32),
    "ort-8": Kernel(ONNX_RUNTIME, 8, NumberType.INT8, GROUP, 4),
    "ort-4": Kernel(ONNX_RUNTIME, 4, NumberType.INT8, GROUP, 4),
    "torch-fp32": Kernel(PYTORCH, 32, NumberType.FP32),
    "torch-bf16": Kernel(PYTORCH, 16, NumberType.BF16, activation_bytes=2),
    "torch-8": Kernel(PYTORCH, 8, NumberType.FP32, None, 2, 2),
    "torch-4": Kernel(PYTORCH, 4, NumberType.FP32, GROUP, 4, 2),
    "openvino-fp32": Kernel(OPENVINO, 32, NumberType.FP32),
    "openvino-8": Kernel(OPENVINO, 8, NumberType.INT8, None, 4),
    "openvino-4": Kernel(OPENVINO, 4, NumberType.INT8, GROUP, 2),
}
"""Each engine's FP32 first, with which its others are compared. PyTorch's 4 bits keep a zero point beside the scale.

PyTorch's packed kernels read and write BF16 and multiply in FP32: tinygemm_kernel of its int4mm_kernel.cpp and
int8mm_kernel.cpp.
"""

BATCHES = tuple(2**power for power in range(9))


def baseline(key: str) -> str:
    """The FP32 kernel of the same engine."""
    return next(name for name, kernel in KERNELS.items() if kernel.engine == KERNELS[key].engine)


def byte_ratio(key: str, rows: int, columns: int, batch: float) -> float:
    """How many times fewer bytes a kernel moves than FP32 does."""
    before = KERNELS[baseline(key)].moved_bytes(rows, columns, batch)
    return before / KERNELS[key].moved_bytes(rows, columns, batch)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds a call of a kernel at a batch, and its engine's FP32 time over its own in the same rounds.

    `error` is relative to the product with the same weights dequantized, by the norm.
    """

    kernel: str
    batch: int
    seconds: Spread
    gain: Spread
    error: float


@dataclass(frozen=True, eq=False)
class Linear:
    """A layer of `rows` outputs and `columns` inputs, timed on `threads` threads of a CPU.

    `batches` are those asked for. `missing` says of each kernel that was not timed why. `peaks` (operations/s),
    `bandwidth` (bytes/s) and `cache_bytes` are the machine's roof; `cold_bytes` are the weights that other calls read
    before a copy is read again: beyond `cache_bytes`, weights come from memory.
    """

    cpu: str
    threads: int
    rows: int
    columns: int
    batches: tuple[int, ...]
    timings: tuple[Timing, ...]
    missing: Mapping[str, str]
    peaks: Mapping[NumberType, Spread]
    bandwidth: Spread
    cache_bytes: int
    cold_bytes: int
    versions: Mapping[str, str]
    created_at: str
    seconds: float

    @property
    def subject(self) -> str:
        """`4096x4096`."""
        return f"{self.rows}x{self.columns}"

    @property
    def is_cold(self) -> bool:
        """Whether weights came from memory."""
        return self.cold_bytes > self.cache_bytes

    @property
    def measured_batches(self) -> tuple[int, ...]:
        """Those timed so far, ascending."""
        return tuple(sorted({each.batch for each in self.timings}))

    @property
    def is_complete(self) -> bool:
        """Whether every batch asked for is timed."""
        return set(self.batches) <= set(self.measured_batches)

    @property
    def measurement(self) -> Measurement:
        """It as a store keeps it, a part as one."""
        kind = LINEAR if self.is_complete else PART
        return Measurement(kind, self.cpu, self.threads, self.subject, self.created_at, self.to_json())

    @cached_property
    def table(self) -> Mapping[tuple[str, int], Timing]:
        """Kernel and batch -> timing."""
        return {(each.kernel, each.batch): each for each in self.timings}

    @property
    def narrow(self) -> tuple[str, ...]:
        """The kernels timed whose weights are narrower than FP32."""
        timed = {each.kernel for each in self.timings}
        return tuple(key for key, kernel in KERNELS.items() if kernel.bits < 32 and key in timed)

    def fastest(self, bits: int) -> str | None:
        """The kernel of so many bits that takes least at the smallest batch; None where none was timed."""
        first = self.measured_batches[0] if self.timings else 0
        found = [key for key in self.narrow if KERNELS[key].bits == bits and (key, first) in self.table]
        return min(found, key=lambda key: self.table[key, first].seconds.value, default=None)

    def gone_at(self, key: str) -> int | None:
        """The batch from which on a kernel gains less than `GONE`; None where it still gains at the largest."""
        gone = None
        for batch in reversed(self.measured_batches):
            if (key, batch) in self.table:
                if self.table[key, batch].gain.value >= GONE:
                    break
                gone = batch
        return gone

    def byte_ratio(self, key: str, batch: float) -> float:
        """How many times fewer bytes a kernel moves than FP32 does."""
        return byte_ratio(key, self.rows, self.columns, batch)

    def peak(self, key: str) -> float:
        """FLOP/s of FP32: the roof's, or what the FP32 kernel of the same engine reaches here where that is more."""
        own = (each for each in self.timings if each.kernel == baseline(key))
        work = 2 * self.rows * self.columns
        return max([self.peaks[NumberType.FP32].value, *(work * each.batch / each.seconds.value for each in own)])

    def byte_gain(self, key: str, batch: float) -> float:
        """What a kernel's fewer bytes can buy under the roof, where both compute in FP32.

        A layer takes the longer of moving its bytes and computing. What a kernel gains beyond this is arithmetic.
        """
        computing = 2 * batch * self.rows * self.columns / self.peak(key)

        def seconds(which: str) -> float:
            moving = KERNELS[which].moved_bytes(self.rows, self.columns, batch) / self.bandwidth.value
            return max(computing, moving)

        return seconds(baseline(key)) / seconds(key)

    def ridge(self, key: str) -> float:
        """FLOPs per byte from which computing in FP32 takes longer than moving bytes, in a kernel's engine."""
        return self.peak(key) / self.bandwidth.value

    def ridge_batch(self, key: str) -> float:
        """The batch at which FP32 meets the ridge, and fewer bytes buy nothing more; infinite where it never does.

        Solves 2·B·R·C / (W + B·a·(R + C)) = ridge for B.
        """
        kernel, ridge = KERNELS[baseline(key)], self.ridge(key)
        shared = ridge * kernel.stored_bytes(self.rows, self.columns)
        each = 2 * self.rows * self.columns - ridge * kernel.activation_bytes * (self.rows + self.columns)
        return shared / each if each > 0 else inf

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "batches": list(self.batches),
            "timings": [asdict(each) for each in self.timings],
            "missing": dict(self.missing),
            "peaks": {str(kind): asdict(rate) for kind, rate in self.peaks.items()},
            "bandwidth": asdict(self.bandwidth),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Linear":
        """The layer that `to_json` wrote."""
        return cls(
            **{name: document[name] for name in _PLAIN},
            batches=tuple(document["batches"]),
            timings=tuple(_timing(each) for each in document["timings"]),
            missing=dict(document["missing"]),
            peaks={NumberType(kind): Spread(**rate) for kind, rate in document["peaks"].items()},
            bandwidth=Spread(**document["bandwidth"]),
            versions=dict(document["versions"]),
        )


_PLAIN = ("cpu", "threads", "rows", "columns", "cache_bytes", "cold_bytes", "created_at", "seconds")


def _timing(document: Mapping[str, Any]) -> Timing:
    spreads = {name: Spread(**document[name]) for name in ("seconds", "gain")}
    return Timing(document["kernel"], document["batch"], **spreads, error=document["error"])


def rows_of(found: Linear) -> Sequence[dict[str, Any]]:
    """A flat row a timing, then a kernel that was not timed: what tables and --json show."""
    timed = [
        {
            "engine": KERNELS[each.kernel].engine,
            "weights": KERNELS[each.kernel].width,
            "batch": each.batch,
            "seconds": each.seconds.value,
            "gain": each.gain.value,
            "gain_low": each.gain.low,
            "gain_high": each.gain.high,
            "byte_ratio": found.byte_ratio(each.kernel, each.batch),
            "byte_gain": found.byte_gain(each.kernel, each.batch),
            "relative_error": each.error,
        }
        for each in found.timings
    ]
    return timed + [
        {"engine": KERNELS[key].engine, "weights": KERNELS[key].width, "missing": why}
        for key, why in found.missing.items()
    ]
