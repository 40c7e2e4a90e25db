"""What rounding a layer gives, and what is known of the inputs of a layer while it is rounded."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RoundedLayer:
    """A layer as a deployed network stores it: integers int8[out, ...], scale float32[out or 1, 1, ...], bias."""

    integers: NDArray[np.int8]
    scale: Floats
    bias: Floats

    @property
    def weight(self) -> Floats:
        """The float32 weights that these integers stand for: one product each."""
        return self.integers.astype(np.float32) * self.scale

    @cached_property
    def hash(self) -> str:
        """16 hex digits over integers, scales and bias."""
        digest = hashlib.sha256()
        for array in (self.integers, self.scale, self.bias):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What a layer read in FP32, x float64[k] for each group, over images and positions.

    k counts the weights of an output channel, in their order. `mean` float64[groups, k] is that of x, and
    `second_moment` float64[groups, k, k] that of x xᵀ.
    """

    second_moment: NDArray[np.float64]
    mean: NDArray[np.float64]

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Of x, float64[groups, k, k]."""
        return self.second_moment - self.mean[:, :, None] * self.mean[:, None, :]

    @property
    def power(self) -> NDArray[np.float64]:
        """The mean square of a group's inputs, float64[groups]."""
        return np.asarray(np.einsum("gkk->g", self.second_moment) / self.mean.shape[1])

    def grouped(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """A number a weight, [out, ...], as float64[groups, out / groups, k]."""
        groups, k = self.mean.shape
        return np.asarray(values, dtype=np.float64).reshape(groups, -1, k)


Statistics = Callable[[], LayerStatistics]
"""Gives a layer's statistics to a method that asks: who does not, spares the pass over the images."""
