"""The trade-off chart: accuracy against AI, with what is known, the best at every alpha, and what to compare with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from aiq_core.envelope import PolicyTable, pareto
from aiq_core.objective import FLOOR_POINTS
from aiq_core.records import DEFAULT_WIDTHS, Policy
from aiq_core.wording import bits_name

DOMINATED_SHOWN = 150
"""Dominated points drawn at most: more only hide each other; the table and the CSV have them all."""


@dataclass(frozen=True, slots=True)
class Point:
    """A policy drawn: AI in FLOPs/byte, top-1 in percent with its 95 % interval; `row` is its row of the table."""

    row: int
    key: str
    name: str
    intensity: float
    top1: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PaperPoint:
    """A point that the paper prints, on its own network and the test images."""

    name: str
    intensity: float
    top1: float


PAPER_POINTS: Mapping[str, tuple[PaperPoint, ...]] = {
    # arXiv 2512.14090, table for ResNet-20; AI of the uniform policies recomputed (biases at FP32).
    "resnet20": (
        PaperPoint("FP32", 29.8494, 91.92),
        PaperPoint("INT8", 42.3022, 91.96),
        PaperPoint("INT4", 45.4634, 89.94),
        PaperPoint("AIQ", 45.2466, 91.02),
    ),
    # Its twelve layers at INT8; AI by this traffic model (the authors' calculator ignores groups).
    "mobilenet_v2": (PaperPoint("FP32", 1.2357, 82.05), PaperPoint("AIQ", 2.7111, 81.11)),
}


@dataclass(frozen=True)
class ParetoData:
    """Everything drawn. `path` are the policies best at some alpha, in order; `others` the Pareto points beside it.

    `random_name` says what the random policies were drawn like; `below` counts policies under the y axis.
    """

    images: int
    path: tuple[Point, ...]
    others: tuple[Point, ...]
    dominated: tuple[Point, ...]
    uniform: tuple[tuple[int, Point], ...]
    random: tuple[Point, ...]
    random_name: str
    shown: Point | None
    pinned: Point | None
    budget_top1: float | None
    paper: tuple[PaperPoint, ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    below: int


def pareto_data(
    table: PolicyTable,
    path_rows: Sequence[int],
    random_policies: Sequence[Policy],
    shown: Policy | None,
    pinned: Policy | None = None,
    budget_points: float | None = None,
    dominated: bool = True,
    paper: bool = False,
    random_name: str = "random layers",
) -> ParetoData:
    """Points of every policy in the table; `path_rows` are those best at some alpha, by rising alpha."""
    uniform_rows = {bits: table.row(table.profile.uniform(bits)) for bits in DEFAULT_WIDTHS}
    random_rows = [row for policy in random_policies if (row := table.row(policy)) is not None]
    front = pareto(table)
    special = {*path_rows, *random_rows, *(row for row in uniform_rows.values() if row is not None)}
    rest = [row for row in range(len(table.policies)) if row not in special]
    beaten = [row for row in rest if not front[row]]
    beaten = beaten[:: -(-len(beaten) // DOMINATED_SHOWN)] if beaten else []
    paper_points = PAPER_POINTS.get(table.profile.model, ()) if paper else ()
    budget = None if budget_points is None else 100 * table.baseline_score / table.images - budget_points
    x_range, y_range = _ranges(table, list(special), paper_points)
    return ParetoData(
        images=table.images,
        path=tuple(_point(table, row) for row in path_rows),
        others=tuple(_point(table, row) for row in rest if front[row]),
        dominated=tuple(_point(table, row) for row in beaten) if dominated else (),
        uniform=tuple((bits, _point(table, row)) for bits, row in uniform_rows.items() if row is not None),
        random=tuple(_point(table, row) for row in random_rows),
        random_name=random_name,
        shown=_point_of(table, shown),
        pinned=_point_of(table, pinned),
        budget_top1=budget,
        paper=paper_points,
        x_range=x_range,
        y_range=y_range,
        below=int(np.count_nonzero(table.points < y_range[0])),
    )


def _point_of(table: PolicyTable, policy: Policy | None) -> Point | None:
    row = None if policy is None else table.row(policy)
    return None if row is None else _point(table, row)


def _point(table: PolicyTable, row: int) -> Point:
    top1 = table.search[row].after
    key, name = _names(table.policies[row])
    return Point(row, key, name, float(table.intensity[row]), top1.value, top1.low, top1.high)


# Hundreds of points are drawn again at every touch of a control.
@lru_cache(maxsize=8192)
def _names(policy: Policy) -> tuple[str, str]:
    return policy.key, describe(policy)


def describe(policy: Policy) -> str:
    """How many layers stand at each width, as short text: `4 bits × 12, 8 × 6, FP32 × 2`."""
    counts = sorted(Counter(policy.weight_bits).items())
    return ", ".join(f"{bits_name(width)} × {count}" for width, count in counts)


def _ranges(
    table: PolicyTable, special: Sequence[int], paper: Sequence[PaperPoint]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Fixed by what is known of a model on an image set: every AI, and the intervals of all that is compared with."""
    low, high = float(table.intensity.min()), float(table.intensity.max())
    intervals = [table.search[row].after for row in special]
    top, bottom = max(i.high for i in intervals), min(i.low for i in intervals)
    floor = 100 * table.baseline_score / table.images - FLOOR_POINTS
    # A baseline that fell apart must not flatten all the rest: it is named at the edge, or counted as below.
    bottom = min([max(min(bottom, floor), floor - FLOOR_POINTS / 2), *(point.top1 - 0.3 for point in paper)])
    return (low - 0.05 * (high - low), high + 0.07 * (high - low)), (bottom - 0.15, top + 0.1)


def pareto_frame(data: ParetoData) -> pd.DataFrame:
    """The chart's data, a row a point."""
    groups: list[tuple[str, Sequence[Point]]] = [
        ("best at some alpha", data.path),
        ("Pareto", data.others),
        ("uniform", [point for _, point in data.uniform]),
        ("random", data.random),
        ("dominated", data.dominated),
    ]
    rows = [
        {
            "group": group,
            "policy": point.key,
            "layers": point.name,
            "flops_per_byte": point.intensity,
            "search_top1_percent": point.top1,
            "low_percent": point.low,
            "high_percent": point.high,
            "search_images": data.images,
        }
        for group, points in groups
        for point in points
    ]
    return pd.DataFrame(rows)
