"""How weights are rounded, and the key of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from aiq_core.records.policy import Policy

EVALUATOR_VERSION = 1
"""Grows whenever the evaluator's predictions change; old evaluations never meet new ones."""


class Granularity(StrEnum):
    """How many weights share a scale."""

    CHANNEL = "channel"
    TENSOR = "tensor"


_LATER: Mapping[str, Any] = {}
"""Settings that came after the first keys were stored -> the value that means what was done before. Frozen: a setting
enters the key only where it differs, so that what is stored keeps its key whatever a default becomes."""


@dataclass(frozen=True, slots=True)
class Quantizer:
    """How weights are rounded: symmetric, to nearest, one scale per output channel or per tensor.

    `calibration` (a hash) and `seed` are for roundings that use them and None otherwise.
    """

    rounding: str = "nearest"
    granularity: Granularity = Granularity.CHANNEL
    calibration: str | None = None
    seed: int | None = None

    def key(self, policy: Policy) -> str:
        """JSON text of the settings that `policy` uses, so that FP32 has one key under every quantizer."""
        settings: dict[str, Any] = {"evaluator": EVALUATOR_VERSION}
        if not policy.is_fp32:
            settings |= {name: value for name, value in self.to_json().items() if value is not None}
        return json.dumps(settings, sort_keys=True, separators=(",", ":"))

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document, settings of later left out where they mean what was done before them."""
        return {name: value for name, value in asdict(self).items() if name not in _LATER or value != _LATER[name]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Quantizer":
        """The quantizer that `to_json` wrote."""
        return cls(**{**_LATER, **document, "granularity": Granularity(document["granularity"])})
