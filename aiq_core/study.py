"""The study of rounding: weight errors and seconds that `benchmarks/rounding.py` measured, accuracies of the stores."""

import csv
from collections.abc import Mapping
from functools import cache

from aiq_core import rounding
from aiq_core.catalog import ASSETS, Model
from aiq_core.charts.study import Trial
from aiq_core.library import Library
from aiq_core.records import Granularity, Grid, Quantizer, SplitName
from aiq_core.statistics import Comparison

FIGURES = ASSETS / "rounding.csv"
HEADER = ("model", "rounding", "grid", "granularity", "bits", "sqnr_db", "seconds", "processor")

Figures = Mapping[tuple[str, ...], tuple[str, ...]]


def read_figures() -> dict[tuple[str, ...], tuple[str, ...]]:
    """What the benchmark measured: the first five columns of HEADER -> the rest; empty where it was not run."""
    if not FIGURES.is_file():
        return {}
    with FIGURES.open(newline="") as file:
        return {tuple(row[:5]): tuple(row[5:]) for row in list(csv.reader(file))[1:]}


_figures = cache(read_figures)


def trials(library: Library, model: Model, figures: Figures | None = None) -> tuple[Trial, ...]:
    """Every way in which all layers of a model were rounded, in the study's order; none where it was not studied."""
    found = []
    for (name, how, grid, granularity, bits), (sqnr, seconds, processor) in (figures or _figures()).items():
        if name == model.name:
            used = rounding.settings(how, model.dataset.calibration_hash, Granularity(granularity), Grid(grid))
            trial = Trial(
                rounding=how,
                grid=used.grid,
                granularity=used.granularity,
                bits=int(bits),
                sqnr_db=float(sqnr),
                seconds=float(seconds),
                processor=processor,
                search=_lost(library, model, SplitName.SEARCH, int(bits), used),
                report=_lost(library, model, SplitName.REPORT, int(bits), used),
            )
            found.append(trial)
    return tuple(found)


def _lost(library: Library, model: Model, split: SplitName, bits: int, used: Quantizer) -> Comparison | None:
    """All layers at a width against FP32, on all images of a split."""
    size, profile = model.dataset.split(split).size, model.profile
    return library.paired(model, split, size, profile.uniform(32), profile.uniform(bits), used)
