"""Labelled images as they come: in folders, in lists of paths, in arrays, or from torchvision."""

import atexit
import csv
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from aiq_core.errors import DataError

SUFFIXES = frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN)
NAMED = 5
HELD_BYTES = 2**28
"""Of an array in a packed file that is held; larger ones are mapped."""

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
"""Modes of pictures without colours."""

SPLITS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))
"""What folders are called that hold class folders, and are no classes."""

Pictured = Image.Image | NDArray[Any]
"""A picture, or an array of [height, width, channels]."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images with their classes: `read` gives the one at a place, `names` says what it is called in messages.

    `class_names` stand in label order; None where only numbers are known. `said` is what is worth knowing of them.
    `values` are all of them at once, where they are an array.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...] | None
    read: Callable[[int], Pictured]
    name: Callable[[int], str]
    said: tuple[str, ...] = ()
    values: NDArray[Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.labels)


def channels_of(pictures: Pictures) -> int:
    """Channels of the first image that can be read, 1 or 3; 3 where none can."""
    for index in range(len(pictures)):
        with suppress(DataError):
            found = pictures.read(index)
            return int(found.shape[-1]) if isinstance(found, np.ndarray) else 1 if found.mode in GREY else 3
    return 3


def in_order(names: Sequence[str]) -> list[str]:
    """Names by number where all are numbers, else as text."""
    return sorted(names, key=lambda name: (int(name), name)) if all(map(_is_number, names)) else sorted(names)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _is_any_number(name: str) -> bool:
    try:
        return isfinite(float(name))
    except ValueError:
        return False


def from_folder(folder: Path) -> Pictures:
    """A folder with a labels.csv, or of class folders, classes by number or by name. Raises DataError."""
    listed = folder / "labels.csv"
    if listed.is_file():
        return from_csv(listed)
    names = in_order([each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")])
    if not names:
        raise DataError(
            f"{folder} has no class folders; put each class in a folder of its own, or give a labels.csv of paths "
            "and labels"
        )
    if SPLITS.issuperset(name.lower() for name in names):
        raise DataError(
            f"{folder} holds {', '.join(names)}, which are no classes; give {folder / names[-1]}, and training images "
            "by --calibration-data"
        )
    files, labels = list[Path](), list[int]()
    for label, name in enumerate(names):
        # A link that leads nowhere is a picture that cannot be read, and said to be.
        here = sorted(path for path in (folder / name).rglob("*") if not path.is_dir() and not _is_hidden(path, folder))
        pictures = [path for path in here if path.suffix.lower() in SUFFIXES]
        files += pictures
        labels += [label] * len(pictures)
    said = [f"{len(files):,} images in {len(names)} class folders of {folder.name}"]
    if all(map(_is_number, names)):
        said.append("class folders are numbers, so classes are in the order of these")
    if not files:
        raise DataError(f"{folder} has {len(names)} class folders and no image in any; give .png, .jpg or the like")
    return _files(files, labels, tuple(names), tuple(said))


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def from_csv(path: Path) -> Pictures:
    """Rows of a path, relative to the file, and a label: numbers from 0, or names. Raises DataError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({reason(error)}); write a path and a label a line") from None
    short = [number for number, row in enumerate(rows, 1) if len(row) < 2]
    if short or not rows:
        where = f"line {short[0]} has one column" if short else "it is empty"
        raise DataError(f"{path}: {where}; write a path and a label a line, with a comma between them")
    first = path.parent / rows[0][0].strip()
    if not first.exists() and first.suffix.lower() not in SUFFIXES and len(rows) > 1:
        rows = rows[1:]  # a heading
    files = [path.parent / row[0].strip() for row in rows]
    texts = [row[1].strip() for row in rows]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise DataError(
            f"{path} names {len(missing)} files that are not there: {', '.join(missing[:NAMED])}; write paths relative "
            "to it"
        )
    said = (f"{len(files):,} images listed in {path.name}",)
    if all(map(_is_number, texts)):
        return _files(files, [int(text) for text in texts], None, said)
    names = sorted(set(texts))
    if all(map(_is_any_number, names)):
        odd = next(name for name in names if not _is_number(name))
        raise DataError(f"{path} has labels such as {odd}; write whole numbers from 0, or names")
    return _files(files, [names.index(text) for text in texts], tuple(names), said)


def _files(
    files: Sequence[Path], labels: Sequence[int], class_names: tuple[str, ...] | None, said: tuple[str, ...]
) -> Pictures:
    return Pictures(
        np.array(labels, dtype=np.int64), class_names, lambda i: _opened(files[i]), lambda i: str(files[i]), said
    )


