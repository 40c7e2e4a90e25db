"""Machines: sources, ceilings by number type, and the ridges that the literature prints."""

import pytest

from aiq_core.errors import SettingError
from aiq_core.hardware import DEFAULT_MACHINE, PRESETS, NumberType


def test_default_is_the_a100_at_tf32() -> None:
    chosen = PRESETS[DEFAULT_MACHINE]
    kind, rate = chosen.ceiling(32, 32)
    assert (chosen.name, kind) == ("A100 (TF32)", NumberType.TF32)
    assert rate == 156e12
    assert chosen.bandwidth.value == 1555e9


@pytest.mark.parametrize("key", PRESETS)
def test_every_number_has_a_unit_a_source_and_a_plausible_size(key: str) -> None:
    chosen = PRESETS[key]
    assert chosen.grade in ("A", "B")
    assert chosen.bandwidth.note
    assert 0.5e9 < chosen.bandwidth.value < 5e12
    for source in chosen.rates.values():
        assert source.note
        assert 0.5e9 < source.value < 2.5e15
    if chosen.fp32_typed is not None:
        assert chosen.fp32_typed in chosen.rates


@pytest.mark.parametrize("key", PRESETS)
def test_a_narrower_type_is_never_slower(key: str) -> None:
    rates = [PRESETS[key].rates[kind].value for kind in NumberType if kind in PRESETS[key].rates]
    assert rates == sorted(rates)


def test_the_wider_of_the_two_types_bounds_a_layer() -> None:
    t4 = PRESETS["t4"]
    assert t4.ceiling(4, 32) == (NumberType.FP32, 8.1e12)
    assert t4.ceiling(4, 8) == (NumberType.INT8, 130e12)
    assert t4.ceiling(4, 4) == (NumberType.INT4, 260e12)
    assert t4.ceiling(6, 4) == (NumberType.INT8, 130e12)


def test_a_missing_type_falls_to_the_next_wider() -> None:
    assert PRESETS["h100-tf32"].ceiling(4, 4)[0] is NumberType.INT8
    assert PRESETS["jetson-nano"].ceiling(8, 8)[0] is NumberType.FP16
    assert PRESETS["pi-4"].ceiling(8, 8)[0] is NumberType.FP32


@pytest.mark.parametrize("key", ["coral-usb", "rk3588-npu"])
def test_integer_only_machines_say_so(key: str) -> None:
    assert not PRESETS[key].runs_fp32
    assert PRESETS[key].ceiling(8, 8)[0] is NumberType.INT8
    with pytest.raises(SettingError, match="can't run FP32 activations"):
        PRESETS[key].ceiling(4, 32)


def test_derived_rates_agree_with_what_others_measured() -> None:
    assert PRESETS["pi-5"].rates[NumberType.FP32].value == pytest.approx(153.5e9, rel=0.001)
    assert PRESETS["pi-5"].rates[NumberType.INT8].value == pytest.approx(614.02e9, rel=0.001)
    assert PRESETS["pi-4"].rates[NumberType.FP32].value == pytest.approx(47.883e9, rel=0.003)
