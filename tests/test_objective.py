"""The loss, what a candidate must reach, the defaults, and every setting that is refused."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiq_core import entered
from aiq_core.errors import DataError, InfeasibleError, SettingError, UnknownNameError
from aiq_core.execute import new_run
from aiq_core.intensity import intensity
from aiq_core.objective import Objective, default_normaliser, exchange_rate, floor_score
from aiq_core.records import Policy, Quantizer, Request
from aiq_core.search.check import check
from aiq_core.space import WEIGHTS
from tests import bundled
from tests.tables import TOP1

NAN, INF = float("nan"), float("inf")
LAYERS = ("block1.conv", "block2.conv", "block3.conv", "block4.conv", "linear")


def test_loss_by_hand() -> None:
    # The authors' first greedy move: layer3.1.conv2 to 4 bits, AI 31.327, 91.97 % after 91.92 %.
    paper = Objective(TOP1, 0.9, 60.0, 10.0, images=10_000, baseline_score=9192, floor_score=8950)
    assert paper.loss(31.327, 9197) == pytest.approx(-0.9 * 31.327 / 60)
    # Its rival layer3.0.conv2 at 91.70 %, lessons.md: -0.4677.
    assert paper.loss(31.327, 9170) == pytest.approx(-0.9 * 31.327 / 60 + 0.1 * 0.22 / 10)
    assert paper.loss(31.327, 9170) == pytest.approx(-0.4677, abs=0.00005)
    assert paper.bound(30.571) == pytest.approx(-0.4586, abs=0.00005)


@settings(deadline=None)
@given(alpha=st.floats(0, 1), value=st.floats(0.1, 300), lost=st.integers(-20, 60))
def test_accuracy_above_the_baseline_counts_as_none_lost(alpha: float, value: float, lost: int) -> None:
    goal = Objective(TOP1, alpha, 60.0, 10.0, images=100, baseline_score=80, floor_score=0)
    assert goal.loss(value, 80 - lost) >= goal.bound(value)
    if lost <= 0 or alpha == 1:
        assert goal.loss(value, 80 - lost) == goal.bound(value)


objectives = st.builds(
    Objective,
    metric=st.just(TOP1),
    alpha=st.sampled_from((0.0, 0.1, 0.5, 0.9, 1.0)) | st.floats(0, 1),
    intensity_normaliser=st.sampled_from((1.0, 60.0)),
    accuracy_normaliser=st.sampled_from((1.0, 10.0)),
    images=st.just(40),
    baseline_score=st.integers(0, 40),
    floor_score=st.integers(0, 40),
)


@settings(max_examples=400, deadline=None)
@given(
    goal=objectives,
    value=st.integers(1, 60),
    rival=st.tuples(st.integers(1, 60), st.integers(0, 40)),
    ties_win=st.booleans(),
)
def test_min_correct_equals_brute_force(goal: Objective, value: int, rival: tuple[int, int], ties_win: bool) -> None:
    """Against every count there is, with a rival's own loss as the one to beat, so that exact ties occur."""
    best = goal.loss(*rival)
    enough = [
        correct
        for correct in range(int(goal.floor_score), goal.images + 1)
        if goal.loss(value, correct) < best or (ties_win and goal.loss(value, correct) == best)
    ]
    assert goal.min_score(value, best, ties_win) == (enough[0] if enough else None)


def test_min_correct_by_hand() -> None:
    goal = Objective(TOP1, 0.5, 1.0, 1.0, images=100, baseline_score=90, floor_score=80)
    # AI 4 against a loss of -0.5 * 2: half a unit of loss a point lost, so up to one lost point less than 2 wins.
    assert goal.min_score(4, -1.0, ties_win=False) == 90 - 1
    assert goal.min_score(4, -1.0, ties_win=True) == 90 - 2
    assert goal.min_score(2, -1.0, ties_win=True) == 90
    assert goal.min_score(2, -1.0, ties_win=False) is None
    assert goal.min_score(50, -1.0, ties_win=False) == 80  # the floor binds


def test_default_normaliser_is_the_papers_sixty() -> None:
    profile = bundled.profile("resnet20")
    lowest = intensity(profile, profile.uniform(4))
    assert default_normaliser(profile, (32, 8, 4)) == 1.32 * lowest
    assert default_normaliser(profile, (32, 8, 4)) == pytest.approx(60.01, abs=0.005)
    assert default_normaliser(profile, (32, 2)) == 1.32 * intensity(profile, profile.uniform(2))
    assert default_normaliser(profile, (32, 2), "fused") == 1.32 * intensity(profile, profile.uniform(2), by="fused")


