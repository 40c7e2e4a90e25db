"""A measured roof by hand: its bands, its cache levels, another roof beside it, and its numbers."""

from dataclasses import replace

import pytest
from plotly.graph_objects import Figure

from aiq_core.charts.measured_roof import measured_roof_figure, numbers_frame
from aiq_core.charts.roofline import RooflineData, roofline_data
from aiq_core.charts.style import Look
from aiq_core.hardware import PRESETS, Machine, NumberType
from aiq_core.roof import Bandwidth, Roof, Spread
from tests import bundled

PROFILE = bundled.profile("digits_cnn")
LOOK = Look()


def spread(value: float) -> Spread:
    return Spread(value, 0.8 * value, 1.25 * value)


# 100 GB/s in a cache, 10 GB/s in memory; 1e11 FLOP/s in FP32, 8e11 in INT8.
ROOF = Roof(
    "a kind (X)",
    1,
    tuple(Bandwidth(2**20 * 2**place, "sum", spread(rate)) for place, rate in enumerate((1e11, 1e11, 1e10, 1e10))),
    {NumberType.FP32: spread(1e11), NumberType.INT8: spread(8e11)},
    (),
    {},
    "2026-01-01T00:00:00",
    6.0,
)


def data(machine: Machine, joint: bool = False) -> RooflineData:
    after = PROFILE.uniform(8, 8) if joint else PROFILE.uniform(8)
    return roofline_data(machine, PROFILE, PROFILE.uniform(32), after, 1, (32, 8, 4), (1, 128), joint=joint)


def drawn(figure: dict, name: str) -> tuple[list[float], list[float]]:  # type: ignore[type-arg]
    (trace,) = (trace for trace in figure["data"] if trace.get("name") == name)
    return trace["x"], trace["y"]


def test_the_band_reaches_from_the_lowest_to_the_highest_round() -> None:
    found = data(ROOF.machine())
    low, high = found.x_range
    xs, ys = drawn(measured_roof_figure(found, LOOK, ROOF), "measured roof")
    # Below: 8 GB/s up to 80 GFLOP/s, at 10 FLOPs/byte. Above: 12.5 GB/s up to 125 GFLOP/s, at 10 too.
    assert xs == pytest.approx([low, 10, high, high, 10, low])
    assert ys == pytest.approx([low * 8e9, 8e10, 8e10, 1.25e11, 1.25e11, low * 1.25e10])


def test_every_other_peak_has_a_band_from_its_ridge_on() -> None:
    found = data(ROOF.machine(), joint=True)
    figure = measured_roof_figure(found, LOOK, ROOF)
    assert found.roof.number_type is NumberType.INT8
    xs, ys = drawn(figure, "measured FP32")
    assert xs == pytest.approx([10, found.x_range[1], found.x_range[1], 10])  # 1e11 / 1e10
    assert ys == pytest.approx([8e10, 8e10, 1.25e11, 1.25e11])


def test_a_cache_is_a_line_above_memorys_up_to_the_roof() -> None:
    found = data(ROOF.machine())
    xs, ys = drawn(measured_roof_figure(found, LOOK, ROOF), "cache 1")
    assert (xs[0], xs[-1]) == pytest.approx((found.x_range[0], 1e11 / 1e11))
    assert (ys[0], ys[-1]) == pytest.approx((found.x_range[0] * 1e11, 1e11))


def test_another_roof_is_on_the_same_axes() -> None:
    mine, other = data(ROOF.machine()), data(PRESETS["a100-tf32"])
    figure = measured_roof_figure(mine, LOOK, ROOF, other)
    xs, ys = drawn(figure, "A100 (TF32)")
    assert ys[1:] == [156e12, 156e12]
    assert xs[1] == pytest.approx(156e12 / 1555e9)
    low, high = (10**end for end in figure["layout"]["yaxis"]["range"])
    assert (low, high) == pytest.approx((mine.y_range[0], other.y_range[1]))
    texts = [shape.get("label", {}).get("text") for shape in figure["layout"]["shapes"]]
    assert {"A100 (TF32)", "thin lines: caches"} <= {*texts}


def test_without_a_measurement_it_is_the_roofline_alone() -> None:
    assert not {"measured roof", "cache 1"} & {
        trace.get("name") for trace in measured_roof_figure(data(PRESETS["pi-5"]), LOOK)["data"]
    }


@pytest.mark.parametrize("look", [Look(), Look(dark=True, projector=True)])
def test_plotly_accepts_the_figure(look: Look) -> None:
    Figure(measured_roof_figure(data(ROOF.machine(), joint=True), look, ROOF, data(PRESETS["pi-5"], joint=True)))


def test_numbers_stand_beside_anothers() -> None:
    frame = numbers_frame(ROOF.machine(), ROOF, PRESETS["pi-5"]).set_index("what")
    assert list(frame.index) == ["cache 1", "memory", "FP32", "INT8"]
    assert list(frame.loc["memory"]) == [1e10, 8e9, 1.25e10, 17e9, pytest.approx(10 / 17)]
    assert frame.loc["cache 1"].isna()["beside"]
    alone = numbers_frame(PRESETS["t4"], None, None)
    assert list(alone.columns) == ["what", "value"] and list(alone["what"]) == [
        "memory",
        "FP32",
        "FP16",
        "INT8",
        "INT4",
    ]


def test_a_level_less_is_a_line_less() -> None:
    flat = replace(ROOF, curve=ROOF.curve[2:])
    names = {trace.get("name") for trace in measured_roof_figure(data(flat.machine()), LOOK, flat)["data"]}
    assert "measured roof" in names and "cache 1" not in names
