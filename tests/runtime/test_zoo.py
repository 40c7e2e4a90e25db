"""Other people's networks, all of whose multiply-accumulates are counted: `make zoo`; a few of them with every test.

Nothing is computed and nothing fetched: weights are made on the meta device. There torch's own counter sees attention
too, as it is then made of products; on a CPU it would not.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aiq_core.errors import AiqError
from aiq_core.intensity import traffic
from aiq_core.records import LayerKind, ModelProfile
from aiq_core.runtime.bare import bare
from aiq_core.runtime.network import Network
from aiq_core.runtime.own.asked import Asked
from aiq_core.runtime.own.dry_run import counted_alone
from aiq_core.runtime.profile import profile
from aiq_core.runtime.tuned_network import run
from aiq_core.traffic import TRAFFIC_MODELS

TORCHVISION = tuple(torchvision.models.list_models(module=torchvision.models))
ALWAYS = (
    "alexnet", "convnext_tiny", "googlenet", "mobilenet_v3_small", "regnet_y_128gf", "shufflenet_v2_x1_0", "swin_t",
    "vit_b_32",
)  # fmt: skip
"""One in ten, and quick."""


def only_in_zoo(names: tuple[str, ...], always: tuple[str, ...] = ()) -> list[Any]:
    return [name if name in always else pytest.param(name, marks=pytest.mark.zoo) for name in names]


def counted_as_torch_does(build: Callable[[], nn.Module], name: str, shape: tuple[int, ...]) -> ModelProfile:
    """The profile, after it was compared with torch's counter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of initial weights that take long
        network = bare(build)
    counted = profile(network, name, shape, ())
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(torch.zeros(1, *shape, device="meta"))
    assert counted.flops == counter.get_total_flops()
    stored = sum(each.numel() for each in network.parameters())
    assert sum(layer.weights + layer.biases for layer in counted.layers) <= stored
    assert ModelProfile.from_json(json.loads(json.dumps(counted.to_json()))) == counted
    for by in TRAFFIC_MODELS:
        assert traffic(counted, [counted.uniform(4, 8)], by=by).moved_bytes > 0
    return counted


def test_torchvision_has_as_many_classifiers_as_are_counted() -> None:
    assert len(TORCHVISION) >= 80
    assert set(ALWAYS) <= set(TORCHVISION) and len(ALWAYS) == len(TORCHVISION) // 10


@pytest.mark.parametrize("name", only_in_zoo(TORCHVISION, ALWAYS))
def test_classifiers_of_torchvision(name: str) -> None:
    size = 299 if name == "inception_v3" else 224
    counted_as_torch_does(lambda: torchvision.models.get_model(name, weights=None), name, (3, size, size))


def test_a_vision_transformers_attention_by_hand() -> None:
    counted = profile(bare(lambda: torchvision.models.vit_b_32()), "vit_b_32", (3, 224, 224), ())
    attention = [layer for layer in counted.layers if layer.kind is LayerKind.ATTENTION]
    # Twelve blocks of twelve heads, 7 x 7 patches and the class's token, 64 wide: scores, then sums of values.
    assert [layer.macs for layer in attention] == [2 * 12 * 50 * 50 * 64] * 12
    rest = 49 * 768 * 3 * 32 * 32 + 12 * 50 * (768 * 3 * 768 + 768 * 768 + 2 * 768 * 3072) + 768 * 1000
    assert counted.flops == 2 * (rest + sum(layer.macs for layer in attention))


FAMILIES = (
    "beit_base_patch16_224", "cait_xxs24_224", "coat_tiny", "coatnet_0_rw_224", "convit_tiny", "convmixer_768_32",
    "convnext_atto", "convnextv2_atto", "crossvit_tiny_240", "cs3darknet_s", "darknet17", "davit_tiny",
    "deit_tiny_patch16_224", "densenet121", "dla34", "dpn68", "eca_resnet33ts", "edgenext_xx_small",
    "efficientformer_l1", "efficientnet_b0", "efficientvit_b0", "eva02_tiny_patch14_224", "fastvit_t8", "fbnetc_100",
    "focalnet_tiny_srf", "gernet_s", "ghostnet_100", "gmixer_12_224", "hardcorenas_a", "hgnet_tiny",
    "hrnet_w18_small", "inception_v4", "inception_next_tiny", "lcnet_050", "levit_128s", "maxvit_tiny_tf_224",
    "mixer_s32_224", "mixnet_s", "mnasnet_small", "mobilenetv3_small_050", "mobileone_s0", "mobilevit_xxs",
    "mvitv2_tiny", "nasnetalarge", "nfnet_f0", "pit_ti_224", "pnasnet5large", "poolformer_s12", "pvt_v2_b0",
    "regnetx_002", "repvgg_a0", "res2net50_14w_8s", "resmlp_12_224", "resnest14d", "resnet18", "resnetv2_50",
    "rexnet_100", "selecsls42", "sequencer2d_s", "skresnet18", "swin_tiny_patch4_window7_224", "tiny_vit_5m_224",
    "tinynet_e", "tnt_s_patch16_224", "tresnet_m", "twins_svt_small", "vgg11", "visformer_tiny",
    "vit_tiny_patch16_224", "volo_d1_224", "vovnet39a", "xception41", "xcit_nano_12_p16_224",
)  # fmt: skip


