"""Profiles against hand-derived counts, torch's own counter and the committed files."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aiq_core.catalog import ASSETS
from aiq_core.intensity import traffic
from aiq_core.records import Layer, LayerKind, ModelProfile
from aiq_core.runtime.bundle import write_profile
from aiq_core.runtime.models import MODELS
from aiq_core.runtime.profile import profile
from tests import bundled

SHAPE = (3, 32, 32)


def profiled(name: str) -> ModelProfile:
    model = MODELS[name]
    return profile(model.build(), name, model.input_shape, model.excluded)


def layer(counted: ModelProfile, name: str) -> Layer:
    return next(entry for entry in counted.layers if entry.name == name)


@pytest.mark.parametrize("name", MODELS)
def test_committed_profile_is_the_regenerated_one(name: str) -> None:
    assert bundled.profile(name) == profiled(name)


def test_profiles_are_written_as_they_are_kept(tmp_path: Path) -> None:
    write_profile("digits_cnn", tmp_path)
    kept = ASSETS / "models" / "digits_cnn" / "profile.json"
    assert (tmp_path / "profile.json").read_text() == kept.read_text()


@pytest.mark.parametrize("name", MODELS)
def test_flops_equal_torchs_counter(name: str) -> None:
    model = MODELS[name]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model.build().eval()(torch.zeros(1, *model.input_shape))
    assert counter.get_total_flops() == profiled(name).flops


def test_flops_equal_torchs_counter_on_a_model_of_others() -> None:
    with torch.device("meta"):
        network = torchvision.models.resnet18().eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, 224, 224))
    assert counter.get_total_flops() == profile(network, "resnet18", (3, 224, 224), ()).flops


def test_resnet20_is_the_papers() -> None:
    counted = profiled("resnet20")
    assert counted.flops == 81_626_368
    assert len(counted.layers) == 22
    assert len(counted.quantizable) == 20
    assert {entry.name for entry in counted.layers if not entry.quantizable} == {
        "layer2.0.shortcut.0",
        "layer3.0.shortcut.0",
    }


def test_layers_by_hand() -> None:
    counted = profiled("resnet20")
    assert layer(counted, "layer2.0.conv1") == Layer(
        name="layer2.0.conv1",
        kind=LayerKind.CONV2D,
        macs=16 * 16 * 32 * 16 * 3 * 3,  # H·W·Cout·Cin·k·k after stride 2
        weights=32 * 16 * 3 * 3,
        biases=0,
        input_elements=16 * 32 * 32,
        output_elements=32 * 16 * 16,
        groups=1,
        quantizable=True,
        input_group="conv1",
        output_group="layer2.0.conv1",
    )
    linear = layer(counted, "linear")
    assert (linear.kind, linear.macs, linear.weights, linear.biases) == (LayerKind.LINEAR, 64 * 10, 64 * 10, 10)
    assert (linear.input_group, linear.output_group) == ("pooled", None)
    depthwise = layer(profiled("mobilenet_v2"), "features.1.conv.0.0")
    assert depthwise.groups == 32
    assert depthwise.macs == 16 * 16 * 32 * 1 * 3 * 3  # one input channel a group
    assert depthwise.weights == 32 * 1 * 3 * 3


def test_activation_groups_follow_adds_and_producers() -> None:
    counted = profiled("resnet20")
    # Image; a residual stream a stage (named after its first producer); the inside of each block; pooled.
    streams = {"conv1", "layer2.0.conv2", "layer3.0.conv2"}
    insides = {f"layer{stage}.{block}.conv1" for stage in (1, 2, 3) for block in (0, 1, 2)}
    assert set(counted.activation_groups) == {"image", "pooled"} | streams | insides
    assert counted.activation_groups[0] == "image"
    assert counted.activation_groups[-1] == "pooled"
    assert layer(counted, "layer2.0.shortcut.0").output_group == layer(counted, "layer2.2.conv2").output_group
    narrow = profiled("mobilenet_v2")
    assert layer(narrow, "features.3.conv.2").output_group == layer(narrow, "features.2.conv.2").output_group
    assert layer(narrow, "features.18.0").output_group == "features.18.0"


def test_plain_convnet20_is_the_structure_studys() -> None:
    convolution = 64 * 64 * 3 * 3  # MACs a pixel: Cin·Cout·k·k
    pixels = 6 * 16**2 + 6 * 8**2 + 6 * 4**2  # the stem halves the image, then the seventh and the thirteenth
    counted = profiled("plain_convnet20")
    assert counted.flops // 2 == 16**2 * 3 * 64 * 3 * 3 + pixels * convolution + 64 * 10
    assert len(counted.quantizable) == 20


def test_tensors_that_are_added_share_a_group() -> None:
    """ResNet-20: the image, one stream a stage, the inside of each of nine blocks, and what is pooled."""
    assert len(profiled("resnet20").activation_groups) == 1 + 3 + 9 + 1


def test_fused_kernels_of_a_model_of_others() -> None:
    counted = profile(torchvision.models.resnet18(), "resnet18", (3, 224, 224), ())
    moved = traffic(counted, [counted.uniform(32)], by="fused").activation_bytes[0]
    stem, pooled = 64 * 112 * 112, 64 * 56 * 56
    # The stem's kernel ends at its ReLU; the pooling after it reads what that wrote, and follows it.
    assert moved[0] == 4 * (3 * 224 * 224 + stem + stem + pooled)
    assert moved[2] == 4 * 3 * pooled  # the first block's second convolution takes the add


class Excited(nn.Module):
    """Channels weighed by what they hold on average, as in squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.squeeze = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return (y * torch.sigmoid(self.squeeze(y.mean((2, 3), keepdim=True)))).flatten(1)


def test_fused_kernels_of_what_no_layer_reads() -> None:
    counted = profile(Excited(), "odd", (3, 5, 5), ())
    assert [layer.output_group for layer in counted.layers] == ["conv", "squeeze"]
    moved = traffic(counted, [counted.uniform(32)], by="fused").activation_bytes[0]
    # The mean is a kernel that follows the first convolution, the product one that follows the second.
    assert moved[0] == 4 * (3 * 25 + 4 * 25 + 4 * 25 + 4)
    assert moved[1] == 4 * (4 + 4 + 4 * 25 + 4 + 4 * 25)


def test_profiling_leaves_the_model_alone() -> None:
    network = MODELS["digits_cnn"].build().train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    profile(network, "digits_cnn", (1, 8, 8), ())
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
