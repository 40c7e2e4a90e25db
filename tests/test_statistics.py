"""Intervals against published values and by hand; the exact test against the binomial distribution."""

from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiq_core.statistics import Interval, Paired, paired, wilson


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17, 1998, 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(correct: int, images: int, low: float, high: float) -> None:
    found = wilson(correct, images)
    assert found.value == pytest.approx(100 * correct / images)
    assert (found.low / 100, found.high / 100) == pytest.approx((low, high), abs=0.00005)


def test_wilson_by_hand() -> None:
    # Half right of n: 0.5 -+ z / (2 * sqrt(n + z^2)).
    z = 1.959964
    half = z / (2 * sqrt(100 + z * z))
    found = wilson(50, 100)
    assert (found.low, found.high) == pytest.approx((100 * (0.5 - half), 100 * (0.5 + half)), abs=1e-4)


@settings(deadline=None)
@given(images=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_stays_within_0_and_100(images: int, share: float) -> None:
    correct = round(share * images)
    found = wilson(correct, images)
    assert -1e-9 <= found.low <= found.value + 1e-9 and found.value - 1e-9 <= found.high <= 100 + 1e-9
    mirrored = wilson(images - correct, images)
    assert (mirrored.low, mirrored.high) == pytest.approx((100 - found.high, 100 - found.low), abs=1e-9)


# Paired proportions.


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17, 1998, 2635-2650: 36, 12, 2, 0 by method 10.
        (Paired(36, 12, 2, 0), 0.0569, 0.3404),
        # Airway hyper-responsiveness (Bentur 2009), as Fagerland, Lydersen and Laake print it for this interval.
        (Paired(1, 1, 7, 12), -0.507, -0.026),
    ],
    ids=str,
)
def test_drop_as_published(cells: Paired, low: float, high: float) -> None:
    found = cells.drop
    assert found.value == pytest.approx(100 * (cells.lost - cells.gained) / cells.images)
    digits = 4 if abs(low) < 0.1 else 3
    assert (round(found.low / 100, digits), round(found.high / 100, digits)) == (low, high)


@pytest.mark.parametrize(
    ("lost", "gained", "printed", "noise"),
    [(74, 52, ("0.22", "-0.00", "0.44"), True), (4, 14, ("-0.10", "-0.19", "-0.01"), False)],
)
def test_drop_of_the_papers_layers(lost: int, gained: int, printed: tuple[str, str, str], noise: bool) -> None:
    """lessons.md: one layer of the published ResNet-20 alone at 4 bits, FP32 having 9,192 of 10,000 right."""
    cells = Paired(both=9192 - lost, lost=lost, gained=gained, neither=10_000 - 9192 - gained)
    found = cells.drop
    assert tuple(f"{value:.2f}" for value in (found.value, found.low, found.high)) == printed
    assert found.contains_zero is noise


def test_drop_by_hand() -> None:
    """The example of Altman and others, Statistics with Confidence (2000), table 6.2: 14, 5, 0, 22."""
    before, after = wilson(14 + 5, 41), wilson(14 + 0, 41)
    phi = (14 * 22 - 5 * 0 - 41 / 2) / sqrt(19 * 22 * 14 * 27)  # a positive correlation is shrunk by n / 2
    below, above = before.value - before.low, after.high - after.value
    low = 100 * 5 / 41 - sqrt(below**2 - 2 * phi * below * above + above**2)
    below, above = after.value - after.low, before.high - before.value
    high = 100 * 5 / 41 + sqrt(below**2 - 2 * phi * below * above + above**2)
    found = Paired(14, 5, 0, 22).drop
    assert (found.value, found.low, found.high) == pytest.approx((100 * 5 / 41, low, high))


def test_drop_of_equal_classifiers_is_zero_with_its_doubt() -> None:
    """Nothing flipped of 500: the interval is small, symmetric and not a point."""
    found = Paired(480, 0, 0, 20).drop
    assert found.value == 0 and found.contains_zero
    assert found.high == pytest.approx(-found.low)
    assert 0 < found.high < wilson(480, 500).high - wilson(480, 500).low


def test_drop_where_both_are_always_right() -> None:
    """Phi is undefined there and counts as 0; only the downward halves of Wilson's intervals have a length."""
    found, alone = Paired(50, 0, 0, 0).drop, 100 - wilson(50, 50).low
    assert (found.value, found.low, found.high) == pytest.approx((0, -alone, alone))


cells = st.builds(Paired, *[st.integers(0, 200)] * 4).filter(lambda c: c.images > 0)


@settings(deadline=None)
@given(counted=cells)
def test_a_drop_lies_in_its_interval_and_turns_with_its_sides(counted: Paired) -> None:
    found = counted.drop
    assert found.low <= found.value + 1e-9 and found.value <= found.high + 1e-9
    assert found.low >= -100 - 1e-9 and found.high <= 100 + 1e-9
    turned = Paired(counted.both, counted.gained, counted.lost, counted.neither).drop
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low), abs=1e-9)


def test_more_images_narrow_the_interval() -> None:
    widths = [Paired(90 * k, 3 * k, 2 * k, 5 * k).drop for k in (1, 10, 100)]
    assert [round(found.value, 9) for found in widths] == [1, 1, 1]
    spans = [found.high - found.low for found in widths]
    assert spans == sorted(spans, reverse=True)


def test_cells_are_counted() -> None:
    before = np.array([True, True, True, False, False, True])
    after = np.array([True, False, False, True, False, True])
    counted = paired(before, after)
    assert (counted.both, counted.lost, counted.gained, counted.neither) == (2, 2, 1, 1)
    assert counted.images == 6


# McNemar.


def exact(lost: int, gained: int) -> float:
    """Twice the smaller tail of a fair coin, at most 1."""
    changed = lost + gained
    return min(1.0, 2 * sum(comb(changed, k) for k in range(min(lost, gained) + 1)) / 2**changed)


def test_mcnemar_by_hand() -> None:
    assert Paired(90, 1, 5, 4).p == pytest.approx(2 * (1 + 6) / 64)
    assert Paired(90, 0, 10, 0).p == pytest.approx(2 / 2**10)
    assert Paired(90, 3, 3, 4).p == 1
    assert Paired(90, 0, 0, 10).p == 1
    assert Paired(9118, 74, 52, 756).p == pytest.approx(exact(74, 52))


@settings(deadline=None)
@given(lost=st.integers(0, 80), gained=st.integers(0, 80), both=st.integers(0, 100))
def test_mcnemar_equals_the_binomial(lost: int, gained: int, both: int) -> None:
    assert Paired(both, lost, gained, 7).p == pytest.approx(exact(lost, gained))


def test_an_interval_knows_noise() -> None:
    assert Interval(0.2, -0.01, 0.4).contains_zero and Interval(0.2, 0.0, 0.4).contains_zero
    assert not Interval(0.2, 0.01, 0.4).contains_zero and not Interval(-0.2, -0.4, -0.01).contains_zero
