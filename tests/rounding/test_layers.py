"""Rounded layers by hand: GPTQ's step, scales by output error, bias correction, grids, and inputs that say nothing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from aiq_core import rounding
from aiq_core.errors import EvaluationError, SettingError, UnknownNameError
from aiq_core.folding import Folded
from aiq_core.records import Granularity, Grid, Quantizer
from aiq_core.rounding import ROUNDINGS, LayerStatistics, round_layer
from aiq_core.rounding.gptq import damping_of, gptq, inverse_factor, passed_on
from aiq_core.rounding.mse import best_grid
from aiq_core.rounding.nearest import ends, quantize, scales

CALIBRATED = [name for name, method in ROUNDINGS.items() if method.is_calibrated]


def layer(*rows: list[float], bias: float = 0.0) -> Folded:
    return Folded(np.array(rows, np.float32), np.full(len(rows), bias, np.float32))


def statistics(inputs: NDArray[np.float64]) -> LayerStatistics:
    """Of inputs [groups, k, n]."""
    return LayerStatistics(inputs @ inputs.swapaxes(1, 2) / inputs.shape[-1], inputs.mean(axis=-1))


def settings(name: str, granularity: Granularity = Granularity.CHANNEL, grid: Grid = Grid.NARROW) -> Quantizer:
    return rounding.settings(name, "c0ffee", granularity, grid)


# GPTQ.


def test_gptqs_step_by_hand() -> None:
    # The inverse of [[2, 1], [1, 1]] is [[1, -1], [-1, 2]], which is UᵀU with U = [[1, -1], [0, 1]].
    hessian, power = np.array([[[1.0, 1.0], [1.0, 0.0]]]), np.array([100.0])  # 1 % of 100 damps by 1
    factor = inverse_factor(hessian, damping_of(power))
    assert factor[0].tolist() == [[pytest.approx(1), pytest.approx(-1)], [0, pytest.approx(1)]]
    weight = np.array([[[0.4, 1.3]]])
    # 0.4 goes to 0; the next becomes 1.3 + 0.4 = 1.7, which goes to 2 and not to 1.
    integers, squares = passed_on(weight, np.ones_like(weight), factor, (-7, 7))
    assert integers.tolist() == [[[0, 2]]]
    # 0.4 and 1.7 - 2 were passed on: 0.16 + 0.09. The errors (-0.4, 0.7) cost the same: 2 · 0.16 - 2 · 0.28 + 0.49.
    assert squares.tolist() == [[pytest.approx(0.25)]]
    assert passed_on(weight, np.ones_like(weight), factor, (-1, 1))[0].tolist() == [[[0, 1]]]


@pytest.mark.parametrize("granularity", Granularity)
@pytest.mark.parametrize("groups", [1, 3])
def test_gptqs_grid_is_the_best_of_all(granularity: Granularity, groups: int) -> None:
    """As found by working out what every grid costs; inputs that never change among them, which cost nothing."""
    generator = np.random.default_rng(7)
    x = generator.normal(size=(groups, 20, 20)) @ generator.normal(size=(groups, 20, 300)) + 1
    x[:, 3], x[:, 5] = 2.0, 0.0
    known, how = statistics(x), settings("gptq", granularity, Grid.FULL)
    weight = generator.normal(size=(12, 20)).astype(np.float32)
    weight[4] = 0
    factor, grouped = inverse_factor(known.covariance, damping_of(known.power)), known.grouped(weight)

    def rounds(scale: np.ndarray) -> np.ndarray:
        steps = np.broadcast_to(scale, weight.shape).reshape(grouped.shape).astype(np.float64)
        return passed_on(grouped, steps, factor, ends(3, Grid.FULL))[0].reshape(weight.shape)

    def costs(error: np.ndarray) -> np.ndarray:
        each = error.reshape(grouped.shape).astype(np.float64)
        return (each * (each @ known.covariance)).reshape(error.shape)

    integers, scale = best_grid(weight, 3, how, rounds, costs)
    found = gptq(weight, 3, how, lambda: known)
    assert np.array_equal(found[0], integers)
    assert np.array_equal(found[1], scale)
    assert len(np.unique(scale)) > 1 or granularity is Granularity.TENSOR


def test_gptq_errs_less_in_the_output_than_rounding_to_nearest() -> None:
    generator = np.random.default_rng(5)
    known = statistics(generator.normal(size=(1, 12, 12)) @ generator.normal(size=(1, 12, 500)))
    given = Folded(generator.normal(size=(30, 12)).astype(np.float32), np.zeros(30, np.float32))
    for bits in (4, 3):
        errors = [
            round_layer(given, bits, settings(name), lambda: known).weight - given.weight
            for name in ("nearest_bias", "mse_bias", "gptq")
        ]
        costs = [float((error @ known.covariance[0] * error).sum()) for error in errors]
        assert costs[2] < 0.8 * min(costs[:2])


@pytest.mark.parametrize("grid", Grid)
@pytest.mark.parametrize("name", CALIBRATED)
def test_a_depthwise_layer_is_rounded_as_its_channels_alone(name: str, grid: Grid) -> None:
    generator = np.random.default_rng(6)
    given = Folded(generator.normal(size=(4, 1, 3, 3)).astype(np.float32), np.ones(4, np.float32))
    known = statistics(generator.normal(size=(4, 9, 60)) + 1)
    together = round_layer(given, 3, settings(name, grid=grid), lambda: known)
    for place in range(4):
        one = slice(place, place + 1)
        part = LayerStatistics(known.second_moment[one], known.mean[one])
        alone = round_layer(
            Folded(*(array[one] for array in given)), 3, settings(name, grid=grid), lambda part=part: part
        )
        assert np.array_equal(alone.integers, together.integers[one])
        assert np.array_equal(alone.scale, together.scale[one])
        assert alone.bias == pytest.approx(together.bias[one], rel=1e-6)


# Bias correction.


def test_bias_correction_by_hand() -> None:
    # 2 bits, scale 1: 0.8 goes to 1, an error of 0.2 on an input of mean 3; the bias gives 0.6 back.
    known = LayerStatistics(np.array([[[2.0, 0.0], [0.0, 9.5]]]), np.array([[1.0, 3.0]]))
    rounded = round_layer(layer([1.0, 0.8], bias=5.0), 2, settings("nearest_bias"), lambda: known)
    assert rounded.integers.tolist() == [[1, 1]]
    assert rounded.bias.tolist() == pytest.approx([5 - 0.2 * 3])


@pytest.mark.parametrize("name", CALIBRATED)
def test_inputs_that_never_change_cost_nothing(name: str) -> None:
    given = layer([0.31, -0.7, 0.09], [0.0, 0.0, 0.0], [0.5, 0.22, 0.4], bias=1.0)
    x = np.array([1.0, 2.0, -0.5])
    rounded = round_layer(given, 4, settings(name), lambda: statistics(np.repeat(x[None, :, None], 7, axis=2)))
    assert rounded.weight @ x + rounded.bias == pytest.approx(given.weight @ x + 1, abs=1e-6)
    if name == "gptq":  # no output differs, so the widest grid stands and every weight goes to its nearest
        assert np.array_equal(rounded.integers, quantize(given.weight, 4)[0])


@pytest.mark.parametrize("name", ROUNDINGS)
@pytest.mark.parametrize("granularity", Granularity)
@pytest.mark.parametrize("grid", Grid)
def test_a_zero_channel_stays_zero_whatever_was_read(name: str, granularity: Granularity, grid: Grid) -> None:
    generator = np.random.default_rng(8)
    given = layer([0.0] * 4, [0.3, -0.4, 0.1, 0.2], bias=2.0)
    for inputs in (np.zeros((1, 4, 9)), generator.normal(size=(1, 4, 9)) + 1):
        known = statistics(inputs)
        rounded = round_layer(given, 4, settings(name, granularity, grid), lambda known=known: known)
        assert not rounded.integers[0].any() and rounded.bias[0] == 2
        assert np.isfinite(rounded.weight).all() and rounded.integers[1].any()
    zero = round_layer(layer([0.0] * 4), 2, settings(name, granularity, grid), lambda: known)
    assert not zero.weight.any() and not zero.bias.any()


# Grids.


def test_a_full_grid_gives_its_longer_side_to_the_larger_weight() -> None:
    # 4 bits, -8 to 7. 8 is the larger: scale -1, so 8 is -8 steps and -7 is 7. Turned round, the same straight.
    weight = np.array([[8.0, -7.0, 2.4], [-8.0, 7.0, 2.4]], np.float32)
    integers, scale = quantize(weight, 4, grid=Grid.FULL)
    assert scale.ravel().tolist() == [-1, 1]
    assert integers.tolist() == [[-8, 7, -2], [-8, 7, 2]]
    # 7.9 and -8: 7 steps must reach 7.9, so the scale is 7.9 / 7 and not 8 / 8: nothing is clipped.
    assert scales(np.array([[-8.0, 7.9]], np.float32), 4, Granularity.CHANNEL, Grid.FULL).item() == pytest.approx(
        7.9 / 7
    )


@pytest.mark.parametrize("name", ROUNDINGS)
@pytest.mark.parametrize("bits", [8, 4, 3, 2])
@pytest.mark.parametrize("grid", Grid)
def test_integers_stay_on_their_grid(name: str, bits: int, grid: Grid) -> None:
    generator = np.random.default_rng(9)
    given = Folded(generator.standard_t(3, size=(40, 3, 3, 3)).astype(np.float32), np.zeros(40, np.float32))
    known = statistics(generator.normal(size=(1, 27, 100)))
    rounded = round_layer(given, bits, settings(name, grid=grid), lambda: known)
    assert rounded.integers.dtype == np.int8 and rounded.weight.dtype == rounded.bias.dtype == np.float32
    assert rounded.integers.max() <= 2 ** (bits - 1) - 1
    assert rounded.integers.min() >= -(2 ** (bits - 1)) + (grid is Grid.NARROW)
    assert (rounded.integers.min() == -(2 ** (bits - 1))) == (grid is Grid.FULL)


# What is refused, and what tells layers apart.


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(EvaluationError, match="NaN or infinite weights cannot be rounded"):
        round_layer(layer([1.0, np.nan]), 4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingError, match="gptq needs calibration images, and this data set has none"):
        rounding.settings("gptq", None)
    with pytest.raises(SettingError, match="needs statistics of the layer's inputs"):
        round_layer(layer([1.0]), 4, settings("gptq"))
    with pytest.raises(UnknownNameError, match="unknown rounding 'up'"):
        rounding.settings("up", "c0ffee")
    with pytest.raises(SettingError, match="bits=32 has no integer grid"):
        round_layer(layer([1.0]), 32, settings("mse"))
    assert rounding.settings("nearest", None) == rounding.settings("nearest", "c0ffee") == Quantizer()


def test_a_hash_covers_integers_scales_and_bias() -> None:
    base, finer, moved = (layer([7.0, 1.0]), layer([14.0, 2.0]), layer([7.0, 1.0], bias=1.0))
    hashes = [round_layer(each, 4).hash for each in (base, finer, moved)]
    hashes.append(round_layer(layer([7.0, 2.0]), 4).hash)
    assert len(set(hashes)) == 4 and round_layer(base, 4).hash == hashes[0]
