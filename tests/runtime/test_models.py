"""The registry, the bundled weights and the parts of a network."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from aiq_core.catalog import ASSETS, Card
from aiq_core.errors import UnknownNameError, WeightsError
from aiq_core.records import SplitName
from aiq_core.runtime.bundle import adopt
from aiq_core.runtime.models import MODELS, ModelSpec, spec
from aiq_core.runtime.models.resnet20 import ResNet20, projections
from aiq_core.runtime.network import Network
from aiq_core.runtime.profile import profile
from aiq_core.runtime.train import top1_percent
from aiq_core.runtime.weights import network_with
from tests import bundled
from tests.folded import fold_batch_norm


def with_weights(model: ModelSpec) -> nn.Module:
    return network_with(model, bundled.model(model.name).weights, "assets")


def test_unknown_model_lists_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="'resnet21'; choose from resnet20, mobilenet_v2, heavy_early"):
        spec("resnet21")


@pytest.mark.parametrize(("name", "parameters"), [("resnet20", 272_474), ("mobilenet_v2", 2_236_682)])
def test_parameters_are_the_papers(name: str, parameters: int) -> None:
    assert sum(p.numel() for p in spec(name).build().parameters()) == parameters


def network_of(model: ModelSpec) -> Network:
    return Network(with_weights(model), bundled.profile(model.name), model.input_shape)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_parts_compose_to_the_folded_forward(model: ModelSpec) -> None:
    inputs = torch.randn(4, *model.input_shape, generator=torch.Generator().manual_seed(1))
    network, whole = network_of(model), fold_batch_norm(with_weights(model), bundled.profile(model.name))
    with torch.inference_mode():
        expected = whole.to(memory_format=torch.channels_last)(inputs)
        outputs = inputs.clone()
        for part in range(len(network.parts)):
            # A part that wrote into its input would spoil the prefix that other candidates share.
            given = outputs.clone()
            produced = network.run(part, outputs)
            assert torch.equal(given, outputs)
            outputs = produced
    assert torch.equal(outputs, expected)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_parts_hold_every_layer_and_stored_tensor_once(model: ModelSpec) -> None:
    network, profile = network_of(model), bundled.profile(model.name)
    assert [name for part in network.parts for name in part.layers] == [layer.name for layer in profile.layers]
    assert [place for part in network.parts for place in part.stored] == list(profile.stored_tensors)


def test_parts_end_where_one_narrow_tensor_goes_on() -> None:
    """ResNet-20: the stem, nine blocks, the pooled vector, the classifier. MobileNetV2: at no expanded tensor."""
    resnet = [part.layers for part in network_of(spec("resnet20")).parts]
    assert len(resnet) == 12
    assert resnet[4] == ("layer2.0.conv1", "layer2.0.conv2", "layer2.0.shortcut.0")
    ends = [part.layers[-1] for part in network_of(spec("mobilenet_v2")).parts if part.layers]
    assert "features.4.conv.2" in ends
    assert "features.4.conv.0.0" not in ends


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_spec_and_card_agree(model: ModelSpec) -> None:
    card = bundled.model(model.name).card
    assert (card.title, card.dataset, card.input_shape) == (model.title, model.dataset, model.input_shape)
    assert (card.mean, card.std) == (model.mean, model.std)
    logits = model.build().eval()(torch.zeros(1, *model.input_shape))
    assert logits.shape == (1, len(card.class_names))
    assert set(model.excluded) <= dict(model.build().named_modules()).keys()


def test_widths_are_parameters() -> None:
    # Channels 64, 32, 16, 16: stage 1 changes channels, stages 2 and 3 change size, so each has a projection.
    counted = profile(ResNet20(64, (32, 16, 16)), "heavy", (3, 32, 32), projections(64, (32, 16, 16)))
    assert projections(64, (32, 16, 16)) == ("layer1.0.shortcut.0", "layer2.0.shortcut.0", "layer3.0.shortcut.0")
    assert counted.flops == 2 * 75_088_032


def test_only_the_counters_of_batch_norm_may_be_missing() -> None:
    tensors = dict(bundled.model("digits_cnn").weights)
    assert not any("num_batches_tracked" in key for key in tensors)
    del tensors["block2.bn.running_var"]
    with pytest.raises(WeightsError, match=r"odd\.safetensors does not fit digits_cnn \(no block2\.bn\.running_var\)"):
        network_with(spec("digits_cnn"), tensors, "odd.safetensors")
    with pytest.raises(WeightsError, match="does not fit resnet20"):
        network_with(spec("resnet20"), bundled.model("digits_cnn").weights, "odd.safetensors")


def test_adopting_weights_checks_what_is_said_of_them(tmp_path: Path) -> None:
    card = bundled.model("digits_cnn").card
    (tmp_path / "digits_cnn.safetensors").write_bytes(
        (ASSETS / "models" / "digits_cnn" / "weights.safetensors").read_bytes()
    )
    said = {
        "sha256": card.weights_sha256,
        "kept": "averaged",
        "torch": "2.14.1",
        "search_top1_percent": card.search_top1_percent,
        "report_top1_percent": 99.0,
    }
    (tmp_path / "digits_cnn.json").write_text(json.dumps(said | {"sha256": "0" * 64}))
    with pytest.raises(WeightsError, match="says 0000"):
        adopt("digits_cnn", bundled.dataset("digits"), tmp_path, tmp_path / "out")
    (tmp_path / "digits_cnn.json").write_text(json.dumps(said))
    with pytest.raises(WeightsError, match=r"on report, digits_cnn\.json says 99\.0 %"):
        adopt("digits_cnn", bundled.dataset("digits"), tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "card.json").exists()
    (tmp_path / "digits_cnn.json").write_text(json.dumps(said | {"report_top1_percent": card.report_top1_percent}))
    adopt("digits_cnn", bundled.dataset("digits"), tmp_path, tmp_path / "out")
    adopted = Card.read(tmp_path / "out")
    assert adopted.model_hash == card.model_hash


def test_digits_cnn_reaches_its_card() -> None:
    card, model = bundled.model("digits_cnn").card, spec("digits_cnn")
    network = with_weights(model)
    # Another CPU may round a doubtful image the other way: 1 of 500.
    assert top1_percent(model, bundled.dataset(model.dataset), network, SplitName.SEARCH) == pytest.approx(
        card.search_top1_percent, abs=0.2
    )
    assert top1_percent(model, bundled.dataset(model.dataset), network, SplitName.REPORT) == pytest.approx(
        card.report_top1_percent, abs=0.2
    )
