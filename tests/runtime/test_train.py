"""Training on the digits: the recipe's parts by hand, and resuming along the same trajectory."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import aiq_core
from aiq_core.catalog import Card
from aiq_core.catalog.hashes import model_hash
from aiq_core.catalog.model import read_weights
from aiq_core.errors import SettingError
from aiq_core.runtime.augment import augment
from aiq_core.runtime.checkpoint import CHECKPOINT
from aiq_core.runtime.models import Recipe, spec
from aiq_core.runtime.train import Progress, average_into, learning_rate, parameter_groups, suited_to, train
from tests import bundled

DIGITS = bundled.dataset("digits")
SHORT = replace(spec("digits_cnn").recipe, epochs=4)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("uninterrupted")
    train("digits_cnn", DIGITS, folder / "out", recipe=SHORT, work=folder / "work")
    return folder / "out"


def same_result(one: Path, other: Path) -> bool:
    return all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in ("weights.safetensors", "card.json")
    )


def test_result_is_weights_and_a_card(uninterrupted: Path) -> None:
    card = Card.read(uninterrupted)
    tensors = read_weights(uninterrupted / "weights.safetensors")
    assert card.model_hash == model_hash(bundled.profile("digits_cnn").graph, card.mean, card.std, tensors)
    assert card.recipe["epochs"] == 4
    assert card.recipe["kept"] in ("last", "averaged")
    assert card.search_top1_percent > 50  # ten classes: chance is 10


def test_killed_and_resumed_equals_uninterrupted(uninterrupted: Path, tmp_path: Path) -> None:
    program = f"""
