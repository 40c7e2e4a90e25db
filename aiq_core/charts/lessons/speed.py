"""Lesson 7, speed: a linear layer's narrow weights against FP32 by batch, and what explains it."""

from dataclasses import dataclass

from aiq_core.charts.linear import keys_of
from aiq_core.intensity import traffic
from aiq_core.linear import KERNELS, Linear, baseline
from aiq_core.records import ModelProfile


@dataclass(frozen=True)
class Times:
    """Seconds of a call: to move the bytes and to compute in FP32 under the measured roof, and as measured."""

    moving: float
    computing: float
    measured: float


@dataclass(frozen=True)
class SpeedData:
    """A timed layer as one engine runs it, at a batch."""

    found: Linear
    engine: str
    batch: int

    @property
    def keys(self) -> tuple[str, ...]:
        """The engine's kernels of narrow weights, fewest bits first."""
        return keys_of(self.found, self.engine)

    @property
    def key(self) -> str:
        """The kernel that is asked about: that of the fewest bits."""
        return self.keys[0]

    @property
    def batches(self) -> tuple[int, ...]:
        """Those at which it was timed, ascending."""
        return tuple(batch for batch in self.found.measured_batches if (self.key, batch) in self.found.table)

    @property
    def asked(self) -> int:
        """The batch of the question: the largest."""
        return self.batches[-1]

    @property
    def ridge_batch(self) -> float:
        """The batch from which computing, in FP32, takes longer than moving FP32's bytes."""
        return self.found.ridge_batch(self.key)

    def gain(self, batch: int, key: str | None = None) -> float:
        """How many times as fast as FP32 it runs."""
        return self.found.table[key or self.key, batch].gain.value

    def promised(self, batch: int) -> float:
        """How many times fewer bytes it moves."""
        return self.found.byte_ratio(self.key, batch)

    def bought(self, batch: int) -> float:
        """What those bytes can buy under the measured roof."""
        return self.found.byte_gain(self.key, batch)

    def times(self, batch: int, key: str | None = None) -> Times:
        """A call's seconds; by default of the kernel asked about."""
        which, found = key or self.key, self.found
        moved = KERNELS[which].moved_bytes(found.rows, found.columns, batch)
        flops = 2 * batch * found.rows * found.columns
        measured = found.table[which, batch].seconds.value
        return Times(moved / found.bandwidth.value, flops / found.peak(which), measured)

    @property
    def fp32(self) -> str:
        """The kernel that it is compared with."""
        return baseline(self.key)

    @property
    def wider(self) -> str | None:
        """The engine's kernel of the next more bits, of integers as well; None where it has none."""
        return next((key for key in self.keys[1:] if KERNELS[key].bits < 16), None)


@dataclass(frozen=True)
class Waiting:
    """Layers of a model that a machine's ridge leaves waiting for bytes at batch 1 and FP32, of how many.

    `activation_share` is that of activations in their bytes, which bits of weights leave as they are.
    """

    count: int
    layers: int
    intensity: float
    activation_share: float


def waiting(profile: ModelProfile, ridge: float) -> Waiting:
    """Which of a model's layers lie left of a ridge in FLOPs/byte."""
    moved = traffic(profile, [profile.uniform(32)])
    left = moved.layer_intensity[0] < ridge
    activations, whole = moved.activation_bytes[0][left].sum(), moved.layer_bytes[0][left].sum()
    share = float(activations / whole) if left.any() else 0.0
    return Waiting(int(left.sum()), len(profile.layers), float(moved.intensity[0]), share)
