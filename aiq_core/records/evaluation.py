"""Image sets, and what a policy was found to do on them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError


class SplitName(StrEnum):
    """The images that choose, and the images that judge."""

    SEARCH = "search"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images `start` to `images` of a split; from 0 unless told otherwise."""

    split: SplitName
    images: int
    start: int = 0

    def __post_init__(self) -> None:
        if self.images <= 0:
            raise SettingError(f"images={self.images} is not offered; choose 1 or more")
        if not 0 <= self.start < self.images:
            raise SettingError(f"start={self.start} is not offered; choose 0 to {self.images - 1}")

    @property
    def count(self) -> int:
        """How many images these are."""
        return self.images - self.start

    @property
    def span(self) -> slice:
        """Where they stand in the split."""
        return slice(self.start, self.images)


@dataclass(frozen=True, slots=True)
class EvaluationKey:
    """What an evaluation depends on: model, split, quantizer and policy; nothing else changes a prediction."""

    model_hash: str
    split_hash: str
    quantizer: str
    policy: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and when figures were computed; `source` says measured here, bundled with the app, or imported.

    `cpu` names what computed, a GPU too, with what decides its last bits: instructions, or the libraries of a GPU.
    """

    cpu: str
    torch: str
    threads: int
    chunk: int
    created_at: str
    source: str = "measured"

    def can_resume(self, other: "Origin") -> bool:
        """Whether a partial evaluation of `other` may be completed here."""
        return (self.cpu, self.torch, self.threads, self.chunk) == (other.cpu, other.torch, other.threads, other.chunk)


Outcomes = NDArray[Any]
"""What became of each item of a split, in split order: its predicted class (unsigned integers) or its loss (floats).

An item that was not evaluated has the type's largest integer, or NaN.
"""

Score = int | float
"""What a metric makes of outcomes, higher is better: the number right, or minus the sum of losses."""


def unfinished(items: int, dtype: np.dtype[Any]) -> Outcomes:
    """Outcomes of `items` items of which none was evaluated."""
    return np.full(items, np.nan if dtype.kind == "f" else np.iinfo(dtype).max, dtype=dtype)


def is_done(outcomes: Outcomes) -> NDArray[np.bool_]:
    """Which items were evaluated."""
    if outcomes.dtype.kind == "f":
        return ~np.isnan(outcomes)
    return np.asarray(outcomes != np.iinfo(outcomes.dtype).max)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a policy was found to do on the images of a split, in split order.

    `integers` is a hash of those that its weights were rounded to, where this depends on calibration images.
    """

    key: EvaluationKey
    outcomes: Outcomes
    origin: Origin
    integers: str = ""

    def done(self, images: int, start: int = 0) -> int:
        """How many of the images `start` to `images` were evaluated."""
        return int(np.count_nonzero(is_done(self.outcomes[start:images])))

    def is_complete(self, images: int, start: int = 0) -> bool:
        """Whether the images `start` to `images` were all evaluated."""
        return self.done(images, start) == images - start
