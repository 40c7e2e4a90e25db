"""The paper's figures (arXiv 2512.14090, as recomputed) from the committed profile."""

import pytest

from aiq_core.errors import SettingError
from aiq_core.intensity import intensity, moved_bytes, traffic, weight_bytes
from aiq_core.records import Move, Policy, Site, SiteKind
from tests import bundled

# The authors' published greedy moves: layer, bits, AI after the move.
AUTHORS_MOVES = (
    ("layer3.1.conv2", 4, 31.327),
    ("layer3.2.conv2", 4, 32.960),
    ("layer3.2.conv1", 4, 34.771),
    ("layer3.1.conv1", 4, 36.793),
    ("layer3.0.conv2", 4, 39.065),
    ("layer3.0.conv1", 4, 40.310),
    ("layer2.2.conv1", 4, 40.962),
    ("layer2.1.conv2", 4, 41.636),
    ("layer2.1.conv1", 4, 42.333),
    ("layer2.2.conv2", 4, 43.053),
    ("layer2.0.conv2", 4, 43.798),
    ("layer2.0.conv1", 8, 44.125),
    ("layer1.0.conv2", 4, 44.319),
    ("layer1.2.conv1", 8, 44.486),
    ("layer1.0.conv1", 8, 44.654),
    ("layer1.1.conv1", 8, 44.823),
    ("layer1.2.conv2", 8, 44.994),
    ("layer1.1.conv2", 8, 45.166),
    ("conv1", 8, 45.199),
    ("linear", 8, 45.247),
)


def test_authors_greedy_moves_give_the_published_intensity_move_by_move() -> None:
    profile = bundled.profile("resnet20")
    bits: dict[str, int] = {}
    for layer, width, published in AUTHORS_MOVES:
        bits[layer] = width
        assert intensity(profile, profile.policy(bits)) == pytest.approx(published, abs=0.0005), layer
    assert intensity(profile, profile.policy(bits)) == pytest.approx(45.2466, abs=0.00005)


@pytest.mark.parametrize(("bits", "published"), [(32, 29.8494), (8, 42.3022), (4, 45.4634)])
def test_uniform_resnet20(bits: int, published: float) -> None:
    profile = bundled.profile("resnet20")
    assert intensity(profile, profile.uniform(bits)) == pytest.approx(published, abs=0.00005)


@pytest.mark.parametrize(
    ("weights", "activations", "expected"),
    [(8, 8, 118.06), (4, 8, 146.49), (3, 8, 155.87), (4, 6, 179.78), (3, 6, 194.12), (4, 4, 232.65)],
)
def test_quantized_activations_of_resnet20(weights: int, activations: int, expected: float) -> None:
    profile = bundled.profile("resnet20")
    policy = Policy((weights,) * len(profile.quantizable), (activations,) * len(profile.activation_groups))
    assert intensity(profile, policy) == pytest.approx(expected, abs=0.005)


def test_bytes_of_one_layer_by_hand() -> None:
    profile = bundled.profile("resnet20")
    index = next(i for i, layer in enumerate(profile.layers) if layer.name == "layer3.1.conv2")
    counted = traffic(profile, [profile.policy({"layer3.1.conv2": 4})], batch=3)
    weights = 64 * 64 * 3 * 3 * 4 / 8  # Cout·Cin·k·k at 4 bits, once a batch
    activations = 3 * 2 * (64 * 8 * 8) * 4  # batch x (input + output) in FP32
    assert counted.layer_bytes[0, index] == weights + activations
    assert counted.flops[index] == 3 * 2 * (64 * 8 * 8) * 64 * 3 * 3  # batch·2·H·W·Cout·Cin·k·k


def test_a_mixed_policy_layer_by_layer() -> None:
    profile = bundled.profile("resnet20")
    policy = profile.policy({"conv1": 8, "layer1.0.conv1": 3, "layer3.2.conv2": 4, "linear": 6})
    for group, bits in (("image", 8), ("conv1", 6), ("layer3.2.conv1", 4), ("pooled", 3)):
        policy = profile.moved(policy, Move(Site(SiteKind.ACTIVATIONS, group), bits))
    moved = traffic(profile, [policy]).layer_bytes[0].tolist()
    found = dict(zip((layer.name for layer in profile.layers), moved, strict=True))
    assert found["conv1"] == (16 * 3 * 9 * 8 + 3 * 32 * 32 * 8 + 16 * 32 * 32 * 6) / 8
    # Its input is of conv1's group, its output of its own, which stays FP32.
    assert found["layer1.0.conv1"] == (16 * 16 * 9 * 3 + 16 * 32 * 32 * (6 + 32)) / 8
    # Its output is added to the block's input, and so of that one's group.
    assert found["layer1.0.conv2"] == (16 * 16 * 9 * 32 + 16 * 32 * 32 * (32 + 6)) / 8
    assert found["layer3.2.conv2"] == (64 * 64 * 9 * 4 + 64 * 8 * 8 * (4 + 32)) / 8
    assert found["linear"] == (64 * 10 * 6 + 64 * 3 + (10 + 10) * 32) / 8  # biases and logits stay FP32
    assert intensity(profile, policy) == 81_626_368 / sum(moved)


def test_a_bias_stays_fp32() -> None:
    profile = bundled.profile("resnet20")
    before, after = profile.uniform(32), profile.policy({"linear": 8})
    assert moved_bytes(profile, before) - moved_bytes(profile, after) == 64 * 10 * 3  # weights alone lose 3 bytes each


def test_weight_bytes_at_four_bits_keep_the_shortcuts_at_fp32() -> None:
    profile = bundled.profile("resnet20")
    shortcuts = 16 * 32 + 32 * 64
    # Parameters less scale and shift of batch normalisation (7 layers of each width), 10 biases and the shortcuts.
    others = 272_474 - 2 * 7 * (16 + 32 + 64) - 10 - shortcuts
    assert weight_bytes(profile, profile.uniform(4)) == others / 2 + shortcuts * 4


def test_weight_bits_stop_mattering_at_large_batches() -> None:
    profile = bundled.profile("resnet20")
    gain = {
        batch: intensity(profile, profile.uniform(4), batch) / intensity(profile, profile.uniform(32), batch) - 1
        for batch in (1, 128)
    }
    assert gain[1] == pytest.approx(0.523, abs=0.0005)
    assert gain[128] == pytest.approx(0.004, abs=0.0005)


def test_mobilenet_v2_counts_groups() -> None:
    profile = bundled.profile("mobilenet_v2")
    assert profile.flops == 12_249_856
    assert moved_bytes(profile, profile.uniform(32)) == 9_912_912
    assert intensity(profile, profile.uniform(32)) == pytest.approx(1.2357, abs=0.00005)


def test_batch_below_one_is_refused() -> None:
    profile = bundled.profile("digits_cnn")
    with pytest.raises(SettingError, match="batch=0"):
        intensity(profile, profile.uniform(32), batch=0)
