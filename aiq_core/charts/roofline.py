"""The roofline chart's data: a machine's ceilings and every layer of a model, before -> after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiq_core import wording
from aiq_core.hardware import Machine, NumberType
from aiq_core.intensity import traffic
from aiq_core.records import FP32_BITS, OFFERED_BITS, UNFUSED, ModelProfile, Policy, Quantizer
from aiq_core.roofline import Prediction, predict, ridge

DECADES_RIGHT_OF_RIDGE = 0.75
"""Room for the compute-bound zone, whatever the model."""

MOST_ROWS = 6
"""Of names of layers that coincide, under the pointer; the table has all."""

ROOF_HEIGHT = 0.6
"""The share of the plot's height that the roof takes at most: labels stand above it."""


@dataclass(frozen=True, slots=True)
class State:
    """A layer under one policy: AI in FLOPs/byte, attainable FLOP/s, seconds a batch and its share of the model's.

    `bits` are its weights', `input_bits` those of what it reads; it computes in `number_type`, the wider one's, whose
    rate is `peak` FLOP/s.
    """

    bits: int
    input_bits: int
    number_type: NumberType
    intensity: float
    rate: float
    peak: float
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

    @property
    def is_moved(self) -> bool:
        """Whether a width changed its place or its look."""
        states = ((state.bits, state.input_bits, state.intensity) for state in (self.before, self.after))
        return len({*states}) > 1

    @property
    def moving_bits(self) -> int:
        """The width that moved it: its weights', else that of what it reads."""
        return self.after.bits if self.after.bits != self.before.bits else self.after.input_bits


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A peak rate (operations/s) and the AI from which it binds; `in_use` by the layers drawn."""

    number_type: NumberType
    rate: float
    ridge: float
    in_use: bool


@dataclass(frozen=True)
class RooflineData:
    """Everything drawn, AI by the traffic model `traffic`, in `height_px` pixels.

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
    joint: bool = False
    height_px: float = 288

    @property
    def roof(self) -> Ceiling:
        """The highest ceiling in use: the one whose ridge divides the zones."""
        return max((ceiling for ceiling in self.ceilings if ceiling.in_use), key=lambda ceiling: ceiling.rate)

    @property
    def memory_bound(self) -> int:
        """How many layers wait for bytes after."""
        return sum(dot.after.memory_bound for dot in self.dots)

    @property
    def is_joint(self) -> bool:
        """Whether some layer reads quantized activations."""
        return any(state.input_bits != FP32_BITS for dot in self.dots for state in (dot.before, dot.after))

    @property
    def spots(self) -> tuple[Spot, ...]:
        """Dots merged where they coincide, largest share of predicted time first."""
        merged: dict[tuple[tuple[int, int, float], ...], list[Dot]] = {}
        for dot in self.dots:
            states = (dot.before, dot.after)
            where = [(state.bits, state.input_bits, round(state.intensity, 9)) for state in states]
            merged.setdefault(tuple(where), []).append(dot)
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
    joint: bool = False,
    height_px: float = 288,
) -> RooflineData:
    """The dots of every layer under two policies, on axes that hold for all `widths` and `batches`.

    With `joint` they hold for quantized activations too, whatever these two have. Raises SettingError where the machine
    lacks the arithmetic.
    """
    policies = before, after
    prediction = predict(machine, profile, policies, batch, by, quantizer)
    dots = tuple(
        Dot(
            layer.name,
            *(
                _state(machine, prediction, (row, column), *profile.operand_bits(policy, layer))
                for row, policy in enumerate(policies)
            ),
        )
        for column, layer in enumerate(profile.layers)
    )
    in_use = {float(rate) for rate in prediction.ceiling.ravel()}
    bandwidth = machine.bandwidth.value
    ceilings = tuple(
        Ceiling(kind, source.value, ridge(source.value, bandwidth), source.value in in_use)
        for kind, source in machine.rates.items()
    )
    lowest, reached = profile.uniform(min(widths)), [ceiling for ceiling in ceilings if ceiling.in_use]
    joint = joint or before.has_activations or after.has_activations
    if joint:
        # Only here: else the layers would stand in a corner of what others could reach.
        lowest, reached = profile.uniform(min(OFFERED_BITS), min(OFFERED_BITS)), list(ceilings)
    corners = (
        traffic(profile, [policy], images, by, quantizer).layer_intensity
        for policy, images in ((profile.uniform(max(widths)), min(batches)), (lowest, max(batches)))
    )
    x_range, y_range = _ranges(machine, ceilings, reached, *corners)
    return RooflineData(
        profile.model, machine, batch, before_name, dots, ceilings, bandwidth, x_range, y_range, by, joint, height_px
    )


