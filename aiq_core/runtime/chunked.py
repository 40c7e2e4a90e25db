"""What evaluators share that work chunk by chunk: which images each holds, FP32's order, what became of logits."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog import Model
from aiq_core.errors import EvaluationError
from aiq_core.records import FP32_BITS, ImageSet, Outcomes, Policy, Quantizer, is_done
from aiq_core.rounding import ROUNDINGS, RoundedLayer
from aiq_core.runtime.rounded import RoundedLayers

Layers = Callable[[str, int], RoundedLayer]
"""(layer, bits) -> the layer rounded to that width."""


class Chunked(ABC):
    """An evaluator of one model on one image set, `chunk` images a forward, in split order until FP32 is known."""

    def __init__(
        self, model: Model, images: ImageSet, rounding: Quantizer, chunk: int, layers: Layers | None = None
    ) -> None:
        self.model, self.image_set, self.chunk, self.rounding = model, images, chunk, rounding
        self._round = layers or RoundedLayers(model, rounding)
        self._labels = model.dataset.split(images.split).labels[images.span]
        self._order = np.arange(images.count)

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return -(-len(self._order) // self.chunk)

    @abstractmethod
    def chunk_logits(self, index: int, policy: Policy, base: Policy) -> NDArray[np.float32]:
        """What a policy gives for a chunk of images, float32[chunk, classes]."""

    def logits(self, policy: Policy, base: Policy) -> NDArray[np.float32]:
        """What a policy gives for every image in order, float32[images, classes]; shares work with `base`."""
        found = None
        for index in range(self.count):
            given = self.chunk_logits(index, policy, base)
            if found is None:
                found = np.empty((len(self._order), *given.shape[1:]), given.dtype)
            found[self.chunk_images(index)] = given
        assert found is not None  # an image set is not empty
        self._check(found, policy, np.arange(len(found)))
        return found

    def take_fp32(self, logits: NDArray[np.float32]) -> None:
        """Puts likely mistakes first, by what FP32 gives for the images in split order, and what fills the last chunk.

        Raises EvaluationError.
        """
        count = len(self._order)
        self._fp32_outcomes = self.outcomes(logits[:count], self.model.profile.uniform(FP32_BITS), np.arange(count))
        # Ties in split order.
        self.arrange(np.argsort(self.model.metric.margins(logits[:count], self._labels), kind="stable"))

    def fill_fp32(self, outcomes: Outcomes) -> bool:
        """Fills `outcomes` of the split with FP32's, once they are known; whether any was missing."""
        within = outcomes[self.image_set.span]
        missing = not is_done(within).all()
        if missing:
            within[:] = self._fp32_outcomes
        return missing

    def arrange(self, order: NDArray[np.int64]) -> None:
        """Lays the images out in chunks, in the given order."""
        self._order = order

    def integers(self, policy: Policy) -> str:
        """16 hex digits over what a policy's weights are rounded to, where that depends on calibration images."""
        method = ROUNDINGS.get(self.rounding.rounding)  # what training left is none of them
        if method is not None and not method.is_calibrated:
            return ""
        digest = hashlib.sha256()
        for name, bits in self.model.profile.named_bits(policy).items():
            if bits != FP32_BITS:
                digest.update(self._round(name, bits).integers.tobytes())
        return digest.hexdigest()[:16] if any(bits != FP32_BITS for bits in policy.weight_bits) else ""

    def outcomes(self, logits: NDArray[np.float32], policy: Policy, images: NDArray[np.int64]) -> Outcomes:
        """What became of each of `images`. Raises EvaluationError where logits are NaN or infinite: nothing did."""
        self._check(logits, policy, images)
        return self.model.metric.outcomes(logits, self._labels[images])

    def _check(self, logits: NDArray[np.float32], policy: Policy, images: NDArray[np.int64]) -> None:
        finite = np.isfinite(logits).reshape(len(logits), -1).all(axis=1)
        if not finite.all():
            bad, seen = np.unique(images[~finite]), np.unique(images)
            raise EvaluationError(
                f"{policy.key} gives NaN or infinite logits for {len(bad)} of {len(seen)} images: they have no class; "
                "choose wider bits, or a network that stays finite"
            )

    def chunk_images(self, index: int) -> NDArray[np.int64]:
        """Positions in the image set of a chunk's, always `chunk` of them: the last one is filled up from the front."""
        start = index * self.chunk
        return np.take(self._order, np.arange(start, start + self.chunk), mode="wrap")
