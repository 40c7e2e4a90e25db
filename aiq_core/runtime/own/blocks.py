"""Images prepared once and written block by block: a large set needs no more memory than a small one."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiq_core.catalog.dataset import ARRAY
from aiq_core.catalog.hashes import BLOCK_IMAGES, block_hash
from aiq_core.errors import DataError
from aiq_core.metrics.top1 import Top1
from aiq_core.records import SplitName
from aiq_core.runtime.own.data import Given, class_names, dealt
from aiq_core.runtime.own.pictures import Pictures
from aiq_core.runtime.own.preprocessing import Preprocessing

NAMED = 5

DIGEST_BYTES = 8
"""Of an image's hash, by which those that are twice there are found."""

Say = Callable[[float, str], None]
"""Hears how far the work is, 0 to 1, and what it is at; may raise to stop it."""


def write(
    given: Given, how: Preprocessing, channels: int, folder: Path, title: str, say: Say = lambda *_: None
) -> list[str]:
    """Writes split.json, labels.npz and an array of images a part into `folder`; what is worth saying.

    Raises DataError for images of several sizes, or that cannot be read: all of these are looked at first.
    """
    parts, said = dealt(given)
    names = class_names(given)
    folder.mkdir(parents=True)
    prepared = _Prepared(how, channels, sum(len(indices) for _, indices in parts.values()), say)
    labels = {name: p.labels[indices].astype(Top1(len(names)).dtype) for name, (p, indices) in parts.items()}
    entries = {}
    for name, (pictures, indices) in parts.items():
        file = f"{name}{ARRAY}"
        hashes = _write_blocks(folder / file, prepared.blocks(pictures, indices, name), labels[name])
        entries[name] = {"images": len(indices), "shipped": len(indices), "file": file, "blocks": hashes}
    prepared.check()
    said += prepared.shared(given.report is not None)
    document = {"title": title, "class_names": list(names), "image_shape": list(prepared.shape), "parts": entries}
    np.savez_compressed(folder / "labels.npz", allow_pickle=False, **labels)
    (folder / "split.json").write_text(json.dumps(document, indent=1) + "\n")
    return said


def _write_blocks(path: Path, blocks: Iterator[NDArray[np.uint8]], labels: NDArray[Any]) -> list[str]:
    """Writes blocks as one array, one after another; their hashes."""
    hashes: list[str] = []
    with path.open("wb") as file:
        for number, block in enumerate(blocks):
            if not number:
                header = {"descr": "|u1", "fortran_order": False, "shape": (len(labels), *block.shape[1:])}
                np.lib.format.write_array_header_1_0(file, header)
            start = number * BLOCK_IMAGES
            hashes.append(block_hash(block, labels[start : start + len(block)]))
            file.write(block.tobytes())
    return hashes


class _Prepared:
    """Prepares images, all of one size; those that cannot be read are gathered, and named by `check`."""

    def __init__(self, how: Preprocessing, channels: int, whole: int, say: Say) -> None:
        self._how, self._channels, self._whole, self._say = how, channels, whole, say
        self._done, self._broken, self._first = 0, list[str](), ""
        self._seen: dict[str, list[bytes]] = {}
        self.shape: tuple[int, ...] = ()

    def blocks(self, pictures: Pictures, indices: NDArray[np.intp], part: str) -> Iterator[NDArray[np.uint8]]:
        """The images of a part in blocks; nothing more once one was broken."""
        seen = self._seen.setdefault(part, [])
        for start in range(0, len(indices), BLOCK_IMAGES):
            found = [self._image(pictures, int(index)) for index in indices[start : start + BLOCK_IMAGES]]
            if not self._broken:
                images = [image for image in found if image is not None]
                seen += [hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in images]
                yield np.stack(images)

    def _image(self, pictures: Pictures, index: int) -> NDArray[np.uint8] | None:
        self._done += 1
        self._say(self._done / self._whole, f"preparing images, {self._done:,} of {self._whole:,}")
        name = pictures.name(index)
        try:
            image = prepare(pictures, index, self._how, self._channels)
        except DataError as error:
            self._broken.append(f"{name}: {error}")
            return None
        if not self.shape:
            self.shape, self._first = image.shape, name
        if image.shape != self.shape:
            raise DataError(
                f"images are of several sizes, {self.shape[0]} x {self.shape[1]} ({self._first}) and "
                f"{image.shape[0]} x {image.shape[1]} ({name}); give --resize and --crop"
            )
        return image

    def check(self) -> None:
        """Raises DataError where an image could not be read."""
        if self._broken:
            raise DataError(
                f"{len(self._broken)} of {self._whole:,} images cannot be read; mend or remove them: "
                f"{'; '.join(self._broken[:NAMED])}"
            )

    def shared(self, is_own_set: bool) -> list[str]:
        """What is to be said of images that choose and judge. Raises DataError where all of a set of its own do."""
        chosen, judges = set(self._seen[SplitName.SEARCH]), self._seen[SplitName.REPORT]
        both = sum(each in chosen for each in judges)
        if is_own_set and (both == len(judges) or chosen.issubset(judges)):
            raise DataError(
                f"{both:,} of {len(judges):,} images that judge are among the {len(chosen):,} that choose; give others "
                "by --report-data, or leave it out"
            )
        told = (
            f"{both:,} of {len(judges):,} report images are search images too: what was chosen for them judges itself"
        )
        return [told] if both else []


def first_image(pictures: Pictures, how: Preprocessing, channels: int) -> NDArray[np.uint8]:
    """The first image that can be read, as it is kept. Raises DataError where none can."""
    first = ""
    for index in range(len(pictures)):
        try:
            return prepare(pictures, index, how, channels)
        except DataError as error:
            first = first or f"{pictures.name(index)}: {error}"
    raise DataError(f"none of {len(pictures):,} images can be read; mend or replace them; the first, {first}")


def prepare(pictures: Pictures, index: int, how: Preprocessing, channels: int) -> NDArray[np.uint8]:
    """An image of a set as it is kept, uint8[H, W, C]. Raises DataError."""
    found = pictures.read(index)
    if isinstance(found, Image.Image):
        return how.image(found, channels)
    if not isinstance(found, np.ndarray):
        raise DataError(f"it is {type(found).__name__}, not an image")
    image = _bytes(found, how)
    if image.shape[-1] == channels and how.resize is None and how.crop is None:
        return image
    return how.image(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), channels)


def _bytes(image: NDArray[Any], how: Preprocessing) -> NDArray[np.uint8]:
    """An image in 256 levels of the range."""
    if image.dtype == np.uint8:
        return np.asarray(image)
    if image.dtype == np.uint16:
        return (image / 257).round().astype(np.uint8)
    low, high = how.range
    if not np.isfinite(image).all():
        raise DataError(f"{int((~np.isfinite(image)).sum())} of its numbers are NaN or infinite")
    least, most = float(image.min()), float(image.max())
    slack = 1e-6 * (high - low)
    if least < low - slack or most > high + slack:
        raise DataError(
            f"its numbers run from {least:g} to {most:g}, outside the range {low:g} to {high:g}: give --range"
        )
    return np.clip(((image - low) / (high - low) * 255).round(), 0, 255).astype(np.uint8)
