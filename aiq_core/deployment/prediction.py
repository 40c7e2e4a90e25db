"""How long a deployed network is predicted to take: from the plain roofline to a table of its own kernels.

Each predictor knows what the one before it does, and one thing more:
- ROOFLINE: FLOPs and bytes of fused kernels, the peak rates and the memory bandwidth of the machine.
- RATES: that depthwise convolutions reach less, and dense ones what the runtime's own do; the level of memory in which
  the network fits.
- TABLE: what each of its kernels adds in the runtime, and that their weights come from beyond the nearest caches.
- BORDERS: what changes of type between kernels cost.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.rates import RATES, Rates
from aiq_core.errors import SettingError
from aiq_core.hardware import NumberType
from aiq_core.intensity import traffic, weight_bytes
from aiq_core.library import Library
from aiq_core.records import FP32_BITS, TABLE, KernelTable, ModelProfile, Policy, table_subject
from aiq_core.records.kernel_table import INTEGER_BITS
from aiq_core.roof import ROOF, Level, Roof
from aiq_core.roofline import predict

FUSED = "fused"
"""The traffic model of runtimes, which fuse."""


class Predictor(StrEnum):
    """A way to predict time, each better than the one before."""

    ROOFLINE = "roofline"
    RATES = "runtime's own rates"
    TABLE = "table of kernels"
    BORDERS = "table and borders"


@dataclass(frozen=True)
class Measured:
    """What was measured of a machine, an engine on it, and a model in that at a batch; None where it was not."""

    roof: Roof | None
    rates: Rates | None
    table: KernelTable | None

    @classmethod
    def of(cls, library: Library, model_hash: str, engine: Engine, batch: int, threads: int, cpu: str) -> "Measured":
        """The latest that a library knows."""

        def latest(kind: str, named: str) -> Mapping[str, object] | None:
            found = [
                each.document
                for each in library.measurements(kind)
                if (each.cpu, each.threads, each.subject) == (cpu, threads, named)
            ]
            return found[-1] if found else None

        roof, rates = latest(ROOF, ""), latest(RATES, str(engine))
        table = latest(TABLE, table_subject(model_hash, engine, batch))
        return cls(
            None if roof is None else Roof.from_json(roof),
            None if rates is None else Rates.from_json(rates),
            None if table is None else KernelTable.from_json(table),
        )


def predicted_seconds(measured: Measured, profile: ModelProfile, policy: Policy, batch: int) -> dict[Predictor, float]:
    """Seconds a batch by each predictor that what was measured is enough for."""
    found: dict[Predictor, float] = {}
    layers = predicted_layers(measured, profile, policy, batch)
    for predictor, times in layers.items():
        found[predictor] = float(np.sum(times))
    if Predictor.TABLE in found and measured.table is not None:
        if measured.roof is not None:
            found[Predictor.TABLE] += cold_seconds(measured.roof, measured.table, profile, policy)
        found[Predictor.BORDERS] = found[Predictor.TABLE] + sum(measured.table.border_times(profile, policy))
    return found


def predicted_layers(
    measured: Measured, profile: ModelProfile, policy: Policy, batch: int
) -> dict[Predictor, NDArray[np.float64]]:
    """Seconds of each layer by the predictors that give them, or of each kernel by the table; a batch's."""
    found: dict[Predictor, NDArray[np.float64]] = {}
    if measured.roof is not None:
        with suppress(SettingError):  # a type that the machine was not measured in
            found[Predictor.ROOFLINE] = predict(measured.roof.machine(), profile, [policy], batch, FUSED).seconds[0]
        if measured.rates is not None:
            found[Predictor.RATES] = _by_rates(measured.roof, measured.rates, profile, policy, batch)
    if measured.table is not None:
        found[Predictor.TABLE] = np.array(measured.table.times(profile, policy))
    return found


def _by_rates(roof: Roof, rates: Rates, profile: ModelProfile, policy: Policy, batch: int) -> NDArray[np.float64]:
    moved = traffic(profile, [policy], batch, FUSED)
    reached = []
    for layer in profile.layers:
        widest = max(profile.operand_bits(policy, layer))
        kind = NumberType.INT8 if widest <= INTEGER_BITS else NumberType.FP32
        is_depthwise = layer.groups > 1 and layer.groups == layer.output_channels
        reached.append((rates.depthwise if is_depthwise else rates.dense)[kind])
    largest = max(layer.input_elements + layer.output_elements for layer in profile.layers) * 4 * batch
    bandwidth = level(roof, weight_bytes(profile, policy) + largest).rate.value
    return np.asarray(np.maximum(moved.flops / np.array(reached), moved.layer_bytes[0] / bandwidth))


def cold_seconds(roof: Roof, table: KernelTable, profile: ModelProfile, policy: Policy) -> float:
    """Seconds a batch more than in the table, as weights come from the level of memory that holds all of them.

    Alone, a kernel finds its weights where they and what it reads and writes fit.
    """
    layers = {layer.name: layer for layer in profile.layers}
    sizes, footprints = [], []
    for kernel, in_int8 in zip(table.kernels, table.in_int8(profile, policy), strict=True):
        bytes_each = 1 if in_int8 else FP32_BITS // 8
        for layer in (layers[name] for name in kernel.layers):
            sizes.append(bytes_each * layer.weights)
            elements = layer.weights + table.batch * (layer.input_elements + layer.output_elements)
            footprints.append(bytes_each * elements)
    far = level(roof, sum(sizes)).rate.value
    near = (level(roof, footprint).rate.value for footprint in footprints)
    return sum(size * max(0.0, 1 / far - 1 / each) for size, each in zip(sizes, near, strict=True))


def level(roof: Roof, footprint_bytes: float) -> Level:
    """The nearest level of memory that holds so many bytes."""
    fitting: Sequence[Level] = [each for each in roof.levels if each.footprint_bytes >= footprint_bytes]
    return fitting[0] if fitting else roof.levels[-1]
