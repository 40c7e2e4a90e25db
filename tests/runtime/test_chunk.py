"""Forwards of large images take few of them, those of bundled networks what they always took."""

import numpy as np
import pytest
import torch
from torch import nn

from aiq_core.records import ImageSet, SplitName
from aiq_core.runtime import chunk, evaluate
from aiq_core.runtime.calibrate import histograms
from aiq_core.runtime.chunk import CHUNK, chunk_of
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.profile import profile
from tests import bundled

DIGITS = bundled.model("digits_cnn")
LARGEST = 8 * 8 * (8 + 16)  # numbers that its second layer reads and writes


def test_the_largest_layer_decides() -> None:
    stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    counted = profile(stem, "stem", (3, 224, 224), ())
    assert chunk_of(counted) == 2**24 // (3 * 224 * 224 + 64 * 112 * 112)
    assert chunk_of(counted, 10) == 10
    with torch.device("meta"):
        wide = nn.Sequential(nn.Flatten(), nn.Linear(3, 2**25))
    assert chunk_of(profile(wide, "wide", (3, 1, 1), ())) == 1


@pytest.mark.parametrize("name", bundled.NAMES)
def test_bundled_networks_take_what_they_took(name: str) -> None:
    assert chunk_of(bundled.profile(name)) == CHUNK


def test_smaller_chunks_give_the_same_logits_and_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    images, fp32 = ImageSet(SplitName.SEARCH, 250), DIGITS.profile.uniform(32)
    whole, ranges = TorchEvaluator(DIGITS, images).logits(fp32, fp32), histograms(DIGITS)
    monkeypatch.setattr(chunk, "CHUNK_NUMBERS", 50 * LARGEST)
    small = TorchEvaluator(DIGITS, images)
    assert small.chunk == small.origin.chunk == 50
    np.testing.assert_allclose(small.logits(fp32, fp32), whole, atol=1e-4)
    for place, histogram in histograms(DIGITS).items():
        assert histogram.largest == pytest.approx(ranges[place].largest, rel=1e-5)
        assert histogram.counts.sum() == ranges[place].counts.sum()


def test_rounded_weights_that_are_not_held_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, mixed = DIGITS.profile.uniform(4), DIGITS.profile.policy({"linear": 8, "block2.conv": 4})
    evaluator = TorchEvaluator(DIGITS, ImageSet(SplitName.SEARCH, 250))
    held = [evaluator.logits(policy, policy) for policy in (narrow, mixed, narrow)]
    monkeypatch.setattr(evaluate, "MOST_ROUNDED_BYTES", 0)
    evaluator = TorchEvaluator(DIGITS, ImageSet(SplitName.SEARCH, 250))
    for policy, logits in zip((narrow, mixed, narrow), held, strict=True):
        np.testing.assert_array_equal(evaluator.logits(policy, policy), logits)
        assert len(evaluator._rounded) == 1