import torch
from pathlib import Path
from dataclasses import replace
from aiq_core.catalog import bundled
from aiq_core.runtime.models import spec
from aiq_core.runtime.train import train
torch.set_num_threads(1)
recipe = replace(spec("digits_cnn").recipe, epochs={SHORT.epochs})
report = lambda progress: print(progress.epoch, flush=True)
digits = bundled().dataset("digits")
train("digits_cnn", digits, Path({str(tmp_path / "out")!r}), report, recipe, Path({str(tmp_path / "work")!r}))
"""
    root = Path(aiq_core.__file__).resolve().parent.parent
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert (tmp_path / "work" / CHECKPOINT).is_file()
    epochs: list[int] = []
    train("digits_cnn", DIGITS, tmp_path / "out", lambda p: epochs.append(p.epoch), SHORT, tmp_path / "work")
    assert 1 not in epochs
    assert same_result(uninterrupted, tmp_path / "out")


def test_stopped_within_an_epoch_and_resumed_equals_uninterrupted(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiq_core.runtime import train as module

    steps = 0
    steps_per_epoch = 797 // SHORT.batch_size

    def stopping(*arguments: object) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 2 * steps_per_epoch + 5:  # in the third epoch
            raise KeyboardInterrupt
        return augment(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "augment", stopping)
    with pytest.raises(KeyboardInterrupt):
        train("digits_cnn", DIGITS, tmp_path / "out", recipe=SHORT, work=tmp_path / "work")
    assert not (tmp_path / "out").exists()
    epochs: list[int] = []
    train("digits_cnn", DIGITS, tmp_path / "out", lambda p: epochs.append(p.epoch), SHORT, tmp_path / "work")
    assert epochs == [3, 4]
    assert same_result(uninterrupted, tmp_path / "out")
    assert not (tmp_path / "work" / CHECKPOINT).exists()


def test_progress_counts_down(tmp_path: Path) -> None:
    seen: list[Progress] = []
    train("digits_cnn", DIGITS, tmp_path / "out", seen.append, replace(SHORT, epochs=2), tmp_path / "work")
    assert [(p.epoch, p.epochs) for p in seen] == [(1, 2), (2, 2)]
    assert seen[0].loss > seen[1].loss
    assert seen[0].eta_s > seen[1].eta_s == 0


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("digits_cnn", DIGITS, tmp_path / "out", stop, SHORT, tmp_path / "work")
    with pytest.raises(SettingError, match="made by another recipe"):
        train("digits_cnn", DIGITS, tmp_path / "out", recipe=replace(SHORT, seed=1), work=tmp_path / "work")
    (tmp_path / "work" / CHECKPOINT).write_bytes(b"torn")
    with pytest.raises(SettingError, match="cannot be resumed"):
        train("digits_cnn", DIGITS, tmp_path / "out", recipe=SHORT, work=tmp_path / "work")


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="batch_size=800 exceeds the 797 training images"):
        train("digits_cnn", DIGITS, tmp_path / "out", recipe=replace(SHORT, batch_size=800), work=tmp_path)


def test_learning_rate_warms_up_then_falls_to_zero() -> None:
    recipe = Recipe(epochs=1, peak_learning_rate=0.2)
    rates = [learning_rate(recipe, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.2 / 10)  # 10 % of 100 steps
    assert rates[9] == pytest.approx(0.2)
    assert rates[55] == pytest.approx(0.1)  # half of the cosine: 10 + 90 / 2
    assert rates[100] == pytest.approx(0)


@pytest.mark.parametrize(("capability", "autocast"), [("AVX512", "bfloat16"), ("AVX2", None), ("DEFAULT", None)])
def test_autocast_only_where_it_is_not_emulated(
    monkeypatch: pytest.MonkeyPatch, capability: str, autocast: str | None
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    recipe = spec("resnet20").recipe
    assert suited_to("cpu", recipe) == replace(recipe, autocast=autocast)


@pytest.mark.parametrize(("device", "remedy"), [("cuda", "give cpu$"), ("tpu", "give cpu or cuda$")])
def test_a_device_that_is_not_here_is_refused(tmp_path: Path, device: str, remedy: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(SettingError, match=f"device='{device}' cannot be used here; {remedy}"):
        train("digits_cnn", DIGITS, tmp_path / "out", recipe=SHORT, work=tmp_path, device=device)


def test_weight_decay_acts_on_layers_alone() -> None:
    network = spec("digits_cnn").build()
    decayed, rest = parameter_groups(network, 5e-4)
    assert (decayed["weight_decay"], rest["weight_decay"]) == (5e-4, 0.0)
    assert len(decayed["params"]) == 5
    assert all(p.ndim == 1 for p in rest["params"])  # batch normalisation and the bias
    assert len(decayed["params"]) + len(rest["params"]) == len(list(network.parameters()))


def test_average_covers_buffers() -> None:
    mean, network = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    network.running_mean.fill_(1.0)  # type: ignore[union-attr]
    network.weight.data.fill_(3.0)
    network.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
    average_into(mean, network, 0.9)
    assert torch.allclose(mean.running_mean, torch.full((2,), 0.1))  # type: ignore[arg-type]
    assert torch.allclose(mean.weight, torch.full((2,), 1.0 * 0.9 + 3.0 * 0.1))
    assert int(mean.num_batches_tracked) == 7  # type: ignore[arg-type]


def test_augmentation_shifts_and_flips() -> None:
    inputs = torch.arange(64.0).reshape(1, 1, 8, 8).repeat(64, 1, 1, 1)
    random = torch.Generator().manual_seed(0)
    same = augment(inputs, 0, False, random)
    assert torch.equal(same, inputs)
    flipped = augment(inputs, 0, True, random)
    mirrored = [torch.equal(image, inputs[0].flip(2)) for image in flipped]
    kept = [torch.equal(image, inputs[0]) for image in flipped]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48
    # Interior pixels of a crop are the image's, moved by at most the padding: 8 per row, 1 per column.
    moved = (augment(inputs, 1, False, random) - inputs)[:, 0, 1:-1, 1:-1].reshape(64, -1)
    assert (moved == moved[:, :1]).all()
    assert {int(v) for v in moved[:, 0]} <= {8 * dy + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    assert len({tuple(chunk.unique().tolist()) for chunk in moved[:, 0].reshape(8, 8)}) > 1
