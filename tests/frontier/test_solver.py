"""The solver on networks small enough to try every policy, and what it says where none keeps a budget."""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aiq_core.errors import InfeasibleError, SettingError
from aiq_core.frontier import Budget, Measure, Quantity, Sensitivity, Solver
from aiq_core.hardware import PRESETS
from aiq_core.records import FP32_BITS, OFFERED_BITS, Layer, LayerKind, ModelProfile, Move, Policy, Site, SiteKind
from aiq_core.roofline import predict
from aiq_core.traffic import TRAFFIC_MODELS
from tests import bundled

STAGE_1 = 16 * 32 * 32
"""Elements of a tensor of ResNet-20's first stage: channels x height x width."""


def weights(name: str) -> Site:
    return Site(SiteKind.WEIGHTS, name)


def group(name: str) -> Site:
    return Site(SiteKind.ACTIVATIONS, name)


def layer(name: str, count: int, read: str, written: str | None, macs: int | None = None) -> Layer:
    return Layer(name, LayerKind.LINEAR, macs or count, count, 0, 40, 10, 1, True, read, written)


def costs_of(costs: Mapping[Move, float]) -> Sensitivity:
    return Sensitivity("", Measure.KL, 1, costs)


def solver_of(
    profile: ModelProfile, offered: Mapping[Site, tuple[int, ...]], start: Policy, costs: Mapping[Move, float] = {}
) -> Solver:
    """Costs that are not given are 4 to the minus bits, as rounding errors are; those of held sites too."""
    usual = {Move(site, bits): 4.0**-bits for site in profile.sites for bits in OFFERED_BITS if bits != FP32_BITS}
    return Solver(profile, costs_of({**usual, **costs}), start, offered)


# Three layers, of which the last one is held


HEADED = ModelProfile(
    "headed",
    (layer("a", 500, "image", "a"), layer("b", 400, "a", "b"), layer("head", 100, "b", None)),
    ("image", "a", "b"),
)
OFFERED = {weights("a"): (3, 2), weights("b"): (3, 2)}
START = Policy((3, 3, 8), (32, 32, 32))


def test_a_held_layer_counts_to_the_average() -> None:
    # Left out of the sum, a at 3 and b at 2 bits would seem to fit: (1500 + 800) / 900 = 2.56.
    found = solver_of(HEADED, OFFERED, START, {Move(weights("a"), 2): 9.0}).solve([Budget.parse("bits<=2.8")])
    assert found.policy == Policy((2, 2, 8), (32, 32, 32))
    assert (1000 + 800 + 800) / 1000 == 2.6
    assert found.cost == 9.0 + 4.0**-2 + 4.0**-8


def test_a_budget_below_the_least_says_what_the_least_is() -> None:
    solver = solver_of(HEADED, OFFERED, START)
    said = r"at most 2\.50 bits .* is out of reach: .* comes nearest, with 2\.60 bits a weight on average; allow that"
    with pytest.raises(InfeasibleError, match=said):
        solver.solve([Budget.parse("bits<=2.5")])
    assert solver.nearest([Budget.parse("bits<=2.5")]) == (Policy((2, 2, 8), (32, 32, 32)),)


def test_a_budget_at_the_least_is_kept() -> None:
    found = solver_of(HEADED, OFFERED, START).solve([Budget.parse("bits<=2.6")])
    assert found.policy.weight_bits == (2, 2, 8)


def test_held_layers_are_stored_moved_and_timed() -> None:
    solver = solver_of(HEADED, OFFERED, START)
    lowest = Policy((2, 2, 8), (32, 32, 32))
    moved = (500 * 2 + 400 * 2 + 100 * 8) / 8 + 3 * (40 + 10) * 4  # each layer reads 40 and writes 10 numbers
    assert solver.value(Quantity.MOVED, lowest) == moved
    # One scale an output channel of each layer, of 10 channels; no biases.
    assert solver.value(Quantity.STORED, lowest) == (500 * 2 + 400 * 2 + 100 * 8) / 8 + 3 * 10 * 4
    for quantity in (Quantity.MOVED, Quantity.STORED):
        least = solver.value(quantity, lowest)
        assert solver.solve([Budget(quantity, least)]).policy == lowest
        with pytest.raises(InfeasibleError, match="out of reach"):
            solver.solve([Budget(quantity, least - 1)])


def test_without_budgets_the_least_cost_is_taken_and_a_drop_limits_nothing() -> None:
    solver = solver_of(HEADED, OFFERED, START)
    assert solver.solve().policy == solver.solve([Budget.parse("drop<=0.1")]).policy == START
    with pytest.raises(SettingError, match="a drop is measured, not counted"):
        solver.value(Quantity.DROP, START)


