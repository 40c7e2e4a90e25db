"""Policies and sites of a network: both kinds of widths, and names that never mix them up."""

import pytest

from aiq_core.errors import SettingError
from aiq_core.records import Layer, LayerKind, ModelProfile, Move, Policy, Site, SiteKind
from tests import bundled

TOY = ModelProfile(
    "toy",
    (
        Layer("stem", LayerKind.CONV2D, 5000, 100, 0, 50, 100, 1, True, "image", "stem"),
        Layer("head", LayerKind.LINEAR, 1000, 1000, 10, 100, 10, 1, True, "stem", None),
    ),
    ("image", "stem"),
)


def test_a_uniform_policy_has_a_width_a_kind() -> None:
    assert TOY.uniform(8) == Policy((8, 8), (32, 32))
    assert TOY.uniform(4, 6) == Policy((4, 4), (6, 6))


def test_sites_that_are_not_named_stay_fp32() -> None:
    policy = TOY.policy({"head": 4}, {"image": 8})
    assert policy == Policy((32, 4), (8, 32))
    assert TOY.named_bits(policy) == {"stem": 32, "head": 4}
    assert TOY.named_activation_bits(policy) == {"image": 8, "stem": 32}
    assert policy.has_activations and not TOY.uniform(4).has_activations


@pytest.mark.parametrize(
    ("layers", "groups", "said"),
    [
        ({"image": 8}, {}, "layer 'image' is not quantizable in toy; choose from stem, head"),
        ({}, {"head": 8}, "'head' is no activation group of toy; choose from image, stem"),
        ({}, {"stem": 9}, "bits=9 is not offered for activations of stem; choose from 32, 8, 7"),
    ],
)
def test_what_is_no_site_of_its_kind_is_refused(layers: dict[str, int], groups: dict[str, int], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        TOY.policy(layers, groups)


def test_a_group_never_goes_by_the_name_of_a_layer() -> None:
    """Layer and group are both called stem."""
    assert [str(site) for site in TOY.sites] == ["activations of image", "stem", "activations of stem", "head"]
    moved = TOY.moved(TOY.uniform(32), Move(Site(SiteKind.ACTIVATIONS, "stem"), 8))
    assert moved == Policy((32, 32), (32, 8))


def test_a_group_knows_who_writes_and_reads_it() -> None:
    profile = bundled.profile("resnet20")
    # An add joins what conv1 and the second convolutions of the first part write.
    assert [layer.name for layer in profile.writers("conv1")] == ["conv1", *(f"layer1.{i}.conv2" for i in range(3))]
    assert [layer.name for layer in profile.readers("conv1")] == [
        *("layer1.0.conv1", "layer1.1.conv1", "layer1.2.conv1"),
        *("layer2.0.conv1", "layer2.0.shortcut.0"),
    ]
    assert profile.writers("image") == ()
