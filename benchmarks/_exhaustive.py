"""Every policy of a small space measured, so that the best of it is known: for `benchmarks.frontier`."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog import Model, bundled
from aiq_core.frontier import Measure
from aiq_core.frontier.hypervolume import hypervolume, pick
from aiq_core.frontier.sensitivity import known
from aiq_core.intensity import traffic
from aiq_core.objective import Objective, default_normaliser, floor_score
from aiq_core.records import (
    DEFAULT_ACCURACY_NORMALISER,
    FP32_BITS,
    UNFUSED,
    ImageSet,
    Move,
    Policy,
    Quantizer,
    Score,
    Site,
    SiteKind,
    SplitName,
    Step,
)
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.search.frontier import frontier
from aiq_core.search.greedy import greedy
from aiq_core.search.nsga2 import nsga2
from aiq_core.search.problem import Problem
from aiq_core.search.random_search import random_search
from aiq_core.space import JOINT
from benchmarks._common import markdown

EVALUATIONS = (20, 50, 200)
"""Of the strategies that draw: a front's points, about what its costs take too, and ten times the first."""

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

        last = small.sites[-1]
        aside = {bits: small.offered(last)[place - 1] for place, bits in enumerate(small.offered(last))}

        def right(policy: Policy) -> NDArray[np.bool_]:
            outcomes = model.metric.blank(len(labels))
            # Its neighbour in the last site: so all that comes before is run once and kept.
            base = model.profile.moved(policy, Move(last, aside.get(model.profile.width(policy, last), FP32_BITS)))
            for _ in evaluator.chunks(policy, base, outcomes):
                pass
            return np.asarray((outcomes == labels)[self.images.span])

        packed = np.empty((small.size, -(-self.images.images // 8)), dtype=np.uint8)
        for place, policy in enumerate(small.policies()):
            packed[place] = np.packbits(right(policy))
            if place % PROGRESS == 0:
                print(f"{small.name}: {place:,} of {small.size:,}, {time.monotonic() - began:.0f} s", flush=True)
        return packed, right(model.profile.uniform(FP32_BITS)), time.monotonic() - began


def digits(model: Model) -> Small:
    """All eleven sites of the digits network, each at three widths."""
    return Small("digits_cnn", model, model.profile.sites, (4, 3, 2), (5, 4, 3))


def last_eight(model: Model) -> Small:
    """The weights of ResNet-20's last eight layers, each at three widths."""
    return Small("resnet20_last8", model, model.profile.weight_sites[-8:], (4, 3, 2), (8,))


# How far strategies stay from the best


def problem(ground: Exhausted, alpha: float = 0.0, points: int = 20, seed: int = 0) -> Problem:
    """A small space as strategies take it, on the images of `ground`."""
    small, model, images = ground.small, ground.small.model, ground.images.images
    baseline = int(ground.fp32.sum())
    goal = Objective(
        metric=model.metric,
        alpha=alpha,
        intensity_normaliser=default_normaliser(
            model.profile, small.widths, UNFUSED, small.quantizer, small.activation_widths
        ),
        accuracy_normaliser=DEFAULT_ACCURACY_NORMALISER,
        images=images,
        baseline_score=baseline,
        floor_score=floor_score(model.metric, None, baseline, images),
    )
    return Problem(
        model.profile,
        goal,
        small.widths,
        small.sites,
        small.start,
        int(ground.scores[small.place(small.start)]),
        activation_widths=small.activation_widths,
        quantizer=small.quantizer,
        costs=known(model, small.quantizer, Measure.KL),
        points=points,
        seed=seed,
    )


class Asked:
    """Answers a strategy's questions from the table; remembers which policies it asked for."""

    def __init__(self, ground: Exhausted) -> None:
        self.ground, self.places = ground, set[int]()

    def __call__(self, policy: Policy, needs: Score | None, base: Policy) -> Score | None:
        place = self.ground.small.place(policy)
        self.places.add(place)
        score = int(self.ground.scores[place])
        return None if needs is not None and score < needs else score


def strategies(ground: Exhausted, seeds: int) -> Iterator[tuple[str, int, list[list[int]]]]:
    """Each strategy's name, how many policies it asked for at most, and the places of its steps' policies a seed."""

    def places(steps: Iterable[Step]) -> list[int]:
        return [ground.small.place(step.policy) for step in steps]

    asked = Asked(ground)
    yield "frontier", 20, [places(frontier(problem(ground), asked))]
    asked = Asked(ground)
    swept = [places(greedy(problem(ground, alpha / 10), asked)) for alpha in range(11)]
    yield "greedy sweep", len(asked.places), [[place for one in swept for place in one]]
    for name, search in (("NSGA-II", nsga2), ("random search", random_search)):
        for evaluations in EVALUATIONS:
            drawn_by = [Asked(ground) for _ in range(seeds)]
            found = [
                places(search(problem(ground, points=evaluations, seed=seed), each))
                for seed, each in enumerate(drawn_by)
            ]
            yield name, evaluations, found


def gaps(folder: Path, threads: int, seeds: int = 10) -> str:
    """The area that each strategy covers of two small spaces, beside the best there is, as Markdown."""
    catalog, lines = bundled(), []
    for small, images in (
        (digits(catalog.model("digits_cnn")), 500),
        (last_eight(catalog.model("resnet20")), 1000),
    ):
        ground = Exhausted(small, ImageSet(SplitName.SEARCH, images), folder, threads)
        best = pick(small.ratios, ground.drops)
        most = float(hypervolume(small.ratios[list(best)], ground.drops[list(best)]))
        rows = [("all there are", f"{small.size:,}", f"{most:.2f}", "–", "–")]
        for name, asked, found in strategies(ground, seeds):
            areas = [covered(small.ratios, ground.drops, places) for places in found]
            lost = [100 * (1 - each / most) for each in areas]
            spread = f"{min(lost):.1f} to {max(lost):.1f} %" if len(lost) > 1 else "–"
            rows.append((name, f"{asked:,}", f"{np.mean(areas):.2f}", f"{np.mean(lost):.1f} %", spread))
        header = ("", "policies asked", "area", "short of the best", f"over {seeds} seeds")
        title = f"{small.name}, {small.size:,} policies on {images:,} search images, measured in {ground.seconds:.0f} s"
        lines.append(f"{title}\n\n{markdown(header, rows)}\n")
    return "\n".join(lines)


def covered(ratios: NDArray[np.float64], drops: NDArray[np.float64], places: Sequence[int]) -> float:
    """The area of at most 20 of the policies at these places."""
    own = np.array(sorted(set(places)))
    taken = own[list(pick(ratios[own], drops[own]))]
    return float(hypervolume(ratios[taken], drops[taken]))
