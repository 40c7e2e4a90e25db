"""The best policy for every alpha, a budget and the Pareto front, against brute force over exact fractions."""

import random
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from aiq_core.envelope import PolicyTable, Segment, allowed, best, envelope, pareto, within_budget
from aiq_core.intensity import traffic
from aiq_core.library import Library, open_library
from aiq_core.objective import Objective, default_normaliser, floor_correct
from aiq_core.records import ModelProfile, Policy
from tests.bundled import profile as bundled_profile

IMAGES, BASELINE = 100, 90
ALPHAS = [Fraction(k, 64) for k in range(65)]
TABLES = 100


def made(rows: list[tuple[int, int]], bits: list[tuple[int, ...]] | None = None) -> PolicyTable:
    """A table of (AI, number right of 100), FP32 in row 0 having 90 right; AI and points are exact in binary."""
    count = len(rows)
    widths = bits or [(32,)] + [(8,) * index for index in range(1, count)]
    correct = np.array([right for _, right in rows], dtype=np.int64)
    none = np.full(count, -1, dtype=np.int64)
    return PolicyTable(
        profile=ModelProfile("toy", (), ()),
        images=IMAGES,
        policies=tuple(Policy(width, ()) for width in widths),
        intensity=np.array([float(value) for value, _ in rows]),
        correct=correct,
        search_lost=np.maximum(0, BASELINE - correct),
        search_gained=np.maximum(0, correct - BASELINE),
        report_images=IMAGES,
        report_correct=none,
        report_lost=none,
        report_gained=none,
        baseline=0,
        sources=("measured",) * count,
    )