def test_exchange_rate_by_hand() -> None:
    rate = (0.9 / 60) / (0.1 / 10)  # points that one FLOP/byte is worth
    assert rate == pytest.approx(1.5)
    assert exchange_rate(0.9, 60.0, 10.0) == pytest.approx(rate)
    assert Objective(TOP1, 0.9, 60.0, 10.0, 100, 90, 0).points_per_intensity == pytest.approx(rate)
    assert Objective(TOP1, 0.0, 60.0, 10.0, 100, 90, 0).points_per_intensity == 0
    assert Objective(TOP1, 1.0, 60.0, 10.0, 100, 90, 0).points_per_intensity == INF


@pytest.mark.parametrize(
    ("percent", "baseline", "images", "expected"),
    [
        (89.5, 4600, 5000, 4475),
        (80.04, 4600, 5000, 4002),  # 80.04 * 50 is 4002.0000000000005 in binary
        (91.73, 9200, 10_000, 9173),
        (89.51, 4600, 5000, 4476),  # 4475.5 rounded up: at or above the floor
        (None, 9192, 10_000, 9192 - 242),
        (None, 488, 500, 488 - 12),  # 12.1 images below, rounded up
        (None, 10, 500, 0),  # FP32 within 2.42 points of nothing
        (0.0, 488, 500, 0),
        (97.6, 488, 500, 488),
    ],
)
def test_floor_as_a_number_right(percent: float | None, baseline: int, images: int, expected: int) -> None:
    assert floor_score(TOP1, percent, baseline, images) == expected


def test_floor_above_fp32_names_both() -> None:
    with pytest.raises(InfeasibleError, match=r"floor=97.8 % is above FP32's 97.60 %.*at most 97.60"):
        floor_score(TOP1, 97.8, 488, 500)


