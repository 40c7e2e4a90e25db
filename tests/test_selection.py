"""Which policy Explore shows: a picked one, else the budget's, else a run's end, else the best at this alpha."""

from dataclasses import replace

import pytest

from aiq_core.envelope import PolicyTable
from aiq_core.intensity import traffic
from aiq_core.records import Layer, LayerKind, ModelProfile, Policy, Request, Run, RunStatus
from pages.common.selection import Decider, Wish, comparable, select
from tests.tables import table_of

PROFILE = ModelProfile(
    "toy",
    (
        Layer("a", LayerKind.CONV2D, 1000, 100, 0, 10, 10, 1, True, "image", "x"),
        Layer("b", LayerKind.CONV2D, 1000, 100, 0, 10, 10, 1, True, "x", None),
    ),
    ("image", "x"),
)
# Weight bits -> right of 1,000. AI falls with bytes: (4, 4) > (4, 8) = (8, 4) > (8, 8) > (32, 32).
RIGHT = {(32, 32): 900, (8, 8): 899, (4, 8): 895, (4, 4): 880}
ALPHA = Wish(alpha=0.9, budget=None, policy=None, algorithm=None)


def policy(*bits: int) -> Policy:
    return Policy(bits, (32, 32))


@pytest.fixture
def table() -> PolicyTable:
    return made(RIGHT)


def made(rows: dict[tuple[int, ...], int]) -> PolicyTable:
    policies = tuple(policy(*bits) for bits in rows)
    right = list(rows.values())
    return table_of(PROFILE, policies, traffic(PROFILE, policies).intensity.tolist(), right, 1000, right)


def run(alpha: float, *bits: int, **settings: object) -> Run:
    request = replace(Request("toy", "greedy", alpha, images=1000), **settings)  # type: ignore[arg-type]
    return Run(f"greedy-{alpha}", request, "m", "s", "r", RunStatus.DONE, "2025-01-01", policy=policy(*bits))


def test_alpha_one_takes_the_highest_intensity_and_zero_the_most_right(table: PolicyTable) -> None:
    assert select(table, replace(ALPHA, alpha=1.0), ()).policy == policy(4, 4)
    chosen = select(table, replace(ALPHA, alpha=0.0), ())
    assert (chosen.policy, chosen.decider) == (policy(32, 32), Decider.ALPHA)


def test_the_floor_rules_policies_out() -> None:
    # 900 of 1,000 less 2.42 points: 876 at least.
    low = made({**RIGHT, (4, 4): 875})
    assert select(low, replace(ALPHA, alpha=1.0), ()).policy == policy(4, 8)


def test_a_budget_decides_over_alpha(table: PolicyTable) -> None:
    # 900 - 899 = 0.1 points; 900 - 895 = 0.5; 900 - 880 = 2.0
    for points, bits in ((0.0, (32, 32)), (0.1, (8, 8)), (0.5, (4, 8)), (1.9, (4, 8)), (2.0, (4, 4))):
        chosen = select(table, replace(ALPHA, budget=points), ())
        assert (chosen.policy, chosen.decider) == (policy(*bits), Decider.BUDGET)


def test_a_picked_policy_decides_over_all(table: PolicyTable) -> None:
    wish = Wish(alpha=1.0, budget=2.0, policy=policy(8, 8).key, algorithm="greedy")
    chosen = select(table, wish, (run(1.0, 4, 4),))
    assert (chosen.policy, chosen.decider, chosen.note) == (policy(8, 8), Decider.POLICY, "")


def test_a_named_algorithm_shows_its_run_at_the_nearest_alpha(table: PolicyTable) -> None:
    runs = (run(0.5, 8, 8), run(0.9, 4, 8))
    wish = replace(ALPHA, alpha=0.6, algorithm="greedy")
    chosen = select(table, wish, runs)
    assert chosen.policy == policy(8, 8)
    assert chosen.run is not None
    assert chosen.run.request.alpha == 0.5
    assert "nearest, alpha 0.5" in chosen.note
    exact = select(table, replace(wish, alpha=0.9), runs)
    assert (exact.policy, exact.note) == (policy(4, 8), "")


def test_an_algorithm_without_runs_shows_the_best_and_says_so(table: PolicyTable) -> None:
    chosen = select(table, replace(ALPHA, algorithm="coordinate"), (run(0.9, 4, 8),))
    assert chosen.policy == select(table, ALPHA, ()).policy
    assert "No finished coordinate run" in chosen.note


def test_only_runs_with_the_page_s_settings_are_compared(table: PolicyTable) -> None:
    plain = run(0.9, 4, 8)
    others = (
        run(0.8, 4, 8, intensity_normaliser=60.0),
        run(0.7, 4, 8, floor_percent=89.5),
        run(0.6, 4, 8, images=500),
        run(0.5, 4, 8, widths=(32, 8)),
        run(0.4, 4, 8, excluded=("a",)),
        run(0.3, 4, 8, fixed={"a": 8}),
    )
    fused = run(0.9, 4, 4, traffic="fused")
    assert comparable((*others, fused, plain), "greedy", table) == {0.9: plain}
    assert comparable((*others, fused, plain), "greedy", replace(table, traffic="fused")) == {0.9: fused}


def test_a_run_by_another_traffic_model_is_not_shown_as_one_by_this(table: PolicyTable) -> None:
    wish, runs = replace(ALPHA, alpha=0.9, algorithm="greedy"), (run(0.9, 8, 8), run(0.9, 4, 8, traffic="as-stored"))
    assert select(table, wish, runs).policy == policy(8, 8)
    assert select(replace(table, traffic="as-stored"), wish, runs).policy == policy(4, 8)
    assert "by as-stored traffic yet" in select(replace(table, traffic="as-stored"), wish, runs[:1]).note


def test_a_policy_not_measured_gives_the_nearest_and_says_so(table: PolicyTable) -> None:
    chosen = select(table, replace(ALPHA, policy=policy(8, 32).key), ())
    assert chosen.policy in (policy(8, 8), policy(32, 32))  # both differ in one layer
    assert "not measured" in chosen.note


@pytest.mark.parametrize("key", ["w4.4.4 a32x2", "nonsense", "w5x a", "w4.4"])
def test_a_broken_or_foreign_link_says_so_and_shows_alpha_s(table: PolicyTable, key: str) -> None:
    chosen = select(table, replace(ALPHA, policy=key), ())
    assert chosen.decider is Decider.ALPHA
    assert chosen.note


def test_the_nearest_counts_activations_too() -> None:
    """Asked for 4 and 8 bits with activations at 8: one width away in weights, or two in activations."""
    joint = Policy((4, 4), (8, 8))
    policies = (policy(32, 32), policy(4, 8), joint)
    table = table_of(PROFILE, policies, traffic(PROFILE, policies).intensity.tolist(), [900, 895, 870], 1000)
    asked = Policy((4, 8), (8, 8))
    assert select(table, replace(ALPHA, policy=asked.key), ()).policy == joint