@pytest.mark.parametrize("name", only_in_zoo(FAMILIES))
def test_families_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed: pip install -r requirements-zoo.txt")

    def build() -> nn.Module:
        return timm.create_model(name, pretrained=False)  # type: ignore[no-any-return]

    counted_as_torch_does(build, name, bare(build).default_cfg["input_size"])


@pytest.mark.zoo
def test_an_exported_program_is_the_network_that_it_was_exported_from() -> None:
    module = torchvision.models.resnet18().eval()
    batch = torch.export.Dim("batch")
    exported = torch.export.export(module, (torch.zeros(2, 3, 64, 64),), dynamic_shapes=({0: batch},)).module()
    counted = profile(exported, "resnet18", (3, 64, 64), ())
    assert counted == profile(module, "resnet18", (3, 64, 64), ())
    x = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(run(Network(exported, counted, (3, 64, 64)), x), module(x), rtol=1e-4, atol=1e-4)


class Layers(nn.Module):
    """The layers of a transformer, on tokens that are embedded."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(inputs_embeds=x).last_hidden_state  # type: ignore[no-any-return]


TOKENS, WIDTH, WIDER = 6, 16, 64


@pytest.mark.zoo
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["BERT", "GPT-2"])
def test_layers_of_language_models(family: str, implementation: str) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: pip install -r requirements-zoo.txt"
    )
    if family == "BERT":
        settings = transformers.BertConfig(
            vocab_size=50, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=WIDER
        )
    else:
        settings = transformers.GPT2Config(vocab_size=50, n_embd=WIDTH, n_layer=2, n_head=2, use_cache=False)
    settings._attn_implementation = implementation
    kind = transformers.BertModel if family == "BERT" else transformers.GPT2Model
    options = {"add_pooling_layer": False} if family == "BERT" else {}
    counted = profile(Layers(kind(settings, **options)), family, (TOKENS, WIDTH), ())
    # Queries, keys, values and the way out, two products, and two layers four times as wide.
    block = TOKENS * (4 * WIDTH * WIDTH + 2 * WIDTH * WIDER) + 2 * TOKENS * TOKENS * WIDTH
    assert counted.flops == 2 * 2 * block
    assert sum(layer.weights for layer in counted.quantizable) == 2 * (4 * WIDTH * WIDTH + 2 * WIDTH * WIDER)


@pytest.mark.zoo
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_vision_transformer_of_transformers(implementation: str) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: pip install -r requirements-zoo.txt"
    )
    settings = transformers.ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=WIDER,
        image_size=8,
        patch_size=4,
    )
    settings._attn_implementation, settings.num_labels = implementation, 3
    counted = profile(transformers.ViTForImageClassification(settings), "ViT", (3, 8, 8), ())
    tokens = 2 * 2 + 1
    block = tokens * (4 * WIDTH * WIDTH + 2 * WIDTH * WIDER) + 2 * tokens * tokens * WIDTH
    assert counted.flops == 2 * (4 * WIDTH * 3 * 4 * 4 + 2 * block + WIDTH * 3)


VOCABULARY = 50
BLOCK = TOKENS * (4 * WIDTH * WIDTH + 2 * WIDTH * WIDER) + 2 * TOKENS * TOKENS * WIDTH
"""Queries, keys, values and the way out, two layers four times as wide; scores, and sums of values."""

BERT = {
    "model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": VOCABULARY, "hidden_size": WIDTH,
    "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": WIDER, "max_position_embeddings": 9,
}  # fmt: skip
GPT2 = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": VOCABULARY, "n_embd": WIDTH,
    "n_layer": 2, "n_head": 2, "n_positions": 9,
}  # fmt: skip
VIT = {
    "model_type": "vit", "architectures": ["ViTForImageClassification"], "hidden_size": WIDTH, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": WIDER, "image_size": 8, "patch_size": 4, "id2label": {"0": "a"},
    "label2id": {"a": 0},
}  # fmt: skip
PATCHES = 2 * 2
VIT_BLOCK = (PATCHES + 1) * (4 * WIDTH * WIDTH + 2 * WIDTH * WIDER) + 2 * (PATCHES + 1) ** 2 * WIDTH
CONFIGURATIONS = {
    # With a layer as wide as itself before the vocabulary.
    "bert": (BERT, 2 * BLOCK + TOKENS * WIDTH * (WIDTH + VOCABULARY)),
    "bert without architectures": (
        {**BERT, "architectures": None},
        2 * BLOCK + WIDTH * WIDTH,
    ),  # its pooler's, of a token
    "gpt2": (GPT2, 2 * BLOCK + TOKENS * WIDTH * VOCABULARY),
    "gpt2 that pads": ({**GPT2, "pad_token_id": 0}, 2 * BLOCK + TOKENS * WIDTH * VOCABULARY),
    "vit": (VIT, PATCHES * WIDTH * 3 * 4 * 4 + 2 * VIT_BLOCK + WIDTH * 1),
}


def asked_of(tmp_path: Path, document: Mapping[str, Any], tokens: int | None = TOKENS, **flags: Any) -> Asked:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    return Asked("configured", str(path), "default", "", tokens=tokens, flags=flags)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asks the network fails."""
    pytest.importorskip("transformers", reason="transformers is not installed: pip install -r requirements-zoo.txt")

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.mark.zoo
@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_of_transformers_by_hand(tmp_path: Path, name: str) -> None:
    document, macs = CONFIGURATIONS[name]
    counted, said = counted_alone(asked_of(tmp_path, document, None if name == "vit" else TOKENS))
    assert counted.flops == 2 * macs
    assert " of transformers, on " in said[0]
    assert ModelProfile.from_json(json.loads(json.dumps(counted.to_json()))) == counted
    policy = counted.uniform(4, 8)
    assert all(traffic(counted, [policy], by=by).moved_bytes > 0 for by in TRAFFIC_MODELS)


