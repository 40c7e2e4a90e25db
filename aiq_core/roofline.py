"""The roofline: attainable rates, memory-bound layers and predicted time, from traffic and a machine.

A layer takes the longer of computing (FLOPs / ceiling) and moving its bytes (bytes / bandwidth); layers run one
after another (Williams, Waterman, Patterson, CACM 52(4), 2009). Kernels for the stored widths are taken as ideal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiq_core.hardware import Machine
from aiq_core.intensity import Traffic, traffic
from aiq_core.records import UNFUSED, ModelProfile, Policy, Quantizer


@dataclass(frozen=True, eq=False)
class Prediction:
    """Per policy and layer, float64[policies, layers] each: AI (FLOPs/byte), compute ceiling (FLOP/s) and seconds.

    `bandwidth` is in bytes/s; seconds are of one batch.
    """

    intensity: NDArray[np.float64]
    ceiling: NDArray[np.float64]
    bandwidth: float
    seconds: NDArray[np.float64]

    @property
    def attainable(self) -> NDArray[np.float64]:
        """FLOP/s that the roof allows each layer."""
        return np.minimum(self.ceiling, self.intensity * self.bandwidth)

    @property
    def memory_bound(self) -> NDArray[np.bool_]:
        """Which layers wait for bytes: those left of their ridge."""
        return self.intensity * self.bandwidth < self.ceiling

    @property
    def total_seconds(self) -> NDArray[np.float64]:
        """Seconds of the model, float64[policies]."""
        total: NDArray[np.float64] = self.seconds.sum(axis=1)
        return total

    @property
    def share(self) -> NDArray[np.float64]:
        """Each layer's share of the model's time, summing to 1 over layers."""
        return self.seconds / self.total_seconds[:, None]


def ridge(rate: float, bandwidth: float) -> float:
    """The AI (FLOPs/byte) from which computing, not moving bytes, takes longer."""
    return rate / bandwidth


def predict(
    machine: Machine,
    profile: ModelProfile,
    policies: Sequence[Policy],
    batch: int = 1,
    by: str = UNFUSED,
    quantizer: Quantizer = Quantizer(),
) -> Prediction:
    """Times of every layer under each policy. Raises SettingError where the machine lacks the arithmetic."""
    return predict_each(machine, profile, policies, [traffic(profile, policies, batch, by, quantizer)])[0]


def predict_each(
    machine: Machine, profile: ModelProfile, policies: Sequence[Policy], moved: Sequence[Traffic]
) -> list[Prediction]:
    """The same for what the policies move, as at several batches. Raises SettingError likewise."""
    ceiling, bandwidth = _ceilings(machine, profile, policies), machine.bandwidth.value
    return [
        Prediction(
            intensity=each.layer_intensity,
            ceiling=ceiling,
            bandwidth=bandwidth,
            seconds=np.maximum(each.flops / ceiling, each.layer_bytes / bandwidth),
        )
        for each in moved
    ]


def speed_up(
    machine: Machine,
    profile: ModelProfile,
    before: Policy,
    after: Policy,
    batch: int = 1,
    by: str = UNFUSED,
    quantizer: Quantizer = Quantizer(),
) -> float:
    """Predicted time before / after, if kernels for the stored widths existed."""
    total = predict(machine, profile, [before, after], batch, by, quantizer).total_seconds
    return float(total[0] / total[1])


def _ceilings(machine: Machine, profile: ModelProfile, policies: Sequence[Policy]) -> NDArray[np.float64]:
    """Compute ceilings, float64[policies, layers], each by the wider of a layer's weight and input types."""
    rows = [
        [machine.ceiling(*profile.operand_bits(policy, layer))[1] for layer in profile.layers] for policy in policies
    ]
    return np.array(rows, dtype=np.float64).reshape(len(policies), len(profile.layers))
