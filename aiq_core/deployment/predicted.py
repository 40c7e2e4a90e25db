"""What was predicted of times that were measured."""

from aiq_core.catalog import Model
from aiq_core.deployment.prediction import Measured, predicted_seconds
from aiq_core.deployment.timing import Timing
from aiq_core.deployment.variant import fp32
from aiq_core.hardware import NumberType


def predicted_ratios(measured: Measured, model: Model, timing: Timing) -> dict[str, float]:
    """How each predictor that what was measured is enough for predicts `timing.ratio_to_engine_fp32`."""
    if timing.variant.precision is not NumberType.FP32 or timing.variant.is_fp32:
        return {}
    plain = predicted_seconds(measured, model.profile, fp32(model).policy, timing.batch)
    found = predicted_seconds(measured, model.profile, timing.variant.policy, timing.batch)
    return {str(each): plain[each] / found[each] for each in found if each in plain}
