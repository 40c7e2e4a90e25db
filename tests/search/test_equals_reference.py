"""Pruned and early-stopped searches take the plain search's moves, one by one, whatever ties there are."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiq_core import objective
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.intensity import intensity
from aiq_core.library import Library
from aiq_core.objective import Objective
from aiq_core.records import (
    Candidate,
    ImageSet,
    Layer,
    LayerKind,
    ModelProfile,
    Move,
    Outcome,
    Policy,
    Quantizer,
    Ranges,
    Request,
    RunStatus,
    Score,
    Site,
    SiteKind,
    SplitName,
    Step,
    unfinished,
)
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.search.coordinate import coordinate
from aiq_core.search.greedy import greedy
from aiq_core.search.problem import Problem
from aiq_core.store import Store
from tests import bundled
from tests.search import reference
from tests.search.reference import Bits, Setting, Took
from tests.tables import TOP1

JOINT = Quantizer(activations=Ranges("mse", bundled.dataset("digits").split("calibration").hash))
"""Weights to nearest, so that policies of weights alone are those of today's searches."""

STRATEGIES = {"greedy": (greedy, reference.greedy), "coordinate": (coordinate, reference.coordinate)}
PROBLEMS = 3000
"""Random problems an algorithm."""


def toy_profile(layers: int) -> ModelProfile:
    """Layers of equal size, so that moves of equal width tie in AI."""
    return ModelProfile(
        "toy",
        tuple(Layer(f"l{i}", LayerKind.CONV2D, 64, 16, 0, 4, 4, 1, True, f"a{i}", None) for i in range(layers)),
        tuple(f"a{i}" for i in range(layers)),
    )


def bits_of(profile: ModelProfile, policy: Policy) -> Bits:
    """A policy as the reference writes it: the widths of all sites, in tie order."""
    return tuple(profile.width(policy, site) for site in profile.sites)


def policy_of(profile: ModelProfile, bits: Bits) -> Policy:
    moves = (Move(site, width) for site, width in zip(profile.sites, bits, strict=True))
    return profile.moved(profile.uniform(32), *moves)


@dataclass(frozen=True)
class GridProblem(Problem):
    """A problem whose AI is a small whole number, the sum of what each site's width gains: ties everywhere."""

    gains: tuple[dict[int, int], ...] = ()

    def intensity(self, policies: Sequence[Policy]) -> list[float]:
        return [self.grid(bits_of(self.profile, policy)) for policy in policies]

    def grid(self, bits: Bits) -> float:
        return float(1 + sum(gain[width] for gain, width in zip(self.gains, bits, strict=True)))


@dataclass
class Table:
    """A table of accuracies that answers as a memo does, and counts how often it is asked."""

    profile: ModelProfile
    right: Callable[[Bits], int]
    says_how_far: bool
    asked: int = 0

    def ask(self, policy: Policy, needs: Score | None, base: Policy) -> Score | None:
        self.asked += 1
        bits, held = bits_of(self.profile, policy), bits_of(self.profile, base)
        assert sum(a != b for a, b in zip(bits, held, strict=True)) == 1
        right = self.right(bits)
        # An evaluator that stops early knows no number; one that does not may say it, below the minimum too.
        return right if self.says_how_far or needs is None or right >= needs else None


