"""What a browser hands over: kept as a file, unpacked, tried, and in place only once it is asked for."""

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from aiq_core import tasks
from aiq_core.catalog import data_dir
from aiq_core.errors import AiqError, Cancelled, DataError, SettingError
from aiq_core.library import Library, open_library
from aiq_core.records import RunStatus, SplitName, Task
from aiq_core.tasks import trial
from tests import bundled

ARCHITECTURE, OUTPUTS, EACH = "shufflenet_v2_x0_5", 10, 6
DIGITS = bundled.model("digits_cnn").dataset


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AIQ_CACHE_DIR", str(tmp_path / "cache"))
    return open_library()


@pytest.fixture(scope="module")
def weights() -> bytes:
    """A checkpoint as training writes it: the state dict of a network with ten outputs, in a dict."""
    torch.manual_seed(0)
    content = io.BytesIO()
    network = models.get_model(ARCHITECTURE, weights=None, num_classes=OUTPUTS)
    torch.save({"model": network.state_dict(), "epoch": 3}, content)
    return content.getvalue()


def zipped(files: Mapping[str | zipfile.ZipInfo, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def picture(pixels: np.ndarray[Any, Any]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def folders() -> bytes:
    """Six digits of each class, in class folders that lie in one of their own."""
    split = DIGITS.split(SplitName.REPORT)
    images = split.images(EACH * OUTPUTS)
    files = {
        f"digits/{label}/{place}.png": picture(image)
        for place, (image, label) in enumerate(zip(images, split.labels, strict=False))
    }
    return zipped({**files, "__MACOSX/digits/0/._0.png": b"", "digits/.DS_Store": b""})


def submitted(library: Library, weights: bytes, images: bytes, **other: Any) -> Task:
    upload, paths = trial.upload({"weights": ("my weights.pth", weights), "data": ("digits.zip", images)})
    settings = {
        "name": "mine",
        "title": "Mine",
        "network": f"torchvision:{ARCHITECTURE}:{OUTPUTS}",
        "weights": str(paths["weights"]),
        "data": str(paths["data"]),
        "flags": {"resize": [32], "crop": [32], "mean": [0.5], "std": [0.25]},
        trial.UPLOADS: upload,
    }
    task = Task("try-1", trial.KIND, settings | other, RunStatus.QUEUED, "2026-01-01T00:00:00")
    library.store.tasks.add(task)
    return tasks.run(library, task)


def lying(folder: str) -> list[str]:
    return sorted(path.name for path in (data_dir() / folder).glob("*") if any(path.iterdir()))


def test_a_trial_waits_until_it_is_kept(library: Library, weights: bytes, folders: bytes) -> None:
    ended = submitted(library, weights, folders)
    assert ended.status is RunStatus.DONE, ended
    found = ended.result
    assert "mine" not in library.models
    assert (
        found["keys_loaded"] == len(models.get_model(ARCHITECTURE, num_classes=OUTPUTS).state_dict()) - found_tracked()
    )
    # A tenth calibrates, the rest is halved.
    assert (found["search_images"], found["report_images"]) == (27, 27)
    assert found["classes"] == OUTPUTS
    assert Path(found["contact_sheet"]).is_file()
    assert found["is_chance"]  # random weights
    assert trial.current(library) is not None
    trial.keep(library, ended)
    # In a library that was opened before, as the pages' is.
    assert library.model("mine").title == "Mine (chance level)"
    assert library.model("mine").card.network == f"torchvision:{ARCHITECTURE}:{OUTPUTS}"
    assert lying("uploads") == []
    assert lying("catalog") == ["data", "models"]
    assert trial.current(library) is None


def found_tracked() -> int:
    """Counters of norms, which no file needs."""
    return sum(name.endswith("num_batches_tracked") for name in models.get_model(ARCHITECTURE).state_dict())


def test_what_is_forgotten_leaves_nothing(library: Library, weights: bytes, folders: bytes) -> None:
    ended = submitted(library, weights, folders)
    assert len(lying("catalog")) == 1
    trial.forget(library, ended)
    assert (lying("catalog"), lying("uploads")) == ([], [])
    assert trial.current(library) is None
    with pytest.raises(DataError, match="what was tried of mine is gone"):
        trial.keep(library, ended)


def test_what_does_not_fit_is_said_with_what_was_found(library: Library, weights: bytes, folders: bytes) -> None:
    ended = submitted(library, weights, folders, network=f"torchvision:{ARCHITECTURE}:12")
    assert ended.status is RunStatus.DONE
    assert "2 of another shape (fc.weight is [10, 1024], the network's [12, 1024]" in ended.result[trial.REFUSED]
    assert ended.result["keys_misshaped"] == 2
    assert trial.plain(ended, ended.result[trial.REFUSED]).startswith("my_weights.pth does not fit torchvision:")
    assert trial.WAITS not in ended.result
    assert lying("catalog") == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"network": "net.py:build"}, "is code, which is added from the command line alone"),
        ({"network": "program.pt2"}, "is code, which is added from the command line alone"),
        ({"network": f"torchvision:{ARCHITECTURE}:one"}, "'one' is no number of outputs; give 2 or more"),
        ({"data": "/etc/images.csv"}, "data='images.csv' is not offered here; give a .zip of class folders or a .npz"),
        ({"report_data": "/etc"}, "data='etc' is not offered here"),
        ({"name": "resnet20"}, "'resnet20' ships with the app; choose another name"),
        ({"name": "../mine"}, "use 1 to 60 letters"),
    ],
)
def test_what_is_refused_before(
    library: Library, weights: bytes, folders: bytes, other: dict[str, str], said: str
) -> None:
    ended = submitted(library, weights, folders, **other)
    assert ended.status is RunStatus.FAILED
    assert said in ended.message
    assert lying("catalog") == []