GOOD = Request("digits_cnn", "greedy", 0.9, images=500)
BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"alpha": NAN}, "alpha=nan is not offered; choose a number from 0"),
    ({"alpha": INF}, "alpha=inf"),
    ({"alpha": -0.1}, "alpha=-0.1"),
    ({"alpha": 1.0000001}, r"alpha=1.0000001.*to 1"),
    ({"alpha": None}, "alpha=None"),
    ({"widths": (32, 16)}, r"widths=\[32, 16\] are not offered; choose from \[32, 8, 7, 6, 5, 4, 3, 2\]"),
    ({"widths": (32, 8, 8)}, "widths.*once each"),
    ({"activation_widths": (8, 16)}, r"activation_widths=\[8, 16\] are not offered"),
    ({"activation_widths": (8, 4)}, "activations below 32 bits have no ranges; give their rule"),
    ({"start": Policy((8,) * 5, (8,) * 6)}, "activations below 32 bits have no ranges"),
    ({"start": Policy((8,) * 4, (32,) * 6)}, "gives bits to 4 layers and 6 activation groups"),
    ({"choose_images": 500}, "choose_images=500 leaves none of 500 search images to confirm on; choose 1 to 499"),
    ({"choose_images": 0}, "choose_images=0"),
    ({"widths": (32,)}, r"widths=\[32\] leave nothing to choose"),
    ({"widths": ()}, r"widths=\[\]"),
    ({"intensity_normaliser": 0.0}, "intensity_normaliser=0.0 is not offered; choose a number above 0"),
    ({"intensity_normaliser": -60.0}, "intensity_normaliser=-60.0"),
    ({"intensity_normaliser": NAN}, "intensity_normaliser=nan"),
    ({"intensity_normaliser": INF}, "intensity_normaliser=inf"),
    ({"accuracy_normaliser": 0.0}, "accuracy_normaliser=0.0"),
    ({"accuracy_normaliser": -10.0}, "accuracy_normaliser=-10.0"),
    ({"accuracy_normaliser": NAN}, "accuracy_normaliser=nan"),
    ({"floor_percent": NAN}, "floor=nan is not a percentage; choose 0 to 100"),
    ({"floor_percent": -1.0}, "floor=-1.0"),
    ({"floor_percent": 100.5}, "floor=100.5"),
    ({"excluded": ("conv9",)}, f"layer 'conv9' is not quantizable in digits_cnn; choose from {', '.join(LAYERS)}"),
    ({"fixed": {"conv9": 8}}, "layer 'conv9'"),
    ({"fixed": {"linear": 5.5}}, "bits=5.5 is not offered for linear; choose from 32, 8"),
    ({"fixed": {"linear": 1}}, "bits=1 is not offered for linear"),
    ({"fixed": {"linear": 8}, "excluded": ("linear",)}, "'linear' is both excluded and fixed; choose one"),
    ({"excluded": LAYERS}, "all 5 layers are excluded, fixed or at the only width offered, so nothing is left"),
    ({"excluded": LAYERS[:3], "fixed": {"block4.conv": 4, "linear": 8}}, "all 5 layers"),
    ({"max_evaluations": 0}, "max_evaluations=0 is not offered; choose 1 or more"),
    ({"max_evaluations": -5}, "max_evaluations=-5"),
    ({"max_minutes": 0.0}, "max_minutes=0.0 is not offered; choose a number above 0"),
    ({"max_minutes": -1.0}, "max_minutes=-1.0"),
    ({"max_minutes": NAN}, "max_minutes=nan"),
    ({"max_minutes": INF}, "max_minutes=inf"),
)


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[str(changes) for changes, _ in BAD])
def test_a_bad_setting_is_named_with_its_limit(changes: dict[str, Any], message: str) -> None:
    profile = bundled.profile("digits_cnn")
    check(GOOD, profile)
    with pytest.raises((SettingError, InfeasibleError), match=message):
        check(replace(GOOD, **changes), profile)


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": 0},
        {"alpha": 1},
        {"widths": (4, 32)},
        {"floor_percent": 0.0},
        {"floor_percent": 100},
        {"excluded": LAYERS[1:]},
        {"fixed": {"linear": 2}},
        {"max_evaluations": 1, "max_minutes": 0.001},
        {"algorithm": "uniform", "alpha": None, "excluded": LAYERS},
    ],
    ids=str,
)
def test_settings_at_their_limits_are_taken(changes: dict[str, Any]) -> None:
    check(replace(GOOD, **changes), bundled.profile("digits_cnn"))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"images": 0}, SettingError, "images=0 is not offered; choose 1 or more"),
        ({"images": -10}, SettingError, "images=-10"),
        ({"images": 510}, DataError, "510 images of search are asked for, digits has 500"),
        ({"model": "digits"}, UnknownNameError, "'digits'; choose from resnet20, mobilenet_v2, heavy_early"),
        ({"alpha": NAN}, SettingError, "alpha=nan"),
        (
            {"quantizer": Quantizer(rounding="up")},
            UnknownNameError,
            "unknown rounding 'up'; choose from nearest, mse",
        ),
        ({"quantizer": Quantizer("gptq")}, SettingError, "gptq needs calibration, the hash of its images; give it"),
        (
            {"quantizer": Quantizer("mse", calibration="c0ffee")},
            SettingError,
            "calibration='c0ffee' is not used by mse; leave it out",
        ),
        (
            {"traffic": "paper"},
            UnknownNameError,
            "unknown traffic model 'paper'; choose from unfused, as-stored, fused",
        ),
        ({"quantizer": Quantizer(seed=3)}, SettingError, "seed=3 is not used by nearest; leave it out"),
        ({"policies": (Policy((8,) * 5, (8,) * 6),)}, SettingError, "activations below 32 bits have no ranges"),
        ({"policies": (Policy((8,) * 4, (32,) * 6),)}, SettingError, "gives bits to 4 layers and 6 activation groups"),
    ],
    ids=str,
)
def test_a_run_that_cannot_be_run_is_refused_before_it_is_queued(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        new_run(bundled.model(changes.get("model", GOOD.model)), replace(GOOD, **changes))


def test_a_time_is_kept_on_a_machine_that_is_known_here() -> None:
    model = bundled.model("digits_cnn")
    front = WEIGHTS.front_request(model.name, Quantizer(), model.profile, 500, 5, ("time<=1ms@mine",))
    with pytest.raises(UnknownNameError, match=r"unknown machine 'mine'; choose from .*pi-5"):
        new_run(model, front)
    mine = entered.machine("mine", "Mine", 1e9, {"FP32": 1e9})
    # One that another machine ran is taken in all the same.
    check(front, model.profile)
    assert new_run(model, front, {"mine": mine}).request.within == ("time<=1ms@mine",)


def test_a_search_starts_at_fp32_with_its_fixed_layers() -> None:
    profile = bundled.profile("digits_cnn")
    start = profile.policy({"linear": 8, "block1.conv": 4})
    assert profile.named_bits(start) == dict.fromkeys(LAYERS, 32) | {"linear": 8, "block1.conv": 4}
    assert profile.policy(GOOD.fixed).is_fp32


def test_no_bound_of_a_real_search_is_above_a_loss() -> None:
    profile = bundled.profile("digits_cnn")
    goal = Objective(TOP1, 0.9, default_normaliser(profile, (32, 8, 4)), 10.0, 500, 488, 476)
    for bits in (32, 8, 4):
        value = intensity(profile, profile.uniform(bits))
        losses = [goal.loss(value, correct) for correct in range(501)]
        assert min(losses) == goal.bound(value) and losses == sorted(losses, reverse=True)
        assert all(math.isfinite(loss) for loss in losses)
