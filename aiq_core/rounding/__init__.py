"""How weights are rounded, in numpy, a method a file; `ROUNDINGS` names them. Another one is a file and a line here."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError, look_up
from aiq_core.records import FP32_BITS, Policy, Quantizer
from aiq_core.rounding.mse import mse
from aiq_core.rounding.nearest import nearest

ROUNDINGS: dict[str, Callable[[NDArray[np.float32], int, Quantizer], NDArray[np.float32]]] = {
    "nearest": nearest,
    "mse": mse,
}
"""Name -> (weight, bits below 32, settings) -> the float32 weights that the bits can represent."""


def round_weight(weight: NDArray[np.float32], bits: int, settings: Quantizer = Quantizer()) -> NDArray[np.float32]:
    """The weights at a width; FP32 returns them as they are."""
    return weight if bits == FP32_BITS else ROUNDINGS[settings.rounding](weight, bits, settings)


def check(settings: Quantizer, policy: Policy) -> None:
    """Whether a policy can be evaluated so. Raises UnknownNameError or SettingError."""
    look_up("rounding", settings.rounding, ROUNDINGS)
    for name in ("calibration", "seed"):
        if getattr(settings, name) is not None:
            raise SettingError(f"{name}={getattr(settings, name)!r} is not used by {settings.rounding}; leave it out")
