"""Traffic models by hand: what a deployed network stores, and what fused kernels read and write."""

import pytest

from aiq_core.errors import UncountableOperatorError, UnknownNameError
from aiq_core.graph import COPIED, FLOWS, IN_PLACE, JOINED, PARTS, RESHAPED, Graph, Operation
from aiq_core.intensity import intensity, moved_bytes, stored_bytes, traffic, weight_bytes
from aiq_core.records import (
    FP32_BITS,
    Granularity,
    Layer,
    LayerKind,
    ModelProfile,
    Move,
    Policy,
    Quantizer,
    Site,
    SiteKind,
)
from aiq_core.traffic import STORED, TRAFFIC_MODELS
from aiq_core.traffic.fused import Kernel, kernels
from tests import bundled

FUSED = "fused"
# Elements of ResNet-20's activations: channels x height x width of its three stages.
STAGE = {1: 16 * 32 * 32, 2: 32 * 16 * 16, 3: 64 * 8 * 8}


def widths(profile: ModelProfile, weights: int, activations: int) -> Policy:
    return Policy((weights,) * len(profile.quantizable), (activations,) * len(profile.activation_groups))


def activations(profile: ModelProfile, policy: Policy, by: str, batch: int = 1) -> dict[str, float]:
    """Layer -> the bytes of activations that it moves."""
    moved = traffic(profile, [policy], batch, by).activation_bytes[0].tolist()
    return dict(zip((layer.name for layer in profile.layers), moved, strict=True))


def test_models_are_listed_by_name_and_an_unknown_one_is_refused() -> None:
    assert list(TRAFFIC_MODELS) == ["unfused", "as-stored", "fused"]
    assert all(model.name == name and model.sentence.endswith(".") for name, model in TRAFFIC_MODELS.items())
    profile = bundled.profile("digits_cnn")
    with pytest.raises(UnknownNameError, match="unknown traffic model 'paper'; choose from unfused, as-stored, fused"):
        intensity(profile, profile.uniform(32), by="paper")


# As stored


def test_a_layer_as_stored_by_hand() -> None:
    profile = bundled.profile("resnet20")
    index = next(i for i, layer in enumerate(profile.layers) if layer.name == "layer3.1.conv2")
    policy = profile.moved(profile.policy({"layer3.1.conv2": 4}), Move(Site(SiteKind.ACTIVATIONS, "layer3.1.conv1"), 8))
    counted = traffic(profile, [policy], batch=3, by=STORED)
    assert counted.weight_bytes[0, index] == 64 * 64 * 3 * 3 * 4 / 8
    assert counted.scale_bytes[0, index] == 64 * 4  # one float32 an output channel; its output stays FP32
    assert counted.bias_bytes[0, index] == 64 * 4  # of the folded norm, an output channel
    assert counted.activation_bytes[0, index] == 3 * STAGE[3] * (8 + 32) / 8
    # The scale of the 8-bit tensor is stored with the layer that writes it, whose weights are FP32.
    assert counted.scale_bytes[0, index - 1] == 4
    assert counted.scale_bytes[0].sum() == 64 * 4 + 4


def test_fp32_stores_folded_biases_and_no_scales() -> None:
    profile = bundled.profile("resnet20")
    channels = 7 * 16 + 6 * 32 + 6 * 64 + 32 + 64  # of 7, 6 and 6 convolutions and two shortcuts
    weights = weight_bytes(profile, profile.uniform(32))
    assert stored_bytes(profile, profile.uniform(32)) == weights + 4 * (channels + 10)  # and the linear layer's biases


def test_scales_are_of_the_quantized_layers_by_granularity() -> None:
    profile = bundled.profile("resnet20")
    policy = profile.uniform(4)
    payload, fp32 = weight_bytes(profile, policy), profile.uniform(32)
    biases = stored_bytes(profile, fp32) - weight_bytes(profile, fp32)
    channels = 7 * 16 + 6 * 32 + 6 * 64 + 10  # the shortcuts stay FP32, the linear layer does not
    assert stored_bytes(profile, policy) == payload + biases + 4 * channels
    by_tensor = Quantizer(granularity=Granularity.TENSOR)
    assert stored_bytes(profile, policy, by_tensor) == payload + biases + 4 * len(profile.quantizable)


def test_each_quantized_activation_tensor_has_one_scale() -> None:
    profile = bundled.profile("resnet20")
    before, after = widths(profile, 32, 32), widths(profile, 32, 8)
    # The image, what the 21 convolutions write, and the pooled vector; logits stay FP32.
    assert stored_bytes(profile, after) - stored_bytes(profile, before) == 4 * (1 + 21 + 1)
    # A group has as many as it has tensors: conv1's, and those of the three second convolutions that are added to it.
    sum_group = profile.moved(before, Move(Site(SiteKind.ACTIVATIONS, "conv1"), 8))
    assert stored_bytes(profile, sum_group) - stored_bytes(profile, before) == 4 * 4


