"""What every metric says: what an item's outcome is, how outcomes become a score, and how two policies compare."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import Outcomes, Score, is_done, unfinished
from aiq_core.statistics import Comparison, Interval

Labels = NDArray[Any]


class Metric(ABC):
    """A score of a policy on labelled items, higher is better; 100 x score / items is its value in points.

    `name` stands in keys, `title` and `unit` beside figures, `column` in tables; `dtype` is that of an item's outcome.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str]
    column: ClassVar[str]
    dtype: np.dtype[Any]

    def blank(self, items: int) -> Outcomes:
        """Outcomes of `items` items of which none was evaluated."""
        return unfinished(items, self.dtype)

    @abstractmethod
    def outcomes(self, logits: NDArray[np.float32], labels: Labels) -> Outcomes:
        """What became of each item, of its logits float32[n, ...]."""

    @abstractmethod
    def margins(self, logits: NDArray[np.float32], labels: Labels) -> NDArray[np.floating[Any]]:
        """How surely each item is well, float[n]: those of the lowest margin are evaluated first."""

    @abstractmethod
    def is_valid(self, outcomes: Outcomes) -> bool:
        """Whether outcomes of elsewhere are of this metric's kind and range."""

    @abstractmethod
    def score(self, outcomes: Outcomes, labels: Labels) -> Score:
        """The score of the items that were evaluated."""

    @abstractmethod
    def most(self, outcomes: Outcomes, labels: Labels) -> Score:
        """The highest score that is possible once every item is evaluated."""

    @abstractmethod
    def perfect(self, items: int) -> Score:
        """The highest score there is."""

    @abstractmethod
    def at_least(self, points: float, items: int) -> Score:
        """The lowest score whose value is at least `points`."""

    @abstractmethod
    def least(self, wins: Callable[[Score], bool], low: Score, high: Score) -> Score:
        """The lowest score from `low` to `high` that wins; `high` does, and so does whatever is above one that does."""

    @abstractmethod
    def interval(self, score: Score, items: int) -> Interval:
        """The value in points with its 95 % interval."""

    @abstractmethod
    def compare(self, before: Outcomes, after: Outcomes, labels: Labels) -> Comparison:
        """Two policies on the same items, all evaluated."""

    def is_settled(self, outcomes: Outcomes, labels: Labels, needs: Score | None) -> bool:
        """Whether every item is done, or `needs` cannot be reached any more."""
        return bool(is_done(outcomes).all()) or (needs is not None and self.most(outcomes, labels) < needs)
