"""Lesson 4, why layers differ: what each layer alone gains in AI, which is arithmetic, and costs, which is measured."""

from dataclasses import dataclass
from math import sqrt

import pandas as pd
from scipy.stats import spearmanr

from aiq_core.envelope import PolicyTable
from aiq_core.intensity import traffic
from aiq_core.records import Layer, Move
from aiq_core.statistics import Comparison, Interval

ORDERS = ("network", "size", "cost")


@dataclass(frozen=True, slots=True)
class Alone:
    """A layer with only its weights at the lesson's width. `lost` and `gained` count images; `drop` is in points."""

    layer: str
    weights: int
    flops: int
    shape: tuple[int, int, int, int]
    gain: float
    gain_percent: float
    lost: int
    gained: int
    drop: Interval

    @property
    def flips(self) -> int:
        """Answers that turned, from right to wrong or back."""
        return self.lost + self.gained


@dataclass(frozen=True)
class LayersData:
    """Every layer alone in network order. `first` and `second` are the layers of the question, `twins` if alike."""

    model: str
    bits: int
    split: str
    images: int
    rows: tuple[Alone, ...]
    first: str
    second: str
    twins: bool

    def of(self, layer: str) -> Alone:
        """The row of a layer."""
        return next(row for row in self.rows if row.layer == layer)

    @property
    def alike(self) -> tuple[Alone, ...]:
        """The largest set of layers that do equally many FLOPs."""
        groups: dict[int, list[Alone]] = {}
        for row in self.rows:
            groups.setdefault(row.flops, []).append(row)
        most = max(len(group) for group in groups.values())
        return tuple(next(group for group in groups.values() if len(group) == most))

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's, of weights with flipped answers; None where every layer flips as many."""
        flips = [row.flips for row in self.rows]
        if len(set(flips)) < 2:
            return None
        return float(spearmanr([row.weights for row in self.rows], flips).statistic)

    @property
    def improved(self) -> tuple[Alone, ...]:
        """Layers whose interval lies below 0: they gained answers."""
        return tuple(row for row in self.rows if row.drop.high < 0)

    @property
    def beyond_noise(self) -> tuple[Alone, ...]:
        """Layers whose interval does not hold 0."""
        return tuple(row for row in self.rows if not row.drop.contains_zero)


def layers_data(table: PolicyTable, bits: int) -> LayersData | None:
    """Each layer alone, on report images where all are reported, else on search images; None where some are unknown.

    The layers of the question are chosen by their flips on search images, so that report images judge the answer.
    """
    profile = table.profile
    fp32 = profile.uniform(32)
    policies = [profile.moved(fp32, Move(site, bits)) for site in profile.weight_sites]
    places = [table.row(policy) for policy in policies]
    rows = [row for row in places if row is not None]
    if len(rows) < len(places):
        return None
    reports = [cells for row in rows if (cells := table.report[row]) is not None]
    reported = len(reports) == len(rows)
    split = "report" if reported else "search"
    moved = traffic(profile, [fp32, *policies]).intensity
    searched = [table.search[row] for row in rows]
    found = tuple(
        _alone(layer, cells, float(moved[0]), float(after))
        for layer, cells, after in zip(profile.quantizable, reports if reported else searched, moved[1:], strict=True)
    )
    chosen = [cells.lost + cells.gained for cells in searched]
    first, second, twins = _pair(found, chosen)
    images = table.report_images if reported else table.images
    return LayersData(profile.model, bits, split, images, found, first, second, twins)


def _alone(layer: Layer, cells: Comparison, before: float, after: float) -> Alone:
    shape = (layer.weights, layer.macs, layer.input_elements, layer.output_elements)
    gain = after - before
    percent = 100 * gain / before
    return Alone(layer.name, layer.weights, 2 * layer.macs, shape, gain, percent, cells.lost, cells.gained, cells.drop)


def _pair(rows: tuple[Alone, ...], flips: list[int]) -> tuple[str, str, bool]:
    """Layers of one shape whose flips differ most beyond their noise, the one that flips more first.

    Where no two are alike: the layer that flips most among the smaller ones, and the largest.
    """
    best, found = 0.0, None
    for a, one in enumerate(rows):
        for b, other in enumerate(rows):
            if one.shape == other.shape and flips[a] > flips[b]:
                apart = (flips[a] - flips[b]) / sqrt(flips[a] + flips[b])
                if apart > best:
                    best, found = apart, (one.layer, other.layer, True)
    if found is not None:
        return found
    largest = max(range(len(rows)), key=lambda place: rows[place].weights)
    rest = [place for place in range(len(rows)) if place != largest]
    return rows[max(rest, key=lambda place: flips[place])].layer, rows[largest].layer, False


def layers_frame(data: LayersData) -> pd.DataFrame:
    """A row a layer."""
    return pd.DataFrame(
        {
            "layer": [row.layer for row in data.rows],
            "weight_bits": data.bits,
            "weights": [row.weights for row in data.rows],
            "flops": [row.flops for row in data.rows],
            "gain_flops_per_byte": [row.gain for row in data.rows],
            "gain_percent": [row.gain_percent for row in data.rows],
            "images_lost": [row.lost for row in data.rows],
            "images_gained": [row.gained for row in data.rows],
            "drop_points": [row.drop.value for row in data.rows],
            "low": [row.drop.low for row in data.rows],
            "high": [row.drop.high for row in data.rows],
            "images": data.images,
            "split": data.split,
        }
    )