def test_as_stored_moves_what_is_stored_and_the_papers_activations() -> None:
    profile = bundled.profile("mobilenet_v2")
    policy = widths(profile, 4, 8)
    batch = 16
    moved = activations(profile, policy, "unfused", batch)
    assert activations(profile, policy, STORED, batch) == moved
    assert moved_bytes(profile, policy, batch, STORED) == stored_bytes(profile, policy) + sum(moved.values())


@pytest.mark.parametrize(
    ("name", "weights", "bits", "gain"), [("resnet20", 4, 6, 495.1), ("mobilenet_v2", 4, 8, 559.4)]
)
def test_gains_as_stored_are_smaller(name: str, weights: int, bits: int, gain: float) -> None:
    profile = bundled.profile(name)
    policy, fp32 = widths(profile, weights, bits), profile.uniform(32)
    found = 100 * (intensity(profile, policy, by=STORED) / intensity(profile, fp32, by=STORED) - 1)
    assert found == pytest.approx(gain, abs=0.05)
    assert found < 100 * (intensity(profile, policy) / intensity(profile, fp32) - 1)


# Fused kernels


def test_a_residual_block_of_resnet20_by_hand() -> None:
    profile = bundled.profile("resnet20")
    moved = activations(profile, profile.uniform(4), FUSED)
    one = 4 * STAGE[1]  # bytes of a tensor of the first stage in FP32
    assert moved["layer1.1.conv1"] == 2 * one  # reads the block's input, writes
    assert moved["layer1.1.conv2"] == 3 * one  # reads that and the block's input once more, writes the sum


def test_a_projection_block_of_resnet20_by_hand() -> None:
    profile = bundled.profile("resnet20")
    moved = activations(profile, profile.uniform(4), FUSED, batch=5)
    before, after = 5 * 4 * STAGE[1], 5 * 4 * STAGE[2]
    assert moved["layer2.0.conv1"] == before + after
    # The shortcut runs last and so takes the add: it reads what conv2 wrote and writes the sum.
    assert moved["layer2.0.conv2"] == after + after
    assert moved["layer2.0.shortcut.0"] == before + after + after


def test_a_block_at_widths_of_its_groups() -> None:
    profile = bundled.profile("resnet20")
    policy = profile.uniform(32)
    for group, bits in (("layer1.2.conv1", 8), ("layer2.0.conv1", 4), ("layer2.0.conv2", 6), ("conv1", 3)):
        policy = profile.moved(policy, Move(Site(SiteKind.ACTIVATIONS, group), bits))
    moved = activations(profile, policy, FUSED)
    # The sum of a block and what is added to it share a group: conv1's in the first stage, layer2.0.conv2's after it.
    assert moved["layer1.2.conv2"] == STAGE[1] * (8 + 3 + 3) / 8
    assert moved["layer2.0.conv1"] == (STAGE[1] * 3 + STAGE[2] * 4) / 8
    assert moved["layer2.0.conv2"] == STAGE[2] * (4 + 6) / 8
    assert moved["layer2.0.shortcut.0"] == (STAGE[1] * 3 + STAGE[2] * (6 + 6)) / 8


def test_all_that_fused_resnet20_moves() -> None:
    profile = bundled.profile("resnet20")
    moved = activations(profile, profile.uniform(32), FUSED)
    image, pooled, logits = 3 * 32 * 32, 64, 10
    identity = 5 * (3 * STAGE[1] + 2 * STAGE[2] + 2 * STAGE[3])  # 2 by a block's first convolution, 3 by its second
    projection = 2 * (STAGE[1] + STAGE[2]) + 5 * (STAGE[2] + STAGE[3])  # the input twice, 1, 2 and 2 of its own
    elements = image + STAGE[1] + identity + projection
    elements += STAGE[3] + pooled + pooled + logits  # pooling reads the last sum and writes what the linear layer reads
    # Pooling counts to the layer that it follows.
    assert moved["layer3.2.conv2"] == 4 * (3 * STAGE[3] + STAGE[3] + pooled)
    assert moved["linear"] == 4 * (pooled + logits)
    assert sum(moved.values()) == 4 * elements


def test_fused_kernels_keep_what_is_stored() -> None:
    profile = bundled.profile("resnet20")
    policy = widths(profile, 4, 8)
    by_stored, by_fused = (traffic(profile, [policy], by=by) for by in (STORED, FUSED))
    for name in ("flops", "weight_bytes", "scale_bytes", "bias_bytes"):
        assert (getattr(by_stored, name) == getattr(by_fused, name)).all(), name