def test_budgets_that_contradict_each_other_are_named_together() -> None:
    # Below 32 bits, the group between a and b moves (10 + 40) x 3 bytes less, and stores a scale of 4 more.
    solver = solver_of(HEADED, {**OFFERED, group("a"): (32, 8)}, START)
    stored, moved = 325 + 3 * 10 * 4, 325 + 3 * 50 * 4 - 50 * 3
    budgets = [Budget(Quantity.STORED, stored), Budget(Quantity.MOVED, moved)]
    assert [solver.solve([budget]).policy.activation_bits[1] for budget in budgets] == [32, 8]
    said = "each by itself can be kept, but not together: at most 445 B stored and at most 775 B moved an image"
    with pytest.raises(InfeasibleError, match=said):
        solver.solve(budgets)
    assert solver.nearest(budgets) == ()


def test_nothing_to_choose_is_the_start_or_infeasible() -> None:
    solver = solver_of(HEADED, {}, START)
    assert solver.solve([Budget.parse("bits<=3.5")]).policy == START  # (1500 + 1200 + 800) / 1000
    with pytest.raises(InfeasibleError, match="3.50 bits a weight"):
        solver.solve([Budget.parse("bits<=3.4")])


# Every policy tried


@st.composite
def problems(draw: st.DrawFn) -> Solver:
    """Two or three layers in a chain, some of which read what others read; every site's widths and costs drawn."""
    count = draw(st.integers(2, 3))
    names = [f"l{place}" for place in range(count)]
    layers = []
    for place, name in enumerate(names):
        reused = draw(st.integers(1, 200))  # MACs a weight, and so how much computing there is beside moving
        read = draw(st.sampled_from(["image", *names[:place]]))
        size = draw(st.integers(1, 400)) * 10
        written = None if place == count - 1 else name
        layers.append(
            Layer(
                name,
                LayerKind.LINEAR,
                size * reused,
                size,
                0,
                draw(st.integers(1, 300)),
                10 * reused,
                1,
                True,
                read,
                written,
            )
        )
    profile = ModelProfile("drawn", tuple(layers), ("image", *names[:-1]))
    offered = {}
    for site in profile.sites:
        choices = (32, 8, 4, 2) if site.kind is SiteKind.WEIGHTS else (32, 8, 4)
        offered[site] = tuple(sorted(draw(st.sets(st.sampled_from(choices), min_size=1)), reverse=True))
    costs = {
        Move(site, bits): draw(st.floats(0, 1)) for site, widths in offered.items() for bits in widths if bits < 32
    }
    return Solver(profile, costs_of(costs), profile.uniform(32), offered)


def every(solver: Solver) -> list[Policy]:
    profile, sites = solver.profile, list(solver.offered)
    chosen = product(*solver.offered.values())
    return [profile.moved(solver.start, *map(Move, sites, widths)) for widths in chosen]


def value(solver: Solver, quantity: Quantity, policy: Policy, on: str | None) -> float | None:
    """None where the machine lacks the arithmetic."""
    try:
        return solver.value(quantity, policy, on)
    except SettingError:
        return None


def check_against_every(solver: Solver, quantity: Quantity, on: str | None, share: float) -> None:
    """A limit that is `share` of the way through the values there are, halfway between two of them."""
    policies = [(policy, value(solver, quantity, policy, on)) for policy in every(solver)]
    values = sorted({found for _, found in policies if found is not None})
    assume(values)
    place = int(share * len(values))
    upwards = quantity is Quantity.INTENSITY
    edges = [values[0] * 0.9, *values, values[-1] * 1.1]
    limit = (edges[place] + edges[place + 1]) / 2
    assume(edges[place] * (1 + 1e-6) < limit)
    kept = [
        policy for policy, found in policies if found is not None and (found >= limit if upwards else found <= limit)
    ]
    budget = Budget(quantity, limit, on)
    if not kept:
        with pytest.raises(InfeasibleError, match="out of reach"):
            solver.solve([budget])
        return
    found = solver.solve([budget])
    assert found.policy in kept
    least = min(solver.costs.predicted(solver.profile, policy) for policy in kept)
    assert found.cost <= least + 1e-3 * len(solver.offered)  # GAP, of costs up to 1


