"""How weights and activations are rounded, and the key of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from aiq_core.records.policy import FP32_BITS, Policy

EVALUATOR_VERSION = 1
"""Grows whenever the evaluator's predictions change; old evaluations never meet new ones."""


class Granularity(StrEnum):
    """How many weights share a scale."""

    CHANNEL = "channel"
    TENSOR = "tensor"


class Grid(StrEnum):
    """Which integers a weight may take: -7 to 7 at 4 bits, which every kernel takes, or -8 to 7."""

    NARROW = "narrow"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Ranges:
    """How the ranges of activations are set: a rule of `activations.RULES`, on calibration images of this hash."""

    rule: str
    calibration: str


FINE_TUNED = "fine_tuned"
"""The rounding of layers that were trained on at their widths: nothing rounds them, they are read from disk."""


_LATER: Mapping[str, Any] = {"grid": Grid.NARROW, "activations": None, "trained": None}
"""Settings that came after the first keys were stored -> the value that means what was done before. Frozen: a setting
enters the key only where it differs, so that what is stored keeps its key whatever a default becomes."""


@dataclass(frozen=True, slots=True)
class Quantizer:
    """How weights are rounded, with one scale per output channel or per tensor, and how ranges of activations are set.

    `calibration` (the images' hash) and `seed` are for roundings that use them and None otherwise. Without
    `activations`, only policies that leave these at FP32 can be evaluated. `trained` is the hash of the layers that
    FINE_TUNED reads; None until they are trained.
    """

    rounding: str = "nearest"
    granularity: Granularity = Granularity.CHANNEL
    calibration: str | None = None
    seed: int | None = None
    grid: Grid = Grid.NARROW
    activations: Ranges | None = None
    trained: str | None = None

    @property
    def is_fine_tuned(self) -> bool:
        """Whether it stands for layers that were trained, of one policy."""
        return self.rounding == FINE_TUNED

    def key(self, policy: Policy) -> str:
        """JSON text of the settings that `policy` uses, so that FP32 has one key under every quantizer."""
        settings: dict[str, Any] = {"evaluator": EVALUATOR_VERSION}
        used = self.to_json()
        ranges = used.pop("activations", None)
        if any(bits != FP32_BITS for bits in policy.weight_bits):
            settings |= {name: value for name, value in used.items() if value is not None}
        if policy.has_activations:
            settings["activations"] = ranges
        return json.dumps(settings, sort_keys=True, separators=(",", ":"))

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document, settings of later left out where they mean what was done before them."""
        return {name: value for name, value in asdict(self).items() if name not in _LATER or value != _LATER[name]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Quantizer":
        """The quantizer that `to_json` wrote."""
        fields = {**_LATER, **document}
        ranges = fields["activations"]
        return cls(
            **{
                **fields,
                "granularity": Granularity(fields["granularity"]),
                "grid": Grid(fields["grid"]),
                "activations": None if ranges is None else Ranges(**ranges),
            }
        )
