"""Checkpoints as people have them: bare, wrapped, prefixed, of half precision, broken."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from aiq_core.errors import WeightsError
from aiq_core.runtime.own.checkpoint import read_checkpoint


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)).eval()


NET = network()
STATE = NET.state_dict()
KEPT = {name for name in STATE if not name.endswith("num_batches_tracked")}
PREFIXED = {f"module.{name}": tensor for name, tensor in STATE.items()}


def saved(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        PREFIXED,
        {"state_dict": PREFIXED, "epoch": 3},
        {"model": STATE},
        {"model_state_dict": STATE, "optimizer": {"state": {0: {"momentum": torch.ones(2)}}}},
        {"net": STATE, "acc": 93.1, "best": np.float64(93.4), "epoch": np.int64(7)},
        {"epoch": 1, "nested": {"ema": {f"_orig_mod.module.{name}": tensor for name, tensor in STATE.items()}}},
        {"step": torch.tensor(5), "weights": STATE},
    ],
)
def test_each_way_to_wrap_a_state_dict_gives_the_same_tensors(tmp_path: Path, content: Any) -> None:
    found, wrong = read_checkpoint(saved(tmp_path, content), NET)
    assert not wrong
    assert found.tensors.keys() == KEPT
    assert all(np.array_equal(array, STATE[name].numpy()) for name, array in found.tensors.items())


def test_a_prefix_is_counted_not_listed(tmp_path: Path) -> None:

    some = {f"module.{name}" if not name.startswith("3.") else name: tensor for name, tensor in STATE.items()}
    found, wrong = read_checkpoint(saved(tmp_path, {"state_dict": some}), NET)
    assert not wrong
    # 2 of the convolution, 5 of the norm; 2 of the linear layer without.
    assert "7 of 9 keys have the prefix `module.`; removed" in found.said


def test_of_two_state_dicts_one_is_to_be_chosen(tmp_path: Path) -> None:
    worse = network(1).state_dict()
    path = saved(tmp_path, {"ema": STATE, "model": worse})
    with pytest.raises(WeightsError, match=r"has 2 state dicts, 'ema' \(9 tensors\), 'model' \(9 tensors\); .*--key"):
        read_checkpoint(path, NET)
    found, _ = read_checkpoint(path, NET, "model")
    assert np.array_equal(found.tensors["3.bias"], worse["3.bias"].numpy())
    with pytest.raises(WeightsError, match="has no state dict 'best'; choose from 'ema', 'model'"):
        read_checkpoint(path, NET, "best")


class Runs:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickled_module_is_refused_and_never_run(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"holds more than tensors \(torch.nn.*pickled.*save the tensors alone instead"
    ):
        read_checkpoint(saved(tmp_path, NET), NET)
    with pytest.raises(WeightsError, match="which could run code and is never loaded"):
        read_checkpoint(saved(tmp_path, {"state_dict": STATE, "more": Runs(tmp_path / "ran")}), NET)
    assert not (tmp_path / "ran").exists()


def test_half_precision_is_read_and_its_stored_size_said(tmp_path: Path) -> None:
    linear = nn.Linear(64, 32, bias=False)
    found, _ = read_checkpoint(saved(tmp_path, copy.deepcopy(linear).half().state_dict()), linear)
    assert (found.stored_bytes, found.dtypes) == (64 * 32 * 2, ("float16",))
    assert found.tensors["weight"].dtype == np.float32
    assert found.said == ("stored as float16, 4,096 B; used as float32, 8,192 B",)
    path = tmp_path / "weights.safetensors"
    save_file({"weight": linear.weight.detach().bfloat16()}, path)
    found, _ = read_checkpoint(path, linear)
    assert (found.stored_bytes, found.dtypes) == (4096, ("bfloat16",))


@pytest.mark.parametrize(
    ("value", "place", "said"),
    [("nan", (3, 2), r"fc.weight: 1 NaN at \[3, 2\]"), ("inf", (5, 0), r"fc.weight: 1 infinite at \[5, 0\]")],
)
def test_nan_and_infinity_are_named(tmp_path: Path, value: str, place: tuple[int, int], said: str) -> None:
    model = nn.Sequential()
    model.add_module("fc", nn.Linear(16, 8))
    state = model.state_dict()
    state["fc.weight"][place] = float(value)
    with pytest.raises(WeightsError, match=said):
        read_checkpoint(saved(tmp_path, state), model)


def test_what_does_not_fit_is_counted_and_the_first_few_named(tmp_path: Path) -> None:
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5), nn.Linear(5, 2))
    _, wrong = read_checkpoint(saved(tmp_path, STATE), other)
    assert wrong.missing == ("4.weight", "4.bias")
    assert wrong.misshaped == ("3.weight is [2, 16], the network's [5, 16]", "3.bias is [2], the network's [5]")
    assert not wrong.unexpected
    _, wrong = read_checkpoint(saved(tmp_path, {f"{i}.{k}": t for i in range(3) for k, t in STATE.items()}), NET)
    # Of 3 x 8 tensors that are no counters, none has a name of the network's.
    assert (len(wrong.missing), len(wrong.unexpected)) == (8, 24)
    assert "8 missing (0.weight, 0.bias, 1.weight, 1.bias and 4 more)" in str(wrong)


class Args:
    """What a training script keeps beside the weights, as argparse does."""


SAFE = save({"weight": torch.zeros(40)})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.pt", None, "none.pt' is not there; give a .safetensors file, a checkpoint of torch.save, default or"),
        ("", None, "is a folder; give a .safetensors file"),
        ("empty.pt", b"", "empty.pt is empty; copy it again"),
        ("empty.safetensors", b"", "empty.safetensors is empty; copy it again"),
        ("odd.safetensors", b"not that at all", "cannot be read as safetensors .*cut short or of another format"),
        ("cut.safetensors", SAFE[:-8], "cannot be read as safetensors .*cut short or of another format"),
        *(
            (name, content, "cannot be read as weights: it is cut short, or torch.save did not write it; copy")
            for name, content in (
                ("random.bin", np.random.default_rng(0).bytes(4000)),
                ("random.pth", np.random.default_rng(1).bytes(4000)),
                ("text.pt", b"hello, this is a text"),
                ("pickle.pkl", pickle.dumps({"a": np.zeros(3)})),
            )
        ),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=said):
        read_checkpoint(tmp_path / name, NET)


def test_a_checkpoint_that_cannot_be_used(tmp_path: Path) -> None:
    path = saved(tmp_path, STATE)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(WeightsError, match="cannot be read as weights: it is cut short"):
        read_checkpoint(path, NET)
    with pytest.raises(WeightsError, match="holds no tensors under names"):
        read_checkpoint(saved(tmp_path, [torch.zeros(2)]), NET)
    with pytest.raises(WeightsError, match=r"holds more than tensors \(.*Args\): a pickled module or object"):
        read_checkpoint(saved(tmp_path, {"model": STATE, "args": Args()}), NET)
    with pytest.raises(WeightsError, match="no state dict 'ema'; its tensors are in none of their own: leave --key"):
        read_checkpoint(saved(tmp_path, STATE), NET, "ema")
    with pytest.warns(FutureWarning, match="deprecated"):
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    with pytest.raises(WeightsError, match="is a TorchScript program, whose code is never run; save the tensors"):
        read_checkpoint(path, NET)