@settings(max_examples=60, deadline=None)
@given(
    problems(),
    st.sampled_from([Quantity.MOVED, Quantity.INTENSITY, Quantity.STORED, Quantity.BITS]),
    st.floats(0, 1),
)
def test_the_solution_is_the_best_of_all_policies(solver: Solver, quantity: Quantity, share: float) -> None:
    check_against_every(solver, quantity, None, share)


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=5, deadline=None)
@given(solver=problems(), share=st.floats(0, 1))
def test_within_a_time_too_on_every_machine(name: str, solver: Solver, share: float) -> None:
    check_against_every(solver, Quantity.TIME, name, share)


@pytest.mark.parametrize("name", PRESETS)
def test_ceilings_do_not_rise_with_bits(name: str) -> None:
    """Which makes a layer's ceiling the lower one of its two types', as the solver takes it."""
    rates = []
    for bits in sorted(OFFERED_BITS, reverse=True):
        try:
            rates.append(PRESETS[name].ceiling(bits, bits)[1])
        except SettingError:
            assert not rates or bits == FP32_BITS  # only the widest may be lacking
    assert rates == sorted(rates)
    assert rates


@pytest.mark.parametrize(
    ("name", "on"),
    # ResNet-20's shortcuts stay FP32, which the last one lacks.
    [("resnet20", "pi-5"), ("resnet20", "t4"), ("mobilenet_v2", "a100-tf32"), ("mobilenet_v2", "rk3588-npu")],
)
def test_times_of_solutions_are_the_rooflines(name: str, on: str) -> None:
    profile = bundled.profile(name)
    offered = {site: (8, 4, 2) if site.kind is SiteKind.WEIGHTS else (8, 4) for site in profile.sites}
    solver = solver_of(profile, offered, profile.uniform(8, 8))
    machine = PRESETS[on]
    least, most = (
        float(predict(machine, profile, [policy]).total_seconds[0])
        for policy in (solver.least(Quantity.TIME, on), profile.uniform(8, 8))
    )
    assert least < most
    for share in (0.1, 0.5, 0.9):
        limit = least + share * (most - least)
        found = solver.solve([Budget(Quantity.TIME, limit, on)])
        assert float(predict(machine, profile, [found.policy]).total_seconds[0]) <= limit * (1 + 1e-9)


# What a width of a group adds


@pytest.mark.parametrize(
    ("by", "tensors"),
    [
        # Four convolutions write it; three first ones of stage 1, one of stage 2 and its shortcut read it.
        ("unfused", 4 + 5),
        ("as-stored", 4 + 5),
        # With fused kernels the three adds read it once more each.
        ("fused", 4 + 5 + 3),
    ],
)
def test_a_group_counts_with_all_that_write_and_read_it(by: str, tensors: int) -> None:
    profile = bundled.profile("resnet20")
    solver = Solver(profile, costs_of({Move(group("conv1"), bits): 4.0**-bits for bits in (8, 4)} | zeros(profile)),
                    profile.uniform(8, 8), {group("conv1"): (8, 4)}, by)  # fmt: skip
    lowered = profile.moved(profile.uniform(8, 8), Move(group("conv1"), 4))
    saved = tensors * STAGE_1 * 4 / 8
    before = solver.value(Quantity.MOVED, profile.uniform(8, 8))
    assert before - solver.value(Quantity.MOVED, lowered) == saved
    assert solver.solve([Budget(Quantity.MOVED, before - saved)]).policy == lowered
    with pytest.raises(InfeasibleError):
        solver.solve([Budget(Quantity.MOVED, before - saved - 1)])


def zeros(profile: ModelProfile) -> dict[Move, float]:
    return {Move(site, 8): 0.0 for site in profile.sites if site != group("conv1")}


@pytest.mark.parametrize("by", TRAFFIC_MODELS)
@pytest.mark.parametrize("name", ["digits_cnn", "resnet20", "mobilenet_v2"])
def test_bytes_of_any_policy_are_the_sum_of_what_its_widths_add(name: str, by: str) -> None:
    profile = bundled.profile(name)
    offered = dict.fromkeys(profile.sites, (32, 8, 5, 3))
    costs = {Move(site, bits): 0.0 for site in profile.sites for bits in (8, 5, 3)}
    solver = Solver(profile, costs_of(costs), profile.uniform(32), offered, by)
    draw = np.random.default_rng(0)
    for quantity in (Quantity.MOVED, Quantity.STORED, Quantity.BITS):
        linear = solver._linear(quantity)
        for _ in range(5):
            chosen = {site: int(draw.choice(widths)) for site, widths in offered.items()}
            policy = profile.moved(solver.start, *map(Move, chosen, chosen.values()))
            taken = np.array([chosen[move.site] == move.bits for move in solver.columns])
            assert linear.base + linear.columns[taken].sum() == pytest.approx(solver.value(quantity, policy), rel=1e-12)
