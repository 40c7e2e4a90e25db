"""Statistics of what layers read, and rounded layers from memory, from the cache, as shipped and computed."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from aiq_core import rounding
from aiq_core.catalog import Model
from aiq_core.catalog.shipped import BITS, FILE, ShippedLayers, shipped_settings
from aiq_core.errors import EvaluationError, SettingError
from aiq_core.records import Granularity, Grid, ImageSet, LayerKind, Policy, Quantizer, SplitName, unfinished
from aiq_core.runtime import statistics
from aiq_core.runtime.columns import columns
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.network import Network
from aiq_core.runtime.profile import profile
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.runtime.shipped import write_shipped
from aiq_core.runtime.statistics import layer_statistics
from aiq_core.runtime.tuned_network import run
from tests import bundled

DIGITS = bundled.model("digits_cnn")
LAYERS = DIGITS.profile.quantizable_names


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIQ_CACHE_DIR", str(tmp_path))
    return tmp_path


def settings(name: str = "gptq", grid: Grid = Grid.FULL, granularity: Granularity = Granularity.CHANNEL) -> Quantizer:
    """Of roundings that do not ship, unless told otherwise."""
    return rounding.settings(name, DIGITS.dataset.calibration_hash, granularity, grid)


# Statistics.


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.Conv2d(4, 6, (3, 1), padding="same", dilation=2),
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
        nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode="circular"),
        nn.Conv2d(4, 6, 1),
        nn.Conv1d(4, 6, 3, stride=2, padding=1),
        nn.Conv3d(4, 6, (1, 2, 3), dilation=(1, 2, 1)),
        nn.ConvTranspose1d(4, 6, 3, stride=3, output_padding=1),
        nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2),
        nn.ConvTranspose3d(4, 8, 2, dilation=2, groups=4),
        nn.Linear(7, 3),
    ],
    ids=str,
)
def test_columns_are_what_a_layer_multiplies(module: nn.Module) -> None:
    sizes = (7, 6, 5)[: max(1, module.weight.ndim - 2)]
    x = torch.randn(5, 4, *sizes, generator=torch.Generator().manual_seed(1))
    counted = profile(nn.Sequential(module), "odd", tuple(x.shape[1:]), ())
    network = Network(nn.Sequential(module), counted, tuple(x.shape[1:]), torch.contiguous_format)
    (layer,), held = counted.layers, network.layers["0"]
    operation = next(each for each in counted.graph if each.module == layer.name)
    read: list[torch.Tensor] = []
    held.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.inference_mode():
        expected = run(network, x)
        found = columns(layer, operation, read[0])
        weight = held.weight.reshape(layer.groups, -1, found.shape[1])
        made = (weight @ found).reshape(len(held.weight), 5, -1).transpose(0, 1) + held.bias[:, None]
    if layer.kind is LayerKind.LINEAR:  # its channels are the last axis
        made = made.transpose(1, 2)
    torch.testing.assert_close(made.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


def test_statistics_are_means_over_images_and_positions() -> None:
    known = layer_statistics(DIGITS)
    pixels = DIGITS.dataset.split("calibration").excerpt[..., 0]
    mean, std = DIGITS.card.mean[0], DIGITS.card.std[0]
    padded = np.pad((pixels / 255 - mean) / std, ((0, 0), (1, 1), (1, 1)))
    # The first layer reads 3 x 3 windows of the image: its 512 x 64 positions, one after another.
    x = np.stack([padded[:, i : i + 8, j : j + 8].ravel() for i in range(3) for j in range(3)])
    first = known[LAYERS[0]]
    assert first.mean[0] == pytest.approx(x.mean(axis=1), rel=1e-5, abs=1e-6)
    assert first.second_moment[0] == pytest.approx(x @ x.T / (512 * 64), rel=1e-5, abs=1e-6)
    assert list(known) == list(LAYERS)
    assert np.linalg.eigvalsh(first.covariance[0]).min() > -1e-9


def test_large_moments_wait_on_the_disk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = layer_statistics(DIGITS)
    monkeypatch.setattr(statistics, "HELD_BYTES", 0)
    waiting = layer_statistics.__wrapped__(DIGITS)
    assert not isinstance(waiting, dict)
    assert list(waiting) == list(held)
    for name in reversed(LAYERS):
        assert np.array_equal(waiting[name].second_moment, held[name].second_moment)
        assert np.array_equal(waiting[name].mean, held[name].mean)
    assert not list(cache.iterdir())


def test_moments_that_no_memory_holds_are_refused() -> None:
    # 10⁶ inputs, 8 bytes for each pair of them, and five such matrices: 4·10¹³ bytes.
    wide = nn.Sequential(nn.Flatten(), nn.Linear(10**6, 2))
    said = "rounding 1 of wide by calibration images takes 40,000.*GB of memory, and .* are free: .*`--exclude 1`"
    with pytest.raises(SettingError, match=said):
        statistics.require_memory(profile(wide, "wide", (1, 1000, 1000), ()))


def test_statistics_of_a_network_that_overflows_are_refused() -> None:
    huge = {
        name: np.full(DIGITS.weights[name].shape, 1e30, np.float32) for name in ("block1.bn.weight", "block2.bn.weight")
    }
    overflowing = replace(DIGITS)
    overflowing.__dict__["weights"] = DIGITS.weights | huge
    with pytest.raises(EvaluationError, match="block3.conv of digits_cnn reads NaN or infinite numbers"):
        layer_statistics(overflowing)


# Where layers come from.


def refuse(model: Model) -> None:
    raise AssertionError("computed anew")


@pytest.fixture
def computes_nothing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr("aiq_core.runtime.rounded.layer_statistics", refuse)


def test_a_layer_is_computed_once_and_read_from_the_cache(cache: Path, computes_nothing: Callable[[], None]) -> None:
    first = RoundedLayers(DIGITS, settings())
    layer = first("linear", 3)
    assert first("linear", 3) is layer
    computes_nothing()
    again = RoundedLayers(DIGITS, settings())("linear", 3)
    assert again.hash == layer.hash and again is not layer
    others = [("linear", 2, settings()), ("block1.conv", 3, settings()), ("linear", 3, settings("nearest_bias"))]
    others.append(("linear", 3, settings(granularity=Granularity.TENSOR)))
    for name, bits, how in others:
        with pytest.raises(AssertionError, match="computed anew"):
            RoundedLayers(DIGITS, how)(name, bits)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", None])
def test_a_damaged_file_is_made_again(cache: Path, content: bytes | None) -> None:
    layer = RoundedLayers(DIGITS, settings())("linear", 3)
    (path,) = (cache / "rounded").rglob("*.npz")
    whole = path.read_bytes()
    # Without a content, one bit of an integer is turned.
    place = whole.index(layer.integers.tobytes())
    path.write_bytes(content if content is not None else whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert RoundedLayers(DIGITS, settings())("linear", 3).hash == layer.hash
    assert path.read_bytes() == whole


def test_what_needs_no_images_is_not_kept(cache: Path, computes_nothing: Callable[[], None]) -> None:
    computes_nothing()
    for name in ("nearest", "mse"):
        RoundedLayers(DIGITS, settings(name))("linear", 3)
    assert not list(cache.rglob("*.npz"))


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rounded").write_text("not a folder")
    assert RoundedLayers(DIGITS, settings())("linear", 3).integers.any()


def test_other_images_than_the_data_sets_are_refused() -> None:
    with pytest.raises(SettingError, match="calibration=c0ffee is not the hash of digits's calibration images"):
        RoundedLayers(DIGITS, Quantizer("gptq", calibration="c0ffee"))


# Layers that ship.


@pytest.mark.parametrize("name", bundled.NAMES)
def test_every_layer_of_every_width_ships(name: str, computes_nothing: Callable[[], None]) -> None:
    computes_nothing()
    model = bundled.model(name)
    layers = RoundedLayers(model, shipped_settings(model))
    for bits in BITS:
        for layer in model.profile.quantizable_names:
            assert layers(layer, bits).integers.shape == model.folded[layer].weight.shape
    assert sum(bundled.model(other).folder.joinpath(FILE).stat().st_size for other in bundled.NAMES) <= 4_000_000


def shipped(model: Model) -> ShippedLayers:
    return ShippedLayers(model, shipped_settings(model))


def copy_of(model: Model, folder: Path) -> Model:
    shutil.copytree(model.folder, folder, dirs_exist_ok=True)
    return replace(model, folder=folder)


def test_what_ships_of_other_weights_is_not_used(tmp_path: Path) -> None:
    other = copy_of(DIGITS, tmp_path)
    assert shipped(other)("linear", 4) is not None and shipped(other)("linear", 7) is None
    assert ShippedLayers(other, settings(grid=Grid.FULL))("linear", 4) is None
    other = replace(other)
    other.__dict__["weights"] = DIGITS.weights | {"linear.weight": DIGITS.weights["linear.weight"] * 2}
    assert shipped(other)("linear", 4) is None and shipped(other)("block1.conv", 4) is not None
    (tmp_path / FILE).write_bytes(b"PK\x03\x04 cut short")
    assert shipped(replace(other))("block1.conv", 4) is None


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["digits_cnn", "resnet20"])
def test_what_ships_is_what_is_computed(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """But for weights so near the middle of two levels that another processor's sums push them over."""
    model = bundled.model(name)
    again = copy_of(model, tmp_path)
    write_shipped(again, RoundedLayers(again, shipped_settings(again)).computed)
    kept, made = shipped(model), shipped(again)
    differing = total = 0
    for bits in BITS:
        for layer in model.profile.quantizable_names:
            stored, computed = kept(layer, bits), made(layer, bits)
            assert stored is not None and computed is not None
            differing += int(np.count_nonzero(stored.integers != computed.integers))
            total += computed.integers.size
    print(f"{name}: {differing} of {total} shipped integers differ on this processor")
    record_property("differing", differing)
    assert differing <= total * 1e-2


# What is evaluated.


def test_the_evaluator_rounds_weights_and_bias() -> None:
    """A network with one layer's tensors put in by hand predicts the same."""
    how, policy = settings("nearest_bias"), DIGITS.profile.policy({"linear": 2})
    layer = RoundedLayers(DIGITS, how)("linear", 2)
    by_hand = replace(DIGITS)
    by_hand.__dict__["weights"] = DIGITS.weights | {"linear.weight": layer.weight, "linear.bias": layer.bias}
    assert not np.array_equal(layer.bias, DIGITS.weights["linear.bias"])
    found = outcomes(DIGITS, how, policy)
    assert np.array_equal(found, outcomes(by_hand, Quantizer(), DIGITS.profile.uniform(32)))


def outcomes(model: Model, quantizer: Quantizer, policy: Policy) -> NDArray[np.uint8]:
    evaluator = TorchEvaluator(model, ImageSet(SplitName.SEARCH, 500), quantizer, 1)
    *_, last = evaluator.chunks(policy, None, unfinished(500, np.dtype(np.uint8)))
    return last
