"""Fine-tuning: gradients by hand, where it begins, what it keeps, and the same layers after a kill."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aiq_core import fine_tuning, space
from aiq_core.errors import DataError, SettingError
from aiq_core.records import Granularity, Grid, ImageSet, Policy, Quantizer, SplitName, Tuning, unfinished
from aiq_core.runtime import tuned
from aiq_core.runtime.data import to_input
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.fine_tune import fine_tune
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.runtime.straight_through import OnGrid, coarsened, straight_through
from aiq_core.runtime.train import Progress
from aiq_core.runtime.tuned_network import TunedNetwork
from tests import bundled

DIGITS = bundled.model("digits_cnn")
MIXED = Policy((32, 3, 3, 4, 4), (4, 4, 3, 4, 4, 8))
SHORT = Tuning(epochs=3, peak_learning_rate=0.002)
STEPS = 797 // 64  # of an epoch: training images by the batch of the model's recipe
SEARCH = ImageSet(SplitName.SEARCH, 500)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def settings(policy: Policy = MIXED, tuning: Tuning = SHORT) -> Quantizer:
    return fine_tuning.quantizer(DIGITS.dataset, policy, tuning)


def trained(tuning: Tuning = SHORT) -> Quantizer:
    """The quantizer of MIXED once it is trained."""
    how = settings(tuning=tuning)
    return replace(how, trained=fine_tune(DIGITS, MIXED, tuning, how))


# Gradients.


def test_a_weight_moves_as_if_it_were_not_rounded() -> None:
    grid = OnGrid(torch.tensor([[0.5]]), -7, 7)
    weight = torch.tensor([[0.6, 3.7, 4.0]], requires_grad=True)
    rounded = grid(weight)
    assert rounded.tolist() == [[0.5, 3.5, 3.5]]  # 1.2 -> 1, 7.4 -> 7, and 8 is beyond the grid: 7
    loss = ((rounded * torch.tensor([3.0, 1.0, 1.0])).sum() - 2) ** 2  # 3 * 0.5 + 3.5 + 3.5 - 2 = 6.5, squared
    loss.backward()
    assert weight.grad is not None
    # d loss / d rounded is 2 * 6.5 * (3, 1, 1); it passes as it is, but not where the weight was clipped.
    assert weight.grad.tolist() == [[39.0, 13.0, 0.0]]


def test_a_channel_of_zeros_stays_so() -> None:
    weight = torch.zeros(1, 2, requires_grad=True)
    assert OnGrid(torch.zeros(1, 1), -7, 7)(weight).tolist() == [[0.0, 0.0]]


def test_an_activation_passes_gradients_within_its_range() -> None:
    x = torch.tensor([-0.3, 1.1, 5.0], requires_grad=True)
    rounded = straight_through(x, lambda x: coarsened(x, 0.25, 0, 15))
    assert rounded.tolist() == [0.0, 1.0, 3.75]  # 4.4 -> 4 steps; 20 -> 15; nothing is below 0
    rounded.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


# The network.


@pytest.mark.parametrize("grid", Grid)
@pytest.mark.parametrize("granularity", Granularity)
def test_it_begins_at_what_rounding_gives(granularity: Granularity, grid: Grid) -> None:
    how = space.quantizer(DIGITS.dataset, "gptq", granularity, grid, activations=True)
    network, rounded = TunedNetwork(DIGITS, MIXED, how), RoundedLayers(DIGITS, how)
    begun = network.layers()
    assert list(begun) == list(DIGITS.profile.quantizable_names[1:])  # the first stays FP32
    for name, layer in begun.items():
        assert layer.hash == rounded(name, DIGITS.profile.named_bits(MIXED)[name]).hash
    # The weights behind the integers are nearer to FP32's than these are.
    name = DIGITS.profile.quantizable_names[1]
    exact, behind = DIGITS.folded[name].weight, network.trained[f"{name}.weight"].detach().numpy()
    assert np.abs(behind - exact).mean() < 0.5 * np.abs(begun[name].weight - exact).mean()


def test_what_is_trained_is_what_the_evaluator_runs() -> None:
    how = trained()
    network = TunedNetwork(DIGITS, MIXED, how)
    evaluator = TorchEvaluator(DIGITS, SEARCH, how, threads=1)
    *_, outcomes = evaluator.chunks(MIXED, None, unfinished(500, np.dtype(np.uint8)))
    pixels = network.pixels(DIGITS.dataset.images(SEARCH))
    with torch.inference_mode():
        logits = network(to_input(pixels, DIGITS.card.mean, DIGITS.card.std))
    assert (logits.argmax(1).numpy() == outcomes).all()


def test_training_lowers_the_loss_and_changes_integers_and_biases() -> None:
    losses: dict[int, float] = {}

    def note(at: Progress) -> None:
        losses[at.epoch] = at.loss  # the mean of an epoch, as its last step tells it

    layers = fine_tune(DIGITS, MIXED, replace(SHORT, epochs=6), settings(), note)
    assert losses[5] < 0.8 * losses[0]
    kept = tuned.TunedLayers(DIGITS, layers)
    how = space.quantizer(DIGITS.dataset, "gptq", activations=True)
    rounded = RoundedLayers(DIGITS, how)
    for name in DIGITS.profile.quantizable_names[1:]:
        bits = DIGITS.profile.named_bits(MIXED)[name]
        before, after = rounded(name, bits), kept(name, bits)
        assert (after.scale == before.scale).all() and after.hash != before.hash
        top = 2 ** (bits - 1) - 1
        assert after.integers.min() >= -top and after.integers.max() <= top
        assert (after.bias != before.bias).any()


# Kept on disk.


class Killed(BaseException):
    """What no one catches."""


@pytest.mark.parametrize("step", [STEPS - 1, STEPS, 2 * STEPS + 3])
def test_killed_and_resumed_it_gives_the_same_layers(step: int, data: Path) -> None:
    expected = fine_tune(DIGITS, MIXED, SHORT, settings())
    whole = (data / "fine_tuned" / expected / tuned.LAYERS).read_bytes()
    shutil.rmtree(data)
    steps: list[Progress] = []

    def kill(at: Progress) -> None:
        steps.append(at)
        if len(steps) == step + 1:
            raise Killed

    with pytest.raises(Killed):
        fine_tune(DIGITS, MIXED, SHORT, settings(), kill)
    assert not (data / "fine_tuned" / expected).exists()
    again: list[Progress] = []
    assert fine_tune(DIGITS, MIXED, SHORT, settings(), again.append) == expected
    assert len(again) == (SHORT.epochs - step // STEPS) * STEPS  # at most an epoch is lost
    assert again[-1].eta_s == 0 < again[0].eta_s
    assert (data / "fine_tuned" / expected / tuned.LAYERS).read_bytes() == whole
    assert list((data / "fine_tuned" / "unfinished").iterdir()) == []


def test_what_was_trained_is_found_again() -> None:
    steps: list[Progress] = []
    first = fine_tune(DIGITS, MIXED, SHORT, settings(), steps.append)
    assert len(steps) == SHORT.epochs * STEPS
    assert fine_tune(DIGITS, MIXED, SHORT, settings(), steps.append) == first
    assert len(steps) == SHORT.epochs * STEPS
    other = replace(SHORT, seed=1)
    assert fine_tune(DIGITS, MIXED, other, settings(tuning=other)) != first


def test_the_card_says_how_it_came(data: Path) -> None:
    how = trained()
    card = json.loads((data / "fine_tuned" / str(how.trained) / tuned.CARD).read_text())
    assert (card["trained"], card["model_hash"], card["policy"]) == (how.trained, DIGITS.hash, MIXED.key)
    assert card["tuning"] == {
        "epochs": 3,
        "peak_learning_rate": 0.002,
        "distilled": 0.5,
        "start": "gptq",
        "seed": 0,
    }
    assert card["origin"]["torch"] == torch.__version__.split("+")[0] and card["origin"]["cpu"]
    assert card["training_hash"] == DIGITS.dataset.split("training").hash


@pytest.mark.parametrize("harm", ["gone", "torn", "changed"])
def test_layers_that_are_gone_or_changed_are_refused_with_a_remedy(data: Path, harm: str) -> None:
    how = trained()
    folder = data / "fine_tuned" / str(how.trained)
    if harm == "gone":
        shutil.rmtree(folder)
    elif harm == "torn":
        (folder / tuned.LAYERS).write_bytes((folder / tuned.LAYERS).read_bytes()[:-200])
    else:
        with np.load(folder / tuned.LAYERS, allow_pickle=False) as file:
            arrays = dict(file)
        arrays["bias.linear"] = arrays["bias.linear"] + 1
        np.savez_compressed(folder / tuned.LAYERS, **arrays)
    with pytest.raises(
        DataError, match=rf"layers {how.trained} of digits_cnn .* `python -m aiq_core fine-tune digits_"
    ):
        TorchEvaluator(DIGITS, SEARCH, how, threads=1)
    # Trained again, they are the same, in their place.
    assert trained() == how
    TorchEvaluator(DIGITS, SEARCH, how, threads=1)


def test_another_width_is_refused() -> None:
    layers = tuned.TunedLayers(DIGITS, trained().trained)
    with pytest.raises(SettingError, match=r"bits=8 are asked for linear, and .* have it at 4"):
        layers("linear", 8)
    with pytest.raises(SettingError, match=r"bits=8 are asked for block1.conv, and .* have it at 32"):
        layers("block1.conv", 8)


def test_layers_that_ship_with_a_model_are_read(data: Path, tmp_path: Path) -> None:
    how = trained()
    shipping = replace(DIGITS, folder=shutil.copytree(DIGITS.folder, tmp_path / "digits_cnn"))
    shutil.move(data / "fine_tuned", shipping.folder / "fine_tuned")
    assert tuned.TunedLayers(shipping, how.trained)("linear", 4).integers.dtype == np.int8
    with pytest.raises(DataError, match="are not in"):
        tuned.TunedLayers(DIGITS, how.trained)
