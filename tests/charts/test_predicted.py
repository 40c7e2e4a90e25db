"""The chart of predicted against measured time: a mark a network, a colour a predictor, and how far they are off."""

import pytest

from aiq_core.charts.predicted import Cell, predicted_data, predicted_figure, predicted_frame, predicted_words
from aiq_core.charts.style import Look

CELLS = (
    Cell("One", "FP32", 1, "table", 0.011, 0.010, False),
    Cell("One", "INT8", 1, "table", 0.004, 0.005, False),
    Cell("One", "paper", 1, "table", 0.006, 0.012, True),
    Cell("One", "FP32", 1, "roofline", 0.002, 0.010, False),
)
DATA = predicted_data("toy", ("roofline", "rates", "table"), CELLS, 0.3)


def test_errors_are_of_one_type_and_of_mixed_ones_apart() -> None:
    assert DATA.names == ("roofline", "table")  # in the order of names, without what says nothing
    # 11 for 10 and 4 for 5 are off by 10 and 20 %; 6 for 12 by half; 2 for 10 by four fifths.
    assert DATA.median("table", False) == pytest.approx(0.15)
    assert DATA.median("table", True) == pytest.approx(0.5)
    assert DATA.median("roofline", True) is None
    assert predicted_words(DATA) == (
        "Median error, one type: roofline 80 %, table 15 %; FP32 and INT8 mixed: table 50 %."
    )


@pytest.mark.parametrize("look", [Look(), Look(dark=True)])
def test_a_mark_a_cell_between_lines_that_are_near(look: Look) -> None:
    figure = predicted_figure(DATA, look)
    *lines, mixed, roofline, table = figure["data"]
    assert [line["y"][0] / line["x"][0] for line in lines] == pytest.approx([0.7, 1.3, 1.0])
    assert (mixed["x"], mixed["y"], mixed["marker"]["symbol"]) == ([0.012], [0.006], "square-open")
    assert (roofline["name"], table["name"]) == ("roofline", "table")
    assert roofline["marker"]["symbol"] != table["marker"]["symbol"]
    assert roofline["marker"]["color"] != table["marker"]["color"]
    assert (table["x"], table["y"]) == ([0.010, 0.005], [0.011, 0.004])
    assert "measured 10 ms, predicted 11 ms (+10 %)" in table["customdata"][0]
    for axis, (low, high), places in (
        ("xaxis", DATA.x_range, (0.005, 0.012)),
        ("yaxis", DATA.y_range, (0.002, 0.011)),
    ):
        assert [10**end for end in figure["layout"][axis]["range"]] == pytest.approx([low, high])
        assert all(low <= tick <= high for tick in figure["layout"][axis]["tickvals"])
        # All are inside.
        assert low < places[0] and high > places[1]


def test_its_table_has_every_mark() -> None:
    frame = predicted_frame(DATA)
    assert len(frame) == 4
    assert list(frame["relative_error"].round(2)) == [0.1, -0.2, -0.5, -0.8]
