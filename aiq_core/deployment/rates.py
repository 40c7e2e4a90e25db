"""The rates that a runtime's own convolutions reach on this machine, dense and depthwise, by type."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiq_core.deployment.engine import Engine
from aiq_core.hardware import NumberType
from aiq_core.records import Measurement

RATES = "rates"
"""The kind of measurement that these are."""


@dataclass(frozen=True, eq=False)
class Rates:
    """Operations/s of the best of a few shapes, by type; one multiply-add counts as two."""

    engine: Engine
    version: str
    threads: int
    cpu: str
    created_at: str
    dense: Mapping[NumberType, float]
    depthwise: Mapping[NumberType, float]

    @property
    def measurement(self) -> Measurement:
        """It as a store keeps it."""
        return Measurement(RATES, self.cpu, self.threads, str(self.engine), self.created_at, asdict(self))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Rates":
        """The rates in a measurement's document."""
        rates = {
            name: {NumberType(kind): rate for kind, rate in document[name].items()} for name in ("dense", "depthwise")
        }
        return cls(**{**document, **rates, "engine": Engine(document["engine"])})