def draw(rng: random.Random) -> tuple[GridProblem, Setting, Table]:
    """A problem of two to four layers, with or without bits for activations, that begins at FP32 or lower.

    It has few distinct gains, accuracies and losses, all exact in binary.
    """
    profile, images, baseline = toy_profile(rng.randint(2, 4)), 100, 90
    lower, most = (8, 4, 2), rng.choice((1, 2, 4))
    weights, activations = (
        (32, *sorted(rng.sample(lower, count), reverse=True)) for count in (rng.randint(1, 3), rng.choice((0, 1, 2)))
    )
    begin = rng.choice((32, 32, 8))
    offered = tuple(weights if site.kind is SiteKind.WEIGHTS else activations for site in profile.sites)
    gains = tuple({width: 0 if width == 32 else rng.randint(0, most) for width in (32, *lower)} for _ in offered)
    layers = [place for place, site in enumerate(profile.sites) if site.kind is SiteKind.WEIGHTS]
    held = rng.sample(layers, len(layers))
    fixed = {place: rng.choice(lower) for place in held[: rng.choice((0, 0, 0, 1))]}
    excluded = set(held[len(fixed) :][: rng.choice((0, 0, 1))])
    start = tuple(
        fixed.get(place, 32 if place in excluded or len(offered[place]) == 1 else begin)
        for place in range(len(offered))
    )
    movable = tuple(
        place
        for place in range(len(offered))
        if place not in fixed and place not in excluded and len(offered[place]) > 1
    )
    spread, seen = rng.choice((1, 2, 4)), dict[Bits, int]()

    def right(bits: Bits) -> int:
        if bits not in seen:
            seen[bits] = baseline if set(bits) == {32} else baseline - rng.randint(-spread // 2, spread)
        return seen[bits]

    # alpha / N and (1 - alpha) / A are powers of two or close to it, so that a gain in AI meets a loss in points.
    alpha = rng.choice((0.0, 0.25, 0.5, 0.5, 0.75, 1.0, 0.9))
    normalisers = rng.choice(((1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (60.0, 10.0)))
    floor = min(right(start), baseline - rng.choice((0, 1, 2, 90)))
    goal = Objective(TOP1, alpha, *normalisers, images, baseline, floor)
    sites = tuple(profile.sites[place] for place in movable)
    begun = policy_of(profile, start)
    problem = GridProblem(profile, goal, weights, sites, begun, right(start), gains, activation_widths=activations)
    setting = Setting(problem.grid, right, alpha, *normalisers, images, baseline, floor, offered, movable, start)
    return problem, setting, Table(profile, right, rng.random() < 0.3)


def took(steps: Sequence[Step], profile: ModelProfile) -> list[Took]:
    """Steps as the reference writes them."""
    return [
        Took(
            None if step.move is None else (profile.sites.index(step.move.site), step.move.bits),
            bits_of(profile, step.policy),
            int(step.score),
            step.loss,
        )
        for step in steps
    ]


def assert_equal_searches(name: str, problem: GridProblem, setting: Setting, table: Table) -> tuple[int, int]:
    """Asserts equal steps; returns how many candidates there were, and how many had to be asked."""
    search, plain = STRATEGIES[name]
    steps = list(search(problem, table.ask))
    assert took(steps, problem.profile) == list(plain(setting))
    held = setting.start
    for step in steps:
        assert_candidates_tell_the_truth(step, held, problem, setting)
        held = bits_of(problem.profile, step.policy)
    assert len([c for step in steps for c in step.candidates if c.outcome is not Outcome.PRUNED]) == table.asked
    return sum(len(step.candidates) for step in steps), table.asked


def assert_candidates_tell_the_truth(step: Step, held: Bits, problem: GridProblem, setting: Setting) -> None:
    for candidate in step.candidates:
        bits = reference.changed(held, problem.profile.sites.index(candidate.move.site), candidate.move.bits)
        assert candidate.intensity == setting.intensity(bits)
        assert candidate.bound <= setting.loss(bits)
        assert_outcome(candidate, bits, step, setting)
    winners = [c.move for c in step.candidates if c.outcome is Outcome.WON]
    assert winners == ([] if step.move is None else [step.move])


def assert_outcome(candidate: Candidate, bits: Bits, step: Step, setting: Setting) -> None:
    right = setting.right(bits)
    if candidate.outcome in (Outcome.WON, Outcome.LOST):
        assert (candidate.score, candidate.loss) == (right, setting.loss(bits))
        assert candidate.needs is not None and setting.floor <= candidate.needs <= right
    else:
        assert candidate.score is None and candidate.loss is None
        # What was not measured, or stopped, would have changed nothing.
        assert right < setting.floor or setting.loss(bits) >= step.loss
        assert (candidate.needs is not None and right < candidate.needs) == (candidate.outcome is Outcome.CANNOT_WIN)


@pytest.mark.parametrize("name", STRATEGIES)
def test_equals_the_plain_search_on_problems_dense_in_ties(name: str) -> None:
    candidates = asked = 0
    for seed in range(PROBLEMS):
        try:
            counts = assert_equal_searches(name, *draw(random.Random(seed)))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        candidates, asked = candidates + counts[0], asked + counts[1]
    assert asked < candidates / 2  # pruning prunes, so the comparison above is one


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=100, deadline=None)
@given(rng=st.randoms(use_true_random=False))
def test_equals_the_plain_search_as_a_property(name: str, rng: random.Random) -> None:
    assert_equal_searches(name, *draw(rng))


def test_the_problems_are_dense_in_ties() -> None:
    """The reference's own decisions: in many steps, several candidates share the lowest loss."""
    ties = 0
    for seed in range(300):
        _, setting, _ = draw(random.Random(seed))
        first = next(reference.greedy(setting), None)
        losses = [
            setting.loss(bits)
            for bits in (reference.changed(setting.start, *move) for move in reference.down(setting, setting.start))
            if setting.right(bits) >= setting.floor
        ]
        ties += first is not None and first.move is not None and losses.count(first.loss) > 1
    assert ties > 300 / 5


L0, L1 = (Site(SiteKind.WEIGHTS, name) for name in ("l0", "l1"))


def toy_steps(right: dict[Bits, int], floor_score: int = 0) -> list[Step]:
    """Greedy on two equal layers whose 8 bits gain 2 and whose 4 bits gain 4, at one point a unit of AI."""
    profile = toy_profile(2)
    goal = Objective(TOP1, 0.5, 1.0, 1.0, images=100, baseline_score=90, floor_score=floor_score)
    gains = ({32: 0}, {32: 0, 8: 2, 4: 4}) * 2  # a layer's input, its weights
    problem = GridProblem(profile, goal, (32, 8, 4), profile.weight_sites, profile.uniform(32), 90, gains)
    return list(greedy(problem, Table(profile, lambda bits: right.get((bits[1], bits[3]), 0), False).ask))


def test_ties_go_to_the_earlier_layer_then_to_the_wider_width() -> None:
    # Each of the four first moves ends at AI gain minus points lost = 2.
    equal = {(8, 32): 90, (4, 32): 88, (32, 8): 90, (32, 4): 88}
    assert toy_steps(equal)[0].move == Move(L0, 8)
    later = {**equal, (8, 32): 89, (4, 32): 87}
    assert toy_steps(later)[0].move == Move(L1, 8)


def test_a_move_that_only_equals_the_loss_is_not_taken() -> None:
    # 8 bits gain 2 and lose 2 points: the loss stays.
    steps = toy_steps({(8, 32): 88, (32, 8): 88, (4, 32): 86, (32, 4): 86})
    assert [(step.move, step.policy.weight_bits) for step in steps] == [(None, (32, 32))]


def test_accuracy_above_fp32_earns_nothing() -> None:
    steps = toy_steps({(8, 32): 90, (32, 8): 95, (4, 32): 80, (32, 4): 80})
    assert steps[0].move == Move(L0, 8)


def test_a_policy_below_the_floor_never_wins() -> None:
    right = {(8, 32): 90, (32, 8): 90, (4, 32): 89, (32, 4): 89}
    assert toy_steps(right, floor_score=89)[0].move == Move(L0, 4)
    assert toy_steps(right, floor_score=90)[0].move == Move(L0, 8)


# The real thing: digits_cnn through execute, against accuracies measured one policy at a time.


class Measured:
    """Number right of any digits_cnn policy on the search images to choose on, each evaluated whole and alone."""

    def __init__(self, images: int = 500) -> None:
        self.images = images
        self.profile = bundled.profile("digits_cnn")
        self.labels = bundled.dataset("digits").split(SplitName.SEARCH).labels
        self._evaluator = TorchEvaluator(
            bundled.model("digits_cnn"), ImageSet(SplitName.SEARCH, images), JOINT, 1, cache_bytes=0
        )
        self._right: dict[Bits, int] = {}

    def right(self, bits: Bits) -> int:
        if bits not in self._right:
            predicted = unfinished(500, np.dtype(np.uint8))
            for _ in self._evaluator.chunks(policy_of(self.profile, bits), None, predicted):
                pass
            self._right[bits] = int((predicted == self.labels)[: self.images].sum())
        return self._right[bits]


@pytest.fixture(scope="module")
def measured() -> dict[int, Measured]:
    return {images: Measured(images) for images in (500, 200)}


@pytest.fixture(scope="module")
def evaluators() -> Evaluators:
    return Evaluators(1)


BOTH = {"widths": (8, 4, 3), "activation_widths": (8, 4), "quantizer": JOINT}
REQUESTS = {
    "greedy 0.9": Request("digits_cnn", "greedy", 0.9),
    "greedy 0.2, six widths": Request("digits_cnn", "greedy", 0.2, widths=(32, 8, 6, 4, 3, 2)),
    "greedy 1, no floor, one excluded": Request(
        "digits_cnn", "greedy", 1.0, widths=(32, 4, 2), floor_percent=0.0, excluded=("linear",)
    ),
    "coordinate 0.5, one fixed": Request("digits_cnn", "coordinate", 0.5, fixed={"block3.conv": 4}),
    "coordinate 0.2, four widths": Request("digits_cnn", "coordinate", 0.2, widths=(32, 4, 3, 2)),
    "coordinate 0": Request("digits_cnn", "coordinate", 0.0),
    "joint greedy 0.9 from FP32": Request("digits_cnn", "greedy", 0.9, **BOTH),
    "joint greedy 0.4 from W8A8": Request(
        "digits_cnn", "greedy", 0.4, **BOTH, start=Policy((8,) * 5, (8,) * 6), choose_images=200, excluded=("linear",)
    ),
    "joint coordinate 0.5 from W8A8": Request(
        "digits_cnn", "coordinate", 0.5, **BOTH, start=Policy((8,) * 5, (8,) * 6), choose_images=200
    ),
    "greedy 0.9, fused": Request("digits_cnn", "greedy", 0.9, traffic="fused"),
    "coordinate 0.5, as stored": Request("digits_cnn", "coordinate", 0.5, traffic="as-stored"),
}


def plain_search(request: Request, measured: Measured) -> Iterator[Took]:
    profile, images, by = measured.profile, measured.images, request.traffic
    baseline = measured.right((32,) * len(profile.sites))
    normaliser = request.intensity_normaliser or objective.default_normaliser(
        profile, request.widths, by, activation_widths=request.activation_widths
    )
    held = {*request.excluded, *request.fixed}
    start = tuple(profile.width(request.start or profile.uniform(32), site) for site in profile.sites)
    bound = dict.fromkeys(request.excluded, 32) | dict(request.fixed)
    weights = [site.name if site.kind is SiteKind.WEIGHTS else "" for site in profile.sites]
    offered = tuple(request.widths if name else request.activation_widths for name in weights)
    setting = Setting(
        intensity=lambda bits: intensity(profile, policy_of(profile, bits), by=by),
        right=measured.right,
        alpha=request.alpha or 0.0,
        intensity_normaliser=normaliser,
        accuracy_normaliser=request.accuracy_normaliser,
        images=images,
        baseline=baseline,
        floor=int(objective.floor_score(TOP1, request.floor_percent, baseline, images)),
        widths=offered,
        movable=tuple(
            place for place, name in enumerate(weights) if name not in held and offered[place] != (start[place],)
        ),
        start=tuple(bound.get(name, width) for name, width in zip(weights, start, strict=True)),
    )
    return STRATEGIES[request.algorithm][1](setting)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_a_real_run_takes_the_plain_searchs_steps(
    request_: Request, measured: dict[int, Measured], evaluators: Evaluators, tmp_path: Path
) -> None:
    library = Library(Store(tmp_path / "store.sqlite"), None)
    request = replace(request_, images=500, use_bundled=False)
    run = execute(library, library.store.add_run(new_run(bundled.model(request.model), request)), evaluators)
    assert (run.status, run.message) == (RunStatus.DONE, "")
    known = measured[request.chooses_on]
    assert took(run.steps, known.profile) == list(plain_search(request, known))
    assert run.policy == run.steps[-1].policy
    assert [step.index for step in run.steps] == list(range(1, len(run.steps) + 1))
    # Whatever was taken is known in full, and what was asked for was computed: nothing had been known.
    for step in run.steps:
        found = library.evaluation(bundled.model("digits_cnn"), SplitName.SEARCH, step.policy, request.quantizer)
        assert found is not None and found.is_complete(500)
    assert run.evaluations == sum(c.outcome is not Outcome.PRUNED for step in run.steps for c in step.candidates)
    assert run.evaluations_new <= run.evaluations


def test_what_is_known_changes_no_step(evaluators: Evaluators, tmp_path: Path) -> None:
    """A run on a full memo, with partial evaluations of another alpha in it, equals the run on an empty one."""
    ours = Request("digits_cnn", "greedy", 0.2, images=500, use_bundled=False)
    other = Request("digits_cnn", "coordinate", 0.1, images=500, use_bundled=False, floor_percent=97.0)
    steps = []
    for requests in ((ours,), (other, ours)):
        library = Library(Store(tmp_path / f"{len(requests)}.sqlite"), None)
        runs = [
            execute(library, library.store.add_run(new_run(bundled.model(request.model), request)), evaluators)
            for request in requests
        ]
        steps.append(runs[-1].steps)
        asked = runs[-1].evaluations
    assert steps[0] == steps[1]
    assert runs[-1].evaluations_new < asked
