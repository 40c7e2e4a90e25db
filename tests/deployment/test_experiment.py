"""The paper's experiment: which layers it takes, at random and as named."""

import pytest

from aiq_core.deployment.experiment import PAPER_LAYERS, experiment
from aiq_core.errors import UnknownNameError
from aiq_core.library import open_library
from tests import bundled


@pytest.mark.parametrize("name", PAPER_LAYERS)
def test_every_variant_has_as_many_layers_in_int8(name: str) -> None:
    model = bundled.model(name)
    found = {variant.name: variant for variant in experiment(open_library(), model)}
    assert {"fp32", "paper", "ours", "int8", *(f"random-{seed}" for seed in range(5))} <= set(found)
    narrow = {
        key: {layer for layer, bits in model.profile.named_bits(variant.policy).items() if bits == 8}
        for key, variant in found.items()
    }
    assert narrow["paper"] == set(PAPER_LAYERS[name])
    assert {len(narrow[f"random-{seed}"]) for seed in range(5)} == {12}
    assert len({frozenset(narrow[f"random-{seed}"]) for seed in range(5)}) == 5
    assert narrow["int8"] == set(model.profile.quantizable_names)


def test_the_paper_names_the_largest_layers_of_resnet20() -> None:
    """That is our choice of its 12: those with most weights."""
    profile = bundled.model("resnet20").profile
    largest = sorted(profile.quantizable, key=lambda layer: layer.weights, reverse=True)[:12]
    assert {layer.name for layer in largest} == set(PAPER_LAYERS["resnet20"])


def test_another_model_has_no_experiment() -> None:
    with pytest.raises(UnknownNameError, match="digits_cnn"):
        experiment(open_library(), bundled.model("digits_cnn"))