def random_table(seed: int) -> PolicyTable:
    """Up to 14 rows on a coarse grid, so that rows, losses and crossings coincide."""
    rng = random.Random(seed)
    most = rng.choice((4, 8, 16))
    rows = [(1, BASELINE)]
    for _ in range(rng.randint(0, 13)):
        value = rng.randint(1, most)
        # What is gained costs ever more, so that the envelope has corners.
        rows.append((value, BASELINE - value * value // most + rng.randint(-2, 2)))
    return made(rows)


def plain_best(table: PolicyTable, alpha: Fraction, floor: int) -> int:
    """Lowest loss at normalisers of 1, then higher AI, then more right, then the earlier row."""

    def order(row: int) -> tuple[Fraction, int, int, int]:
        value, right = int(table.intensity[row]), int(table.correct[row])
        loss = -alpha * value + (1 - alpha) * max(0, BASELINE - right)
        return loss, -value, -right, row

    return min((row for row in range(len(table.policies)) if table.correct[row] >= floor), key=order)


def at(segments: tuple[Segment, ...], alpha: Fraction) -> int:
    """The row of the segment that begins at alpha or holds it."""
    return next(segment.row for segment in reversed(segments) if segment.low <= float(alpha))


@pytest.mark.parametrize("floor", [0, BASELINE - 3, BASELINE])
def test_envelope_and_best_equal_brute_force_at_every_alpha(floor: int) -> None:
    several = 0
    for seed in range(TABLES):
        table = random_table(seed)
        segments = envelope(table, 1.0, 1.0, floor)
        for alpha in ALPHAS:
            expected = plain_best(table, alpha, floor)
            assert at(segments, alpha) == expected, (seed, alpha)
            assert best(table, float(alpha), 1.0, 1.0, floor) == expected, (seed, alpha)
        several += len(segments) > 2
    assert floor > 0 or several > TABLES / 4


def test_segments_cover_0_to_1_without_gap() -> None:
    for seed in range(TABLES):
        segments = envelope(random_table(seed), 60.0, 10.0, 0)
        assert (segments[0].low, segments[-1].high) == (0.0, 1.0)
        assert all(left.high == right.low for left, right in pairwise(segments))
        assert all(segment.low < segment.high for segment in segments)
        assert len({segment.row for segment in segments}) == len(segments)


def test_a_crossing_by_hand() -> None:
    # Row 1 gains 4 - 1 = 3 for 1 point: it takes over at alpha * 3 = (1 - alpha) * 1.
    table = made([(1, 90), (4, 89)])
    assert envelope(table, 1.0, 1.0, 0) == (Segment(0.0, 1 / 4, 0), Segment(1 / 4, 1.0, 1))
    # With the paper's normalisers: alpha * 3 / 60 = (1 - alpha) * 1 / 10.
    assert envelope(table, 60.0, 10.0, 0)[0].high == pytest.approx((1 / 10) / (3 / 60 + 1 / 10))


def test_at_a_crossing_the_higher_intensity_begins() -> None:
    table = made([(1, 90), (4, 89)])
    assert best(table, 0.25, 1.0, 1.0, 0) == 1
    # Three rows cross in one point: the highest AI takes over at once.
    assert envelope(made([(1, 90), (4, 89), (7, 88)]), 1.0, 1.0, 0) == (Segment(0.0, 0.25, 0), Segment(0.25, 1.0, 2))


def test_equal_losses_go_to_the_higher_intensity_then_to_more_right() -> None:
    table = made([(1, 90), (4, 90), (4, 92), (3, 95)])
    assert envelope(table, 1.0, 1.0, 0) == (Segment(0.0, 1.0, 2),)
    assert best(table, 0.0, 1.0, 1.0, 0) == 2
    assert within_budget(table, 0.0) == 2


def test_the_papers_point_off_the_hull_is_reached_by_budget_only() -> None:
    """lessons.md 6: S (44.65, 91.06 %) between INT8 and AIQ is on the Pareto front and on no envelope."""
    table = made([(2985, 92), (4230, 92), (4465, 91), (4525, 91), (4546, 90)])
    segments = envelope(table, 1.0, 1.0, 0)
    assert 2 not in {segment.row for segment in segments}


def test_rows_below_the_floor_or_at_other_widths_are_left_out() -> None:
    table = made([(1, 90), (9, 80), (5, 89), (7, 90)], [(32, 32), (8, 8), (4, 32), (32, 6)])
    assert allowed(table, 85, (32, 8, 4)).tolist() == [True, False, True, False]
    assert {segment.row for segment in envelope(table, 1.0, 1.0, 85)} == {0, 2}
    assert best(table, 1.0, 1.0, 1.0, 85) == 2
    assert best(table, 1.0, 1.0, 1.0, 85, (32, 8, 6, 4)) == 3
    assert within_budget(table, 20.0) == 1
    assert within_budget(table, 20.0, (32, 6)) == 3


def test_within_budget_equals_brute_force() -> None:
    for seed in range(TABLES):
        table = random_table(seed)
        for points in range(8):
            rows = [row for row in range(len(table.policies)) if BASELINE - table.correct[row] <= points]
            expected = min(rows, key=lambda row: (-table.intensity[row], -table.correct[row], row))
            assert within_budget(table, float(points)) == expected


def test_a_budget_that_is_not_binary_still_holds_its_policy() -> None:
    thousand = replace(made([(1, 90), (4, 90)]), images=1000, correct=np.array([900, 899]))
    assert thousand.drop_points[1] == 0.1 > 1.0 - 0.9
    assert within_budget(thousand, 1.0 - 0.9) == 1
    assert within_budget(thousand, 0.09) == 0


def test_pareto_equals_brute_force() -> None:
    for seed in range(TABLES):
        table = random_table(seed)
        points = list(zip(table.intensity.tolist(), table.correct.tolist(), strict=True))
        expected = [not any(p[0] >= q[0] and p[1] >= q[1] and p != q for p in points) for q in points]
        assert pareto(table).tolist() == expected, seed


def test_every_segment_is_on_the_front_up_to_what_fp32_clamps() -> None:
    """The envelope's rows are Pareto points, but for those that gain right answers above FP32."""
    for seed in range(TABLES):
        table = random_table(seed)
        front = pareto(table)
        for segment in envelope(table, 1.0, 1.0, 0):
            assert front[segment.row], seed


@pytest.fixture(scope="module")
def bundled() -> Library:
    return Library(None, open_library().bundled)


def test_the_bundled_resnet20_at_every_alpha(bundled: Library) -> None:
    """The real table: no policy of it beats the envelope's, by the objective's own loss."""
    profile = bundled_profile("resnet20")
    table = bundled.table(bundled.model("resnet20"), 5000)
    assert np.array_equal(table.intensity, traffic(profile, table.policies).intensity)
    floor = floor_correct(None, table.baseline_correct, 5000)
    normaliser = default_normaliser(profile, (32, 8, 4))
    segments = envelope(table, normaliser, 10.0, floor)
    rows = np.flatnonzero(allowed(table, floor, (32, 8, 4)))
    for alpha in np.linspace(0, 1, 101):
        goal = Objective(float(alpha), normaliser, 10.0, 5000, table.baseline_correct, floor)
        losses = {row: goal.loss(float(table.intensity[row]), int(table.correct[row])) for row in rows}
        chosen = next(segment.row for segment in segments if segment.low <= alpha <= segment.high)
        assert losses[chosen] == pytest.approx(min(losses.values()), abs=1e-12)
        assert losses[best(table, float(alpha), normaliser, 10.0, floor)] == min(losses.values())
