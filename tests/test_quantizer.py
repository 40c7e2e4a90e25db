"""Rounding by hand, its properties, and the golden predictions that tie it to the evaluator's version."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from aiq_core.errors import SettingError
from aiq_core.folding import Folded
from aiq_core.records import EVALUATOR_VERSION, Granularity, ImageSet, Quantizer, SplitName, unfinished
from aiq_core.rounding import round_layer
from aiq_core.rounding.grid import Grid, round_to_grid, squared_error
from aiq_core.rounding.nearest import levels, quantize, scales
from aiq_core.runtime.evaluate import TorchEvaluator
from tests import bundled

Array = NDArray[np.float32]
LOWER = (8, 7, 6, 5, 4, 3, 2)

GOLDEN = {1: "e2694693e1611d83"}
"""Evaluator version -> what digits_cnn at GOLDEN_BITS predicts on the search images. A change of the quantizer or the
evaluator that changes predictions needs a new version, and a new line here; an old line never changes."""
GOLDEN_BITS = {"block1.conv": 4, "block2.conv": 4, "block3.conv": 4, "block4.conv": 4, "linear": 8}
"""Every image's best logit leads by 0.18 or more here, so another CPU's rounding flips none."""

relaxed = settings(deadline=None)
weights = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.just(2), st.just(2)),
    elements=st.floats(-4, 4, width=32).map(lambda value: 0.0 if abs(value) < 1e-6 else value),
)


def array(*rows: list[float]) -> Array:
    return np.array(rows, dtype=np.float32)


def round_weight(weight: Array, bits: int, settings: Quantizer = Quantizer()) -> Array:
    return round_layer(Folded(weight, np.zeros(len(weight), np.float32)), bits, settings).weight


def test_levels_are_symmetric() -> None:
    assert [levels(bits) for bits in (8, 4, 3, 2)] == [2**7 - 1, 2**3 - 1, 2**2 - 1, 2**1 - 1]


def test_rounding_by_hand() -> None:
    # 4 bits, max 7, so scale 7 / 7 = 1; halves go to the even neighbour.
    integers, scale = quantize(array([7, -3.5, 2.5, 0.5, 1.5, -6.9]), 4)
    assert scale.item() == 1
    assert integers.tolist() == [[7, -4, 2, 0, 2, -7]]
    # lessons.md: s = 0.2076 / 7 = 0.0297, and 0.1083 / s = 3.65 becomes 4 steps.
    assert round_weight(array([0.2076, 0.1083]), 4)[0, 1] == pytest.approx(4 * 0.2076 / 7)


def test_a_scale_a_channel_or_one_for_all() -> None:
    weight = array([7, 1], [0.7, 0.1])
    assert scales(weight, 4, Granularity.CHANNEL).ravel() == pytest.approx([7 / 7, 0.7 / 7])
    assert scales(weight, 4, Granularity.TENSOR).ravel() == pytest.approx([7 / 7])
    assert quantize(weight, 4, Granularity.CHANNEL)[0].tolist() == [[7, 1], [7, 1]]
    assert quantize(weight, 4, Granularity.TENSOR)[0].tolist() == [[7, 1], [1, 0]]


def test_a_convolution_has_a_scale_for_each_output_channel() -> None:
    weight = np.arange(1, 25, dtype=np.float32).reshape(3, 2, 2, 2)
    scale = scales(weight, 8, Granularity.CHANNEL)
    assert scale.shape == (3, 1, 1, 1)
    assert scale.ravel() == pytest.approx([8 / 127, 16 / 127, 24 / 127])


def test_an_all_zero_channel_stays_zero() -> None:
    rounded = round_weight(array([0, 0, 0], [1, -1, 0.5]), 4)
    assert rounded[0].tolist() == [0, 0, 0]
    assert rounded[1, :2].tolist() == pytest.approx([1, -1])
    assert not round_weight(np.zeros((2, 3), np.float32), 2, Quantizer(granularity=Granularity.TENSOR)).any()


@pytest.mark.parametrize(
    ("weight", "bits", "integers", "steps"),
    [
        # A pruned channel, and one that is merely small: its scale is far above float32's smallest number.
        ([[0, 0, 0], [1, -1, 0.3], [2e-6, -1e-6, 0]], 4, [[0, 0, 0], [7, -7, 2], [7, -4, 0]], [0, 1 / 7, 2e-6 / 7]),
        # A subnormal one, of whose scale float32 has no inverse: 127 / 3e-40 is infinite there.
        ([[3e-40, 1e-40]], 8, [[127, 42]], [3e-40 / 127]),
        # The grid is restricted, -127 to 127: +1 and -1 are both on it.
        ([[-1.0, 1.0, 0.25, -0.25]], 8, [[-127, 127, 32, -32]], [1 / 127]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_weights_at_the_ends_of_what_float32_holds(
    weight: list[list[float]], bits: int, integers: list[list[int]], steps: list[float]
) -> None:
    found, scale = quantize(array(*weight), bits)
    assert found.tolist() == integers
    assert scale.ravel() == pytest.approx(steps, rel=1e-3, abs=0)
    rounded = round_weight(array(*weight), bits)
    np.testing.assert_allclose(rounded, np.array(steps)[:, None] * np.array(integers), rtol=1e-3)


@pytest.mark.parametrize("bits", [32, 16, 9, 1, 0, -4])
def test_a_width_without_a_grid_is_refused(bits: int) -> None:
    with pytest.raises(SettingError, match=f"bits={bits} has no integer grid; choose from 8, 7, 6, 5, 4, 3, 2"):
        quantize(array([1.0]), bits)


@relaxed
@given(weight=weights, bits=st.sampled_from(LOWER), granularity=st.sampled_from(Granularity))
def test_rounding_again_changes_nothing(weight: Array, bits: int, granularity: Granularity) -> None:
    once = round_weight(weight, bits, Quantizer(granularity=granularity))
    integers = quantize(weight, bits, granularity)[0]
    assert np.array_equal(quantize(once, bits, granularity)[0], integers)
    # The scale of what was rounded may differ in its last bit.
    np.testing.assert_allclose(round_weight(once, bits, Quantizer(granularity=granularity)), once, rtol=3e-7)


@relaxed
@given(weight=weights, bits=st.sampled_from(LOWER), granularity=st.sampled_from(Granularity))
def test_no_weight_moves_by_more_than_half_a_step(weight: Array, bits: int, granularity: Granularity) -> None:
    integers, scale = quantize(weight, bits, granularity)
    rounded = round_weight(weight, bits, Quantizer(granularity=granularity))
    assert (np.abs(rounded - weight) <= scale * (0.5 + 1e-5)).all()
    assert integers.dtype == np.int8 and np.abs(integers).max() <= 2 ** (bits - 1) - 1
    # The largest weight of a scale is at the end of the grid, so no level is wasted.
    axes = (1, 2, 3) if granularity is Granularity.CHANNEL else None
    ends = np.abs(integers.astype(int)).max(axis=axes, keepdims=True)
    assert np.array_equal(ends, np.where(scale > 0, levels(bits), 0))


@relaxed
@given(weight=weights, granularity=st.sampled_from(Granularity))
def test_the_scale_shrinks_with_bits(weight: Array, granularity: Granularity) -> None:
    steps = [scales(weight, bits, granularity) for bits in LOWER]
    for finer, coarser in pairwise(steps):
        assert (np.where(coarser > 0, finer < coarser, finer == 0)).all()


@relaxed
@given(weight=weights, bits=st.sampled_from(LOWER), shift=st.integers(-60, 60))
def test_small_and_large_weights_round_alike(weight: Array, bits: int, shift: int) -> None:
    power = np.float32(2.0**shift)  # exact in binary, so nothing else may change
    assert np.array_equal(round_weight(weight * power, bits), round_weight(weight, bits) * power)


@relaxed
@given(weight=weights, bits=st.sampled_from(LOWER))
def test_a_sign_turns_with_its_weight(weight: Array, bits: int) -> None:
    assert np.array_equal(round_weight(-weight, bits), -round_weight(weight, bits))


# What the quantizer means to an evaluation.


def predictions(bits: dict[str, int], rounding: Quantizer) -> NDArray[np.uint8]:
    profile = bundled.profile("digits_cnn")
    evaluator = TorchEvaluator(bundled.model("digits_cnn"), ImageSet(SplitName.SEARCH, 500), rounding, 2)
    predicted = unfinished(500, np.dtype(np.uint8))
    for _ in evaluator.chunks(profile.policy(bits), None, predicted):
        pass
    return predicted


def test_a_grid_of_least_squared_error_clips_what_stands_alone() -> None:
    """At 2 bits -1, 0 and 1 times the scale: 9 weights of 1 beside one of 2.5, which is clipped."""
    weight = array([1.0] * 9 + [2.5], [0.0] * 9 + [0.5], [0.0] * 10)
    rounded = round_weight(weight, 2, Quantizer("mse"))
    # Shares 0.46 and 0.48 of 2.5 give 1.15 and 1.2: 9 x 0.15^2 + 1.35^2 = 2.025, 9 x 0.2^2 + 1.3^2 = 2.05.
    assert rounded[0].tolist() == pytest.approx([1.15] * 10)
    assert rounded[1:].tolist() == weight[1:].tolist()


@relaxed
@given(weight=weights, bits=st.sampled_from(LOWER), granularity=st.sampled_from(Granularity))
def test_no_grid_of_least_squared_error_errs_more_than_the_widest(
    weight: Array, bits: int, granularity: Granularity
) -> None:
    errors = [
        np.square(round_weight(weight, bits, Quantizer(name, granularity)).astype(np.float64) - weight).sum()
        for name in ("mse", "nearest")
    ]
    assert errors[0] <= errors[1] * (1 + 1e-6)


def test_golden_predictions_belong_to_the_evaluators_version() -> None:
    predicted = predictions(GOLDEN_BITS, Quantizer())
    assert hashlib.sha256(predicted.tobytes()).hexdigest()[:16] == GOLDEN[EVALUATOR_VERSION]


def test_fp32_has_one_key_under_every_quantizer() -> None:
    profile = bundled.profile("digits_cnn")
    quantizers = (
        Quantizer(),
        Quantizer(granularity=Granularity.TENSOR),
        Quantizer(rounding="gptq", calibration="c0ffee", seed=3),
    )
    assert len({quantizer.key(profile.uniform(32)) for quantizer in quantizers}) == 1
    assert len({quantizer.key(profile.uniform(4)) for quantizer in quantizers}) == 3
    # Unused settings are left out, so a setting to come changes no key of today.
    assert Quantizer().key(profile.uniform(4)) == '{"evaluator":1,"granularity":"channel","rounding":"nearest"}'


def test_fp32_predictions_are_one_under_every_quantizer() -> None:
    channel, tensor = (predictions({}, Quantizer(granularity=granularity)) for granularity in Granularity)
    assert np.array_equal(channel, tensor)
    coarse = dict.fromkeys(GOLDEN_BITS, 2)
    channel, tensor = (predictions(coarse, Quantizer(granularity=granularity)) for granularity in Granularity)
    assert not np.array_equal(channel, tensor)


# Grids with a range and a zero point, which lessons show; searches use none of it.


@relaxed
@given(weight=weights, bits=st.sampled_from(LOWER), granularity=st.sampled_from(Granularity))
def test_a_whole_symmetric_grid_is_the_searches_quantizer(weight: Array, bits: int, granularity: Granularity) -> None:
    rounded = round_to_grid(weight, Grid(bits, granularity))
    assert np.array_equal(rounded.weight, round_weight(weight, bits, Quantizer(granularity=granularity)))
    assert np.array_equal(rounded.scale, scales(weight, bits, granularity))
    assert not rounded.clipped.any()


def test_half_the_range_clips_by_hand() -> None:
    # 4 bits over half of 14: limit 7, scale 7 / 7 = 1; 14 clips to 7, 3.4 rounds to 3, -8 clips to -7.
    weight = array([14, 3.4, -8, 1])
    rounded = round_to_grid(weight, Grid(4, share=0.5))
    assert rounded.weight.tolist() == [[7, 3, -7, 1]]
    assert rounded.clipped.tolist() == [[True, False, True, False]]
    error = squared_error(weight, rounded)
    assert error.clipping == pytest.approx((14 - 7) ** 2 + (8 - 7) ** 2)
    assert error.rounding == pytest.approx(0.4**2, rel=1e-5)
    assert error.clipped_share == 2 / 4
    assert error.sqnr_db == pytest.approx(10 * np.log10((14**2 + 3.4**2 + 8**2 + 1) / (49 + 1 + 0.16)), rel=1e-6)


def test_an_asymmetric_grid_by_hand() -> None:
    # 2 bits on [-1, 2]: 2^2 = 4 levels, scale 3 / 3 = 1, zero at round(1 / 1) = 1: levels -1, 0, 1, 2.
    grid = Grid(2, symmetric=False)
    rounded = round_to_grid(array([-1, 0.4, 1.6, 2]), grid)
    assert rounded.weight.tolist() == [[-1, 0, 2, 2]]
    assert (rounded.scale.item(), rounded.zero_point.item(), grid.levels) == (1, 1, 4)
    assert Grid(2).levels == 3


def test_weights_of_one_sign_keep_zero_on_the_asymmetric_grid() -> None:
    rounded = round_to_grid(array([1, 2, 3]), Grid(2, symmetric=False))
    assert (rounded.low.item(), rounded.high.item()) == (0, 3)
    assert not round_to_grid(np.zeros((2, 3), np.float32), Grid(4, symmetric=False)).weight.any()


@relaxed
@given(weight=weights, bits=st.sampled_from(LOWER), granularity=st.sampled_from(Granularity))
def test_an_asymmetric_grid_moves_no_weight_by_more_than_a_step(
    weight: Array, bits: int, granularity: Granularity
) -> None:
    rounded = round_to_grid(weight, Grid(bits, granularity, symmetric=False))
    # Half a step, and half a step that the zero point may shift the range by.
    assert (np.abs(rounded.weight - weight) <= rounded.scale * (1 + 1e-4)).all()
    assert not rounded.clipped.any()


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"bits": 32}, "bits=32 has no integer grid"),
        ({"bits": 4, "share": 0.0}, "range=0 of the largest"),
        ({"bits": 4, "share": 1.5}, "range=1.5 of the largest"),
    ],
)
def test_a_grid_that_is_none_is_refused(settings_: dict[str, float], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        Grid(**settings_)  # type: ignore[arg-type]
