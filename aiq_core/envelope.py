"""The best policy known for every alpha, and the other ways to pick one: a budget, the Pareto front."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.metrics import Metric
from aiq_core.objective import Goal
from aiq_core.records import FP32_BITS, UNFUSED, ModelProfile, Policy, Quantizer, Score, SplitName
from aiq_core.space import WEIGHTS, Space
from aiq_core.statistics import Comparison


@dataclass(frozen=True, eq=False)
class PolicyTable:
    """Every complete evaluation of one model and quantizer on one search image set, a row a policy.

    `intensity` is FLOPs/byte at batch 1 by the traffic model `traffic`, float64[p]; `score` is the metric's on the
    `images` search images from `start` on, [p]. A search chose on those before.
    `search` and `report` compare each policy with FP32 on the same images, of the `report_images` None where it is not
    reported. `baseline` is FP32's row; `sources` says bundled, measured or imported.
    """

    profile: ModelProfile
    metric: Metric
    images: int
    policies: tuple[Policy, ...]
    intensity: NDArray[np.float64]
    score: NDArray[Any]
    search: tuple[Comparison, ...]
    report_images: int
    report: tuple[Comparison | None, ...]
    baseline: int
    sources: tuple[str, ...]
    start: int = 0
    quantizer: Quantizer = Quantizer()
    traffic: str = UNFUSED
    space: Space = WEIGHTS

    @property
    def judges(self) -> str:
        """What the search images behind its figures are called: `confirm` where no search chose on them."""
        return "confirm" if self.start else "search"

    @property
    def judged_on(self) -> str:
        """These images as text: `5,000 search images`."""
        return f"{self.images:,} {self.judges} images"

    @property
    def baseline_score(self) -> Score:
        """FP32's score on search images."""
        score: Score = self.score[self.baseline].item()
        return score

    @property
    def drop_points(self) -> NDArray[np.float64]:
        """Points lost on search images against FP32, at least 0, float64[p]."""
        return 100 * np.maximum(0, self.baseline_score - self.score) / self.images

    @cached_property
    def usual_goal(self) -> Goal:
        """What a loss weighs and allows here unless told otherwise."""
        how = self.traffic, self.quantizer
        return self.space.goal(self.metric, self.profile, self.baseline_score, self.images, *how)

    @property
    def points(self) -> NDArray[np.float64]:
        """The metric's value on search images, float64[p]."""
        return 100 * self.score / self.images

    def on(self, split: SplitName) -> tuple[Sequence[Comparison | None], int]:
        """Each policy against FP32 on a split's images, None where it is not known, and how many images these are."""
        return (self.search, self.images) if split is SplitName.SEARCH else (self.report, self.report_images)

    def row(self, policy: Policy) -> int | None:
        """The row of a policy, None where it is not complete on the image set."""
        return self._rows.get(policy)

    @cached_property
    def _rows(self) -> dict[Policy, int]:
        return {policy: index for index, policy in enumerate(self.policies)}


@dataclass(frozen=True, slots=True)
class Segment:
    """The alphas from `low` to `high` at which `row` is the best policy known."""

    low: float
    high: float
    row: int


def allowed(table: PolicyTable, goal: Goal) -> NDArray[np.bool_]:
    """Which rows meet the floor and use only the offered widths, bool[p]."""
    return np.asarray((table.score >= goal.floor_score) & offered(table, goal.widths, goal.activation_widths))


def offered(
    table: PolicyTable, widths: tuple[int, ...] | None = None, activation_widths: tuple[int, ...] | None = None
) -> NDArray[np.bool_]:
    """Which rows use only these widths, those of the table's space unless given, and FP32, bool[p]."""
    weights = {*(widths or table.space.shown_widths), FP32_BITS}
    activations = {*(activation_widths or table.space.shown_activation_widths), FP32_BITS}
    fits = [
        weights.issuperset(policy.weight_bits) and activations.issuperset(policy.activation_bits)
        for policy in table.policies
    ]
    return np.array(fits, dtype=bool)


def envelope(table: PolicyTable, goal: Goal) -> tuple[Segment, ...]:
    """The lower envelope of the losses over alpha 0 to 1, in order.

    Ties go to the higher AI, then to the higher score. A loss is linear in alpha, so it is the convex hull of
    (AI, clamped drop); at a crossing the higher AI begins.
    """
    rows = np.flatnonzero(allowed(table, goal))
    gain = table.intensity[rows] / goal.intensity_normaliser
    cost = table.drop_points[rows] / goal.accuracy_normaliser
    segments: list[Segment] = []
    alpha = 0.0
    # At alpha 0 the lowest cost wins; as alpha grows, only policies with a higher gain - or cost - take over.
    at = _first(rows, -cost, table)
    while True:
        current = int(np.flatnonzero(rows == at)[0])
        slope = (gain - gain[current]) + (cost - cost[current])
        better = (gain > gain[current]) & (slope > 0)
        crossings = np.where(better, (cost - cost[current]) / np.where(better, slope, 1.0), np.inf)
        if not better.any() or crossings.min() > 1:
            segments.append(Segment(alpha, 1.0, at))
            return tuple(segments)
        crossing = float(crossings.min())
        if crossing > alpha:
            segments.append(Segment(alpha, crossing, at))
            alpha = crossing
        ties = rows[np.isclose(crossings, crossing, rtol=0, atol=1e-15)]
        at = _first(ties, table.intensity[ties], table)


def _first(rows: NDArray[np.int64], score: NDArray[np.float64], table: PolicyTable) -> int:
    """The row with the highest score; ties to the higher AI, then to the higher score, then to the earlier row."""
    order = np.lexsort((-table.score[rows], -table.intensity[rows], -score))
    return int(rows[order[0]])


def best(table: PolicyTable, alpha: float, goal: Goal, among: Collection[int] | None = None) -> int:
    """The row of lowest loss at an alpha, of all or of those `among`, one of which at least must be allowed.

    Ties go to the higher AI, then to the higher score.
    """
    rows = np.flatnonzero(allowed(table, goal))
    rows = rows if among is None else rows[np.isin(rows, [*among])]
    loss = -alpha * table.intensity[rows] / goal.intensity_normaliser
    loss += (1 - alpha) * table.drop_points[rows] / goal.accuracy_normaliser
    return _first(rows, -loss, table)


def within_budget(
    table: PolicyTable,
    points: float,
    widths: tuple[int, ...] | None = None,
    activation_widths: tuple[int, ...] | None = None,
) -> int:
    """The row of highest AI that loses at most `points` of search top-1 (measured); ties go to the higher score."""
    # 1e-9: 0.1 points is not binary.
    rows = np.flatnonzero((table.drop_points <= points + 1e-9) & offered(table, widths, activation_widths))
    return _first(rows, table.intensity[rows], table)


def pareto(table: PolicyTable, among: Collection[int] | None = None) -> NDArray[np.bool_]:
    """Which rows, of all or of those `among`, no other beats on both AI and score, bool[p]; equal rows all stand."""
    order = np.lexsort((-table.score, -table.intensity))
    front = np.zeros(len(order), dtype=bool)
    most = -np.inf
    previous = (np.nan, np.nan)
    for row in order if among is None else order[np.isin(order, [*among])]:
        point = (float(table.intensity[row]), float(table.score[row]))
        if point[1] > most or point == previous:
            front[row] = True
            most, previous = max(most, point[1]), point
    return front
