"""The weights chart: shares, levels and errors that can be counted by hand."""

from math import inf, log10, sqrt

import numpy as np
import plotly.graph_objects as go
import pytest

from aiq_core.charts.style import Look
from aiq_core.charts.weights import error_text, rounding_error, weights_data, weights_figure, weights_frame
from aiq_core.rounding import RoundedLayer
from aiq_core.rounding.nearest import quantize

# Two channels; at 2 bits the levels are -1, 0 and 1 times a channel's largest, so steps of 1 and of 2.
WEIGHT = np.array([[1.0, 0.25, -0.75, 0.0], [2.0, -2.0, 0.5, 1.5]], dtype=np.float32)
# Rounded: 1, 0, -1, 0 and 2, -2, 0, 2; errors 0, .25, .25, 0 and 0, 0, .5, .5.


def test_the_error_is_counted_by_hand() -> None:
    error = rounding_error(WEIGHT, 2)
    noise = (2 * 0.25**2 + 2 * 0.5**2) / 8
    power = (1 + 0.0625 + 0.5625 + 4 + 4 + 0.25 + 2.25) / 8
    assert error.rmse == pytest.approx(sqrt(noise))
    assert error.sqnr_db == pytest.approx(10 * log10(power / noise))
    assert (error.largest, error.largest_steps, error.step) == (0.5, 0.25, 2.0)
    assert error.zeros == 3 / 8
    assert "0.25 of a step" in error_text(error)


@pytest.mark.parametrize("bits", [8, 7, 6, 5, 4, 3, 2])
def test_no_error_is_above_half_a_step(bits: int) -> None:
    weight = np.random.default_rng(7).normal(size=(16, 8, 3, 3)).astype(np.float32)
    error = rounding_error(weight, bits)
    assert error.largest_steps <= 0.5 + 1e-6
    rounded = np.multiply(*quantize(weight, bits))
    assert error.rmse == pytest.approx(float(np.sqrt(np.mean((rounded - weight) ** 2))), rel=1e-4)


def test_shares_stand_at_the_levels() -> None:
    data = weights_data("toy", "conv", WEIGHT, 2)
    assert data.places is not None
    assert data.after is not None
    assert data.places.tolist() == [-1, 0, 1]
    assert data.after.tolist() == [2 / 8, 3 / 8, 3 / 8]
    assert data.before.sum() == pytest.approx(1)
    frame = weights_frame(data)
    assert frame.groupby("side")["share_of_weights"].sum().to_dict() == pytest.approx({"before": 1, "after": 1})


def test_fp32_has_nothing_after() -> None:
    data = weights_data("toy", "conv", WEIGHT, 32)
    assert data.after is None
    assert data.error is None
    assert set(weights_frame(data)["side"]) == {"before"}


def test_an_empty_channel_stays_zero() -> None:
    data = weights_data("toy", "conv", np.zeros((2, 3), dtype=np.float32), 4)
    assert data.error is not None
    assert (data.error.rmse, data.error.sqnr_db, data.error.zeros) == (0, inf, 1)
    assert "no error" in error_text(data.error)


@pytest.mark.parametrize("look", [Look(), Look(dark=True, projector=True)])
@pytest.mark.parametrize("bits", [32, 8, 5, 2])
def test_the_figure_is_plotlys(bits: int, look: Look) -> None:
    figure = weights_figure(weights_data("toy", "conv", WEIGHT, bits), look)
    names = [trace["name"] for trace in go.Figure(figure).to_dict()["data"]]
    # 2 · 2^(b-1) - 1 levels: 31 at 5 bits are drawn as lines, 255 at 8 are not.
    assert names == {32: ["before"], 8: ["before", "after"]}.get(bits, ["levels", "before", "after"])
    said = " ".join(note["text"] for note in figure["layout"]["annotations"])
    assert ("levels" in said) == (bits != 32)


def test_another_rounding_ends_the_grid_before_the_largest_weight() -> None:
    # At 2 bits, steps of 0.5 and of 2: the first channel's grid ends at half its largest weight.
    scale = np.array([[0.5], [2.0]], dtype=np.float32)
    integers = np.array([[1, 1, -1, 0], [1, -1, 0, 1]], dtype=np.int8)
    rounded = RoundedLayer(integers, scale, np.zeros(2, dtype=np.float32))
    data = weights_data("toy", "conv", WEIGHT, 2, ("gptq", rounded))
    assert data.edges[-1] == 2.0  # 1.0 over 0.5
    assert data.after is not None
    assert data.after.tolist() == [2 / 8, 2 / 8, 4 / 8]
    assert data.error is not None
    assert data.error.largest_steps == 1.0  # 1.0 became 0.5, a whole step
    assert "at most half" not in error_text(data.error)
    said = " ".join(note["text"] for note in weights_figure(data, Look())["layout"]["annotations"])
    assert "2 bits by gptq" in said
