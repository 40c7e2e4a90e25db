"""How layers are rounded, in numpy, a method a file; `ROUNDINGS` names them. Another one is a file and a line here."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import EvaluationError, SettingError, look_up
from aiq_core.folding import Folded
from aiq_core.records import Granularity, Grid, Policy, Quantizer, Ranges
from aiq_core.rounding.correction import corrected
from aiq_core.rounding.gptq import gptq
from aiq_core.rounding.layer import LayerStatistics, RoundedLayer, Statistics
from aiq_core.rounding.mse import mse
from aiq_core.rounding.nearest import nearest

Choose = Callable[
    [NDArray[np.float32], int, Quantizer, Statistics],
    tuple[NDArray[np.int8], NDArray[np.float32]],
]


@dataclass(frozen=True, slots=True)
class Rounding:
    """A method: `choose` finds integers and scales of weights; `corrects` says that the bias takes the mean error."""

    title: str
    choose: Choose
    corrects: bool = False

    @property
    def is_calibrated(self) -> bool:
        """Whether it depends on calibration images: all that correct do."""
        return self.corrects


ROUNDINGS: dict[str, Rounding] = {
    "nearest": Rounding("to nearest", nearest),
    "mse": Rounding("to nearest, on the grid of least squared error", mse),
    "nearest_bias": Rounding("to nearest, mean error taken by the bias", nearest, corrects=True),
    "mse_bias": Rounding("on the grid of least squared error, mean error taken by the bias", mse, corrects=True),
    "gptq": Rounding("GPTQ, on the grid of least output error", gptq, corrects=True),
}
"""Name -> method. All take both grids and both granularities."""


def _unknown() -> LayerStatistics:
    raise SettingError("this rounding needs statistics of the layer's inputs; give them, or choose nearest")


def round_layer(
    layer: Folded, bits: int, settings: Quantizer = Quantizer(), statistics: Statistics = _unknown
) -> RoundedLayer:
    """A layer at a width below 32. Raises SettingError, and EvaluationError for NaN or infinite numbers."""
    method = look_up("rounding", settings.rounding, ROUNDINGS)
    if not np.isfinite(layer.weight).all():
        raise EvaluationError("NaN or infinite weights cannot be rounded; use weights that are finite")
    integers, scale = method.choose(layer.weight, bits, settings, statistics)
    rounded = RoundedLayer(integers, scale, layer.bias)
    return corrected(rounded, layer, statistics()) if method.corrects else rounded


def settings(
    name: str,
    calibration: str | None,
    granularity: Granularity = Granularity.CHANNEL,
    grid: Grid = Grid.NARROW,
    activations: Ranges | None = None,
) -> Quantizer:
    """A quantizer by the name of its rounding, with the calibration images' hash where it is used.

    Raises UnknownNameError, and SettingError where there are no such images.
    """
    method = look_up("rounding", name, ROUNDINGS)
    if method.is_calibrated and calibration is None:
        raise SettingError(f"{name} needs calibration images, and this data set has none; choose nearest or mse")
    used = calibration if method.is_calibrated else None
    return Quantizer(name, granularity, used, grid=grid, activations=activations)


def check(settings: Quantizer, policy: Policy) -> None:
    """Whether a policy can be evaluated so. Raises UnknownNameError or SettingError."""
    if settings.is_fine_tuned:
        return _check_fine_tuned(settings)
    method = look_up("rounding", settings.rounding, ROUNDINGS)
    if settings.seed is not None:
        raise SettingError(f"seed={settings.seed!r} is not used by {settings.rounding}; leave it out")
    if settings.calibration is not None and not method.is_calibrated:
        raise SettingError(f"calibration={settings.calibration!r} is not used by {settings.rounding}; leave it out")
    if settings.calibration is None and method.is_calibrated:
        raise SettingError(f"{settings.rounding} needs calibration, the hash of its images; give it")
    if settings.trained is not None:
        raise SettingError(f"trained={settings.trained!r} is not used by {settings.rounding}; leave it out")


def _check_fine_tuned(settings: Quantizer) -> None:
    if settings.seed is None:
        raise SettingError(f"{settings.rounding} needs the seed of its training; give it")
    if settings.trained is not None and not re.fullmatch(r"[0-9a-f]{16}", settings.trained):
        raise SettingError(f"trained={settings.trained[:40]!r} is not the hash of trained layers; it has 16 hex digits")
