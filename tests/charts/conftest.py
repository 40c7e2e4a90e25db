"""A three-layer network with round numbers, and a table of hand-made evaluations of it."""

import pytest

from aiq_core.envelope import PolicyTable
from aiq_core.intensity import traffic
from aiq_core.records import Layer, LayerKind, ModelProfile, Policy
from tests.tables import table_of

IMAGES = 1000
RIGHT = {(32, 32, 32): 900, (8, 8, 8): 898, (4, 4, 4): 860, (4, 32, 32): 899, (32, 4, 32): 880, (8, 4, 4): 890}
"""Weight bits -> number right of 1,000; every loss is of images that FP32 has right."""


@pytest.fixture
def profile() -> ModelProfile:
    return ModelProfile(
        "toy",
        (
            Layer("stem", LayerKind.CONV2D, 5000, 100, 0, 50, 100, 1, True, "image", "a"),
            Layer("body.0.conv", LayerKind.CONV2D, 8000, 800, 0, 100, 100, 1, True, "a", "b"),
            Layer("body.1.conv", LayerKind.CONV2D, 8000, 800, 0, 100, 100, 1, True, "b", "c"),
        ),
        ("image", "a", "b", "c"),
    )


@pytest.fixture
def table(profile: ModelProfile) -> PolicyTable:
    policies = tuple(Policy(bits, (32,) * 4) for bits in RIGHT)
    right = list(RIGHT.values())
    # Five of FP32's report images are not right on search images.
    return table_of(
        profile, policies, traffic(profile, policies).intensity.tolist(), right, IMAGES, [n - 5 for n in right]
    )
