"""Lesson 1, the roofline: a kernel under a machine's roof, and what a faster chip or faster memory changes."""

from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from aiq_core.hardware import Machine, NumberType
from aiq_core.intensity import traffic
from aiq_core.records import ModelProfile

X_RANGE = (0.1, 1000.0)


class Change(StrEnum):
    """What is asked about: the machine as it is, with twice the peak, or with twice the bandwidth."""

    NONE = "now"
    PEAK = "flops"
    BANDWIDTH = "bandwidth"

    @property
    def label(self) -> str:
        """As buttons say it."""
        return {"now": "as it is", "flops": "2 × FLOP/s", "bandwidth": "2 × bandwidth"}[self.value]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A dot: a layer, the model, or a kernel with an AI of one's own (FLOPs/byte)."""

    name: str
    intensity: float


@dataclass(frozen=True)
class RoofData:
    """A machine's roof (FLOP/s, bytes/s) and the kernels under it; FLOPs and bytes are of one image at FP32."""

    title: str
    machine: str
    number_type: NumberType
    peak: float
    bandwidth: float
    flops: float
    moved_bytes: float
    layers: tuple[Kernel, ...]
    kernel: Kernel
    intensity_4_bits: float

    @property
    def ridge(self) -> float:
        """FLOPs/byte at which both roofs meet."""
        return self.peak / self.bandwidth

    @property
    def model(self) -> Kernel:
        """The model as one kernel."""
        return Kernel(self.title, self.flops / self.moved_bytes)

    @property
    def asked(self) -> Kernel:
        """The kernel of the question, at a quarter of the ridge."""
        return Kernel("the question's kernel", self.ridge / 4)

    def attainable(self, intensity: float, change: Change = Change.NONE) -> float:
        """FLOP/s that the roof allows at an AI."""
        peak, bandwidth = self.roof(change)
        return min(peak, intensity * bandwidth)

    def roof(self, change: Change) -> tuple[float, float]:
        """Peak and bandwidth of the changed machine."""
        peak = self.peak * (2 if change is Change.PEAK else 1)
        return peak, self.bandwidth * (2 if change is Change.BANDWIDTH else 1)

    def seconds(self, intensity: float, change: Change = Change.NONE) -> tuple[float, float]:
        """Time to move the bytes and time to compute of a kernel with the model's FLOPs at an AI."""
        peak, bandwidth = self.roof(change)
        return self.flops / intensity / bandwidth, self.flops / peak

    def memory_bound(self, intensity: float) -> bool:
        """Whether moving bytes takes longer than computing."""
        return intensity < self.ridge

    @property
    def memory_bound_layers(self) -> int:
        """How many layers wait for bytes."""
        return sum(self.memory_bound(layer.intensity) for layer in self.layers)


def roof_data(machine: Machine, profile: ModelProfile, title: str, intensity: float | None = None) -> RoofData:
    """A model's layers under a machine's roof. Raises SettingError where it can't run FP32."""
    moved = traffic(profile, [profile.uniform(32), profile.uniform(4)])
    number_type, peak = machine.ceiling(32, 32)
    model = float(moved.intensity[0])
    return RoofData(
        title=title,
        machine=machine.name,
        number_type=number_type,
        peak=peak,
        bandwidth=machine.bandwidth.value,
        flops=float(moved.flops.sum()),
        moved_bytes=float(moved.moved_bytes[0]),
        layers=tuple(
            Kernel(layer.name, float(value))
            for layer, value in zip(profile.layers, moved.layer_intensity[0], strict=True)
        ),
        kernel=Kernel(title if intensity is None else "your kernel", model if intensity is None else intensity),
        intensity_4_bits=float(moved.intensity[1]),
    )


def roof_frame(data: RoofData) -> pd.DataFrame:
    """A row a kernel."""
    kernels = [*data.layers, data.model, data.kernel, data.asked]
    return pd.DataFrame(
        {
            "machine": data.machine,
            "kernel": [kernel.name for kernel in kernels],
            "flops_per_byte": [kernel.intensity for kernel in kernels],
            "attainable_flops_per_s": [data.attainable(kernel.intensity) for kernel in kernels],
            "bound": ["memory" if data.memory_bound(kernel.intensity) else "compute" for kernel in kernels],
        }
    )
