"""Lesson 2, batch size: bytes per image, and AI against the batch, of two models."""

from dataclasses import dataclass

import pandas as pd

from aiq_core.intensity import traffic
from aiq_core.records import ModelProfile

BATCHES = tuple(2**power for power in range(11))
ASKED = 128
"""The batch of the question: the one that the paper timed."""


@dataclass(frozen=True)
class BatchModel:
    """Bytes of weights (with biases) a batch, of activations an image, and FLOPs an image, at each width.

    `activation_bytes` are at FP32, `small_activation_bytes` at 8 bits. `once` is the share of weights that serve one
    multiplication an image; `reuse` maps the images' pixels that a weight serves to the share of weights that do.
    """

    title: str
    flops: float
    weight_bytes: dict[int, float]
    activation_bytes: float
    small_activation_bytes: float
    reuse: dict[int, float]

    def intensity(self, batch: float, bits: int = 32) -> float:
        """FLOPs per byte with FP32 activations."""
        return batch * self.flops / (self.weight_bytes[bits] + batch * self.activation_bytes)

    def w8a8(self, batch: float) -> float:
        """FLOPs per byte with weights and activations at 8 bits."""
        return batch * self.flops / (self.weight_bytes[8] + batch * self.small_activation_bytes)

    @property
    def limit(self) -> float:
        """FLOPs per byte of an endless batch: activations alone."""
        return self.flops / self.activation_bytes

    @property
    def weight_share(self) -> float:
        """Share of the bytes at batch 1 and FP32 that are weights."""
        return self.weight_bytes[32] / (self.weight_bytes[32] + self.activation_bytes)

    @property
    def balance(self) -> float:
        """The batch at which weights and activations move as many bytes."""
        return self.weight_bytes[32] / self.activation_bytes

    @property
    def once(self) -> float:
        """Share of weights that serve a single multiplication an image."""
        return self.reuse.get(1, 0.0)


def batch_model(profile: ModelProfile, title: str) -> BatchModel:
    """What batching needs to know of a model; excluded layers stay at FP32."""
    moved = traffic(profile, [*(profile.uniform(bits) for bits in (32, 8, 4)), profile.uniform(8, 8)])
    fixed = moved.weight_bytes.sum(axis=1) + moved.bias_bytes.sum(axis=1)
    weights = sum(layer.weights for layer in profile.layers)
    reuse: dict[int, float] = {}
    for layer in profile.layers:
        served = layer.macs // layer.weights
        reuse[served] = reuse.get(served, 0.0) + layer.weights / weights
    return BatchModel(
        title=title,
        flops=float(moved.flops.sum()),
        weight_bytes={bits: float(value) for bits, value in zip((32, 8, 4), fixed, strict=False)},
        activation_bytes=float(moved.activation_bytes[0].sum()),
        small_activation_bytes=float(moved.activation_bytes[-1].sum()),
        reuse=reuse,
    )


@dataclass(frozen=True)
class BatchData:
    """The subject of the lesson first, then what it is compared with. `ridge` is None where there is no machine."""

    models: tuple[BatchModel, ...]
    batch: int
    bits: int
    ridge: float | None
    machine: str

    @property
    def subject(self) -> BatchModel:
        """The model that is asked about."""
        return self.models[0]


def batch_frame(data: BatchData) -> pd.DataFrame:
    """A row a model, batch and widths."""
    rows = [
        {
            "model": model.title,
            "batch": batch,
            "weight_bits": bits,
            "activation_bits": activation_bits,
            "weight_bytes_per_image": model.weight_bytes[bits] / batch,
            "activation_bytes_per_image": moved,
            "flops_per_byte": batch * model.flops / (model.weight_bytes[bits] + batch * moved),
        }
        for model in data.models
        for bits, activation_bits, moved in (
            *((bits, 32, model.activation_bytes) for bits in (32, 8, 4)),
            (8, 8, model.small_activation_bytes),
        )
        for batch in BATCHES
    ]
    return pd.DataFrame(rows)