def reason(error: Exception) -> str:
    """Why a file cannot be read, without its name."""
    if "allow_pickle" in str(error):
        return "it holds Python objects, or is no array of numpy's"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _opened(path: Path) -> Image.Image:
    """A picture, read whole. Raises DataError for a file that is none, or is cut off."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.copy()
    except UnidentifiedImageError:
        raise DataError("it is no picture" if path.stat().st_size else "it is empty") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(reason(error)) from None


def from_arrays(images: NDArray[Any], labels: NDArray[Any], source: str, layout: str | None) -> Pictures:
    """Images [n, H, W], [n, H, W, C] or [n, C, H, W] with labels [n]. Raises DataError for what is ambiguous."""
    if labels.shape not in ((len(labels),), (len(labels), 1)) or labels.dtype.kind not in "iu":
        raise DataError(f"{source}: labels are {labels.dtype}{list(labels.shape)}; give one whole number an image")
    if not images.size:
        raise DataError(f"{source}: images are {list(images.shape)}, which is none; give images with labels")
    if len(labels) != len(images):
        raise DataError(f"{source} has {len(images):,} images and {len(labels):,} labels; give as many of each")
    if images.dtype not in (np.uint8, np.uint16) and images.dtype.kind != "f":
        raise DataError(f"{source}: images are {images.dtype}; give uint8, uint16, or floats of the range")
    values = _channels_last(images, source, layout)
    said = (f"{len(values):,} images, {images.dtype}{list(images.shape)}, in {Path(source).name}",)
    is_turned = images.ndim == 4 and values.shape != images.shape

    def read(index: int) -> NDArray[Any]:
        image = _read(images, index)
        return image[..., None] if image.ndim == 2 else np.moveaxis(image, 0, -1) if is_turned else image

    return Pictures(labels.reshape(-1).astype(np.int64), None, read, lambda i: f"image {i} of {source}", said, values)


def _read(images: NDArray[Any], index: int) -> NDArray[Any]:
    """One of an array's images; of a mapped array's, nothing else comes into memory, or stays there."""
    if not isinstance(images, np.memmap) or images.filename is None or not images.flags.c_contiguous:
        return np.asarray(images[index])
    shape = images.shape[1:]
    each = int(np.prod(shape))
    offset = images.offset + index * each * images.dtype.itemsize
    return np.fromfile(images.filename, images.dtype, each, offset=offset).reshape(shape)


def _channels_last(images: NDArray[Any], source: str, layout: str | None) -> NDArray[Any]:
    shape = list(images.shape)
    if images.ndim == 3:
        return images[..., None]
    if images.ndim != 4:
        raise DataError(f"{source}: images are {shape}; give [n, H, W], [n, H, W, C] or [n, C, H, W]")
    first, last = images.shape[1] in (1, 3), images.shape[3] in (1, 3)
    if layout is None and first and last:
        raise DataError(f"{source}: images of {shape} may be NHWC or NCHW; say which by --layout")
    if layout is None and not (first or last):
        raise DataError(f"{source}: images of {shape} have neither 1 nor 3 channels, first or last; give grey or RGB")
    said = layout or ("NCHW" if first else "NHWC")
    turned = np.moveaxis(images, 1, -1) if said == "NCHW" else images
    if turned.shape[-1] not in (1, 3):
        raise DataError(f"{source}: as {said}, images of {shape} have {turned.shape[-1]} channels; give grey or RGB")
    return turned


def from_npz(path: Path, layout: str | None) -> Pictures:
    """The one array of images and the one of labels in a file. Raises DataError where there are others."""
    try:
        shapes = _arrays(path)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read ({reason(error)}); write it with np.savez(path, images=…, labels=…)"
        ) from None
    pictures = [name for name, array in shapes.items() if array.ndim in (3, 4)]
    numbers = [name for name, array in shapes.items() if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)]
    numbers = [name for name in numbers if shapes[name].dtype.kind in "iu"]
    if len(pictures) != 1 or len(numbers) != 1:
        listed = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in shapes.items())
        raise DataError(
            f"{path} has {listed or 'no arrays'}; give one array of images and one of labels, whole numbers"
        )
    found = from_arrays(shapes[pictures[0]], shapes[numbers[0]], str(path), layout)
    names = [name for name in shapes if name in ("class_names", "classes") and shapes[name].dtype.kind == "U"]
    if not names:
        return found
    if found.labels.max() >= len(shapes[names[0]]):
        raise DataError(
            f"{path} has labels up to {found.labels.max()}, and {len(shapes[names[0]])} {names[0]}; name every class"
        )
    return replace(found, class_names=tuple(map(str, shapes[names[0]])))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name; large ones are unpacked beside other temporary files and mapped, not held."""
    with np.load(path, allow_pickle=False) as file, zipfile.ZipFile(path) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
        found = {}
        for name in file.files:
            if sizes.get(f"{name}.npy", 0) <= HELD_BYTES:
                found[name] = file[name]
                continue
            folder = Path(tempfile.mkdtemp(prefix="aiq-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            found[name] = np.load(archive.extract(f"{name}.npy", folder), mmap_mode="r", allow_pickle=False)
    return found


def from_npy(images: Path, labels: Path, layout: str | None) -> Pictures:
    """Two files of an array each; images are mapped, not held. Raises DataError."""
    try:
        values = np.load(images, mmap_mode="r", allow_pickle=False)
        numbers = np.load(labels, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        where = getattr(error, "filename", None) or f"{images}, {labels}"
        raise DataError(f"{where} cannot be read ({reason(error)}); write each with np.save") from None
    return from_arrays(values, numbers, str(images), layout)
