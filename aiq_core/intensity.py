"""A profile and policies -> FLOPs, bytes moved and arithmetic intensity, by a traffic model.

By the paper's (arXiv 2512.14090), "unfused", every layer reads its weights, bias and input from DRAM and writes its
output there. `aiq_core.traffic` has it and the others. FLOPs and activations grow with the batch; what the network
itself keeps is read once a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError
from aiq_core.records import FP32_BITS, UNFUSED, Granularity, ModelProfile, Policy, Quantizer
from aiq_core.traffic import STORED, traffic_model
from aiq_core.traffic.counts import Counts, of_layers


@dataclass(frozen=True)
class Traffic:
    """Bytes moved a batch, of policies x layers; `flops` (a batch) of layers.

    `weight_bytes`, `scale_bytes`, `bias_bytes`, `activation_bytes` sum to `moved_bytes`; each is
    float64[policies, layers].
    """

    flops: NDArray[np.float64]
    weight_bytes: NDArray[np.float64]
    scale_bytes: NDArray[np.float64]
    bias_bytes: NDArray[np.float64]
    activation_bytes: NDArray[np.float64]

    @property
    def layer_bytes(self) -> NDArray[np.float64]:
        """Bytes each layer moves, float64[policies, layers]."""
        return self.weight_bytes + self.scale_bytes + self.bias_bytes + self.activation_bytes

    @property
    def moved_bytes(self) -> NDArray[np.float64]:
        """Bytes the model moves, float64[policies]."""
        return np.asarray(self.layer_bytes.sum(axis=1), dtype=np.float64)

    @property
    def intensity(self) -> NDArray[np.float64]:
        """FLOPs per byte of the model, float64[policies]."""
        return np.asarray(self.flops.sum() / self.moved_bytes, dtype=np.float64)

    @property
    def layer_intensity(self) -> NDArray[np.float64]:
        """FLOPs per byte of each layer, float64[policies, layers]."""
        return self.flops[None, :] / self.layer_bytes


def traffic(
    profile: ModelProfile,
    policies: Sequence[Policy],
    batch: int = 1,
    by: str = UNFUSED,
    quantizer: Quantizer = Quantizer(),
) -> Traffic:
    """Traffic of each policy at a batch size, vectorised over policies. Sums are of integers, so they are exact.

    `by` names the traffic model; of the quantizer, how many weights share a scale counts. Raises UnknownNameError.
    """
    if batch < 1:
        raise SettingError(f"batch={batch} is not offered; choose 1 or more images")
    counted = _counted(profile, by, quantizer.granularity)
    counts = counted.counts
    weight_bits = _with_fp32_column([policy.weight_bits for policy in policies])[:, counted.columns]
    activation_bits = _with_fp32_column([policy.activation_bits for policy in policies])
    scales = (
        counts.weight_scales * (weight_bits < FP32_BITS) + (activation_bits < FP32_BITS) @ counts.activation_scales.T
    )
    return Traffic(
        flops=2.0 * batch * counted.macs,
        weight_bytes=counts.weights * weight_bits / 8,
        scale_bytes=scales * FP32_BITS / 8,
        bias_bytes=np.broadcast_to(counts.biases * FP32_BITS / 8, weight_bits.shape),
        activation_bytes=batch * (activation_bits @ counts.activations.T) / 8,
    )


def intensity(
    profile: ModelProfile, policy: Policy, batch: int = 1, by: str = UNFUSED, quantizer: Quantizer = Quantizer()
) -> float:
    """FLOPs per byte of one policy."""
    return float(traffic(profile, [policy], batch, by, quantizer).intensity[0])


def moved_bytes(
    profile: ModelProfile, policy: Policy, batch: int = 1, by: str = UNFUSED, quantizer: Quantizer = Quantizer()
) -> float:
    """Bytes that one policy moves a batch (a fraction of a byte where packed weights end in one)."""
    return float(traffic(profile, [policy], batch, by, quantizer).moved_bytes[0])


def weight_bytes(profile: ModelProfile, policy: Policy) -> float:
    """Bytes of all weights, the payload: scales and biases left out."""
    return float((traffic(profile, [policy]).weight_bytes / of_layers(profile.layers, "calls")).sum())


def stored_bytes(profile: ModelProfile, policy: Policy, quantizer: Quantizer = Quantizer()) -> float:
    """Bytes of a deployed network: all weights with their scales, the folded biases, and scales of activations."""
    return sum(stored_layers(profile, policy, quantizer).values())


def stored_layers(profile: ModelProfile, policy: Policy, quantizer: Quantizer = Quantizer()) -> dict[str, float]:
    """Layer -> its part of `stored_bytes`."""
    moved = traffic(profile, [policy], 1, STORED, quantizer)
    # Read at every call, stored once.
    once = (moved.weight_bytes + moved.scale_bytes + moved.bias_bytes)[0] / of_layers(profile.layers, "calls")
    found = once.tolist()
    return {layer.name: value for layer, value in zip(profile.layers, found, strict=True)}


@dataclass(frozen=True, eq=False)
class _Counted:
    """A network's counts by a traffic model, and where a policy has each layer's width, -1 for FP32; all of layers."""

    counts: Counts
    macs: NDArray[np.float64]
    columns: NDArray[np.int64]


# Pages and searches ask again and again of a few networks.
@lru_cache(maxsize=64)
def _counted(profile: ModelProfile, by: str, granularity: Granularity) -> _Counted:
    places = {name: place for place, name in enumerate(profile.quantizable_names)}
    return _Counted(
        counts=traffic_model(by).count(profile, granularity),
        macs=of_layers(profile.layers, "macs"),
        columns=np.array([places.get(layer.name, -1) for layer in profile.layers]),
    )


def _with_fp32_column(rows: list[tuple[int, ...]]) -> NDArray[np.float64]:
    """Rows of bits with a last column of FP32, which index -1 (not quantizable, or logits) finds."""
    # As bytes, since numpy takes Python's numbers one by one.
    bits = np.frombuffer(b"".join(map(bytes, rows)), dtype=np.uint8).reshape(len(rows), -1)
    return np.hstack([bits, np.full((len(rows), 1), FP32_BITS)]).astype(np.float64)
