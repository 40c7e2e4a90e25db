"""What each width of each site costs by itself, measured on calibration images without their labels.

An additive surrogate of accuracy: the divergence of a policy's predictions from FP32's is taken for the sum of what
its sites do alone. `runtime.sensitivity` measures it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from aiq_core.catalog import Model, cache_dir
from aiq_core.errors import DataError
from aiq_core.records import FP32_BITS, ModelProfile, Move, Policy, Quantizer, Site, SiteKind

FILE = "sensitivity.json"
VERSION = 1
"""Grows whenever a measure's numbers change."""


class Measure(StrEnum):
    """How a width's cost is measured, a mean over images.

    FISHER is half the squared derivative of the log-likelihood along what rounding does to the layer's output or the
    tensor, labels drawn from the network's own predictions: the second-order term of the divergence (one backward
    pass). KL is that divergence itself, in nats, and LOGIT half the squared error of the logits: a forward of the rest
    of the network for every width.
    """

    FISHER = "fisher"
    KL = "kl"
    LOGIT = "logit"


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """`costs` of every site and width below 32, in nats (LOGIT's in squared logits), on `images` calibration images.

    `key` says what they depend on.
    """

    key: str
    measure: Measure
    images: int
    costs: Mapping[Move, float]

    def cost(self, move: Move) -> float:
        """What a width of a site costs. Raises DataError for one that was not measured."""
        if move.bits == FP32_BITS:
            return 0.0
        if move not in self.costs:
            raise DataError(f"what {move.site} costs at {move.bits} bits was not measured; measure it again")
        return self.costs[move]

    def of(self, site: Site) -> tuple[tuple[int, float], ...]:
        """Widths of a site with their costs, widest first."""
        return self._of.get(site, ())

    @cached_property
    def _of(self) -> dict[Site, tuple[tuple[int, float], ...]]:
        found: dict[Site, list[tuple[int, float]]] = {}
        for move, cost in self.costs.items():
            found.setdefault(move.site, []).append((move.bits, cost))
        return {site: tuple(sorted(widths, reverse=True)) for site, widths in found.items()}

    def predicted(self, profile: ModelProfile, policy: Policy) -> float:
        """What a policy costs: the sum over its sites."""
        return sum(self.cost(Move(site, profile.width(policy, site))) for site in profile.sites)

    @cached_property
    def widths(self) -> frozenset[tuple[SiteKind, int]]:
        """The widths that were measured, of each kind of site."""
        return frozenset((move.site.kind, move.bits) for move in self.costs)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        costs: dict[str, dict[str, dict[str, float]]] = {}
        for move, cost in self.costs.items():
            costs.setdefault(move.site.kind, {}).setdefault(move.site.name, {})[str(move.bits)] = float(f"{cost:.6g}")
        return {"key": self.key, "measure": self.measure, "images": self.images, "costs": costs}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Sensitivity":
        """The sensitivities that `to_json` wrote. Raises DataError."""
        try:
            costs = {
                Move(Site(SiteKind(kind), name), int(bits)): float(cost)
                for kind, sites in document["costs"].items()
                for name, widths in sites.items()
                for bits, cost in widths.items()
            }
            return cls(document["key"], Measure(document["measure"]), int(document["images"]), costs)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"sensitivities cannot be read ({error!r}); delete their file, they are made again"
            ) from None


def key_of(model: Model, settings: Quantizer, measure: Measure) -> str:
    """20 hex digits over all that a model's sensitivities depend on: weights, images, rounding, ranges and measure."""
    low = model.profile.uniform(2, 2 if settings.activations else FP32_BITS)
    text = json.dumps([VERSION, model.hash, model.dataset.calibration_hash, settings.key(low), measure])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def file_of(key: str) -> Path:
    """Where sensitivities lie in the cache."""
    return cache_dir() / "sensitivity" / f"{key}.json"


def known(
    model: Model, settings: Quantizer, measure: Measure = Measure.FISHER, shipped: bool = True
) -> Sensitivity | None:
    """A model's sensitivities: those that ship with it, or were measured before; None where there are none."""
    key = key_of(model, settings, measure)
    for path in (*([model.folder / FILE] if shipped else []), file_of(key)):
        try:
            found = Sensitivity.from_json(json.loads(path.read_text()))
        except (OSError, ValueError, DataError):
            continue
        if found.key == key:
            return found
    return None
