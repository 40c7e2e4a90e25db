"""How far each strategy stays from the best of two small spaces whose policies are all known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog import bundled
from aiq_core.frontier import Measure
from aiq_core.frontier.hypervolume import hypervolume, pick
from aiq_core.frontier.sensitivity import known
from aiq_core.objective import Objective, default_normaliser, floor_score
from aiq_core.records import (
    DEFAULT_ACCURACY_NORMALISER,
    UNFUSED,
    ImageSet,
    Policy,
    Score,
    SplitName,
    Step,
)
from aiq_core.search.frontier import frontier
from aiq_core.search.greedy import greedy
from aiq_core.search.nsga2 import nsga2
from aiq_core.search.problem import Problem
from aiq_core.search.random_search import random_search
from benchmarks._common import markdown
from benchmarks._exhaustive import Exhausted, digits, last_eight

EVALUATIONS = (20, 50, 200)
"""Of the strategies that draw: a front's points, about what its costs take too, and ten times the first."""


REFINEMENT = 80
"""Evaluations around a front's points: with these it asks for about as many policies as a sweep does."""


def problem(ground: Exhausted, alpha: float = 0.0, points: int = 20, seed: int = 0) -> Problem:
    """A small space as strategies take it, on the images of `ground`."""
    small, model, images = ground.small, ground.small.model, ground.images.images
    baseline = ground.baseline
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
    found = places(frontier(replace(problem(ground), refinement=REFINEMENT), asked))
    yield "frontier, refined", len(asked.places), [found]
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


def gaps(folder: Path, threads: int, seeds: int = 5) -> str:
    """The area that each strategy covers of two small spaces, beside the best there is, as Markdown."""
    catalog, lines = bundled(), []
    for small, images in (
        (digits(catalog.model("digits_cnn")), 500),
        (last_eight(catalog.model("resnet20")), 1000),
    ):
        ground = Exhausted(small, ImageSet(SplitName.SEARCH, images), folder, threads)
        sides = [("all there are", small.size, [list(range(small.size))]), *strategies(ground, seeds)]
        picks = [[picked(ground, places) for places in found] for _, _, found in sides]
        reported = ground.reported(place for found in picks for each in found for place in each)
        rows, most = [], 0.0
        for (name, asked, _), found in zip(sides, picks, strict=True):
            searched = [covered(small.ratios, ground.drops, each) for each in found]
            judged = [reports(small.ratios, reported, each) for each in found]
            most = most or searched[0]
            short = [100 * (1 - each / most) for each in searched]
            rows.append((name, f"{asked:,}", mean(searched, 2), f"{mean(short, 1)} %", mean(judged, 2)))
        header = ("", "policies asked", "area, search images", "short of the best", "area, report images")
        title = f"{small.name}, {small.size:,} policies on {images:,} search images, measured in {ground.seconds:.0f} s"
        lines.append(f"{title}; of {seeds} seeds the mean and the range\n\n{markdown(header, rows)}\n")
    return "\n".join(lines)


def picked(ground: Exhausted, places: Sequence[int]) -> list[int]:
    """At most 20 of the policies at these places, those that cover most of the search images."""
    own = np.array(sorted(set(places)))
    return [int(own[each]) for each in pick(ground.small.ratios[own], ground.drops[own])]


def covered(ratios: NDArray[np.float64], drops: NDArray[np.float64], places: Sequence[int]) -> float:
    """The area of policies at these places."""
    return float(hypervolume(ratios[list(places)], drops[list(places)]))


def reports(ratios: NDArray[np.float64], lost: Mapping[int, NDArray[np.int8]], places: Sequence[int]) -> float:
    """The same on report images."""
    drops = np.array([100 * lost[place].mean() for place in places])
    return float(hypervolume(ratios[list(places)], drops))


def mean(values: Sequence[float], places: int) -> str:
    """The mean, and from where to where values go where there are several."""
    found = f"{np.mean(values):.{places}f}"
    return found if len(values) == 1 else f"{found} ({min(values):.{places}f} to {max(values):.{places}f})"