@pytest.mark.zoo
@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("by", TRAFFIC_MODELS)
def test_more_words_move_no_more_bytes(tmp_path: Path, by: str) -> None:
    # Nothing but embeddings before the two layers that tell two kinds of texts apart.
    few = {**BERT, "architectures": ["BertForSequenceClassification"], "num_hidden_layers": 0}
    counted = [counted_alone(asked_of(tmp_path, {**few, "vocab_size": words}))[0] for words in (50, 500)]
    assert {each.flops for each in counted} == {2 * (WIDTH * WIDTH + WIDTH * 2)}
    assert len({float(traffic(each, [each.uniform(32)], by=by).moved_bytes[0]) for each in counted}) == 1


@pytest.mark.zoo
@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("document", "tokens", "flags", "said"),
    [
        (BERT, None, {}, r"reads texts; give their length in tokens by --tokens, 1 to 9, its max_position_embeddings"),
        (GPT2, 10, {}, r"tokens=10 is not offered for .*; give 1 to 9, its max_position_embeddings"),
        (BERT, 0, {}, r"tokens=0 is not offered"),
        (VIT, 5, {}, r"tokens=5: ViTForImageClassification reads images; leave --tokens out"),
        ({"model_type": "resnet"}, None, {}, r"says nothing of its images; give the size of its images by --crop"),
        ({"model_type": "brt"}, 5, {}, r"unknown model_type of transformers 'brt'; choose from .*bert"),
        ({"hidden_size": 5}, 5, {}, r"names no model_type, so it is no configuration of transformers'"),
        ({**BERT, "architectures": ["Own"], "auto_map": {"AutoModel": "x--y.Own"}}, 5, {}, r"'Own' is none of transf"),
        ({**BERT, "architectures": ["AutoModel"]}, 5, {}, r"architectures='AutoModel' is none of transformers' own"),
        ({**BERT, "hidden_size": 15}, 5, {}, r"builds no network \(ValueError: .*multiple of the number of attention"),
        ({**BERT, "hidden_size": "wide"}, 5, {}, r"builds no network \(.*hidden_size"),
        ({"model_type": "wav2vec2"}, 5, {}, r"Wav2Vec2Model reads input_values; only networks of texts and of images"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_counted_says_why(
    tmp_path: Path, document: Mapping[str, Any], tokens: int | None, flags: Any, said: str
) -> None:
    with pytest.raises(AiqError, match=said):
        counted_alone(asked_of(tmp_path, document, tokens, **flags))
