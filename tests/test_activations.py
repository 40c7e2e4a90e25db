"""Ranges of activations, and what is rounded on them, by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aiq_core.activations import (
    BINS,
    RULES,
    Calibration,
    Histogram,
    TensorRange,
    coarser_pixels,
    levels,
)
from aiq_core.catalog import bundled as shipped
from aiq_core.errors import DataError
from aiq_core.graph import Operation, carriers, stored_places
from aiq_core.records import Ranges
from tests import bundled

RANGES = Ranges("mse", "c" * 16)


def held(values: dict[int, float], signed: bool = False, largest: float = float(BINS)) -> Histogram:
    """A tensor that held the middle of each of these bins so often; a bin is 1 wide unless told otherwise."""
    counts = np.zeros(BINS)
    for place, count in values.items():
        counts[place] = count
    return Histogram(counts, largest, signed)


def test_levels_of_a_width() -> None:
    assert [levels(bits, signed=True) for bits in (8, 4, 2)] == [(-127, 127), (-7, 7), (-1, 1)]
    assert [levels(bits, signed=False) for bits in (8, 4, 2)] == [(0, 255), (0, 15), (0, 3)]


def test_ends_by_rule() -> None:
    # 9,999 values of 10.5, one of 8,191.5.
    histogram = held({10: 9999, BINS - 1: 1})
    assert RULES["min_max"](histogram, 4) == BINS
    assert RULES["percentile_99.99"](histogram, 4) == 10.5
    assert RULES["percentile_99.9"](histogram, 4) == 10.5


def test_the_end_of_least_squared_error_by_hand() -> None:
    """2 bits, unsigned: levels 0, s, 2s, 3s. Of ten 1s, ten 2s and one 4, the last is clipped.

    10 (s - 1)^2 + 10 (2s - 2)^2 + (4 - 3s)^2 is least where 100 (s - 1) = 6 (4 - 3s): s = 124 / 118.
    """
    step = 4 / BINS
    middle = {int(1 / step): 10, int(2 / step): 10, BINS - 1: 1}
    end = RULES["mse"](held(middle, largest=4.0), 2)
    assert end == pytest.approx(3 * 124 / 118, abs=0.02)  # shares are 0.02 apart here
    # At 8 bits the error of clipping outweighs rounding's.
    assert RULES["mse"](held(middle, largest=4.0), 8) > 3.95


def test_of_equal_errors_the_wider_range_stands() -> None:
    # One value at the top: 3 levels above 0 hit it with any end that is a multiple; the whole range is one of them.
    assert RULES["mse"](held({BINS - 1: 5}), 2) == pytest.approx(BINS, rel=0.005)


@pytest.mark.parametrize("rule", RULES)
def test_a_tensor_that_was_always_zero_has_scale_zero(rule: str) -> None:
    nothing = Histogram(np.eye(1, BINS).ravel(), 0.0, signed=False)
    found = Calibration.of("m", replace(RANGES, rule=rule), {3: nothing}).tensors[3]
    assert [found.scale(bits) for bits in (8, 4, 2)] == [0.0, 0.0, 0.0]


def test_a_scale_is_the_end_over_the_highest_level() -> None:
    assert TensorRange(False, {4: 30.0}).scale(4) == 2.0
    assert TensorRange(True, {4: 30.0}).scale(4) == pytest.approx(30 / 7)


def test_a_calibration_is_read_as_it_was_written() -> None:
    made = Calibration.of("m", RANGES, {3: held({5: 2}), 7: held({9: 1}, signed=True)})
    again = Calibration.from_json(json.loads(json.dumps(made.to_json())))
    assert (again.hash, again.tensors) == (made.hash, made.tensors)
    other = Calibration.of("m", RANGES, {3: held({5: 2}), 7: held({10: 1}, signed=True)})
    assert other.hash != made.hash
    with pytest.raises(DataError, match="delete its file"):
        Calibration.from_json({"model_hash": "m"})


def test_pixels_at_a_width() -> None:
    pixels = np.array([0, 1, 8, 9, 127, 128, 246, 247, 255], dtype=np.uint8)
    assert np.array_equal(coarser_pixels(pixels, 8), pixels)
    # 4 bits: 15 equal steps of 17, nearest: 8 falls to 0, 9 to 17, 246 to 238, 247 to 255.
    assert coarser_pixels(pixels, 4).tolist() == [0, 0, 0, 17, 119, 136, 238, 255, 255]


def test_what_a_residual_block_stores() -> None:
    """Convolutions write after their ReLU, or what an add reads; the sum is written after its ReLU."""
    block = (
        Operation("image"),
        Operation("conv2d", (0,), "a"),
        Operation("batch_norm2d", (1,), "norm"),
        Operation("relu", (2,)),
        Operation("conv2d", (3,), "b"),
        Operation("relu", (4,)),
        Operation("conv2d", (5,), "c"),
        Operation("add", (6, 3)),
        Operation("relu", (7,)),
        Operation("linear", (8,), "d"),
        Operation("output", (9,)),
    )
    assert stored_places(block) == (0, 3, 5, 6, 8, 9)
    # The stem's tensor, what the add reads and the sum share a width; 9 are the logits, which keep theirs.
    assert [carriers(block)[place] for place in (3, 6, 8)] == [1, 1, 1]
    assert carriers(block)[5] == 4


@pytest.mark.parametrize(("model", "tensors"), [("resnet20", 32), ("mobilenet_v2", 64), ("digits_cnn", 6)])
def test_every_group_stores_a_tensor_and_ships_its_range(model: str, tensors: int) -> None:
    profile, card = bundled.profile(model), shipped().model(model)
    stored = profile.stored_tensors
    assert len(stored) == tensors and set(stored.values()) == set(profile.activation_groups)
    made = Calibration.from_json(json.loads((card.folder / "ranges.json").read_text()))
    assert made.model_hash == card.hash and made.ranges.calibration == card.dataset.calibration_hash
    assert {*made.tensors, next(iter(stored))} == {*stored}
    # What a ReLU gives is never below 0.
    after_relu = [place for place in made.tensors if profile.graph[place].operator.startswith("relu")]
    assert after_relu and not any(made.tensors[place].signed for place in after_relu)
