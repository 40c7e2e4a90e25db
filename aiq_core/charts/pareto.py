"""The trade-off chart: accuracy against AI, with what is known, the best at every alpha, and what to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiq_core.envelope import PolicyTable, pareto
from aiq_core.metrics import Metric
from aiq_core.objective import FLOOR_POINTS
from aiq_core.records import DEFAULT_WIDTHS, OFFERED_BITS, UNFUSED, Policy, SplitName
from aiq_core.statistics import Interval
from aiq_core.wording import bit_counts, uniform_name, width_counts, widths_name

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

    @property
    def interval(self) -> Interval:
        """Top-1 with its interval."""
        return Interval(self.top1, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Uniform:
    """A policy with one width a kind."""

    bits: int
    activation_bits: int
    point: Point

    @property
    def name(self) -> str:
        """Its name in the field."""
        return widths_name(self.bits, self.activation_bits)


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

    `random_name` says what the random policies were drawn like; `below` counts policies under the y axis. On report
    images, which do not choose, nothing is Pareto or dominated: `dominated` are the rest. `runs` are ringed and named.
    `beside` are named policies that were rounded otherwise than all others; `row` of such is -1.
    `members` are the points of one strategy. AI is by the traffic model `traffic`; the paper's points stand only
    in its own.
    """

    metric: Metric
    images: int
    path: tuple[Point, ...]
    others: tuple[Point, ...]
    dominated: tuple[Point, ...]
    uniform: tuple[Uniform, ...]
    random: tuple[Point, ...]
    random_name: str
    shown: Point | None
    pinned: Point | None
    budget_top1: float | None
    paper: tuple[PaperPoint, ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    below: int
    split: SplitName = SplitName.SEARCH
    runs: tuple[tuple[str, Point], ...] = ()
    beside: tuple[tuple[str, Point], ...] = ()
    traffic: str = UNFUSED
    judges: str = "search"
    members: tuple[Point, ...] = ()
    members_name: str = ""

    @property
    def rest_name(self) -> str:
        """What `dominated` are called."""
        return "dominated" if self.split is SplitName.SEARCH else "others"


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
    split: SplitName = SplitName.SEARCH,
    runs: Sequence[tuple[str, Policy]] = (),
    beside: Sequence[tuple[str, Point]] = (),
    members: Sequence[Policy] = (),
    members_name: str = "",
) -> ParetoData:
    """Points of every policy known on a split; `path_rows` are those best at some alpha, by rising alpha.

    `beside` are named points of another space, measured on the same images.
    """
    compared, images = table.on(split)
    values = {row: found.after for row, found in enumerate(compared) if found is not None}

    def row_of(policy: Policy | None) -> int | None:
        row = None if policy is None else table.row(policy)
        return row if row is not None and row in values else None

    def point(row: int) -> Point:
        top1 = values[row]
        return Point(row, *_names(table.policies[row]), float(table.intensity[row]), top1.value, top1.low, top1.high)

    def point_of(policy: Policy | None) -> Point | None:
        row = row_of(policy)
        return None if row is None else point(row)

    path_rows = [row for row in path_rows if row in values]
    even = [(policy, row) for policy, row in uniforms(table) if row in values]
    random_rows = [row for policy in random_policies if (row := row_of(policy)) is not None]
    # Report images select nothing, so they know no front.
    front = pareto(table) if split is SplitName.SEARCH else np.zeros(len(compared), dtype=bool)
    special = {*path_rows, *random_rows, *(row for _, row in even)}
    rest = [row for row in range(len(table.policies)) if row not in special and row in values]
    beaten = [row for row in rest if not front[row]]
    beaten = beaten[:: -(-len(beaten) // DOMINATED_SHOWN)] if beaten else []
    paper_points = PAPER_POINTS.get(table.profile.model, ()) if paper and table.traffic == UNFUSED else ()
    baseline = values[table.baseline].value
    intervals = [*(values[row] for row in special), *(point.interval for _, point in beside)]
    across = np.append(table.intensity[list(values)], [point.intensity for _, point in beside])
    x_range, y_range = _ranges(across, intervals, baseline, paper_points)
    return ParetoData(
        metric=table.metric,
        images=images,
        path=tuple(point(row) for row in path_rows),
        others=tuple(point(row) for row in rest if front[row]),
        dominated=tuple(point(row) for row in beaten) if dominated else (),
        uniform=tuple(Uniform(policy.weight_bits[0], policy.activation_bits[0], point(row)) for policy, row in even),
        random=tuple(point(row) for row in random_rows),
        random_name=random_name,
        shown=point_of(shown),
        pinned=point_of(pinned),
        budget_top1=None if budget_points is None else baseline - budget_points,
        paper=paper_points,
        x_range=x_range,
        y_range=y_range,
        below=sum(found.value < y_range[0] for found in values.values()),
        split=split,
        runs=tuple((name, found) for name, policy in runs if (found := point_of(policy)) is not None),
        beside=tuple(beside),
        traffic=table.traffic,
        judges=table.judges if split is SplitName.SEARCH else split,
        members=tuple(found for policy in members if (found := point_of(policy)) is not None),
        members_name=members_name,
    )


def uniforms(table: PolicyTable) -> list[tuple[Policy, int]]:
    """Policies of a table with one width a kind, and their rows: the usual ones, and all that quantize activations."""
    usual = [(bits,) for bits in DEFAULT_WIDTHS]
    joint = [(bits, activations) for activations in OFFERED_BITS[1:] for bits in OFFERED_BITS]
    policies = [table.profile.uniform(*widths) for widths in (*usual, *joint)]
    return [(policy, row) for policy in policies if (row := table.row(policy)) is not None]


# Hundreds of points are drawn again at every touch of a control.
@lru_cache(maxsize=8192)
def _names(policy: Policy) -> tuple[str, str]:
    return policy.key, describe(policy)


def describe(policy: Policy) -> str:
    """How many layers stand at each width, as short text: `4 bits × 12, 8 bits × 6`; of both kinds in sentences."""
    if not policy.has_activations:
        return width_counts(policy.weight_bits)
    name = uniform_name(policy)
    return bit_counts(policy) if name is None else f"{name}: {bit_counts(policy)}"


def _ranges(
    intensity: NDArray[np.float64], intervals: Sequence[Interval], baseline: float, paper: Sequence[PaperPoint]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Fixed by what is known of a model on an image set: every AI, and the intervals of all that is compared with."""
    low, high = float(intensity.min()), float(intensity.max())
    top, bottom = max(i.high for i in intervals), min(i.low for i in intervals)
    floor = baseline - FLOOR_POINTS
    # A baseline that fell apart must not flatten all the rest: it is named at the edge, or counted as below.
    bottom = min([max(min(bottom, floor), floor - FLOOR_POINTS / 2), *(point.top1 - 0.3 for point in paper)])
    wide = high - low or high  # of a single policy as of any
    return (low - 0.05 * wide, high + 0.07 * wide), (bottom - 0.15, top + 0.1)


def pareto_frame(data: ParetoData) -> pd.DataFrame:
    """The chart's data, a row a point."""
    groups: list[tuple[str, Sequence[Point]]] = [
        *((f"run {name}", [point]) for name, point in data.runs),
        *((name, [point]) for name, point in data.beside),
        ("best at some alpha", data.path),
        ("Pareto", data.others),
        (data.members_name, data.members),
        ("uniform", [even.point for even in data.uniform]),
        ("random", data.random),
        (data.rest_name, data.dominated),
    ]
    rows = [
        {
            "group": group,
            "policy": point.key,
            "layers": width_counts(Policy.from_key(point.key).weight_bits),
            "activations": width_counts(Policy.from_key(point.key).activation_bits),
            "traffic": data.traffic,
            "flops_per_byte": point.intensity,
            f"{data.judges}_{data.metric.column}": point.top1,
            "low_percent": point.low,
            "high_percent": point.high,
            f"{data.judges}_images": data.images,
        }
        for group, points in groups
        for point in points
    ]
    return pd.DataFrame(rows)
