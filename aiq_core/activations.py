"""Ranges of activations: rules that end them, and the calibration that holds them for every tensor of a network.

A tensor is rounded on one static scale: symmetric where calibration images gave values below 0, else from 0 upwards.
The image is no such tensor: its pixels are integers, so 8 bits hold it as it is.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import DataError
from aiq_core.records import FP32_BITS, OFFERED_BITS, Ranges

BINS = 8192
"""Of a histogram, from 0 to the largest magnitude."""

PIXEL_BITS = 8
"""The width at which an image is exact."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often a tensor held each magnitude, float64[BINS], in equal steps from 0 to `largest`."""

    counts: NDArray[np.float64]
    largest: float
    signed: bool

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        return np.asarray((np.arange(len(self.counts)) + 0.5) * (self.largest / len(self.counts)), dtype=np.float64)


def levels(bits: int, signed: bool) -> tuple[int, int]:
    """The lowest and the highest integer of a width: -7 and 7 at 4 bits, or 0 and 15."""
    return (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def min_max(histogram: Histogram, bits: int) -> float:
    """Nothing is clipped."""
    return histogram.largest


def percentile(share: float) -> Callable[[Histogram, int], float]:
    """The magnitude that `share` of the values do not exceed."""

    def end(histogram: Histogram, bits: int) -> float:
        below = np.cumsum(histogram.counts)
        return float(histogram.centres[int(np.searchsorted(below, share * below[-1]))])

    return end


SHARES = np.arange(200, 9, -1) / 200
"""Where a range may end, as shares of the largest magnitude; of equal errors the wider stands."""


def mean_squared_error(histogram: Histogram, bits: int) -> float:
    """Where rounding and clipping together do the least squared error."""
    if not histogram.largest:
        return 0.0
    top = levels(bits, histogram.signed)[1]
    held = histogram.counts > 0
    values, counts = histogram.centres[held], histogram.counts[held]
    ends = SHARES * histogram.largest
    scale = (ends / top)[:, None]
    rounded = np.minimum(np.rint(values / scale), top) * scale
    return float(ends[int(np.argmin(np.square(rounded - values) @ counts))])


RULES: Mapping[str, Callable[[Histogram, int], float]] = {
    "mse": mean_squared_error,
    "min_max": min_max,
    "percentile_99.99": percentile(0.9999),
    "percentile_99.9": percentile(0.999),
}
"""Name -> (histogram, bits) -> the magnitude at which the range ends. The first is the default."""

DEFAULT_RULE = next(iter(RULES))
"""Points lost on the first 2,000 search images with every tensor but the image at 8 / 6 / 4 bits and weights at FP32:

ResNet-20: mse .35 / .65 / 3.45, min_max .15 / 1.35 / 25.45, percentile_99.99 .40 / .35 / 9.50, _99.9 .60 / 1.00 / 3.85.
MobileNetV2: mse .20 / .10 / 2.60, min_max .15 / .20 / 14.40, percentile_99.99 .25 / .05 / 5.65, _99.9 -.35 / 0 / 5.20.
From 6 bits up all but min_max are within noise; at 4 it decides.
"""


@dataclass(frozen=True, slots=True)
class TensorRange:
    """Where a tensor's range ends at every width, and whether it holds values below 0."""

    signed: bool
    ends: Mapping[int, float]

    def scale(self, bits: int) -> float:
        """The step between neighbouring levels; 0 for a tensor that was always 0."""
        return float(np.float32(self.ends[bits] / levels(bits, self.signed)[1]))


@dataclass(frozen=True, eq=False)
class Calibration:
    """The ranges of a model's stored tensors, by operation of its graph, as `ranges` says they are set."""

    model_hash: str
    ranges: Ranges
    tensors: Mapping[int, TensorRange]

    @cached_property
    def hash(self) -> str:
        """16 hex digits that identify every number of it."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def of(cls, model_hash: str, ranges: Ranges, histograms: Mapping[int, Histogram]) -> "Calibration":
        """The calibration by a rule from what the tensors held."""
        rule, widths = RULES[ranges.rule], [bits for bits in OFFERED_BITS if bits != FP32_BITS]
        tensors = {
            place: TensorRange(histogram.signed, {bits: rule(histogram, bits) for bits in widths})
            for place, histogram in histograms.items()
        }
        return cls(model_hash, ranges, tensors)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        return {
            "model_hash": self.model_hash,
            "rule": self.ranges.rule,
            "calibration": self.ranges.calibration,
            "tensors": {
                str(place): {"signed": tensor.signed, "ends": {str(bits): end for bits, end in tensor.ends.items()}}
                for place, tensor in self.tensors.items()
            },
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Calibration":
        """The calibration that `to_json` wrote. Raises DataError."""
        try:
            tensors = {
                int(place): TensorRange(entry["signed"], {int(bits): end for bits, end in entry["ends"].items()})
                for place, entry in document["tensors"].items()
            }
            return cls(document["model_hash"], Ranges(document["rule"], document["calibration"]), tensors)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"a calibration cannot be read ({error!r}); delete its file, and it is made again"
            ) from None


def coarser_pixels(pixels: NDArray[np.uint8], bits: int) -> NDArray[np.float32]:
    """Pixels at a width, float32 from 0 to 255: nearest of 2^bits equal steps; from 8 bits up as they are."""
    if bits >= PIXEL_BITS:
        return pixels.astype(np.float32)
    top = np.float32(levels(bits, signed=False)[1])
    return np.asarray(np.rint(pixels * (top / np.float32(255))) * (np.float32(255) / top), dtype=np.float32)
