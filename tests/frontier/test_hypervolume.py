"""The area that policies dominate: by hand, picked greedily, and drawn again over images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiq_core.frontier.hypervolume import drawn, hypervolume, interval, pick


def area(*points: tuple[float, float]) -> float:
    ratios, drops = np.array(points, dtype=np.float64).reshape(-1, 2).T
    return float(hypervolume(ratios, drops))


def test_areas_by_hand() -> None:
    assert area((7, 0)) == 6  # (7 - 1) x (1 - 0)
    assert area((7, -0.4)) == 6  # what gains counts as losing nothing
    assert area((3, 0.25), (5, 0.5)) == 2 * 0.75 + 2 * 0.5
    assert area((5, 0.5), (3, 0.25), (4, 0.6)) == 2 * 0.75 + 2 * 0.5  # the last is dominated
    assert area((9, 1.0), (9, 3.0), (0.5, 0)) == 0  # beyond the reference on either side
    assert area() == 0


def test_areas_of_many_draws_at_once_are_those_of_each() -> None:
    ratios, drops = np.array([2.0, 5.0, 3.0]), np.array([[0.1, 0.9, 0.2], [0.3, 0.2, 0.5]])
    assert hypervolume(ratios, drops).tolist() == [float(hypervolume(ratios, row)) for row in drops]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-4, 12)), max_size=12))
def test_the_area_is_that_of_the_cells_below_some_point(points: list[tuple[int, int]]) -> None:
    # AI in steps of 1/2 and drops in tenths: whole cells of a grid, counted one by one.
    cells = sum(
        any(right / 2 >= (column + 1) / 2 and lost <= row for right, lost in points)
        for column in range(2, 20)
        for row in range(10)
    )
    assert area(*((right / 2, lost / 10) for right, lost in points)) == pytest.approx(cells * 0.5 * 0.1)


def test_points_are_picked_by_what_they_add() -> None:
    ratios, drops = np.array([3.0, 5.0, 4.0, 8.0]), np.array([0.25, 0.5, 0.6, 2.0])
    # Alone they add 1.5, 2, 1.2 and 0; beside the second, the first 2 x .25, the third nothing.
    assert pick(ratios, drops) == (1, 0)
    assert pick(ratios, drops, most=1) == (1,)
    assert pick(np.array([]), np.array([])) == ()


def test_draws_pair_and_spread_about_the_value() -> None:
    # 400 images, of which one policy loses 4 and regains 2: 0.5 points; another one loses 1 more.
    lost = np.zeros((2, 400), dtype=np.int8)
    lost[:, :4], lost[:, 4:6] = 1, -1
    lost[1, 6] = 1
    ratios = np.array([5.0, 5.0])
    first, second = (drawn(ratios[[one]], lost[[one]]) for one in (0, 1))
    assert len(first) == 1000
    assert (second <= first).all()  # on the very same images the other one can only lose more
    assert (second < first).any()
    assert drawn(ratios[[0]], lost[[0]]).tolist() == first.tolist()
    found = interval(2.0, first)
    assert found.low < 2.0 < found.high
    # A point nobody loses or gains by has no spread.
    assert set(drawn(np.array([3.0]), np.zeros((1, 50), dtype=np.int8), draws=7)) == {2.0}
