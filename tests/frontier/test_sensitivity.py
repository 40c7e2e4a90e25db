"""Costs of widths: what measures agree on, what costs nothing, and their file."""

import json
import math

import numpy as np
import pytest
import torch

from aiq_core.errors import DataError
from aiq_core.frontier import Measure, Sensitivity
from aiq_core.frontier.sensitivity import FILE, key_of, known
from aiq_core.records import FP32_BITS, Move, Site, SiteKind
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.sensitivity import divergence, fisher, sensitivity, squared_error
from aiq_core.space import JOINT
from tests import bundled

MODEL = bundled.model("digits_cnn")
HOW = JOINT.quantizer(MODEL.dataset)
KL = known(MODEL, HOW, Measure.KL)
IMAGE = Site(SiteKind.ACTIVATIONS, "image")


def test_divergence_by_hand() -> None:
    right = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # 3/4 and 1/4; 1/2 and 1/2
    other = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    first = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(divergence(right, other)) == pytest.approx(first / 2)
    assert float(divergence(right, right + 5.0)) == pytest.approx(0, abs=1e-12)  # a constant changes no prediction
    assert float(squared_error(right, other)) == pytest.approx(math.log(3.0) ** 2 / 2 / 2)


def test_shipped_costs_are_those_measured_here() -> None:
    """A few widths again, from nothing: what ships is of these weights, images and code."""
    assert KL is not None
    assert (KL.measure, KL.images) == (Measure.KL, MODEL.dataset.split("calibration").size)
    again = sensitivity(MODEL, HOW, (4,), (FP32_BITS,), Measure.KL, shipped=False)
    assert again.key == KL.key
    for site in MODEL.profile.weight_sites:
        assert again.cost(Move(site, 4)) == pytest.approx(KL.cost(Move(site, 4)), rel=0.02)


def test_fishers_costs_are_the_divergences_of_small_changes() -> None:
    """To the second order, but with four labels drawn an image, and few images decide: alike on the whole, not each."""
    assert KL is not None
    small = [move for move, cost in KL.costs.items() if 0 < cost < 1e-3]
    found = fisher(MODEL, HOW, small, lambda done, of: None, TorchEvaluator)
    costs = np.array([(found[move], KL.cost(move)) for move in small])
    ratios = np.log(costs[:, 0] / costs[:, 1])
    assert len(small) > 40
    assert abs(ratios).max() < np.log(10)
    assert abs(ratios.mean()) < np.log(1.3)
    ranks = costs.argsort(axis=0).argsort(axis=0)
    assert np.corrcoef(ranks.T)[0, 1] > 0.9


def test_what_changes_nothing_costs_nothing() -> None:
    assert KL is not None
    assert KL.cost(Move(IMAGE, 8)) == 0  # pixels have 8 bits
    assert KL.cost(Move(IMAGE, FP32_BITS)) == 0
    assert KL.predicted(MODEL.profile, MODEL.profile.uniform(FP32_BITS)) == 0
    assert fisher(MODEL, HOW, [Move(IMAGE, 8)], lambda done, of: None, TorchEvaluator)[Move(IMAGE, 8)] == 0


def test_fewer_bits_cost_more() -> None:
    assert KL is not None
    for site in MODEL.profile.sites:
        costs = [KL.cost(Move(site, bits)) for bits in (8, 6, 5, 4, 3)]
        assert costs == sorted(costs), site


def test_a_policy_costs_the_sum_of_its_sites() -> None:
    assert KL is not None
    moves = [Move(Site(SiteKind.WEIGHTS, "linear"), 2), Move(IMAGE, 4)]
    policy = MODEL.profile.moved(MODEL.profile.uniform(FP32_BITS), *moves)
    assert KL.predicted(MODEL.profile, policy) == sum(KL.cost(move) for move in moves)


def test_costs_are_read_back_to_six_digits() -> None:
    costs = {Move(IMAGE, 8): 0.0, Move(Site(SiteKind.WEIGHTS, "a"), 3): 1.23456789e-5}
    written = json.loads(json.dumps(Sensitivity("key", Measure.LOGIT, 7, costs).to_json()))
    found = Sensitivity.from_json(written)
    assert (found.key, found.measure, found.images) == ("key", Measure.LOGIT, 7)
    assert found.costs == {Move(IMAGE, 8): 0.0, Move(Site(SiteKind.WEIGHTS, "a"), 3): 1.23457e-5}
    assert found.widths == {(SiteKind.ACTIVATIONS, 8), (SiteKind.WEIGHTS, 3)}
    assert found.to_json() == written


def test_what_was_not_measured_or_cannot_be_read_is_said() -> None:
    found = Sensitivity("key", Measure.KL, 7, {})
    with pytest.raises(DataError, match="what activations of image costs at 4 bits was not measured; measure it again"):
        found.cost(Move(IMAGE, 4))
    for document in ({}, {"costs": 3}, {"key": "", "measure": "speed", "images": 1, "costs": {}}):
        with pytest.raises(DataError, match="cannot be read"):
            Sensitivity.from_json(document)


def test_a_file_of_other_costs_does_not_answer() -> None:
    assert key_of(MODEL, HOW, Measure.KL) != key_of(MODEL, HOW, Measure.FISHER)
    assert key_of(MODEL, HOW, Measure.KL) != key_of(MODEL, JOINT.quantizer(bundled.dataset("cifar10")), Measure.KL)
    assert key_of(MODEL, HOW, Measure.KL) != key_of(bundled.model("resnet20"), HOW, Measure.KL)
    assert json.loads((MODEL.folder / FILE).read_text())["key"] == key_of(MODEL, HOW, Measure.KL)
