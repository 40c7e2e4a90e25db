"""The study of rounding: whose error is smallest, whose accuracy best, and the chart of both."""

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from aiq_core.charts.study import Contest, contest, lost, pairs, study_figure, study_frame
from aiq_core.charts.style import Look
from aiq_core.records import Granularity, Grid
from tests.tables import trial

TRIALS = (
    trial("nearest", 16.0, 8_800),
    trial("nearest", 12.0, 8_000, granularity=Granularity.TENSOR),
    trial("nearest_bias", 16.0, 8_900),
    trial("mse", 18.0, 8_500),
    trial("mse_bias", 18.0, 8_850),
    trial("gptq", 15.0, 8_990),
    trial("gptq", 15.5, None, grid=Grid.FULL),
    trial("gptq", 25.0, 9_000, bits=8),
)


def test_the_smallest_error_is_not_the_best_accuracy() -> None:
    found = contest(TRIALS, 4)
    assert found is not None
    # Of the two on MSE scales the more accurate one stands for them.
    assert (found.finest.rounding, found.best.rounding) == ("mse_bias", "gptq")
    assert (lost(found.finest).value, lost(found.best).value) == (pytest.approx(1.5), pytest.approx(0.1))
    assert not found.agree
    assert contest(TRIALS, 8) is None


def test_what_intervals_do_not_tell_apart_agrees() -> None:
    close = Contest(trial("mse", 18.0, 8_995), trial("gptq", 15.0, 9_000))
    assert close.agree


def test_a_scale_a_channel_is_paired_with_one_a_tensor() -> None:
    ((channel, tensor),) = pairs(TRIALS, 4)
    assert (channel.sqnr_db, tensor.sqnr_db) == (16.0, 12.0)


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ({}, "GPTQ"),
        ({"grid": Grid.FULL}, "GPTQ −8…7"),
        ({"bits": 3, "grid": Grid.FULL, "granularity": Granularity.TENSOR}, "GPTQ −4…3, tensor"),
        ({"rounding": "nearest_bias"}, "nearest + bias"),
    ],
)
def test_a_name_says_what_is_unusual(setting: dict[str, object], name: str) -> None:
    assert replace(trial("gptq", 15.0, 8_990), **setting).name == name


@pytest.mark.parametrize("look", [Look(), Look(dark=True, projector=True)])
def test_every_reported_trial_is_drawn_and_tabled(look: Look) -> None:
    figure = study_figure(TRIALS, 4, look)
    go.Figure(figure)
    marks = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    # The square root of what is lost: 2 points of nearest's 200 images.
    assert (marks[0]["x"], marks[0]["y"]) == ([16.0], [pytest.approx(2**0.5)])
    assert len(marks) == 6  # of 4 bits, but for the one that is not reported
    corrections = [trace for trace in figure["data"] if trace.get("name") == "corrected"]
    assert [line["x"] for line in corrections] == [[16.0, 16.0], [18.0, 18.0]]
    low, high = figure["layout"]["yaxis"]["range"]
    assert all(low < trace["y"][0] < high for trace in marks)
    said = [note["text"] for note in figure["layout"]["annotations"]]
    assert {"nearest", "nearest, tensor", "MSE + bias", "GPTQ"} <= set(said)


def test_the_table_has_every_trial() -> None:
    frame = study_frame(TRIALS)
    assert len(frame) == len(TRIALS)
    row = frame.iloc[0]
    assert (row["report_drop_points"], row["report_top1_percent"]) == (pytest.approx(2.0), pytest.approx(88.0))
    assert (row["grid"], row["one_scale_per"], row["report_images"]) == ("−7…7", "channel", 10_000)
    assert frame["report_drop_points"].isna().sum() == 1
