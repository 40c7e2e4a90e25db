"""Data sets and weights by the names that torchvision gives them, from its own caches; nothing is fetched."""

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision import models

from aiq_core.catalog import cache_dir
from aiq_core.catalog.dataset import CALIBRATION, TRAINING
from aiq_core.errors import DataError
from aiq_core.library import open_library
from aiq_core.records import SplitName
from aiq_core.runtime.own import pretrained
from aiq_core.runtime.own.asked import Asked
from aiq_core.runtime.own.checkpoint import mismatch
from aiq_core.runtime.own.data import find
from aiq_core.runtime.own.named import training_of
from aiq_core.runtime.own.network import Source
from aiq_core.runtime.own.preprocessing import Preprocessing
from aiq_core.tasks import add as adding
from tests import bundled

NETWORKS = Path(__file__).parent / "networks"
DIGITS = bundled.model("digits_cnn")
SMALLEST = "squeezenet1_1"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folders; nothing of the network can be reached."""
    for name in ("AIQ_DATA_DIR", "AIQ_CACHE_DIR", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return tmp_path


def idx(path: Path, array: NDArray[np.uint8]) -> None:
    """A file as MNIST has them: 0, 0, 8 for bytes, the number of axes, each length in four bytes, the numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + np.ascontiguousarray(array).tobytes())


def mnist() -> None:
    """The digits in the files of MNIST: those that judge test, the training images train."""
    for part, name in (("t10k", SplitName.REPORT), ("train", TRAINING)):
        split = DIGITS.dataset.split(name)
        folder = cache_dir() / "torchvision" / "MNIST" / "raw"
        idx(folder / f"{part}-images-idx3-ubyte", split.images(split.size)[..., 0])
        idx(folder / f"{part}-labels-idx1-ubyte", split.labels.astype(np.uint8))


def added(**asked: Any) -> dict[str, Any]:
    return dict(adding.added(open_library(), Asked("mine", **asked), lambda *_: None, allow_chance=True))


def test_a_data_set_of_torchvisions_by_its_name() -> None:
    mnist()
    found = added(
        network=f"{NETWORKS}/digits.py:build",
        weights=str(DIGITS.folder / "weights.safetensors"),
        data="mnist",
        flags={"mean": [0.3], "std": [0.35]},
    )
    # Its test images choose and judge, its training images calibrate.
    assert (found["search_images"], found["report_images"], found["calibration_images"]) == (250, 250, 512)
    assert found["all_images"] == 500
    assert found["all_right"] == round(5 * DIGITS.card.report_top1_percent)
    assert found["class_names"][3] == "3 - three"
    assert open_library().model("mine").dataset.split(CALIBRATION).size == 512
    assert "500 test images of torchvision's MNIST" in found["said"]
    assert len(find("torchvision:MNIST:train")) == DIGITS.dataset.split(TRAINING).size


def test_grey_images_of_a_network_without_convolutions_stay_grey() -> None:
    mnist()
    assert added(network=f"{NETWORKS}/digits.py:flat", weights="default", data="MNIST")["input_shape"] == [1, 8, 8]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("FakeData", "torchvision's FakeData has no class an image; give another data set"),
        ("KMNIST", "torchvision's KMNIST cannot be had .*; connect to the network, or put it into .*AIQ_CACHE_DIR"),
        ("EMNIST", "torchvision's EMNIST cannot be had .ValueError: Unknown value 'test' for argument split"),
    ],
)
def test_data_sets_that_cannot_be_used(name: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        find(name)


def test_training_images_are_those_of_sets_that_tell_them_apart(tmp_path: Path) -> None:
    names = {
        "MNIST": "MNIST:train",
        "SVHN:test": "SVHN:train",
        "MNIST:train": None,
        "EuroSAT": None,
        "a.npy,b.npy": None,
    }
    assert {name: training_of(name) for name in names} == names
    (tmp_path / "MNIST").mkdir()
    assert training_of(str(tmp_path / "MNIST")) is None


def cached(name: str, state: Any) -> Path:
    """Puts a file where torch keeps what it fetched, under the name that torchvision asks for."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


def squeezenet(home: Path, outputs: str = "") -> dict[str, Any]:
    images = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), dtype=np.uint8)
    np.savez(home / "images.npz", images=images, labels=np.arange(30) % 10)
    return added(
        network=f"torchvision:{SMALLEST}{outputs}",
        weights="default",
        data=str(home / "images.npz"),
        flags={"resize": [64], "crop": [64]},
    )


def test_the_weights_that_torchs_cache_has_are_used(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = models.get_model(SMALLEST)
    cached(SMALLEST, network.state_dict())
    found = squeezenet(home)
    assert found["classes"] == 1000
    assert found["class_names"][:2] == ["tench", "goldfish"]
    weight = open_library().model("mine").weights["features.0.weight"]
    assert np.array_equal(weight, network.state_dict()["features.0.weight"].numpy())
    assert capfd.readouterr().out == ""


class Runs:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_own_weights_that_cannot_be_had(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    where = f"put its file into {torch.hub.get_dir()}/checkpoints, or give --weights FILE, or --weights random"
    with pytest.raises(adding.RefusedError, match=f"own weights of {SMALLEST} cannot be had .URLError: .*, or {where}"):
        squeezenet(home)
    assert capfd.readouterr().out == ""  # but for what --json prints
    cached(SMALLEST, {"more": Runs(home / "ran")})
    with pytest.raises(adding.RefusedError, match="cannot be had .UnpicklingError: Weights only load failed.; connect"):
        squeezenet(home)
    assert not (home / "ran").exists()
    cached(SMALLEST, models.get_model(SMALLEST).state_dict())
    with pytest.raises(
        adding.RefusedError, match=f"do not fit torchvision:{SMALLEST}:10: 2 of another shape"
    ) as refused:
        squeezenet(home, ":10")
    assert refused.value.document["keys_misshaped"] == 2


@pytest.mark.filterwarnings("ignore:auxiliary heads")
def test_weights_with_names_of_old_or_more_heads_fit() -> None:
    """Those of DenseNets were saved as `norm.1`, for `norm1`; those of GoogLeNet have heads for training alone."""
    for name in ("densenet121", "googlenet"):
        source = Source("torchvision", name)
        network = source.build()
        state = network.state_dict()
        old = re.compile(r"(denselayer\d+\.(?:norm|conv))(\d)")
        kept = {key: each for key, each in state.items() if not key.endswith("num_batches_tracked")}
        cached(name, {old.sub(r"\1.\2", key): each for key, each in kept.items()})
        found = pretrained.state_of(source)
        assert not mismatch(found, network)
        assert all(torch.equal(found[key], each) for key, each in state.items())


def test_a_forward_that_normalises_once_more_is_a_normalisation() -> None:
    network = models.get_model("googlenet", init_weights=False, transform_input=True)
    how, _ = pretrained.preprocessing_of(Source("torchvision", "googlenet"), network)
    plain, _ = pretrained.preprocessing_of(Source("torchvision", "resnet18"), network)
    pixels = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))

    def normalised(by: Preprocessing) -> torch.Tensor:
        mean, std = (torch.tensor(each)[:, None, None] for each in by.of_pixels(3))
        return (pixels - mean) / std

    assert torch.allclose(normalised(how), network._transform_input(normalised(plain)), atol=1e-6)
