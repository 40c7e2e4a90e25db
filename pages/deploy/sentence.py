"""The page's message, made from what is measured."""

from collections.abc import Mapping

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.prediction import Predictor
from aiq_core.deployment.rows import Row
from aiq_core.roof import Spread
from aiq_core.statistics import Interval
from aiq_core.wording import number

LEAST_COST = 0.05
"""What borders must cost, in times FP32, to be told."""


def sentence(title: str, row: Row | None, engine: Engine, machine: str) -> str:
    """One sentence; `machine` is how it is called, `this machine` where it is the reader's."""
    if row is None:
        return f"What {title} gains in {engine.words} is not measured yet"
    ratio = row.timing.ratio_to_engine_fp32
    assert ratio is not None  # every runtime is timed beside its own FP32
    what = title if row.variant.name == "int8" else f"{title}’s policy"
    as_what = " in INT8" if row.variant.name == "int8" else ""
    said = f"On {machine} {engine.words} runs {what}{as_what} {_gain(ratio)} at batch {row.timing.batch}"
    return f"{said}, {'; '.join([_loss(row), *_predicted(row.predicted)])}"


def _predicted(ratios: Mapping[str, float]) -> list[str]:
    said = []
    if Predictor.ROOFLINE in ratios:
        said.append(f"the roofline promised {number(ratios[Predictor.ROOFLINE], 1)} ×")
    if Predictor.TABLE in ratios and Predictor.BORDERS in ratios:
        cost = ratios[Predictor.TABLE] - ratios[Predictor.BORDERS]
        if cost >= LEAST_COST:
            said.append(f"borders cost {number(cost, 1 if cost >= 0.1 else 2)}")
    return said


def _gain(ratio: Spread) -> str:
    if ratio.low <= 1 <= ratio.high:
        return "as fast as FP32"
    return f":violet[{number(ratio.value, 2)} ×] {'as fast as FP32' if ratio.value > 1 else 'FP32’s speed'}"


def _loss(row: Row) -> str:
    if row.against_fp32 is None:
        return "its accuracy there not measured yet"
    drop: Interval = row.against_fp32.drop
    if drop.contains_zero:
        return "for no measurable loss of accuracy"
    if drop.value < 0:
        return f"{number(-drop.value, 2)} points more accurate"
    return f"{number(drop.value, 2)} points lost"
