"""Labels stay clear of each other, of the marks and of the plot's edges."""

from itertools import combinations

import numpy as np
import pytest

from aiq_core.charts.labels import PLOT_WIDTHS_PX, Anchor, Box, Place, place_labels, spread, text_box

FONT_PX, HEIGHT = 11.0, 240.0


def test_overlap_is_the_shared_area() -> None:
    corner, beside = (8, 5, 20, 20), (10, 0, 20, 10)
    assert Box(0, 0, 10, 10).overlap(np.array([corner])) == (10 - 8) * (10 - 5)
    assert Box(0, 0, 10, 10).overlap(np.array([beside])) == 0
    assert Box(0, 0, 10, 10).overlap(np.array([corner, beside, corner])) == 2 * 10


def test_a_lone_label_stands_above_its_mark() -> None:
    (place,) = place_labels([Anchor(0.5, 0.5, "FP32")], [], HEIGHT, FONT_PX)
    assert (place.xanchor, place.yanchor) == ("center", "bottom")


def test_neighbours_do_not_overlap_at_any_width() -> None:
    anchors = [Anchor(0.8, 0.40, "all 8 bits"), Anchor(0.84, 0.44, "alpha 0.90"), Anchor(0.86, 0.5, "random")]
    places = place_labels(anchors, [], HEIGHT, FONT_PX)
    for width in PLOT_WIDTHS_PX:
        boxes = [text_box(a, p, width, HEIGHT, FONT_PX) for a, p in zip(anchors, places, strict=True)]
        assert all(one.overlap(np.array([other.edges])) == 0 for one, other in combinations(boxes, 2))


def test_labels_stay_inside_the_plot() -> None:
    anchors = [Anchor(1.0, 0.0, "a corner"), Anchor(0.0, 1.0, "another")]
    for anchor, place in zip(anchors, place_labels(anchors, [], HEIGHT, FONT_PX), strict=True):
        for width in PLOT_WIDTHS_PX:
            box = text_box(anchor, place, width, HEIGHT, FONT_PX)
            assert box.left >= 0
            assert box.right <= width
            assert box.top >= 0
            assert box.bottom <= HEIGHT


def test_a_label_keeps_clear_of_other_marks() -> None:
    mark = Anchor(0.5, 0.5 - 14 / HEIGHT, "")  # where the label would stand
    anchor = Anchor(0.5, 0.5, "FP32")
    (place,) = place_labels([anchor], [mark], HEIGHT, FONT_PX)
    assert place.yanchor != "bottom" or place.xanchor != "center"


def test_spread_moves_up_only_as_far_as_it_must() -> None:
    assert spread([0, 3, 30], gap=10) == (0, 10, 30)
    assert spread([], gap=10) == ()


def test_large_text_takes_more_room() -> None:
    place = Place("left", "top", 0, 0)
    plain, large = (text_box(Anchor(0, 0, "A", size=size), place, 265, HEIGHT, FONT_PX) for size in (1, 2))
    assert large.right == pytest.approx(2 * plain.right) and large.bottom == pytest.approx(2 * plain.bottom)
