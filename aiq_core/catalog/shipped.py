"""The rounded layers that ship with a model, so that every machine rounds alike: uniform widths of one rounding.

A layer's integers lie as what was added to rounding to nearest at the same scale, mostly 0, and its scale as a place
among the shares of the widest one. What does not give the hash that was kept is not used.
"""

import zipfile
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core import rounding
from aiq_core.catalog.model import Model
from aiq_core.records import Quantizer
from aiq_core.rounding import RoundedLayer
from aiq_core.rounding.mse import SHARES
from aiq_core.rounding.nearest import ends, scales, steps

FILE = "rounded.npz"
ROUNDING = "gptq"
BITS = (8, 6, 5, 4, 3, 2)


def shipped_settings(model: Model) -> Quantizer:
    """How the layers that ship are rounded."""
    return rounding.settings(ROUNDING, model.dataset.calibration_hash)


def made_by(model: Model, settings: Quantizer) -> str:
    """What the layers in a file depend on, but for the weights."""
    return settings.key(model.profile.uniform(BITS[0]))


class ShippedLayers:
    """Gives the layers in a model's file; None for what is not in it, is rounded otherwise, or does not fit."""

    def __init__(self, model: Model, settings: Quantizer) -> None:
        self.model, self.settings, self._widths = model, settings, dict[int, dict[str, RoundedLayer]]()

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        """The file's arrays; none where it was made otherwise, or cannot be read."""
        made = made_by(self.model, self.settings)
        try:
            with (self.model.folder / FILE).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                return dict(file) if str(file["made"]) == made else {}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return {}

    def __call__(self, layer: str, bits: int) -> RoundedLayer | None:
        """The layer at a width."""
        if bits not in self._widths:
            self._widths[bits] = dict(self._unpacked(bits)) if f"hash.{bits}" in self._arrays else {}
        return self._widths[bits].get(layer)

    def _unpacked(self, bits: int) -> Iterator[tuple[str, RoundedLayer]]:
        added, places, bias, hashes = (self._arrays[f"{part}.{bits}"] for part in ("added", "place", "bias", "hash"))
        settings, weight_at, channel_at = self.settings, 0, 0
        for name, known in zip(self.model.profile.quantizable_names, hashes, strict=True):
            weight = self.model.folded[name].weight
            weights, channels = slice(weight_at, weight_at + weight.size), slice(channel_at, channel_at + len(weight))
            weight_at, channel_at = weights.stop, channels.stop
            share = np.array(SHARES, dtype=np.float32)[places[channels]].reshape(-1, *(1,) * (weight.ndim - 1))
            scale = scales(weight, bits, settings.granularity, settings.grid) * share
            integers = nearest_at(weight, scale, bits, settings) + added[weights].reshape(weight.shape)
            layer = RoundedLayer(integers, scale, bias[channels])
            if layer.hash == known:
                yield name, layer


def nearest_at(
    weight: NDArray[np.float32], scale: NDArray[np.float32], bits: int, settings: Quantizer
) -> NDArray[np.int8]:
    """The integers nearest to `weight` at a scale that is given: what lies in the file is added to them."""
    return np.clip(steps(weight, scale), *ends(bits, settings.grid)).astype(np.int8)
