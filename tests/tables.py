"""Policy tables and trials of rounding by hand: what is right, each loss an image that FP32 has right."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aiq_core.charts.study import Trial
from aiq_core.envelope import PolicyTable
from aiq_core.metrics import Top1
from aiq_core.records import Granularity, Grid, ModelProfile, Policy
from aiq_core.statistics import Paired

TOP1 = Top1(10)


def paired(before: int, after: int, images: int) -> Paired:
    """Two policies of which the better has right whatever the other has."""
    return Paired(min(before, after), max(0, before - after), max(0, after - before), images - max(before, after))


def table_of(
    profile: ModelProfile,
    policies: Sequence[Policy],
    intensity: Sequence[float],
    right: Sequence[int],
    images: int,
    reported: Sequence[int] | None = None,
) -> PolicyTable:
    """FP32 in row 0; `reported` are right of as many report images, none where it is None."""
    return PolicyTable(
        profile=profile,
        metric=TOP1,
        images=images,
        policies=tuple(policies),
        intensity=np.array(intensity, dtype=np.float64),
        score=np.array(right),
        search=tuple(paired(right[0], count, images) for count in right),
        report_images=images,
        report=tuple(None if reported is None else paired(reported[0], reported[i], images) for i in range(len(right))),
        baseline=0,
        sources=("bundled",) * len(right),
    )


def trial(rounding: str, sqnr_db: float, right: int | None, bits: int = 4, **setting: Any) -> Trial:
    """A trial with so many of 10,000 report images right, where FP32 has 9,000; not reported where it is None."""
    report = None if right is None else paired(9_000, right, 10_000)
    found = Trial(rounding, Grid.NARROW, Granularity.CHANNEL, bits, sqnr_db, 0.5, "a CPU", None, report)
    return replace(found, **setting)