def test_without_residuals_only_pooling_is_added() -> None:
    profile = bundled.profile("digits_cnn")
    policy = profile.uniform(8)
    last = profile.layers[-2].output_elements
    extra = moved_bytes(profile, policy, by=FUSED) - moved_bytes(profile, policy, by=STORED)
    assert extra == 4 * (last + 24)


def test_an_operator_stands_in_one_table() -> None:
    # What works number by number and keeps the width may fuse, or is a view; pooling and copies are neither.
    tables = (*IN_PLACE, *RESHAPED, *PARTS, *COPIED, *JOINED)
    assert sorted(tables) == sorted(FLOWS)


# Graphs by hand


def conv(name: str, source: int) -> Operation:
    return Operation("conv2d", (source,), name)


def layer(name: str, read: str, written: str | None, elements: int = 100) -> Layer:
    return Layer(name, LayerKind.CONV2D, 900, 9, 0, elements, 100, 1, True, read, written)


def test_what_alone_reads_a_kernels_output_runs_with_it() -> None:
    graph = (
        Operation("image"),
        conv("a", 0),
        Operation("batch_norm2d", (1,), "norm"),
        Operation("relu6", (2,)),
        Operation("max_pool2d", (3,)),
        Operation("gelu", (4,)),
        conv("b", 5),
        Operation("flatten", (6,)),
        Operation("output", (7,)),
    )
    assert kernels(graph) == (Kernel((1, 2, 3), (0,)), Kernel((4, 5), (3,)), Kernel((6, 7), (5,)))


def test_what_others_read_too_ends_a_kernel() -> None:
    # Pre-activation: the sum is read by the norm and by the next add.
    graph = (
        Operation("image"),
        conv("a", 0),
        Operation("batch_norm2d", (1,), "norm"),
        Operation("relu", (2,)),
        conv("b", 3),
        Operation("add", (4, 1)),
        Operation("output", (5,)),
    )
    assert kernels(graph) == (Kernel((1,), (0,)), Kernel((2, 3), (1,)), Kernel((4, 5), (3, 1)))
    layers = (layer("a", "image", "a"), layer("b", "a", "a"))
    profile = ModelProfile("made", layers, ("image", "a"), graph)
    # The norm and its activation function follow a; the add reads a's output once more.
    assert activations(profile, profile.uniform(32), FUSED) == {"a": 4 * (200 + 200), "b": 4 * 300}


def test_an_add_of_a_tensor_to_itself_reads_it_twice() -> None:
    graph = (Operation("image"), conv("a", 0), Operation("add", (1, 1)), conv("b", 2), Operation("output", (3,)))
    assert kernels(graph) == (Kernel((1,), (0,)), Kernel((2,), (1, 1)), Kernel((3,), (2,)))


def test_the_networks_own_tensors_are_no_activations() -> None:
    graph = (Operation("image"), conv("a", 0), Operation("tensor", (), "p"), Operation("add", (1, 2)))
    assert kernels(graph) == (Kernel((1, 3), (0,)),)


def test_a_joined_tensor_is_as_large_as_its_parts() -> None:
    graph = (
        Operation("image"),
        conv("a", 0),
        conv("b", 1),
        Operation("concat", (1, 2), None, {"dim": 1}),
        Operation("relu", (3,)),
        Operation("adaptive_avg_pool2d", (4,)),
        conv("c", 5),
        Operation("output", (6,)),
    )
    layers = (layer("a", "image", "a"), layer("b", "a", "a"), layer("c", "pooled", None, elements=2))
    profile = ModelProfile("made", layers, ("image", "a", "pooled"), graph)
    policy = Policy((32, 32, 32), (32, 8, 32))
    joined = 100 + 100 + 200  # bytes at 8 bits: both are read and written as one
    assert activations(profile, policy, FUSED) == {
        "a": 4 * 100 + 100,
        "b": 100 + 100 + joined + 200 + 4 * 2,  # concat with its ReLU, and pooling, follow it
        "c": 4 * (2 + 100),
    }


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ((Operation("image"), Operation("output", (0,))), "a is not in the graph of made"),
        (
            (
                Operation("image"),
                conv("a", 0),
                Operation("max_pool2d", (1,)),
                Operation("avg_pool2d", (2,)),
                Operation("output", (3,)),
            ),
            "no layer of made reads what max_pool2d gives",
        ),
    ],
)
def test_what_cannot_be_counted_is_named(graph: Graph, message: str) -> None:
    profile = ModelProfile("made", (layer("a", "image", "a"),), ("image", "a"), graph)
    assert intensity(profile, Policy((FP32_BITS,), (FP32_BITS, FP32_BITS))) == 2 * 900 / (4 * (9 + 200))
    with pytest.raises(UncountableOperatorError, match=message):
        intensity(profile, profile.uniform(32), by=FUSED)