def test_a_cancelled_trial_leaves_nothing(library: Library, weights: bytes, folders: bytes) -> None:
    upload, paths = trial.upload({"weights": ("w.pth", weights), "data": ("digits.zip", folders)})
    settings = {"name": "mine", "network": f"torchvision:{ARCHITECTURE}:{OUTPUTS}", trial.UPLOADS: upload}
    settings |= {name: str(path) for name, path in paths.items()}
    shares = []

    def say(share: float, text: str) -> None:
        shares.append(share)
        if text.startswith("preparing images"):
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        trial.work(library, settings, say)
    assert shares == sorted(shares)
    assert lying("catalog") == []


def test_class_folders_are_unpacked_wherever_they_lie(tmp_path: Path, folders: bytes) -> None:
    path = tmp_path / "digits.zip"
    path.write_bytes(folders)
    found = trial.unpacked(path)
    assert sorted(each.name for each in found.iterdir()) == [str(label) for label in range(OUTPUTS)]
    assert sum(1 for each in found.rglob("*") if each.is_file()) == EACH * OUTPUTS


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("0/link.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped({"../0/a.png": b"x"}), "leads out of it"),
        (zipped({"/etc/a.png": b"x"}), "leads out of it"),
        (zipped({link(): b"/etc/passwd"}), "leads out of it"),
        (
            zipped({"a.png": b"x", "labels.csv": b"a.png,1\n/etc/b.png,2\n"}),
            "labels.csv that names '/etc/b.png', which",
        ),
        (zipped({"d/a.png": b"x", "d/labels.csv": b"../../b.png,2\n"}), r"names '../../b.png', which leads out"),
        (zipped({".hidden/a.png": b"x"}), "holds 0 files"),
        (zipped({f"0/{place}.png": b"x" for place in range(4)}), "holds 4 files of 0.0 GB; 1 to 3 of"),
        (b"no zip", "cannot be unpacked"),
        (zipped({"0/a.png": bytes(500)})[:300], "cannot be unpacked"),
    ],
)
def test_zips_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str) -> None:
    monkeypatch.setattr(trial, "MOST_FILES", 3)
    path = tmp_path / "data" / "images.zip"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(AiqError, match=said):
        trial.unpacked(path)
    assert [each.name for each in path.parent.iterdir()] == ["images.zip"]


def test_a_zip_that_unpacks_to_too_much_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "MOST_BYTES", 10**9)
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0/a.png", b"x")
        archive.getinfo("0/a.png").file_size = 3 * 10**9  # as a zip of zeros says of itself
    with pytest.raises(DataError, match="images.zip holds 1 files of 3.0 GB; 1 to 500,000 of at most 1 GB are offered"):
        trial.unpacked(path)
    assert [each.name for each in tmp_path.iterdir()] == ["images.zip"]


def test_a_zip_of_damaged_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0/a.png", np.random.default_rng(0).bytes(200) * 20)
    content = bytearray(path.read_bytes())
    content[40:200] = bytes(160)
    path.write_bytes(content)
    with pytest.raises(DataError, match="images.zip cannot be unpacked .*; make the zip again"):
        trial.unpacked(path)
    assert [each.name for each in tmp_path.iterdir()] == ["images.zip"]


def test_a_zip_of_one_flat_folder_says_what_is_missing(library: Library, weights: bytes) -> None:
    ended = submitted(
        library, weights, zipped({f"digits/{i}.png": picture(np.zeros((8, 8, 1), np.uint8)) for i in "ab"})
    )
    assert ended.status is RunStatus.FAILED
    said = trial.plain(ended, ended.message)
    assert said == (
        "digits/digits has no class folders; put each class in a folder of its own, or give a labels.csv of paths and "
        "labels"
    )
    assert lying("catalog") == []


def test_a_damaged_file_within_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    content = bytearray(zipped({"0/a.png": b"x" * 500}))
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC-32"):
        trial.unpacked(path)
    assert not (tmp_path / "images").exists()


def test_an_uploaded_name_stays_in_its_folder(library: Library) -> None:
    name, paths = trial.upload({"data": ("../../etc/my images.npz", b"x")})
    assert paths["data"] == data_dir() / "uploads" / name / "data" / "my_images.npz"
    assert paths["data"].read_bytes() == b"x"


def test_nothing_is_tried_on_a_read_only_server(
    library: Library, weights: bytes, folders: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AiqError, match="read-only"):
        trial.work(
            Library(None, library.bundled),
            {"name": "mine", "network": "torchvision:vgg11", "weights": "random", "data": "x"},
            lambda *_: None,
        )
    with pytest.raises(SettingError, match="add needs data"):
        trial.work(library, {"name": "mine", "network": "torchvision:vgg11", "weights": "random"}, lambda *_: None)
