"""The throughput chart: a row a variant, a mark an engine, and what was predicted beside it."""

from dataclasses import replace

import pytest

from aiq_core.charts.style import Look
from aiq_core.charts.throughput import Bar, predictors, throughput_figure, throughput_frame
from aiq_core.roof import Spread

SLOW, FAST = Spread(100, 90, 110), Spread(200, 150, 220)
BARS = (
    Bar("Two", "INT8", FAST, Spread(2.0, 1.5, 2.2), "two int8", {"roofline": 3.0}, rank=3),
    Bar("One", "INT8", SLOW, Spread(1.0, 0.9, 1.1), "one int8", rank=2),
    Bar("One", "BF16", SLOW, Spread(1.2, 1.1, 1.4), "one bf16", rank=2),
    Bar("Zero", "FP32", SLOW, None, "zero fp32"),
)


def test_ratios_are_marks_with_the_span_of_their_rounds() -> None:
    figure = throughput_figure(BARS, Look())
    one, two, predicted = figure["data"]
    # By rank, whichever comes first; what has no ratio is left out.
    assert (one["name"], two["name"], predicted["name"]) == ("One", "Two", "predicted")
    assert one["x"] == [1.0, 1.2]
    assert one["error_x"]["array"] == pytest.approx([0.1, 0.2])
    assert one["error_x"]["arrayminus"] == pytest.approx([0.1, 0.1])
    assert (predicted["x"], predicted["text"]) == ([3.0], ["<b>1</b>"])
    # Below the marks of the second engine.
    assert predicted["y"][0] < two["y"][0]
    assert predictors(BARS) == ("roofline",)
    assert list(figure["layout"]["yaxis"]["ticktext"]) == ["BF16", "INT8"]
    # The upper row is INT8's; the first engine stands above the second.
    assert one["y"][0] > two["y"][0] > one["y"][1]
    assert round(one["y"][0]) == round(two["y"][0]) == 1
    # All of them are inside, the prediction too.
    low, high = figure["layout"]["xaxis"]["range"]
    assert low == 0
    assert high > 3.0


def test_images_a_second_have_every_engine_and_no_prediction() -> None:
    figure = throughput_figure(BARS, Look(), absolute=True)
    assert [trace["name"] for trace in figure["data"]] == ["Zero", "One", "Two"]
    assert figure["data"][2]["x"] == [200]
    assert not figure["layout"]["shapes"]


def test_an_engine_looks_alike_whatever_is_beside_it() -> None:
    both, alone = (throughput_figure(bars, Look())["data"] for bars in (BARS, BARS[:1]))
    assert both[1]["marker"] == alone[0]["marker"]
    assert both[0]["marker"]["symbol"] != both[1]["marker"]["symbol"]


def test_its_table_has_every_mark() -> None:
    frame = throughput_frame(BARS)
    assert list(frame["images_per_s_low"]) == [150, 90, 90, 90]
    assert frame["predicted_roofline"][0] == 3.0
    assert frame["ratio_to_engine_fp32"].isna().tolist() == [False, False, False, True]


def test_predictions_that_are_close_stand_together() -> None:
    bar = replace(BARS[0], predicted={"roofline": 3.0, "rates": 2.01, "table": 2.05})
    predicted = throughput_figure([bar], Look())["data"][1]
    # 0.035 of 3 is 0.105: 2.01 and 2.05 are less apart.
    assert predicted["text"] == ["<b>2·3</b>", "<b>1</b>"]
    assert predicted["x"] == [pytest.approx(2.03), 3.0]
    assert "rates: 2.01 ×<br>table: 2.05 ×" in predicted["customdata"][0]
