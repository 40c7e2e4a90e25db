"""The roofline by hand: a two-layer network on a machine with round numbers."""

import numpy as np
import pytest

from aiq_core.errors import SettingError
from aiq_core.hardware import PRESETS, Machine, NumberType, Source, SourceKind
from aiq_core.records import Layer, LayerKind, ModelProfile, Policy
from aiq_core.roofline import predict, ridge, speed_up

# conv: 1,000 MACs, 20 weights, 30 in, 20 out; linear: 100 MACs, 100 weights, 10 biases, 10 in, 10 out.
CONV = Layer("conv", LayerKind.CONV2D, 1000, 20, 0, 30, 20, 1, True, "image", "a")
LINEAR = Layer("linear", LayerKind.LINEAR, 100, 100, 10, 10, 10, 1, True, "a", None)
PROFILE = ModelProfile("toy", (CONV, LINEAR), ("image", "a"))
CONV_BYTES = 20 * 4 + (30 + 20) * 4  # 280
LINEAR_BYTES = 100 * 4 + 10 * 4 + (10 + 10) * 4  # 520


def toy(rate: float, bandwidth: float, int8: float | None = None) -> Machine:
    """A machine with an FP32 rate and, if given, an INT8 rate."""
    rates = {NumberType.FP32: Source(SourceKind.DERIVED, rate, "test")}
    if int8 is not None:
        rates[NumberType.INT8] = Source(SourceKind.DERIVED, int8, "test")
    return Machine("toy", "Toy", rates, Source(SourceKind.DERIVED, bandwidth, "test"), "B")


def test_time_is_the_longer_of_computing_and_moving() -> None:
    fp32 = PROFILE.uniform(32)
    prediction = predict(toy(rate=1000, bandwidth=200), PROFILE, [fp32])
    # conv: 2,000 FLOPs / 1,000 = 2 s > 280 / 200 = 1.4 s; linear: 200 / 1,000 = 0.2 s < 520 / 200 = 2.6 s
    assert prediction.seconds.tolist() == [[2 * 1000 / 1000, LINEAR_BYTES / 200]]
    assert prediction.memory_bound.tolist() == [[False, True]]
    assert prediction.total_seconds.tolist() == [2 + 2.6]
    assert prediction.share.tolist() == [pytest.approx([2 / 4.6, 2.6 / 4.6])]


def test_attainable_rate_is_flops_over_seconds() -> None:
    prediction = predict(toy(rate=1000, bandwidth=200), PROFILE, [PROFILE.uniform(32), PROFILE.uniform(4)], batch=3)
    flops = 2 * 3 * np.array([1000, 100])
    np.testing.assert_allclose(prediction.attainable, flops / prediction.seconds)


def test_fewer_weight_bytes_speed_up_the_memory_bound_layer_only() -> None:
    before, after = PROFILE.uniform(32), PROFILE.uniform(4)
    # linear at 4 bits: 100 x 0.5 + 10 x 4 + 20 x 4 = 170 bytes
    assert speed_up(toy(1000, 200), PROFILE, before, after) == pytest.approx((2 + 2.6) / (2 + 170 / 200))
    assert speed_up(toy(10, 200), PROFILE, before, after) == 1.0  # compute-bound already: no faster


def test_all_memory_bound_speeds_up_by_the_bytes_saved() -> None:
    before, after = PROFILE.uniform(32), PROFILE.uniform(8)
    bytes_before = CONV_BYTES + LINEAR_BYTES
    bytes_after = (20 * 1 + 50 * 4) + (100 * 1 + 10 * 4 + 20 * 4)
    assert speed_up(toy(1e9, 1), PROFILE, before, after) == pytest.approx(bytes_before / bytes_after)


def test_narrow_weights_with_fp32_activations_stay_at_the_fp32_ceiling() -> None:
    chosen = toy(1000, 1e9, int8=4000)
    assert predict(chosen, PROFILE, [PROFILE.uniform(8)]).ceiling.tolist() == [[1000, 1000]]
    both = Policy((8, 8), (8, 8))
    assert predict(chosen, PROFILE, [both]).ceiling.tolist() == [[4000, 4000]]


def test_a_ceiling_is_that_of_the_wider_of_weights_and_what_is_read() -> None:
    """conv reads the image and writes a, which linear reads."""
    chosen = toy(1000, 1e9, int8=4000)
    # What is written decides no ceiling: conv computes in INT8, linear in FP32.
    assert predict(chosen, PROFILE, [Policy((8, 8), (8, 32))]).ceiling.tolist() == [[4000, 1000]]
    # Narrow activations with FP32 weights stay at FP32's.
    assert predict(chosen, PROFILE, [Policy((32, 8), (4, 4))]).ceiling.tolist() == [[1000, 4000]]


def test_predicted_time_counts_both_kinds() -> None:
    both = PROFILE.uniform(8, 8)
    # conv: 2,000 / 4,000 = 0.5 s of computing, (20 + 30 + 20) / 200 = 0.35 s of moving;
    # linear: 100 weights, 10 FP32 biases, 10 in at 8 bits, logits at FP32: (100 + 40 + 10 + 40) / 200 = 0.95 s.
    seconds = predict(toy(1000, 200, int8=4000), PROFILE, [both]).seconds
    assert seconds.tolist() == [pytest.approx([0.5, 0.95])]


def test_ridges_of_the_presets() -> None:
    def fp32_ridge(key: str) -> float:
        chosen = PRESETS[key]
        return ridge(chosen.ceiling(32, 32)[1], chosen.bandwidth.value)

    assert fp32_ridge("a100-tf32") == pytest.approx(156e12 / 1555e9)  # 100
    assert fp32_ridge("a100-fp32") == pytest.approx(12.5, abs=0.05)
    assert fp32_ridge("t4") == pytest.approx(25.3, abs=0.05)
    assert fp32_ridge("h100-fp32") == pytest.approx(20, abs=0.05)
    assert fp32_ridge("pi-5") == pytest.approx(9, abs=0.05)


def test_integer_only_machines_give_no_prediction() -> None:
    with pytest.raises(SettingError, match="can't run FP32 activations"):
        predict(PRESETS["coral-usb"], PROFILE, [PROFILE.uniform(4)])
