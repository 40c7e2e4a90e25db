"""Folding: one set of tensors, for the pages and the evaluator alike, and the unfolded network's results."""

import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aiq_core import folding
from aiq_core.errors import WeightsError
from aiq_core.graph import Operation, folded_norms
from aiq_core.records import Layer, LayerKind, ModelProfile
from aiq_core.runtime.models import spec
from aiq_core.runtime.profile import profile
from aiq_core.runtime.weights import network_with
from tests import bundled
from tests.folded import fold_batch_norm

FOLDED = {
    "resnet20": "55018a22f210f281fdb92b2eb007d927f7706859ddeece074ab1d367443958f7",
    "mobilenet_v2": "636653d5d6c094f39f049050e6b1eb2827b93e2431305a7728d594c7f5dcf216",
    "heavy_early_resnet20": "c4b059fb593854dec410d2dd93ad1148b5bd5d79d47e52c2c3f5a972efb02e83",
    "plain_convnet20": "adf90aaeedf3cf2bfeb33ae7fc9e674d9938b6755f703bd246bfc589c8fe9b2f",
    "digits_cnn": "18c9994a003287001168190013ca9109a2fe33c271665e36b784398324b51e11",
}
"""SHA-256 of each bundled network's folded tensors, taken of torch's own fusion: stored predictions were made by it."""

TOY = ModelProfile(
    "toy",
    (Layer("body.0", LayerKind.CONV2D, 1, 2, 0, 1, 2, 1, True, "image", None),),
    ("image",),
    (
        Operation("image"),
        Operation("conv2d", (0,), "body.0"),
        Operation("batch_norm2d", (1,), "norm", {"eps": 1e-3}),
        Operation("output", (2,)),
    ),
)
WEIGHT = {"body.0.weight": np.array([[[[2.0]]], [[[3.0]]]], dtype=np.float32)}


@pytest.mark.parametrize("model", bundled.NAMES)
def test_bundled_networks_fold_to_the_last_bit(model: str) -> None:
    folded = folding.fold(bundled.model(model).weights, bundled.profile(model))
    digest = hashlib.sha256()
    for name, layer in folded.items():
        for part, array in zip(("weight", "bias"), layer, strict=True):
            digest.update(f"{name}.{part} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
    assert digest.hexdigest() == FOLDED[model]


@pytest.mark.parametrize("model", bundled.NAMES)
def test_the_network_that_runs_holds_the_same_bits(model: str) -> None:
    network = fold_batch_norm(network_with(spec(model), bundled.model(model).weights, model), bundled.profile(model))
    for name, layer in folding.fold(bundled.model(model).weights, bundled.profile(model)).items():
        for part, array in zip(("weight", "bias"), layer, strict=True):
            held = network.get_parameter(f"{name}.{part}").detach().numpy()
            assert np.array_equal(held.view(np.uint32), array.view(np.uint32)), f"{name}.{part}"


def test_a_norm_scales_and_shifts_each_output_channel() -> None:
    tensors = WEIGHT | {
        "body.0.bias": np.array([1.0, 1.0], dtype=np.float32),
        "norm.weight": np.array([10.0, 20.0], dtype=np.float32),
        "norm.bias": np.array([0.5, 0.25], dtype=np.float32),
        "norm.running_mean": np.array([3.0, 2.0], dtype=np.float32),
        "norm.running_var": np.array([4.0, 25.0], dtype=np.float32) - np.float32(1e-3),
    }
    folded = folding.fold(tensors, TOY)["body.0"]
    # w · gamma / sqrt(var + eps): 2 · 10 / 2 and 3 · 20 / 5
    np.testing.assert_allclose(folded.weight.ravel(), [10.0, 12.0], rtol=1e-6)
    # (b − mean) · gamma / sqrt(var + eps) + beta: −2 · 5 + 0.5 and −1 · 4 + 0.25
    np.testing.assert_allclose(folded.bias, [-9.5, -3.75], rtol=1e-6)


def test_a_norm_of_its_own_epsilon_without_gamma_and_beta() -> None:
    tensors = WEIGHT | {
        "norm.running_mean": np.full(2, 0.5, dtype=np.float32),
        "norm.running_var": np.full(2, 4e-4, dtype=np.float32),
    }
    folded = folding.fold(tensors, TOY)["body.0"]
    gain = 26.726  # 1 / sqrt(4e-4 + 1e-3); an epsilon of 1e-5 would give 49.39
    np.testing.assert_allclose(folded.weight.ravel(), [2 * gain, 3 * gain], rtol=1e-4)
    np.testing.assert_allclose(folded.bias, [-0.5 * gain] * 2, rtol=1e-4)


def test_without_a_norm_a_layer_stays() -> None:
    alone = ModelProfile("toy", TOY.layers, TOY.activation_groups, (*TOY.graph[:2], Operation("output", (1,))))
    folded = folding.fold(WEIGHT, alone)["body.0"]
    assert np.array_equal(folded.weight, WEIGHT["body.0.weight"])
    assert np.array_equal(folded.bias, [0, 0])


def test_a_norm_without_running_statistics_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"norm of toy keeps no running statistics.*track_running_stats=True"):
        folding.fold(WEIGHT, TOY)


class Toy(nn.Module):
    """A 3 x 3 convolution and a norm whose statistics are far from 0 and 1, before the forward's own way with them."""

    def __init__(self, bias: bool = False, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=bias)
        self.other = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3, eps=eps, affine=affine)
        self.norm.running_mean.copy_(torch.tensor([0.5, -1.0, 2.0]))  # type: ignore[union-attr]
        self.norm.running_var.copy_(torch.tensor([1e-3, 4e-4, 9.0]))  # type: ignore[union-attr]
        if affine:
            nn.init.uniform_(self.norm.weight, -2, 2)
            nn.init.uniform_(self.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.norm(self.conv(x))))  # type: ignore[no-any-return]


class NormFirst(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.conv(self.norm(x)))  # type: ignore[no-any-return]


class TwoReaders(Toy):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.other(self.norm(y) + y)  # type: ignore[no-any-return]


class NormTwice(Toy):
    """One norm after two convolutions, known under two names."""

    def __init__(self) -> None:
        super().__init__(bias=True)
        self.again = self.norm

    def forward(self, x: Tensor) -> Tensor:
        return self.again(self.other(self.norm(self.conv(x))))  # type: ignore[no-any-return]


class NormTwiceOnceAlone(Toy):
    """One norm after a convolution and after a ReLU, into which it cannot fold."""

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.norm(torch.relu(self.norm(self.conv(x)))))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("network", "into"),
    [
        (Toy(), ["conv"]),
        (Toy(eps=1e-3), ["conv"]),
        (Toy(affine=False), ["conv"]),
        (Toy(bias=True, eps=1e-3), ["conv"]),
        (NormTwice(), ["conv", "other"]),
        (NormFirst(), []),
        (TwoReaders(), []),
        (NormTwiceOnceAlone(), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_folded_network_computes_what_the_network_does(network: nn.Module, into: list[str]) -> None:
    network.eval()
    counted = profile(network, "toy", (3, 8, 8), ())
    assert list(folded_norms(counted.graph)) == into
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(x)
        found = fold_batch_norm(network, counted)(x)
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules()) is not bool(into)
    # The norm multiplies by up to 2 / sqrt(4e-4).
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
