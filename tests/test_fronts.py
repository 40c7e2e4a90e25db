"""Which point of a front a budget leaves, measured or with confidence, and what is said where none does."""

from math import ceil

from aiq_core.frontier import Budget
from aiq_core.fronts import Point, choose
from aiq_core.records import Policy
from aiq_core.statistics import Paired

IMAGES = 1000


def point(ratio: float, lost: int | None, gained: int = 0, refined: bool = False, images: int = IMAGES) -> Point:
    """Of so many images that confirm, it loses some that FP32 has right and regains others; None: not measured."""
    found = None if lost is None else Paired(both=800 - lost, lost=lost, gained=gained, neither=images - 800 - gained)
    return Point(Policy((8,), (8,)), ratio, ratio, None, refined, None, found, None)


def test_the_highest_intensity_within_the_points_lost_is_chosen_not_the_first_that_passes() -> None:
    found = [point(4, 2), point(5, 9), point(6, 4), point(7, 30), point(8, None)]
    choice = choose(found, Budget.parse("drop<=0.5"))
    assert choice.point is found[2]  # 0.4 points lost; that its neighbour of less AI loses more does not matter
    assert choice.sentence == "the highest AI of 4 points: 0.40 points lost on 1,000 images that confirm"


def test_a_limit_of_tenths_is_kept_where_it_is_met() -> None:
    found = [point(4, 3)]
    assert choose(found, Budget.parse("drop<=0.3")).point is found[0]
    assert choose(found, Budget.parse("drop<=0.29")).point is None


def test_where_none_keeps_it_the_nearest_is_told_and_kept() -> None:
    found = [point(4, 12), point(5, 9, 1), point(6, 40)]
    choice = choose(found, Budget.parse("drop<=0.5"))
    assert (choice.point, choice.nearest) == (None, found[1])
    assert choice.sentence == (
        "no point keeps at most 0.50 points lost on 1,000 images that confirm; the one that comes nearest loses 0.80"
    )


def test_nothing_measured_chooses_nothing() -> None:
    choice = choose([point(4, None)], Budget.parse("drop<=0.5"))
    assert (choice.point, choice.nearest, choice.sentence) == (None, None, "no point is measured yet")


def test_with_confidence_the_first_that_fails_ends_it() -> None:
    # 1 of 1,000 lost: at most 0.41 with 95 % confidence. 9 lost: 0.9 measured. The third would pass by itself.
    found = [point(4, 0), point(5, 1), point(6, 9), point(7, 1)]
    assert found[3].confirm is not None and found[3].confirm.most_lost < 0.5
    choice = choose(found, Budget.parse("drop<=0.5@95%"))
    assert choice.point is found[1]
    assert choice.sentence.startswith("2 points pass one after another, the last with at most 0.")
    assert choose(found, Budget.parse("drop<=0.5")).point is found[3]


def test_points_chosen_by_evaluations_are_not_certified() -> None:
    found = [point(4, 0), point(5, 0, refined=True)]
    assert choose(found, Budget.parse("drop<=0.5@95%")).point is found[0]
    assert choose(found, Budget.parse("drop<=0.5")).point is found[1]


def test_where_none_passes_the_images_it_would_take_are_told() -> None:
    # 8 lost and 2 regained: 0.6 points, 0.4 from the limit; 1 % of images change, so about 1.645^2 x 0.01 / 0.004^2.
    choice = choose([point(4, 8, 2), point(5, 0)], Budget.parse("drop<=1@95%"))
    assert choice.point is None
    images = ceil(1.6448536**2 * 0.01 / 0.004**2)  # 1690.96
    assert choice.sentence.endswith(f"; about {images:,} images would show that it keeps it")
    assert "the first, of lowest AI, may lose 1." in choice.sentence


def test_where_it_loses_more_as_measured_no_images_would_help() -> None:
    choice = choose([point(4, 8)], Budget.parse("drop<=0.5@95%"))
    assert choice.sentence.endswith("; more images would not help, since it loses 0.80 as measured")
