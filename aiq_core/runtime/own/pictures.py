"""Labelled images as they come: in folders, in lists of paths, in arrays, or from torchvision."""

import atexit
import csv
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiq_core.errors import DataError

SUFFIXES = frozenset(Image.registered_extensions())
NAMED = 5
HELD_BYTES = 2**28
"""Of an array in a packed file that is held; larger ones are mapped."""

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


def in_order(names: Sequence[str]) -> list[str]:
    """Names by number where all are numbers, else as text."""
    return sorted(names, key=lambda name: (int(name), name)) if all(map(_is_number, names)) else sorted(names)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def from_folder(folder: Path, order: Sequence[str] | None = None) -> Pictures:
    """A folder of class folders; classes by number or by name, or in the given `order`. Raises DataError."""
    listed = folder / "labels.csv"
    below = [each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")]
    if not below:
        if listed.is_file():
            return from_csv(listed, order)
        raise DataError(
            f"{folder} has no class folders; put each class in a folder of its own, or give a labels.csv of paths "
            "and labels"
        )
    found = in_order([each.name for each in below])
    names = found if order is None else _ordered(found, order, str(folder))
    files, labels, counts = list[Path](), list[int](), dict[str, int]()
    for name in found:
        here = sorted(path for path in (folder / name).rglob("*") if path.is_file() and not _is_hidden(path, folder))
        pictures = [path for path in here if path.suffix.lower() in SUFFIXES]
        counts[name] = len(pictures)
        files += pictures
        labels += [names.index(name)] * len(pictures)
    empty = [name for name, count in counts.items() if not count]
    said = [f"{len(files):,} images in {len(found)} class folders of {folder.name}"]
    if order is None and all(map(_is_number, found)):
        said.append("class folders are numbers, so classes are in the order of these")
    if empty:
        said.append(f"no images in {', '.join(empty[:NAMED])}: {len(empty)} of {len(found)} classes are empty")
    if not files:
        raise DataError(f"{folder} has {len(found)} class folders and no image in any; give .png, .jpg or the like")
    return _files(files, labels, tuple(names), tuple(said))


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _ordered(found: Sequence[str], order: Sequence[str], where: str) -> list[str]:
    unknown = [name for name in found if name not in order]
    if unknown:
        raise DataError(
            f"{where} has classes that --classes lacks: {', '.join(unknown[:NAMED])}; name every class, in the order "
            "of the network's outputs"
        )
    return list(order)


def from_csv(path: Path, order: Sequence[str] | None = None) -> Pictures:
    """Rows of a path, relative to the file, and a label: numbers from 0, or names. Raises DataError."""
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}); write a path and a label a line") from None
    short = [number for number, row in enumerate(rows, 1) if len(row) < 2]
    if short or not rows:
        where = f"line {short[0]} has one column" if short else "it is empty"
        raise DataError(f"{path}: {where}; write a path and a label a line")
    if not (path.parent / rows[0][0].strip()).exists() and len(rows) > 1:
        rows = rows[1:]  # a heading
    files = [path.parent / row[0].strip() for row in rows]
    texts = [row[1].strip() for row in rows]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{path} names {len(missing)} files that are not there: {', '.join(missing[:NAMED])}")
    said = (f"{len(files):,} images listed in {path.name}",)
    if order is None and all(map(_is_number, texts)):
        return _files(files, [int(text) for text in texts], None, said)
    found = in_order(sorted(set(texts)))
    names = found if order is None else _ordered(found, order, str(path))
    return _files(files, [names.index(text) for text in texts], tuple(names), said)


def _files(
    files: Sequence[Path], labels: Sequence[int], class_names: tuple[str, ...] | None, said: tuple[str, ...]
) -> Pictures:
    return Pictures(
        np.array(labels, dtype=np.int64), class_names, lambda i: _opened(files[i]), lambda i: str(files[i]), said
    )


def _opened(path: Path) -> Image.Image:
    """A picture, read whole. Raises DataError for a file that is none, or is cut off."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(str(error) or type(error).__name__) from None


def from_arrays(images: NDArray[Any], labels: NDArray[Any], source: str, layout: str | None) -> Pictures:
    """Images [n, H, W], [n, H, W, C] or [n, C, H, W] with labels [n]. Raises DataError for what is ambiguous."""
    labels = labels.reshape(len(labels), -1)
    if labels.shape[1] != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{source}: labels are {labels.dtype}{list(labels.shape)}; give one whole number an image")
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

    return Pictures(labels[:, 0].astype(np.int64), None, read, lambda i: f"image {i} of {source}", said, values)


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
        raise DataError(f"{path} cannot be read ({error}); write it with np.savez(path, images=…, labels=…)") from None
    pictures = [name for name, array in shapes.items() if array.ndim in (3, 4)]
    numbers = [name for name, array in shapes.items() if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)]
    numbers = [name for name in numbers if shapes[name].dtype.kind in "iu"]
    if len(pictures) != 1 or len(numbers) != 1:
        listed = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in shapes.items())
        raise DataError(f"{path} has {listed or 'no arrays'}; give one array of images and one of labels")
    found = from_arrays(shapes[pictures[0]], shapes[numbers[0]], str(path), layout)
    names = [name for name in shapes if name in ("class_names", "classes") and shapes[name].dtype.kind == "U"]
    return replace(found, class_names=tuple(map(str, shapes[names[0]]))) if names else found


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
        raise DataError(f"{images}, {labels} cannot be read ({error}); write each with np.save") from None
    return from_arrays(values, numbers, str(images), layout)


def from_torchvision(name: str, root: Path, train: bool) -> Pictures:
    """A data set of torchvision's, fetched into `root` where it is not there. Raises DataError."""
    import inspect

    from torchvision import datasets

    kind = getattr(datasets, name)
    parameters = inspect.signature(kind).parameters
    how: dict[str, Any] = {"download": True} if "download" in parameters else {}
    if "train" in parameters:
        how["train"] = train
    elif "split" in parameters:
        usual = parameters["split"].default
        how["split"] = usual if train and usual is not inspect.Parameter.empty else ("train" if train else "test")
    try:
        found = kind(str(root), **how)
    except Exception as error:  # no network, a wrong archive, a split of another name
        raise DataError(
            f"torchvision's {name} cannot be had ({type(error).__name__}: {str(error).strip()}); connect to the "
            f"network, or put it into {root}"
        ) from None
    targets = getattr(found, "targets", None)
    if targets is None:
        targets = getattr(found, "labels", getattr(found, "_labels", None))
    if targets is None or isinstance(found[0][1], tuple):
        raise DataError(f"torchvision's {name} has no class an image; give another data set")
    labels = np.array([int(each) for each in targets], dtype=np.int64)
    classes = getattr(found, "classes", None)
    said = (f"{len(labels):,} {'training' if train else 'test'} images of torchvision's {name}",)
    names = tuple(map(str, classes)) if classes else None
    return Pictures(labels, names, lambda i: found[i][0], lambda i: f"image {i} of {name}", said)
