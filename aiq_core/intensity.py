"""The traffic model: a profile and policies -> FLOPs, bytes moved and arithmetic intensity.

Paper's model (arXiv 2512.14090): every layer reads its weights, bias and input from DRAM and writes its output
there (unfused). A bias stays FP32. FLOPs and activations grow with the batch; weights are read once a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError
from aiq_core.records import FP32_BITS, Layer, ModelProfile, Policy

TRAFFIC_MODEL = "unfused"
"""The name that stands beside every AI figure: each layer reads and writes DRAM."""


@dataclass(frozen=True)
class Traffic:
    """Bytes moved a batch, of policies x layers; `flops` (a batch) of layers.

    `weight_bytes`, `bias_bytes`, `activation_bytes` sum to `moved_bytes`; each is float64[policies, layers].
    """

    flops: NDArray[np.float64]
    weight_bytes: NDArray[np.float64]
    bias_bytes: NDArray[np.float64]
    activation_bytes: NDArray[np.float64]

    @property
    def layer_bytes(self) -> NDArray[np.float64]:
        """Bytes each layer moves, float64[policies, layers]."""
        return self.weight_bytes + self.bias_bytes + self.activation_bytes

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


def traffic(profile: ModelProfile, policies: Sequence[Policy], batch: int = 1) -> Traffic:
    """Traffic of each policy at a batch size, vectorised over policies. Sums are of integers, so they are exact."""
    if batch < 1:
        raise SettingError(f"batch={batch} is not offered; choose 1 or more images")
    layers = profile.layers
    columns = [profile.quantizable_names.index(layer.name) if layer.quantizable else -1 for layer in layers]
    groups = [profile.activation_groups.index(layer.input_group) for layer in layers]
    outputs = [
        -1 if layer.output_group is None else profile.activation_groups.index(layer.output_group) for layer in layers
    ]
    weight_bits = _with_fp32_column([policy.weight_bits for policy in policies])[:, columns]
    activation_bits = _with_fp32_column([policy.activation_bits for policy in policies])
    return Traffic(
        flops=2.0 * batch * _counts(layers, "macs"),
        weight_bytes=_counts(layers, "weights") * weight_bits / 8,
        bias_bytes=np.broadcast_to(_counts(layers, "biases") * FP32_BITS / 8, weight_bits.shape),
        activation_bytes=batch
        * (
            _counts(layers, "input_elements") * activation_bits[:, groups]
            + _counts(layers, "output_elements") * activation_bits[:, outputs]
        )
        / 8,
    )


def intensity(profile: ModelProfile, policy: Policy, batch: int = 1) -> float:
    """FLOPs per byte of one policy."""
    return float(traffic(profile, [policy], batch).intensity[0])


def moved_bytes(profile: ModelProfile, policy: Policy, batch: int = 1) -> float:
    """Bytes that one policy moves a batch (a fraction of a byte where packed weights end in one)."""
    return float(traffic(profile, [policy], batch).moved_bytes[0])


def weight_bytes(profile: ModelProfile, policy: Policy) -> float:
    """Bytes of all weights as stored, biases left out."""
    return float(traffic(profile, [policy]).weight_bytes.sum())


def _counts(layers: tuple[Layer, ...], name: str) -> NDArray[np.float64]:
    return np.array([getattr(layer, name) for layer in layers], dtype=np.float64)


def _with_fp32_column(rows: list[tuple[int, ...]]) -> NDArray[np.float64]:
    """Rows of bits with a last column of FP32, which index -1 (not quantizable, or logits) finds."""
    bits = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    return np.hstack([bits, np.full((len(rows), 1), FP32_BITS)])
