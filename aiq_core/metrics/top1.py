"""Top-1: an item's outcome is the class predicted, the score is the number right."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError
from aiq_core.metrics.metric import Labels, Metric
from aiq_core.records import Outcomes, Score, is_done
from aiq_core.statistics import Interval, Paired, paired, wilson

TOP1 = "top1"

MOST_CLASSES = 65_535
"""Classes that two bytes tell apart beside the mark of what is not done."""


class Top1(Metric):
    """Classes in one byte where it can hold them and the mark of what is not done, else in two."""

    name = TOP1
    title = "top-1"
    unit = "%"
    column = "top1_percent"

    def __init__(self, classes: int) -> None:
        if not 0 < classes <= MOST_CLASSES:
            raise SettingError(f"{classes:,} classes are not offered; use a network of 1 to {MOST_CLASSES:,}")
        self.classes = classes
        self.dtype = np.dtype(np.uint8 if classes <= np.iinfo(np.uint8).max else np.uint16)

    def outcomes(self, logits: NDArray[np.float32], labels: Labels) -> Outcomes:
        """The class of the highest logit, the first of equals."""
        return np.asarray(logits.argmax(axis=1), dtype=self.dtype)

    def margins(self, logits: NDArray[np.float32], labels: Labels) -> NDArray[np.floating[Any]]:
        """The true class over the best other: FP32's own mistakes lead.

        Nearly every candidate makes them too, so few more mistakes show that it cannot win.
        """
        rows = np.arange(len(logits))
        others = logits.copy()
        others[rows, labels] = -np.inf
        return np.asarray(logits[rows, labels] - others.max(axis=1))

    def is_valid(self, outcomes: Outcomes) -> bool:
        """Classes below the number of classes, or the mark of what is not done."""
        return outcomes.dtype == self.dtype and bool(np.all((outcomes < self.classes) | ~is_done(outcomes)))

    def score(self, outcomes: Outcomes, labels: Labels) -> int:
        """The number right."""
        return int(np.count_nonzero(outcomes == labels))

    def most(self, outcomes: Outcomes, labels: Labels) -> int:
        """The number right if every item left is."""
        return self.score(outcomes, labels) + int(np.count_nonzero(~is_done(outcomes)))

    def perfect(self, items: int) -> int:
        """All of them."""
        return items

    def at_least(self, points: float, items: int) -> int:
        """Rounded up, so that a policy at the points is at or above them."""
        # 1e-9 of an image: 89.5 % of 5,000 is 4475 and not the 4476 that binary rounding would make of it.
        return max(0, int(-(-(points * items / 100 - 1e-9) // 1)))

    def least(self, wins: Callable[[Score], bool], low: Score, high: Score) -> Score:
        """By halving."""
        while low < high:
            middle = int(low + high) // 2
            if wins(middle):
                high = middle
            else:
                low = middle + 1
        return low

    def interval(self, score: Score, items: int) -> Interval:
        """Wilson's."""
        return wilson(int(score), items)

    def compare(self, before: Outcomes, after: Outcomes, labels: Labels) -> Paired:
        """Newcombe's interval for paired proportions, exact McNemar."""
        return paired(before == labels, after == labels)
