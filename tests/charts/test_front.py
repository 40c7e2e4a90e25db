"""A front's charts: how points stand, what costs predicted, and what bars and the map of costs say."""

from collections import defaultdict
from dataclasses import replace

import pytest

from aiq_core import fronts
from aiq_core.charts.bits import bits_data, bits_frame, hover
from aiq_core.charts.costs import costs_figure, costs_frame
from aiq_core.charts.front import FrontData, Mark, Standing, front_data, front_frame, points_per_nat, predicted_words
from aiq_core.charts.front_figure import front_figure, predicted_figure
from aiq_core.charts.reasons import Reason
from aiq_core.charts.style import Look
from aiq_core.frontier import Measure, Sensitivity
from aiq_core.fronts import Point
from aiq_core.records import Move, Policy, Site, SiteKind
from aiq_core.statistics import Interval
from aiq_core.wording import nats
from tests import bundled
from tests.tables import paired

DIGITS = bundled.profile("digits_cnn")


def point(intensity: float, right: int, beaten: bool = False) -> Point:
    """A point with so many of 1,000 right, where FP32 has 900."""
    confirm = paired(900, right, 1000)
    policy = DIGITS.uniform(8, 8)
    return Point(policy, intensity, intensity / 10, None, False, None, confirm, None, beaten)


def standings(*found: tuple[float, int, bool]) -> list[Standing]:
    return [mark.standing for mark in fronts.marks([point(*each) for each in found])]


def test_hull_front_and_dominated_are_told_apart() -> None:
    # Points lost 0, 1, 1.5, 4: the line from the first to the last is at 2.67 where the third loses 1.5, and from the
    # first to the third at 0.75 where the second loses 1.
    hull, front, beaten = Standing.HULL, Standing.FRONT, Standing.DOMINATED
    assert standings((30, 900, False), (40, 890, False), (50, 885, False), (60, 860, False)) == [
        hull,
        front,
        hull,
        hull,
    ]
    # More right than FP32 counts as none lost, so that of such only the highest AI is on the hull.
    assert standings((20, 905, False), (30, 901, False), (40, 880, False)) == [front, hull, hull]
    assert standings((20, 880, True), (30, 900, False)) == [beaten, hull]


def data(*pairs: tuple[float | None, float]) -> FrontData:
    """Marks of (nats, points lost), a point of noise each way."""
    marks = [
        Mark(DIGITS.uniform(8, 8), 30.0 + at, 3.0, Interval(lost, lost - 1, lost + 1), cost, False, Standing.HULL)
        for at, (cost, lost) in enumerate(pairs)
    ]
    return FrontData(tuple(marks), 250, "confirm", DIGITS.uniform(8, 8))


def test_points_per_nat_are_least_squares_through_the_origin() -> None:
    # (0.1 * 1 + 0.2 * 3) / (0.01 + 0.04) = 14
    assert points_per_nat([(0.1, 1.0), (0.2, 3.0)]) == pytest.approx(14)
    assert points_per_nat([]) is None
    assert points_per_nat([(0.1, -1.0)]) is None  # costs cannot buy accuracy


def test_a_low_correlation_inside_noise_is_told_from_a_bad_surrogate() -> None:
    # Ranks of points lost 2, 1, 3 against 1, 2, 3: 1 - 6 * (1 + 1 + 0) / (3 * 8) = 0.5
    found = data((0.01, 0.2), (0.02, 0.1), (0.03, 0.3), (None, 9.0))
    assert found.rank_correlation == pytest.approx(0.5)
    assert found.within == (3, 3)
    assert "correlation 0.50 over 3 points" in predicted_words(found)
    assert "3 of 3 intervals" in predicted_words(found)
    assert data((0.01, 0.2), (0.02, 0.1)).rank_correlation is None
    assert data((0.01, 0.2), (0.02, 0.2), (0.03, 0.2)).rank_correlation is None  # nothing to order
    assert predicted_words(data((0.01, 0.2))) == "too few points to compare"


def test_figures_have_each_point_once_and_the_shown_one_a_ring() -> None:
    found = data((0.01, 0.2), (0.02, 0.1), (None, 2.0))
    figure = front_figure(found, Look())
    assert sum(len(trace["x"]) for trace in figure["data"]) == 3
    low, high = figure["layout"]["yaxis"]["range"]
    assert low > high  # fewer points lost stand higher
    assert sum(shape["type"] == "circle" for shape in figure["layout"]["shapes"]) == 3  # all have its policy here
    predicted = predicted_figure(found, Look(dark=True))
    assert predicted["data"][-1]["x"] == [0.01, 0.02]  # whose cost is known
    assert len(front_frame(found)) == 3


COSTS = Sensitivity(
    "key",
    Measure.KL,
    512,
    {
        Move(Site(SiteKind.WEIGHTS, "linear"), 8): 0.0001,
        Move(Site(SiteKind.WEIGHTS, "linear"), 4): 0.002,
        Move(Site(SiteKind.WEIGHTS, "linear"), 3): 0.03,
        Move(Site(SiteKind.ACTIVATIONS, "image"), 4): 0.004,
    },
)


def test_bars_and_the_map_of_costs_say_what_a_width_costs_by_itself() -> None:
    policy = DIGITS.policy({"linear": 4}, {})
    because = defaultdict(lambda: Reason("because", ""))
    found = bits_data(DIGITS, policy, because, None, groups=True, costs=COSTS, points_per_nat=50.0)
    bar = next(bar for bar in found.bars if bar.site == Site(SiteKind.WEIGHTS, "linear"))
    said = hover(bar, found)
    assert "by itself 4 bits here cost 0.0020 nats, about 0.10 points" in said  # 50 * 0.002
    assert "by itself 3 bits cost 0.030 nats, about 1.50 points" in said  # the next narrower
    assert "8 bits" not in said and "not measured" not in said
    assert bits_frame(found)["cost_at_3_bits_nats"].dropna().tolist() == [0.03]
    unknown = replace(found, points_per_nat=None)
    assert "points" not in hover(bar, unknown).split("nats")[1].split("<br>")[0]
    figure = costs_figure(found, Look())
    heat, held = figure["data"]
    assert sum(level is not None for row in heat["z"] for level in row) == 4
    assert len(held["x"]) == 1  # of the policy's widths only linear's has a cost here
    assert costs_frame(found)["held"].tolist().count(True) == 1


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.00 nats"), (0.000431, "0.00043 nats"), (0.0431, "0.043 nats"), (12.0, "12 nats")]
)
def test_nats_keep_two_digits(value: float, text: str) -> None:
    assert nats(value) == text


def test_uniform_policies_stand_beside_a_front() -> None:
    from tests.tables import table_of

    policies = (Policy((32,) * 5, (32,) * 6), DIGITS.uniform(8, 8))
    table = table_of(DIGITS, policies, [10.0, 30.0], [900, 890], 1000)
    found = front_data([], 1000, "search", table=table)
    assert [(even.bits, even.activation_bits, even.drop.value) for even in found.uniform] == [
        (32, 32, 0.0),
        (8, 8, pytest.approx(1.0)),
    ]
