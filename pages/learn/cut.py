"""Lesson 3's weights and its question: what happens when a layer's range is cut."""

from aiq_core.catalog import Model
from aiq_core.charts.lessons.rounding import RANGES, best_range, error_curve
from aiq_core.records import Granularity
from aiq_core.rounding.grid import Grid, SquaredError
from pages.common import known

ASKED_BITS = 4


@known.cached(300)
def curve(model: Model, layer: str, bits: int, per: str, symmetric: bool) -> tuple[SquaredError, ...]:
    return error_curve(model.folded_weights[layer], Grid(bits, Granularity(per), 1.0, symmetric))


class Question:
    """The cut that the lesson asks about, in its usual layer at 4 bits, per channel and symmetric."""

    def __init__(self, model: Model, layer: str) -> None:
        self.model, self.layer = model, layer
        self.whole_curve = self.errors(ASKED_BITS)
        best = best_range(self.whole_curve)
        self.cut = best if best < 100 else 75

    def errors(self, bits: int, per: str = "channel", symmetric: bool = True) -> tuple[SquaredError, ...]:
        return curve(self.model, self.layer, bits, per, symmetric)

    def at(self, percent: int, curve: tuple[SquaredError, ...] | None = None) -> SquaredError:
        return (curve or self.whole_curve)[RANGES.index(percent)]

    def ratio(self, percent: int, bits: int = ASKED_BITS) -> float:
        """Squared error at a range over that at the whole range."""
        curve = self.errors(bits)
        return self.at(percent, curve).total / curve[-1].total
