"""Every policy of a small space measured, so that the best of it is known: for `benchmarks.frontier`."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog import Model
from aiq_core.intensity import traffic
from aiq_core.records import (
    FP32_BITS,
    ImageSet,
    Move,
    Policy,
    Quantizer,
    Site,
    SiteKind,
    SplitName,
)
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.space import JOINT

PROGRESS = 1000
"""Policies between two lines that say how far it is."""

MOST_COUNTED = 4096
"""Policies whose bytes are counted at once."""


@dataclass(frozen=True)
class Small:
    """A space small enough: some sites of a model at any of their widths, the others as in W8A8.

    Policies are in the order of `itertools.product`, the last site varying fastest, so that neighbours share most of
    their way through the network.
    """

    name: str
    model: Model
    sites: tuple[Site, ...]
    widths: tuple[int, ...]
    activation_widths: tuple[int, ...]

    @property
    def quantizer(self) -> Quantizer:
        return JOINT.quantizer(self.model.dataset)

    def offered(self, site: Site) -> tuple[int, ...]:
        return self.widths if site.kind is SiteKind.WEIGHTS else self.activation_widths

    @property
    def size(self) -> int:
        return int(np.prod([len(self.offered(site)) for site in self.sites]))

    @property
    def start(self) -> Policy:
        """Every site at its widest."""
        widest = (Move(site, max(self.offered(site))) for site in self.sites)
        return self.model.profile.moved(self.model.profile.uniform(8, 8), *widest)

    def policies(self) -> Iterator[Policy]:
        for widths in product(*(self.offered(site) for site in self.sites)):
            moves = (Move(site, bits) for site, bits in zip(self.sites, widths, strict=True))
            yield self.model.profile.moved(self.start, *moves)

    def place(self, policy: Policy) -> int:
        """Where a policy stands among all."""
        found = 0
        for site in self.sites:
            offered = self.offered(site)
            found = found * len(offered) + offered.index(self.model.profile.width(policy, site))
        return found

    @cached_property
    def ratios(self) -> NDArray[np.float64]:
        """AI over FP32's of every policy, [size]."""
        profile, every = self.model.profile, list(self.policies())
        parts = (every[begun : begun + MOST_COUNTED] for begun in range(0, len(every), MOST_COUNTED))
        counted = [traffic(profile, part, quantizer=self.quantizer).intensity for part in parts]
        fp32 = traffic(profile, [profile.uniform(FP32_BITS)], quantizer=self.quantizer).intensity
        return np.concatenate(counted) / fp32[0]


class Right:
    """Which images policies of a small space have right; where neighbours come in turn, what they share is run once."""

    def __init__(self, small: Small, images: ImageSet, threads: int) -> None:
        self._small, self._images = small, images
        chunk = min(images.images, 500)
        self._evaluator = TorchEvaluator(small.model, images, small.quantizer, threads, chunk=chunk)
        last = small.sites[-1]
        self._last, widths = last, small.offered(last)
        self._aside = {bits: widths[place - 1] for place, bits in enumerate(widths)}

    def __call__(self, policy: Policy) -> NDArray[np.uint8]:
        """Packed bits, [images / 8]."""
        model, profile = self._small.model, self._small.model.profile
        labels = model.dataset.split(self._images.split).labels
        outcomes = model.metric.blank(len(labels))
        # Its neighbour in the last site: so all that comes before is run once and kept.
        aside = Move(self._last, self._aside.get(profile.width(policy, self._last), FP32_BITS))
        for _ in self._evaluator.chunks(policy, profile.moved(policy, aside), outcomes):
            pass
        return np.packbits((outcomes == labels)[self._images.span])


def unpacked(packed: NDArray[np.uint8], images: int) -> NDArray[np.int8]:
    """Bits as 0 and 1, [..., images]."""
    return np.unpackbits(packed, axis=-1, count=images).astype(np.int8)


class Exhausted:
    """What every policy of a small space has right on search images, measured once and kept in `folder`."""

    def __init__(self, small: Small, images: ImageSet, folder: Path, threads: int) -> None:
        self.small, self.images, self._folder, self._threads = small, images, folder, threads
        path = folder / f"{small.name}-{images.split}-{images.images}.npz"
        if not path.is_file():
            np.savez(path, **self._measure())
        kept = np.load(path)
        self._packed, self._fp32, self.seconds = kept["packed"], kept["fp32"], float(kept["seconds"])

    @cached_property
    def scores(self) -> NDArray[np.int64]:
        """How many each policy has right, [size]."""
        return np.bitwise_count(self._packed).sum(axis=1, dtype=np.int64)

    @property
    def baseline(self) -> int:
        """How many FP32 has right."""
        return int(np.bitwise_count(self._fp32).sum())

    @property
    def drops(self) -> NDArray[np.float64]:
        """Points that each policy loses against FP32, [size]."""
        return np.asarray(100 * (self.baseline - self.scores) / self.images.images)

    def _measure(self) -> dict[str, Any]:
        small, began = self.small, time.monotonic()
        right = Right(small, self.images, self._threads)
        packed = np.empty((small.size, -(-self.images.images // 8)), dtype=np.uint8)
        for place, policy in enumerate(small.policies()):
            packed[place] = right(policy)
            if place % PROGRESS == 0:
                print(f"{small.name}: {place:,} of {small.size:,}, {time.monotonic() - began:.0f} s", flush=True)
        fp32 = right(small.model.profile.uniform(FP32_BITS))
        return {"packed": packed, "fp32": fp32, "seconds": time.monotonic() - began}

    def reported(self, places: Iterable[int]) -> dict[int, NDArray[np.int8]]:
        """What these policies lose on all report images, as `frontier.hypervolume.drawn` has it; kept too."""
        small = self.small
        images = ImageSet(SplitName.REPORT, small.model.dataset.available(SplitName.REPORT))
        path = self._folder / f"{small.name}-report.npz"
        kept = dict(np.load(path)) if path.is_file() else {}
        policies = list(small.policies())
        wanted = {str(place): policies[place] for place in sorted(set(places))}
        missing = {"fp32": small.model.profile.uniform(FP32_BITS)} | wanted
        missing = {name: policy for name, policy in missing.items() if name not in kept}
        if missing:
            right = Right(small, images, self._threads)
            kept |= {name: right(policy) for name, policy in missing.items()}
            np.savez(path, **kept)
        fp32 = unpacked(kept["fp32"], images.images)
        return {int(name): fp32 - unpacked(kept[name], images.images) for name in wanted}


def digits(model: Model) -> Small:
    """All eleven sites of the digits network, each at three widths."""
    return Small("digits_cnn", model, model.profile.sites, (4, 3, 2), (5, 4, 3))


def last_eight(model: Model) -> Small:
    """The weights of ResNet-20's last eight layers, each at three widths."""
    return Small("resnet20_last8", model, model.profile.weight_sites[-8:], (4, 3, 2), (8,))
