"""The best policy known for every alpha, and the other ways to pick one: a budget, the Pareto front."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import ModelProfile, Policy


@dataclass(frozen=True, eq=False)
class PolicyTable:
    """Every complete evaluation of one model and quantizer on one search image set, a row a policy.

    `intensity` is FLOPs/byte at batch 1, float64[p]; `correct` counts right answers of the `images` search
    images, int64[p]; `report_correct` of the `report_images` report images, -1 where not reported. `*_lost` and
    `*_gained` count images that only FP32, or only the policy, has right (-1 where not reported). `baseline` is
    FP32's row; `sources` says bundled, measured or imported.
    """

    profile: ModelProfile
    images: int
    policies: tuple[Policy, ...]
    intensity: NDArray[np.float64]
    correct: NDArray[np.int64]
    search_lost: NDArray[np.int64]
    search_gained: NDArray[np.int64]
    report_images: int
    report_correct: NDArray[np.int64]
    report_lost: NDArray[np.int64]
    report_gained: NDArray[np.int64]
    baseline: int
    sources: tuple[str, ...]

    @property
    def baseline_correct(self) -> int:
        """How many search images FP32 has right."""
        return int(self.correct[self.baseline])

    @property
    def drop_points(self) -> NDArray[np.float64]:
        """Points of search top-1 lost against FP32, at least 0, float64[p]."""
        return 100 * np.maximum(0, self.baseline_correct - self.correct) / self.images

    def row(self, policy: Policy) -> int | None:
        """The row of a policy, None where it is not complete on the image set."""
        return self._rows().get(policy)

    def _rows(self) -> dict[Policy, int]:
        rows = self.__dict__.get("_row_of_policy")
        if rows is None:
            rows = {policy: index for index, policy in enumerate(self.policies)}
            object.__setattr__(self, "_row_of_policy", rows)
        return rows


@dataclass(frozen=True, slots=True)
class Segment:
    """The alphas from `low` to `high` at which `row` is the best policy known."""

    low: float
    high: float
    row: int


def allowed(table: PolicyTable, floor_correct: int, widths: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which rows meet the floor and use only the offered widths, bool[p]."""
    offered = set(widths)
    within = [offered.issuperset(policy.weight_bits) for policy in table.policies]
    return np.asarray((table.correct >= floor_correct) & np.array(within, dtype=bool))


def envelope(
    table: PolicyTable,
    intensity_normaliser: float,
    accuracy_normaliser: float,
    floor_correct: int,
    widths: tuple[int, ...] = (32, 8, 4),
) -> tuple[Segment, ...]:
    """The lower envelope of the losses over alpha 0 to 1, in order.

    Ties go to the higher AI, then to more right. A loss is linear in alpha, so it is the convex hull of
    (AI, clamped drop); at a crossing the higher AI begins.
    """
    rows = np.flatnonzero(allowed(table, floor_correct, widths))
    gain = table.intensity[rows] / intensity_normaliser
    cost = table.drop_points[rows] / accuracy_normaliser
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
    """The row with the highest score; ties to the higher AI, then to more right, then to the earlier row."""
    order = np.lexsort((-table.correct[rows], -table.intensity[rows], -score))
    return int(rows[order[0]])


def best(
    table: PolicyTable,
    alpha: float,
    intensity_normaliser: float,
    accuracy_normaliser: float,
    floor_correct: int,
    widths: tuple[int, ...] = (32, 8, 4),
) -> int:
    """The row of lowest loss at an alpha; ties go to the higher AI, then to more right."""
    rows = np.flatnonzero(allowed(table, floor_correct, widths))
    loss = -alpha * table.intensity[rows] / intensity_normaliser
    loss += (1 - alpha) * table.drop_points[rows] / accuracy_normaliser
    return _first(rows, -loss, table)


def within_budget(table: PolicyTable, points: float, widths: tuple[int, ...] = (32, 8, 4)) -> int:
    """The row of highest AI that loses at most `points` of search top-1 (measured); ties go to more right."""
    rows = np.flatnonzero(
        (table.drop_points <= points + 1e-9) & allowed(table, 0, widths)  # 1e-9: 0.1 points is not binary
    )
    return _first(rows, table.intensity[rows], table)


def pareto(table: PolicyTable) -> NDArray[np.bool_]:
    """Which rows no other beats on both AI and number right, bool[p]; equal rows all stand."""
    order = np.lexsort((-table.correct, -table.intensity))
    front = np.zeros(len(order), dtype=bool)
    most = -1
    previous = (np.nan, -1)
    for row in order:
        point = (float(table.intensity[row]), int(table.correct[row]))
        if point[1] > most or point == previous:
            front[row] = True
            most, previous = max(most, point[1]), point
    return front