def _state(
    machine: Machine,
    prediction: Prediction,
    at: tuple[int, int],
    bits: int,
    input_bits: int,
) -> State:
    return State(
        bits=bits,
        input_bits=input_bits,
        number_type=machine.ceiling(bits, input_bits)[0],
        intensity=float(prediction.intensity[at]),
        rate=float(prediction.attainable[at]),
        peak=float(prediction.ceiling[at]),
        seconds=float(prediction.seconds[at]),
        share=float(prediction.share[at]),
        memory_bound=bool(prediction.memory_bound[at]),
    )


def _ranges(
    machine: Machine,
    ceilings: Sequence[Ceiling],
    reached: Sequence[Ceiling],
    least: NDArray[np.float64],
    most: NDArray[np.float64],
) -> tuple[tuple[float, float], tuple[float, float]]:
    """AI grows with fewer bits and with the batch, so these two bound every policy and batch: AI of each layer.

    `reached` are the ceilings under which they may compute.
    """
    ridges = [ceiling.ridge for ceiling in reached]
    low = min(float(least.min()) / 1.6, min(ridges) / 10)
    high = max(float(most.max()) * 1.6, max(ridges) * 10**DECADES_RIGHT_OF_RIDGE)
    bottom, roof = low * machine.bandwidth.value, max(ceiling.rate for ceiling in reached)
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
            "layer": dot.layer,
            "traffic": data.traffic,
        }
        for side, state in (("before", dot.before), ("after", dot.after)):
            row |= {
                f"{side}_weight_bits": state.bits,
                f"{side}_input_bits": state.input_bits,
                f"{side}_number_type": str(state.number_type),
                f"{side}_flops_per_byte": state.intensity,
                f"{side}_attainable_flops_per_s": state.rate,
                f"{side}_peak_flops_per_s": state.peak,
                f"{side}_predicted_s": state.seconds,
                f"{side}_share_of_predicted_time": state.share,
                f"{side}_memory_bound": state.memory_bound,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def hover(spot: Spot, before_name: str) -> str:
    """What a mark says under the pointer, in lines of HTML."""
    abreast = 3 if max(map(len, spot.names)) <= wording.MOST_LETTERS else 1
    names = list(spot.names[: MOST_ROWS * abreast])
    rows = [names[start : start + abreast] for start in range(0, len(names), abreast)]
    listed = "<br>".join(", ".join(map(wording.wrapped, row)) for row in rows)
    if len(spot.names) > len(names):
        listed += f"<br>and {len(spot.names) - len(names)} more"
    after = spot.after
    bound = "memory-bound" if after.memory_bound else "compute-bound"
    change = _change(spot.before.bits, spot.after.bits, before_name)
    if {spot.before.input_bits, spot.after.input_bits} != {FP32_BITS}:
        change = (
            f"weights {change}<br>reads {_change(spot.before.input_bits, spot.after.input_bits, before_name)}<br>"
            f"computes in {spot.after.number_type}, the wider of both"
        )
    each = " each" if len(names) > 1 else ""
    return (
        f"<b>{listed}</b><br>{change}<br>AI {wording.significant(spot.before.intensity)} → "
        f"{wording.significant(spot.after.intensity)} FLOPs/byte<br>"
        f"{bound}, {wording.significant(100 * after.rate / after.peak)} % of {after.number_type}’s peak<br>"
        f"{wording.seconds(spot.after.seconds)}{each} predicted, {100 * spot.share:.0f} % of the model's time"
    )


def _change(before: int, after: int, before_name: str) -> str:
    if before == after:
        return f"{wording.bits_name(after)}, as in {before_name}"
    return f"{wording.bits_name(before)} → {wording.bits_name(after)}"
