"""What coordinator and workers say to each other."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core import __version__
from aiq_core.activations import Calibration
from aiq_core.catalog import Model
from aiq_core.errors import EvaluationError
from aiq_core.records import ImageSet, Origin, Policy, Quantizer
from aiq_core.records.quantizer import EVALUATOR_VERSION
from aiq_core.rounding import RoundedLayer
from aiq_core.runtime.chunked import Layers
from aiq_core.runtime.evaluate import Given


@dataclass(frozen=True)
class Facts:
    """What a machine says of itself and of a model: `hashes` by what they are of, its versions among them."""

    hashes: Mapping[str, str]
    origin: Origin

    def difference(self, other: "Facts") -> str | None:
        """How these facts differ from those of a run, in words; None where they do not. Origins are left out."""
        for name, wanted in other.hashes.items():
            if self.hashes.get(name) != wanted:
                return f"its {name} is {self.hashes.get(name, 'unknown')}, this run's is {wanted}"
        return None


def facts(model: Model, origin: Origin) -> Facts:
    """Those of a machine of this origin. Raises WeightsError where the weights are not those of their card."""
    _ = model.weights  # which checks them
    splits = {f"hash of {name} images": split.hash for name, split in sorted(model.dataset.splits.items())}
    versions = {"version": __version__, "evaluator version": str(EVALUATOR_VERSION)}
    return Facts({**versions, "model hash": model.hash, **splits}, origin)


@dataclass(frozen=True, eq=False)
class Job:
    """A model on an image set whose images are visited in this order; its hash goes for it in tasks."""

    model: str
    model_hash: str
    images: ImageSet
    quantizer: Quantizer
    ranges: Calibration | None
    order: NDArray[np.int64]
    chunk: int

    @cached_property
    def hash(self) -> str:
        """16 hex digits over all of it."""
        ranges = None if self.ranges is None else self.ranges.hash
        text = f"{self.model} {self.model_hash} {self.images} {self.quantizer} {ranges} {self.chunk}"
        return hashlib.sha256(text.encode() + self.order.tobytes()).hexdigest()[:16]

    def given(self, layers: Layers) -> Given:
        """It, for an evaluator."""
        return Given(self.order, self.ranges, layers)


@dataclass(frozen=True)
class Task:
    """A few policies that share work with `base`, on one chunk of images.

    `job` is the hash of a job, `layers` are those of rounded layers by name and width. `logits` says what is asked for:
    float32[chunk, classes] for each policy, or its outcomes.
    """

    job: str
    index: int
    policies: tuple[Policy, ...]
    base: Policy
    layers: Mapping[tuple[str, int], str]
    logits: bool

    @property
    def needs(self) -> set[str]:
        """Hashes of what a worker must hold."""
        return {self.job, *self.layers.values()}


Part = Job | RoundedLayer
"""What is shipped once to each worker, by its hash."""


@dataclass(frozen=True)
class Lacking:
    """The answer of a worker that does not hold these."""

    hashes: frozenset[str]


Answer = NDArray[Any] | EvaluationError
"""What became of a policy on a chunk."""
