"""The best policy for every alpha, a budget and the Pareto front, against brute force over exact fractions."""

import random
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from aiq_core.envelope import PolicyTable, Segment, allowed, best, envelope, pareto, within_budget
from aiq_core.library import Library, open_library
from aiq_core.objective import Goal, Objective
from aiq_core.records import ModelProfile, Policy
from tests import bundled
from tests.tables import table_of

IMAGES, BASELINE = 100, 90
ALPHAS = [Fraction(k, 64) for k in range(65)]
TABLES = 100


def made(rows: list[tuple[int, int]], bits: list[tuple[int, ...]] | None = None) -> PolicyTable:
    """A table of (AI, number right of 100), FP32 in row 0 having 90 right; AI and points are exact in binary."""
    widths = bits or [(32,)] + [(8,) * index for index in range(1, len(rows))]
    policies = [Policy(width, ()) for width in widths]
    return table_of(
        ModelProfile("toy", (), ()), policies, [value for value, _ in rows], [right for _, right in rows], IMAGES
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
        value, right = int(table.intensity[row]), int(table.score[row])
        loss = -alpha * value + (1 - alpha) * max(0, BASELINE - right)
        return loss, -value, -right, row

    return min((row for row in range(len(table.policies)) if table.score[row] >= floor), key=order)


def at(segments: tuple[Segment, ...], alpha: Fraction) -> int:
    """The row of the segment that begins at alpha or holds it."""
    return next(segment.row for segment in reversed(segments) if segment.low <= float(alpha))


@pytest.mark.parametrize("floor", [0, BASELINE - 3, BASELINE])
def test_envelope_and_best_equal_brute_force_at_every_alpha(floor: int) -> None:
    several = 0
    for seed in range(TABLES):
        table = random_table(seed)
        segments = envelope(table, Goal(1.0, floor, 1.0))
        for alpha in ALPHAS:
            expected = plain_best(table, alpha, floor)
            assert at(segments, alpha) == expected, (seed, alpha)
            assert best(table, float(alpha), Goal(1.0, floor, 1.0)) == expected, (seed, alpha)
        several += len(segments) > 2
    assert floor > 0 or several > TABLES / 4


def test_segments_cover_0_to_1_without_gap() -> None:
    for seed in range(TABLES):
        segments = envelope(random_table(seed), Goal(60.0, 0))
        assert (segments[0].low, segments[-1].high) == (0.0, 1.0)
        assert all(left.high == right.low for left, right in pairwise(segments))
        assert all(segment.low < segment.high for segment in segments)
        assert len({segment.row for segment in segments}) == len(segments)


def test_a_crossing_by_hand() -> None:
    # Row 1 gains 4 - 1 = 3 for 1 point: it takes over at alpha * 3 = (1 - alpha) * 1.
    table = made([(1, 90), (4, 89)])
    assert envelope(table, Goal(1.0, 0, 1.0)) == (Segment(0.0, 1 / 4, 0), Segment(1 / 4, 1.0, 1))
    # With the paper's normalisers: alpha * 3 / 60 = (1 - alpha) * 1 / 10.
    assert envelope(table, Goal(60.0, 0))[0].high == pytest.approx((1 / 10) / (3 / 60 + 1 / 10))


def test_at_a_crossing_the_higher_intensity_begins() -> None:
    table = made([(1, 90), (4, 89)])
    assert best(table, 0.25, Goal(1.0, 0, 1.0)) == 1
    # Three rows cross in one point: the highest AI takes over at once.
    assert envelope(made([(1, 90), (4, 89), (7, 88)]), Goal(1.0, 0, 1.0)) == (
        Segment(0.0, 0.25, 0),
        Segment(0.25, 1.0, 2),
    )


def test_equal_losses_go_to_the_higher_intensity_then_to_more_right() -> None:
    table = made([(1, 90), (4, 90), (4, 92), (3, 95)])
    assert envelope(table, Goal(1.0, 0, 1.0)) == (Segment(0.0, 1.0, 2),)
    assert best(table, 0.0, Goal(1.0, 0, 1.0)) == 2
    assert within_budget(table, 0.0) == 2


def test_the_papers_point_off_the_hull_is_reached_by_budget_only() -> None:
    """lessons.md 6: S (44.65, 91.06 %) between INT8 and AIQ is on the Pareto front and on no envelope."""
    table = made([(2985, 92), (4230, 92), (4465, 91), (4525, 91), (4546, 90)])
    segments = envelope(table, Goal(1.0, 0, 1.0))
    assert 2 not in {segment.row for segment in segments}


def test_rows_below_the_floor_or_at_other_widths_are_left_out() -> None:
    table = made([(1, 90), (9, 80), (5, 89), (7, 90)], [(32, 32), (8, 8), (4, 32), (32, 6)])
    assert allowed(table, Goal(1.0, 85)).tolist() == [True, False, True, False]
    assert {segment.row for segment in envelope(table, Goal(1.0, 85, 1.0))} == {0, 2}
    assert best(table, 1.0, Goal(1.0, 85, 1.0)) == 2
    assert best(table, 1.0, Goal(1.0, 85, 1.0, (32, 8, 6, 4))) == 3
    assert within_budget(table, 20.0) == 1
    assert within_budget(table, 20.0, (32, 6)) == 3


def test_within_budget_equals_brute_force() -> None:
    for seed in range(TABLES):
        table = random_table(seed)
        for points in range(8):
            rows = [row for row in range(len(table.policies)) if BASELINE - table.score[row] <= points]
            expected = min(rows, key=lambda row: (-table.intensity[row], -table.score[row], row))
            assert within_budget(table, float(points)) == expected


def test_a_budget_that_is_not_binary_still_holds_its_policy() -> None:
    thousand = replace(made([(1, 90), (4, 90)]), images=1000, score=np.array([900, 899]))
    assert thousand.drop_points[1] == 0.1 > 1.0 - 0.9
    assert within_budget(thousand, 1.0 - 0.9) == 1
    assert within_budget(thousand, 0.09) == 0


def test_pareto_equals_brute_force() -> None:
    for seed in range(TABLES):
        table = random_table(seed)
        points = list(zip(table.intensity.tolist(), table.score.tolist(), strict=True))
        expected = [not any(p[0] >= q[0] and p[1] >= q[1] and p != q for p in points) for q in points]
        assert pareto(table).tolist() == expected, seed


def test_every_segment_is_on_the_front_up_to_what_fp32_clamps() -> None:
    """The envelope's rows are Pareto points, but for those that gain right answers above FP32."""
    for seed in range(TABLES):
        table = random_table(seed)
        front = pareto(table)
        for segment in envelope(table, Goal(1.0, 0, 1.0)):
            assert front[segment.row], seed


def test_the_bundled_resnet20_at_every_alpha() -> None:
    """The real table: no policy of it beats the envelope's, by the objective's own loss."""
    resnet = bundled.model("resnet20")
    table = Library(None, open_library().bundled).table(resnet, 5000)
    goal = table.usual_goal
    segments = envelope(table, goal)
    rows = np.flatnonzero(allowed(table, goal)).tolist()
    for alpha in np.linspace(0, 1, 101).tolist():
        rule = Objective(
            table.metric, alpha, goal.intensity_normaliser, 10.0, 5000, table.baseline_score, goal.floor_score
        )
        losses = {row: rule.loss(float(table.intensity[row]), int(table.score[row])) for row in rows}
        chosen = next(segment.row for segment in segments if segment.low <= alpha <= segment.high)
        assert losses[chosen] == pytest.approx(min(losses.values()), abs=1e-12)
        assert losses[best(table, alpha, goal)] == min(losses.values())


def test_the_usual_goal_by_hand() -> None:
    goal = Library(None, open_library().bundled).table(bundled.model("resnet20"), 5000).usual_goal
    # 92.90 % of 5,000 less 2.42 points: 4,645 - 121
    assert (goal.floor_score, goal.accuracy_normaliser, goal.widths) == (4645 - 121, 10.0, (32, 8, 4))
    assert goal.intensity_normaliser == pytest.approx(60.01, abs=0.005)
    assert goal.points_per_intensity(0.9) == pytest.approx((0.9 / 60.01) / (0.1 / 10), abs=0.001)
