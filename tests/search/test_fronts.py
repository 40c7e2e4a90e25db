"""Strategies that give a whole front, on the digits network: resumed, infeasible, drawn, refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from aiq_core import fronts
from aiq_core.errors import SettingError
from aiq_core.execute import Evaluators, Execution, execute, new_run
from aiq_core.frontier import ALGORITHM, Budget, Quantity
from aiq_core.hardware import PRESETS
from aiq_core.intensity import stored_bytes
from aiq_core.library import Library
from aiq_core.machines import Machines
from aiq_core.records import Policy, Request, Run, RunStatus
from aiq_core.roofline import predict
from aiq_core.search.check import check
from aiq_core.search.strategies import STRATEGIES
from aiq_core.space import JOINT
from aiq_core.store import Store
from tests import bundled

MODEL = bundled.model("digits_cnn")
DRAWN = ("nsga2", "random_search")


def request(
    algorithm: str = ALGORITHM, points: int = 6, within: tuple[str, ...] = (), seed: int | None = None
) -> Request:
    usual = JOINT.front_request(MODEL.name, JOINT.quantizer(MODEL.dataset), MODEL.profile, 500, points, within)
    costs = usual.measure if algorithm == ALGORITHM else None
    return replace(usual, algorithm=algorithm, seed=seed, measure=costs)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store(tmp_path / "store.sqlite"), None)


def run(library: Library, asked: Request) -> Run:
    return execute(library, library.store.add_run(new_run(MODEL, asked)), Evaluators(1))


def policies(found: Run) -> list[Policy]:
    return [step.policy for step in found.steps]


@pytest.mark.parametrize(
    "asked", [request(), request("nsga2", 12, seed=1), request("random_search", 12, seed=1)], ids=str
)
def test_a_run_that_died_takes_the_same_steps_when_resumed(tmp_path: Path, asked: Request) -> None:
    whole = run(Library(Store(tmp_path / "whole.sqlite"), None), asked)
    library = Library(Store(tmp_path / "died.sqlite"), None)
    begun = library.store.add_run(new_run(MODEL, asked))
    turns = Execution(library, begun, Machines(Evaluators(1))).advance()
    for _ in range(3):
        next(turns)
    del turns  # as if its process had been killed: the store says it runs
    assert library.store.run(begun.id).status is RunStatus.RUNNING
    resumed = execute(library, library.store.run(begun.id), Evaluators(1))
    assert resumed.status is RunStatus.DONE
    assert resumed.steps == whole.steps
    assert resumed.evaluations == whole.evaluations
    assert 0 < resumed.evaluations_new < whole.evaluations_new


def test_a_front_rises_in_intensity_and_is_no_one_policy(library: Library) -> None:
    found = run(library, request())
    assert found.policy is None
    assert found.evaluations == len(found.steps) == 6
    values = [step.intensity for step in found.steps]
    assert values == sorted(values)
    assert len(set(values)) == 6
    points = fronts.points(library, found)
    costs = [point.cost for point in points]
    assert costs == sorted(costs)  # more AI is predicted to cost more
    assert all(point.search is not None and point.confirm is not None and point.report is None for point in points)
    # Nothing was chosen on search images, so all of them confirm.
    assert [point.confirm.images for point in points if point.confirm] == [500] * 6


def test_every_point_keeps_the_budgets(library: Library) -> None:
    within = ("stored<=8kB", "intensity>=6x", "time<=0.8us@pi-5")
    found = run(library, request(within=within))
    assert found.status is RunStatus.DONE, found.message
    assert all(stored_bytes(MODEL.profile, policy, found.request.quantizer) <= 8000 for policy in policies(found))
    assert all(point.ratio >= 6 for point in fronts.points(library, found))
    times = predict(PRESETS["pi-5"], MODEL.profile, policies(found)).total_seconds
    assert times.max() <= 0.8e-6 * (1 + 1e-9)
    assert predict(PRESETS["pi-5"], MODEL.profile, [MODEL.profile.uniform(8, 8)]).total_seconds[0] > 0.9e-6


def test_what_no_policy_keeps_is_said_and_the_nearest_miss_is_kept(library: Library) -> None:
    found = run(library, request(within=("stored<=1kB",)))
    assert found.status is RunStatus.FAILED
    assert found.message.startswith("at most 1 kB stored is out of reach: ")
    (nearest,) = found.steps
    assert set(nearest.policy.weight_bits) == {2}
    assert nearest.reason == "comes nearest to a budget that none keeps"
    (point,) = fronts.points(library, found)
    assert point.search is not None


def test_held_layers_count_in_the_average_of_a_run(library: Library) -> None:
    layers = {layer.name: layer.weights for layer in MODEL.profile.layers}
    total = sum(layers.values())
    least = (2 * (total - layers["linear"]) + 8 * layers["linear"]) / total
    asked = replace(request(points=2, within=(f"bits<={least - 0.01}",)), fixed={"linear": 8})
    found = run(library, asked)
    assert found.status is RunStatus.FAILED
    assert f"with {least:.2f} bits a weight on average" in found.message
    kept = run(library, replace(asked, within=(str(Budget(Quantity.BITS, least)),)))
    assert {policy.weight_bits for policy in policies(kept)} == {(2, 2, 2, 2, 8)}


# Drawn


@pytest.mark.parametrize("algorithm", DRAWN)
def test_a_seed_draws_the_same_policies_and_another_one_others(library: Library, algorithm: str) -> None:
    found = {seed: run(library, request(algorithm, 12, seed=seed)) for seed in (0, 1)}
    again = run(library, request(algorithm, 12, seed=0))
    assert [each.evaluations for each in (*found.values(), again)] == [12, 12, 12]
    assert again.evaluations_new == 0
    assert policies(again) == policies(found[0])
    assert policies(found[1]) != policies(found[0])


@pytest.mark.parametrize("algorithm", DRAWN)
def test_what_is_drawn_begins_at_the_start_and_steps_to_what_nothing_before_matches(
    library: Library, algorithm: str
) -> None:
    found = run(library, request(algorithm, 20, seed=0))
    assert found.steps[0].policy == MODEL.profile.uniform(8, 8)
    assert found.evaluations == 20
    for place, step in enumerate(found.steps):
        assert not any(
            before.intensity >= step.intensity and before.score >= step.score for before in found.steps[:place]
        )


def test_drawn_widths_are_those_on_offer(library: Library) -> None:
    asked = replace(request("random_search", 10, seed=0), widths=(4, 3), activation_widths=(6, 5), fixed={"linear": 8})
    found = run(library, asked)
    drawn = policies(found)[1:]
    assert drawn
    for policy in drawn:
        assert set(policy.weight_bits[:-1]) <= {4, 3}
        assert policy.weight_bits[-1] == 8
        assert set(policy.activation_bits) <= {6, 5}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": None}, "algorithm=nsga2 with seed=None is not offered; what draws alone has one"),
        ({"algorithm": ALGORITHM}, "algorithm=frontier with seed=0 is not offered"),
        ({"measure": "kl"}, "algorithm=nsga2 has no budgets or costs; a frontier has them"),
        ({"within": ("bits<=3",)}, "algorithm=nsga2 has no budgets or costs"),
        ({"refinement": 5}, "algorithm=nsga2 has no budgets or costs"),
        ({"points": 0}, "points=0 is not offered; choose 1 to 10000"),
        ({"points": None}, "points=None is not offered"),
    ],
)
def test_a_drawn_front_is_refused_what_it_has_not(changed: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        check(replace(request("nsga2", 12, seed=0), **changed), MODEL.profile)  # type: ignore[arg-type]


def test_stored_requests_keep_their_ids() -> None:
    """A seed enters a request's document only where there is one."""
    assert "seed" not in request().to_json()
    drawn = request("nsga2", 12, seed=3)
    assert Request.from_json(drawn.to_json()) == drawn
    assert len({request("nsga2", 12, seed=seed).digest for seed in range(3)}) == 3


def test_which_strategies_draw_and_which_use_costs() -> None:
    assert {name for name, each in STRATEGIES.items() if each.draws} == set(DRAWN)
    assert {name for name, each in STRATEGIES.items() if each.uses_costs} == {ALGORITHM}
