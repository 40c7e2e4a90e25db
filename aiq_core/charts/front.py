"""A front's charts: points lost against AI, and against what they were predicted to cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isnan

import pandas as pd

from aiq_core.charts.pareto import uniforms
from aiq_core.envelope import PolicyTable
from aiq_core.records import UNFUSED, Policy
from aiq_core.statistics import Interval
from aiq_core.wording import number


class Standing(StrEnum):
    """How a point stands among the others, on the images that confirm.

    HULL points are best at some alpha, FRONT points only within some budget; DOMINATED ones are beaten on AI and on
    accuracy.
    """

    HULL = "best at some alpha"
    FRONT = "best within some budget"
    DOMINATED = "dominated"


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a front: AI in FLOPs/byte and over FP32's, points lost, what it was predicted to cost in nats."""

    policy: Policy
    intensity: float
    ratio: float
    drop: Interval
    cost: float | None
    refined: bool
    standing: Standing


@dataclass(frozen=True, slots=True)
class Uniform:
    """A policy of one width a kind on the same images, to compare with."""

    bits: int
    activation_bits: int
    intensity: float
    drop: Interval


def points_per_nat(known: Sequence[tuple[float, float]]) -> float | None:
    """Of (nats, points lost): the slope through the origin by least squares; None where it is not above 0."""
    squares = sum(cost**2 for cost, _ in known)
    slope = sum(cost * lost for cost, lost in known) / squares if squares else 0.0
    return slope if slope > 0 else None


@dataclass(frozen=True)
class FrontData:
    """Everything drawn: points from the lowest AI upwards, lost on `images` images that are called as `judges` says.

    AI is by the traffic model `traffic`. `shown` has a ring.
    """

    marks: tuple[Mark, ...]
    images: int
    judges: str
    shown: Policy | None = None
    uniform: tuple[Uniform, ...] = ()
    traffic: str = UNFUSED

    @property
    def points_per_nat(self) -> float | None:
        """Points lost for a nat of predicted cost; None where costs say nothing."""
        return points_per_nat([(mark.cost, mark.drop.value) for mark in self.marks if mark.cost is not None])

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's, of predicted cost with points lost; None for fewer than three points, or equal ones."""
        rows = [(mark.cost, mark.drop.value) for mark in self.marks if mark.cost is not None]
        if len(rows) < 3:
            return None
        # Not scipy.stats, which takes most of a second to import.
        matrix = pd.DataFrame(rows, dtype=float).corr(method="spearman").to_numpy()
        return None if isnan(matrix[0, 1]) else float(matrix[0, 1])

    @property
    def within(self) -> tuple[int, int]:
        """How many intervals of points lost contain what their cost predicts, and of how many."""
        slope = self.points_per_nat or 0.0
        known = [(slope * mark.cost, mark.drop) for mark in self.marks if mark.cost is not None]
        return sum(drop.low <= told <= drop.high for told, drop in known), len(known)


def front_data(
    marks: Sequence[Mark],
    images: int,
    judges: str,
    shown: Policy | None = None,
    table: PolicyTable | None = None,
    traffic: str = UNFUSED,
) -> FrontData:
    """The chart's data; uniform policies are those of a table, whose images and traffic model are the front's."""
    uniform: tuple[Uniform, ...] = ()
    if table is not None:
        uniform = tuple(
            Uniform(
                policy.weight_bits[0], policy.activation_bits[0], float(table.intensity[row]), table.search[row].drop
            )
            for policy, row in uniforms(table)
        )
    return FrontData(tuple(marks), images, judges, shown, uniform, traffic)


def _widths(policy: Policy) -> tuple[int, int]:
    return policy.weight_bits[0], policy.activation_bits[0]


def front_frame(data: FrontData) -> pd.DataFrame:
    """The charts' data, a row a point."""
    return pd.DataFrame(
        [
            {
                "policy": mark.policy.key,
                "traffic": data.traffic,
                "flops_per_byte": mark.intensity,
                "times_fp32": mark.ratio,
                "predicted_cost_nats": mark.cost,
                f"{data.judges}_points_lost": mark.drop.value,
                "low_points": mark.drop.low,
                "high_points": mark.drop.high,
                f"{data.judges}_images": data.images,
                "standing": str(mark.standing),
                "refined": mark.refined,
            }
            for mark in data.marks
        ]
    )


def predicted_words(data: FrontData) -> str:
    """How well predictions rank the points, and whether what they miss is more than noise."""
    rho, (inside, of) = data.rank_correlation, data.within
    if rho is None:
        return "too few points to compare"
    return (
        f"Spearman’s rank correlation {number(rho, 2)} over {of} points; what the line predicts lies in {inside} of "
        f"{of} intervals of 95 %. Where that is nearly all, noise hides the order, not the prediction."
    )
