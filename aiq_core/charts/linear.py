"""A timed linear layer: its table, and what it says on the page, in the lesson and on the command line."""

from math import isfinite

import pandas as pd

from aiq_core.hardware import NumberType
from aiq_core.linear import KERNELS, Linear, rows_of
from aiq_core.wording import number, significant


def message(found: Linear, key: str, where: str = "here") -> str:
    """What a kernel gains at the smallest batch, what its bytes promised, and what becomes of that.

    `where` names the machine.
    """
    first, last = found.measured_batches[0], found.measured_batches[-1]
    gain, promised = found.table[key, first].gain.value, found.byte_ratio(key, first)
    text = (
        f"At batch {first}, {weights(key)} run {number(gain, 1)} × as fast as FP32 {where}; the bytes promised "
        f"{number(promised, 1)} ×"
    )
    return text if last == first else f"{text}; {fate(found, key)}"


def fate(found: Linear, key: str) -> str:
    """Where the gain ends: at a batch, or in the part that arithmetic of narrower numbers keeps."""
    last, gone, edge = found.measured_batches[-1], found.gone_at(key), found.ridge_batch(key)
    if gone is not None:
        return f"from batch {gone} the gain is gone"
    at_last = found.table.get((key, last))
    if at_last is None or last < edge:
        return f"at batch {last} FP32 still waits for bytes"
    return (
        f"beyond the ridge, batch {number(edge, 0)}, bytes buy nothing, and the {number(at_last.gain.value, 1)} × left "
        f"at batch {last} is {source(key)}"
    )


def source(key: str) -> str:
    """What a gain is that bytes do not explain: narrower numbers multiplied, or the same ones by a better kernel."""
    kernel = KERNELS[key]
    if kernel.arithmetic is NumberType.FP32:
        return f"a kernel that computes faster than {kernel.engine}’s FP32"
    return f"{kernel.arithmetic} arithmetic"


def provenance(found: Linear) -> str:
    """Where, when and with what it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items() if name != "python")
    threads = "1 thread" if found.threads == 1 else f"{found.threads} threads"
    cold = "weights from memory" if found.is_cold else "weights from a cache: this layer fits in one"
    return (
        f"Measured {found.created_at[:10]} on {found.cpu}, {threads}: {found.rows} × {found.columns}, {cold}, medians "
        f"of interleaved rounds; {versions}"
    )


def ridge_words(found: Linear, key: str) -> str:
    """The measured ridge as a batch: `183 GFLOP/s / 15 GB/s = 12.2 FLOPs/byte: batch 24`."""
    edge = found.ridge_batch(key)
    where = f"batch {number(edge, 0)}" if isfinite(edge) else "no batch reaches it"
    return (
        f"{significant(found.peak(key) / 1e9)} GFLOP/s / {significant(found.bandwidth.value / 1e9)} GB/s = "
        f"**{significant(found.ridge(key))}** FLOPs/byte: {where}"
    )


def weights(key: str) -> str:
    """`4-bit weights`, `BF16 weights`."""
    kernel = KERNELS[key]
    return f"{kernel.width} weights" if kernel.bits >= 16 else f"{kernel.bits}-bit weights"


def engines(found: Linear) -> tuple[str, ...]:
    """The engines with narrow weights timed, the one with the fastest fewest bits first."""
    keys = sorted(
        found.narrow, key=lambda key: (KERNELS[key].bits, found.table[key, found.measured_batches[0]].seconds.value)
    )
    return tuple(dict.fromkeys(KERNELS[key].engine for key in keys))


def keys_of(found: Linear, engine: str) -> tuple[str, ...]:
    """An engine's kernels of narrow weights, fewest bits first."""
    return tuple(sorted((k for k in found.narrow if KERNELS[k].engine == engine), key=lambda k: KERNELS[k].bits))


def linear_frame(found: Linear) -> pd.DataFrame:
    """A row a timing, then a kernel that was not timed."""
    return pd.DataFrame(rows_of(found))
