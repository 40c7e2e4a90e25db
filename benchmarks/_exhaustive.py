"""Every policy of a small space measured, so that the best of it is known: for `benchmarks.frontier`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog import Model
from aiq_core.intensity import traffic
from aiq_core.records import FP32_BITS, ImageSet, Move, Policy, Quantizer, Site, SiteKind, SplitName
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.space import JOINT

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


class Exhausted:
    """What every policy of a small space has right on an image set, measured once and kept in `folder`."""

    def __init__(self, small: Small, images: ImageSet, folder: Path, threads: int) -> None:
        self.small, self.images = small, images
        path = folder / f"{small.name}-{images.split}-{images.images}.npz"
        if not path.is_file():
            packed, fp32, seconds = self._measure(threads)
            np.savez(path, packed=packed, fp32=fp32, seconds=seconds)
        kept = np.load(path)
        self._packed, self.fp32, self.seconds = kept["packed"], kept["fp32"], float(kept["seconds"])

    def right(self, places: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which images so many policies have right, [places, images]."""
        return np.unpackbits(self._packed[places], axis=1, count=self.images.images).astype(bool)

    @cached_property
    def scores(self) -> NDArray[np.int64]:
        """How many each policy has right, [size]."""
        return np.bitwise_count(self._packed).sum(axis=1, dtype=np.int64)

    @property
    def drops(self) -> NDArray[np.float64]:
        """Points that each policy loses against FP32, [size]."""
        return np.asarray(100 * (int(self.fp32.sum()) - self.scores) / self.images.images)

    def _measure(self, threads: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_], float]:
        small, model = self.small, self.small.model
        chunk = min(self.images.images, 500)
        evaluator = TorchEvaluator(model, self.images, small.quantizer, threads, chunk=chunk)
        labels = model.dataset.split(self.images.split).labels
        began = time.monotonic()

        def right(policy: Policy, base: Policy) -> NDArray[np.bool_]:
            outcomes = model.metric.blank(len(labels))
            for _ in evaluator.chunks(policy, base, outcomes):
                pass
            return np.asarray((outcomes == labels)[self.images.span])

        fp32 = model.profile.uniform(FP32_BITS)
        packed = np.empty((small.size, -(-self.images.images // 8)), dtype=np.uint8)
        before = fp32
        for place, policy in enumerate(small.policies()):
            packed[place] = np.packbits(right(policy, before))
            before = policy
            if place % (small.size // 20) == 0:
                print(f"{small.name}: {place:,} of {small.size:,}, {time.monotonic() - began:.0f} s", flush=True)
        return packed, right(fp32, fp32), time.monotonic() - began


def digits(model: Model) -> Small:
    """All eleven sites of the digits network, each at three widths."""
    return Small("digits_cnn", model, model.profile.sites, (4, 3, 2), (5, 4, 3))


def last_eight(model: Model) -> Small:
    """The weights of ResNet-20's last eight layers, each at three widths."""
    return Small("resnet20_last8", model, model.profile.weight_sites[-8:], (4, 3, 2), (8,))


