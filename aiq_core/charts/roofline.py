"""The roofline chart's data: a machine's ceilings and every layer of a model, before -> after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiq_core.hardware import Machine, NumberType
from aiq_core.intensity import traffic
from aiq_core.records import FP32_BITS, UNFUSED, ModelProfile, Policy, Quantizer
from aiq_core.roofline import Prediction, predict, ridge

DECADES_RIGHT_OF_RIDGE = 0.75
"""Room for the compute-bound zone, whatever the model."""

ROOF_HEIGHT = 0.6
"""The share of the plot's height that the roof takes at most: labels stand above it."""


@dataclass(frozen=True, slots=True)
class State:
    """A layer under one policy: AI in FLOPs/byte, attainable FLOP/s, seconds a batch and its share of the model's."""

    bits: int
    intensity: float
    rate: float
    seconds: float
    share: float
    memory_bound: bool


@dataclass(frozen=True, slots=True)
class Dot:
    """A layer before and after."""

    layer: str
    before: State
    after: State


@dataclass(frozen=True, slots=True)
class Spot:
    """Layers that coincide before and after, as equal shapes at equal bits do; `share` is of them all."""

    names: tuple[str, ...]
    before: State
    after: State
    share: float


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A peak rate (operations/s) and the AI from which it binds; `in_use` by the layers drawn."""

    number_type: NumberType
    rate: float
    ridge: float
    in_use: bool


@dataclass(frozen=True)
class RooflineData:
    """Everything drawn, AI by the traffic model `traffic`.

    Ranges are (low, high) in FLOPs/byte and FLOP/s, fixed by machine, model and traffic model.
    """

    model: str
    machine: Machine
    batch: int
    before_name: str
    dots: tuple[Dot, ...]
    ceilings: tuple[Ceiling, ...]
    bandwidth: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    traffic: str = UNFUSED

    @property
    def roof(self) -> Ceiling:
        """The highest ceiling in use: the one whose ridge divides the zones."""
        return max((ceiling for ceiling in self.ceilings if ceiling.in_use), key=lambda ceiling: ceiling.rate)

    @property
    def memory_bound(self) -> int:
        """How many layers wait for bytes after."""
        return sum(dot.after.memory_bound for dot in self.dots)

    @property
    def spots(self) -> tuple[Spot, ...]:
        """Dots merged where they coincide, largest share of predicted time first."""
        merged: dict[tuple[float, ...], list[Dot]] = {}
        for dot in self.dots:
            where = (dot.before.bits, dot.after.bits, round(dot.before.intensity, 9), round(dot.after.intensity, 9))
            merged.setdefault(where, []).append(dot)
        spots = [
            Spot(tuple(d.layer for d in group), group[0].before, group[0].after, sum(d.after.share for d in group))
            for group in merged.values()
        ]
        return tuple(sorted(spots, key=lambda spot: -spot.share))


def roofline_data(
    machine: Machine,
    profile: ModelProfile,
    before: Policy,
    after: Policy,
    batch: int,
    widths: Sequence[int],
    batches: Sequence[int],
    before_name: str = "FP32",
    by: str = UNFUSED,
    quantizer: Quantizer = Quantizer(),
) -> RooflineData:
    """The dots of every layer under two policies, on axes that hold for all `widths` and `batches`.

    Raises SettingError where the machine lacks the arithmetic.
    """
    prediction = predict(machine, profile, [before, after], batch, by, quantizer)
    bits = [profile.named_bits(policy) for policy in (before, after)]
    dots = tuple(
        Dot(layer.name, *(_state(prediction, bits[row], row, column, layer.name) for row in (0, 1)))
        for column, layer in enumerate(profile.layers)
    )
    in_use = {float(rate) for rate in prediction.ceiling.ravel()}
    bandwidth = machine.bandwidth.value
    ceilings = tuple(
        Ceiling(kind, source.value, ridge(source.value, bandwidth), source.value in in_use)
        for kind, source in machine.rates.items()
    )
    corners = (
        traffic(profile, [profile.uniform(bits)], images, by, quantizer).layer_intensity
        for bits, images in ((max(widths), min(batches)), (min(widths), max(batches)))
    )
    x_range, y_range = _ranges(machine, ceilings, *corners)
    return RooflineData(
        profile.model, machine, batch, before_name, dots, ceilings, bandwidth, x_range, y_range, traffic=by
    )


def _state(prediction: Prediction, bits: Mapping[str, int], row: int, column: int, layer: str) -> State:
    return State(
        bits=bits.get(layer, FP32_BITS),
        intensity=float(prediction.intensity[row, column]),
        rate=float(prediction.attainable[row, column]),
        seconds=float(prediction.seconds[row, column]),
        share=float(prediction.share[row, column]),
        memory_bound=bool(prediction.memory_bound[row, column]),
    )


def _ranges(
    machine: Machine, ceilings: Sequence[Ceiling], least: NDArray[np.float64], most: NDArray[np.float64]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """AI grows with fewer bits and with the batch, so these two bound every policy and batch: AI of each layer."""
    lowest, highest = float(least.min()), float(most.max())
    in_use = [ceiling.ridge for ceiling in ceilings if ceiling.in_use]
    low = min(lowest / 1.6, min(in_use) / 10)
    high = max(highest * 1.6, max(in_use) * 10**DECADES_RIGHT_OF_RIDGE)
    bottom, roof = low * machine.bandwidth.value, max(ceiling.rate for ceiling in ceilings if ceiling.in_use)
    top = max(2.0 * max(ceiling.rate for ceiling in ceilings), bottom * (roof / bottom) ** (1 / ROOF_HEIGHT))
    return (low, high), (bottom, top)


def roofline_frame(data: RooflineData) -> pd.DataFrame:
    """The chart's data, a row a layer."""
    rows = []
    for dot in data.dots:
        row: dict[str, Any] = {
            "model": data.model,
            "machine": data.machine.name,
            "batch": data.batch,
            "traffic_model": data.traffic,
            "layer": dot.layer,
        }
        for side, state in (("before", dot.before), ("after", dot.after)):
            row |= {
                f"{side}_weight_bits": state.bits,
                f"{side}_flops_per_byte": state.intensity,
                f"{side}_attainable_flops_per_s": state.rate,
                f"{side}_predicted_s": state.seconds,
                f"{side}_share_of_predicted_time": state.share,
                f"{side}_memory_bound": state.memory_bound,
            }
        rows.append(row)
    return pd.DataFrame(rows)
