"""How long a deployed network takes and how often it is right, as measured on a machine and kept in a store."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np

from aiq_core.catalog import Model
from aiq_core.deployment.engine import Engine
from aiq_core.deployment.variant import Variant
from aiq_core.records import Measurement, Outcomes
from aiq_core.roof import Spread
from aiq_core.statistics import Comparison
from aiq_core.store.codec import pack, unpack

TIMING, DEPLOYED = "timing", "deployed"
"""Kinds of measurement."""


def spread(values: Sequence[float]) -> Spread:
    """The median over rounds, and the lowest and highest."""
    return Spread(median(values), min(values), max(values))


@dataclass(frozen=True)
class Place:
    """Where and with what something was measured: one CPU, so many threads, versions of what computed."""

    cpu: str
    threads: int
    flags: tuple[str, ...]
    versions: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        return {
            "cpu": self.cpu,
            "threads": self.threads,
            "flags": list(self.flags),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Place":
        """The place that `to_json` wrote."""
        return cls(document["cpu"], document["threads"], tuple(document["flags"]), dict(document["versions"]))


@dataclass(frozen=True, eq=False)
class Timing:
    """Seconds a batch of a variant in an engine, a figure a round, beside FP32's in the same rounds.

    `engine_fp32_s` are of the same engine, `eager_fp32_s` of PyTorch as it is used in training; empty where those were
    not measured. `unsteady` rounds stayed off their median by more than a factor of two.
    """

    model: str
    model_hash: str
    engine: Engine
    version: str
    variant: Variant
    batch: int
    seconds: tuple[float, ...]
    engine_fp32_s: tuple[float, ...]
    eager_fp32_s: tuple[float, ...]
    unsteady: int
    place: Place
    created_at: str

    @property
    def subject(self) -> str:
        """What it is of, whoever measures it."""
        return f"{self.model_hash}/{self.engine}/{self.variant.key}/{self.batch}"

    @property
    def images_per_s(self) -> Spread:
        """Throughput."""
        return spread([self.batch / each for each in self.seconds])

    @property
    def latency_s(self) -> Spread:
        """Seconds a batch."""
        return spread(self.seconds)

    @property
    def ratio_to_engine_fp32(self) -> Spread | None:
        """How many times as fast as FP32 in the same engine: ratios round by round."""
        return _ratio(self.engine_fp32_s, self.seconds)

    @property
    def ratio_to_eager_fp32(self) -> Spread | None:
        """How many times as fast as FP32 in PyTorch eager: ratios round by round."""
        return _ratio(self.eager_fp32_s, self.seconds)

    @property
    def measurement(self) -> Measurement:
        """It as a store keeps it."""
        document = {
            **{name: getattr(self, name) for name in ("model", "model_hash", "version", "batch", "unsteady")},
            **{name: list(getattr(self, name)) for name in ("seconds", "engine_fp32_s", "eager_fp32_s")},
            "engine": str(self.engine),
            "variant": self.variant.to_json(),
            "place": self.place.to_json(),
        }
        return Measurement(TIMING, self.place.cpu, self.place.threads, self.subject, self.created_at, document)

    @classmethod
    def of(cls, kept: Measurement) -> "Timing":
        """The timing that a measurement keeps."""
        document = kept.document
        return cls(
            **{name: document[name] for name in ("model", "model_hash", "version", "batch", "unsteady")},
            seconds=tuple(document["seconds"]),
            engine_fp32_s=tuple(document["engine_fp32_s"]),
            eager_fp32_s=tuple(document["eager_fp32_s"]),
            engine=Engine(document["engine"]),
            variant=Variant.from_json(document["variant"]),
            place=Place.from_json(document["place"]),
            created_at=kept.created_at,
        )


def _ratio(before: Sequence[float], after: Sequence[float]) -> Spread | None:
    if not before:
        return None
    return spread([first / second for first, second in zip(before, after, strict=True)])


@dataclass(frozen=True, eq=False)
class Deployed:
    """What became of report images in an engine, in the metric's outcomes; `equal` of them are the simulation's."""

    model: str
    model_hash: str
    engine: Engine
    version: str
    variant: Variant
    outcomes: Outcomes
    equal: int
    place: Place
    created_at: str

    @property
    def subject(self) -> str:
        """What it is of: outcomes do not depend on the batch, but on the engine's version."""
        return deployed_subject(self.model_hash, self.engine, self.version, self.variant)

    @property
    def images(self) -> int:
        """How many report images were run, the first ones."""
        return len(self.outcomes)

    @property
    def agreement_percent(self) -> float:
        """How many outcomes are the simulation's."""
        return 100 * self.equal / self.images

    def against(self, before: "Deployed", model: Model) -> Comparison | None:
        """It against another one on the same images; None where the images differ."""
        if before.images != self.images:
            return None
        labels = model.dataset.report.labels[: self.images]
        return model.metric.compare(before.outcomes, self.outcomes, labels)

    @cached_property
    def measurement(self) -> Measurement:
        """It as a store keeps it."""
        document = {
            **{name: getattr(self, name) for name in ("model", "model_hash", "version", "equal")},
            "engine": str(self.engine),
            "variant": self.variant.to_json(),
            "outcomes": base64.b64encode(pack(self.outcomes)).decode(),
            "place": self.place.to_json(),
        }
        return Measurement(DEPLOYED, self.place.cpu, self.place.threads, self.subject, self.created_at, document)

    @classmethod
    def of(cls, kept: Measurement) -> "Deployed":
        """What a measurement keeps."""
        document = kept.document
        return cls(
            **{name: document[name] for name in ("model", "model_hash", "version", "equal")},
            engine=Engine(document["engine"]),
            variant=Variant.from_json(document["variant"]),
            outcomes=np.asarray(unpack(base64.b64decode(document["outcomes"]))),
            place=Place.from_json(document["place"]),
            created_at=kept.created_at,
        )


def deployed_subject(model_hash: str, engine: Engine, version: str, variant: Variant) -> str:
    """What the accuracy of a variant in a version of an engine is kept under."""
    return f"{model_hash}/{engine} {version}/{variant.key}"
