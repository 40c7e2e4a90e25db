"""Folding in numpy is the evaluator's folding, weight for weight."""

import numpy as np
import pytest

from aiq_core import folding
from aiq_core.errors import WeightsError
from aiq_core.records import Layer, LayerKind, ModelProfile
from aiq_core.runtime.fold import fold_batch_norm
from aiq_core.runtime.models import spec
from aiq_core.runtime.weights import network_with
from tests import bundled

TOY = ModelProfile("toy", (Layer("body.0", LayerKind.CONV2D, 1, 2, 0, 1, 2, 1, True, "image", None),), ("image",))


@pytest.mark.parametrize("model", bundled.NAMES)
def test_it_equals_the_evaluators_folding(model: str) -> None:
    network = fold_batch_norm(network_with(spec(model), bundled.model(model).weights, model))
    folded = bundled.model(model).folded_weights
    assert list(folded) == [layer.name for layer in bundled.profile(model).layers]
    for name, weight in folded.items():
        np.testing.assert_allclose(weight, network.get_submodule(name).weight.detach().numpy(), rtol=1e-6)  # type: ignore[operator, union-attr]


def test_a_norm_scales_each_output_channel() -> None:
    tensors = {
        "body.0.weight": np.array([[[[2.0]]], [[[3.0]]]], dtype=np.float32),
        "body.1.weight": np.array([10.0, 20.0], dtype=np.float32),
        "body.1.running_var": np.array([4.0, 25.0], dtype=np.float32) - np.float32(1e-5),
    }
    # w · gamma / sqrt(var + eps): 2 · 10 / 2 and 3 · 20 / 5
    np.testing.assert_allclose(folding.fold(tensors, TOY)["body.0"].ravel(), [10.0, 12.0], rtol=1e-6)


def test_a_layer_without_a_norm_stays() -> None:
    weight = np.ones((2, 1, 1, 1), dtype=np.float32)
    assert np.array_equal(folding.fold({"body.0.weight": weight}, TOY)["body.0"], weight)


def test_a_norm_of_nobody_is_an_error() -> None:
    tensors = {"body.0.weight": np.ones((2, 1, 1, 1)), "elsewhere.running_var": np.ones(2)}
    with pytest.raises(WeightsError, match="elsewhere"):
        folding.fold(tensors, TOY)


@pytest.mark.parametrize(
    ("layer", "norm"),
    [
        ("conv1", "bn1"),
        ("layer1.0.conv2", "layer1.0.bn2"),
        ("block1.conv", "block1.bn"),
        ("features.0.0", "features.0.1"),
    ],
)
def test_names_of_norms(layer: str, norm: str) -> None:
    assert folding.norm_of(layer) == norm
