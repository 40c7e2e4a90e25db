"""A data set: its classes and its splits, with labels, excerpts and the images that were fetched."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image

from aiq_core.catalog.hashes import BLOCK_IMAGES, block_hash, hash_blocks, root_hash
from aiq_core.errors import DataError, look_up
from aiq_core.records import ImageSet, SplitName

MOSAIC_COLUMNS = 50
"""Images side by side in an excerpt's file."""

TRAINING, CALIBRATION = "training", "calibration"
"""The split of the images that weights saw, and that of those of them that choose how to round."""

ARRAY = ".npy"
"""How the file of a split ends whose images are mapped into memory."""

ADD_REMEDY = "`remove` the model and `add` it again"

FETCH_REMEDY = "run `python -m aiq_core data` to fetch them"


def cache_dir() -> Path:
    """The user's folder for what can be fetched or made again; AIQ_CACHE_DIR moves it."""
    override = os.environ.get("AIQ_CACHE_DIR")
    return Path(override) if override else Path(platformdirs.user_cache_dir("aiq-explorer"))


def data_dir() -> Path:
    """The user's folder for what is kept, the store first of all; AIQ_DATA_DIR moves it."""
    return Path(os.environ.get("AIQ_DATA_DIR") or platformdirs.user_data_dir("aiq-explorer"))


def read_cached(path: Path) -> NDArray[np.uint8]:
    """The array in a file of the cache. Raises DataError."""
    try:
        array: NDArray[np.uint8] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}); {FETCH_REMEDY} again") from None
    return array


@dataclass(frozen=True, eq=False)
class Split:
    """Images of a data set in a fixed order: `size` of them, of which the first `shipped` lie in its folder.

    `image_shape` is (height, width, channels). `blocks` are hashes of 500 images each; `file` is the excerpt's mosaic,
    or an array of all images (.npy) that is mapped into memory; None where nothing ships.
    """

    name: str
    dataset: str
    folder: Path
    image_shape: tuple[int, int, int]
    size: int
    shipped: int
    blocks: tuple[str, ...]
    file: str | None

    @cached_property
    def hash(self) -> str:
        """16 hex digits that identify the images, labels and order."""
        return root_hash(self.blocks)

    @cached_property
    def labels(self) -> NDArray[Any]:
        """The class of each image, unsigned[size], also of those that do not ship."""
        with np.load(self.folder / "labels.npz", allow_pickle=False) as file:
            return _frozen(file[self.name])

    @cached_property
    def excerpt(self) -> NDArray[np.uint8]:
        """The shipped images, uint8[shipped, H, W, C], checked against their hashes. Raises DataError."""
        if self.file is None:
            raise DataError(f"no images of {self.name} ship for {self.dataset}; {FETCH_REMEDY}")
        if self.is_mapped:
            return self._mapped_images(self.shipped)
        path = self.folder / self.file
        height, width, channels = self.image_shape
        with Image.open(path) as mosaic:
            pixels = np.asarray(mosaic, dtype=np.uint8)
        tiles = pixels.reshape(-1, height, MOSAIC_COLUMNS, width, channels).swapaxes(1, 2)
        images = np.ascontiguousarray(tiles.reshape(-1, height, width, channels)[: self.shipped])
        if hash_blocks(images, self.labels[: self.shipped]) != self.blocks[: -(-self.shipped // BLOCK_IMAGES)]:
            raise DataError(
                f"{path} does not hold the images that split.json describes; restore it from the repository"
            )
        return _frozen(images)

    @property
    def cached_file(self) -> Path:
        """Where the images lie once they were fetched."""
        return cache_dir() / self.dataset / f"{self.name}.npy"

    @property
    def is_here(self) -> bool:
        """Whether every image is here: shipped, or fetched into the cache."""
        return self.shipped == self.size or self.cached_file.is_file()

    def balance(self, images: int) -> str:
        """How the classes share the first `images` images, as text: `200 of each class`, `4 or 5 of each class`."""
        counts = np.bincount(self.labels[:images], minlength=int(self.labels.max()) + 1)
        low, high = int(counts.min()), int(counts.max())
        if low == high:
            return f"{low:,} of each class"
        return f"{low:,} {'or' if high == low + 1 else 'to'} {high:,} of each class"

    def require(self, images: int) -> None:
        """Raises DataError for more images than there are, or than are here."""
        if images > self.size:
            raise DataError(
                f"{images} images of {self.name} are asked for, {self.dataset} has {self.size}; choose at most that"
            )
        if images > self.shipped and not self.cached_file.is_file():
            raise DataError(
                f"{images} images of {self.name} are asked for, {self.shipped} ship with the app; {FETCH_REMEDY}"
            )

    def images(self, count: int) -> NDArray[np.uint8]:
        """The first `count` images, uint8[count, H, W, C]: the excerpt where it suffices, else the cache.

        Raises DataError for more images than there are, or than are here.
        """
        self.require(count)
        if self.is_mapped:
            return self._mapped_images(count)
        if count <= self.shipped:
            return self.excerpt[:count]
        modified = self.cached_file, self.cached_file.stat().st_mtime_ns
        # Read and checked once for each time its file changes.
        if self.__dict__.get("_fetched_from") != modified:
            self.__dict__["_fetched"] = self._read_fetched()
            self.__dict__["_fetched_from"] = modified
        fetched: NDArray[np.uint8] = self.__dict__["_fetched"]
        return fetched[:count]

    @property
    def is_mapped(self) -> bool:
        """Whether its images are read from the disk as they are asked for, never held as a whole."""
        return self.file is not None and self.file.endswith(ARRAY)

    @cached_property
    def _mapped(self) -> "np.memmap[Any, np.dtype[np.uint8]]":
        path = self.folder / str(self.file)
        try:
            images: np.memmap[Any, np.dtype[np.uint8]] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"{path} cannot be read ({error}); {ADD_REMEDY}") from None
        if images.shape != (self.size, *self.image_shape) or images.dtype != np.uint8:
            raise DataError(
                f"{path} holds {images.dtype}{list(images.shape)}, split.json says "
                f"uint8{[self.size, *self.image_shape]}; {ADD_REMEDY}"
            )
        return images

    def _mapped_images(self, count: int) -> NDArray[np.uint8]:
        """The first images, each block checked against its hash the first time it is asked for."""
        images, checked = self._mapped, self.__dict__.get("_checked", 0)
        for block in range(checked, -(-count // BLOCK_IMAGES)):
            place = slice(block * BLOCK_IMAGES, (block + 1) * BLOCK_IMAGES)
            if block_hash(self.read(place.start, place.stop), self.labels[place]) != self.blocks[block]:
                raise DataError(
                    f"block {block} of {self.folder / str(self.file)} does not hold the images that split.json "
                    f"describes; {ADD_REMEDY}"
                )
            self.__dict__["_checked"] = block + 1
        return images[:count]

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """The images `start` to `stop`, or as many as there are; of those that are mapped, nothing stays in memory."""
        stop = min(stop, self.size)
        if not self.is_mapped:
            return self.images(stop)[start:]
        shape = (stop - start, *self.image_shape)
        each, whole = int(np.prod(self.image_shape)), int(np.prod(shape))
        offset = int(self._mapped.offset) + start * each
        return np.fromfile(self.folder / str(self.file), np.uint8, whole, offset=offset).reshape(shape)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images at these places, uint8[places, H, W, C], read as by `read`."""
        if not self.is_mapped:
            return self.images(int(places.max()) + 1)[places]
        return np.concatenate([self.read(int(place), int(place) + 1) for place in places])

    def _read_fetched(self) -> NDArray[np.uint8]:
        path = self.cached_file
        images = read_cached(path)
        if hash_blocks(images, self.labels) != self.blocks:
            raise DataError(f"{path} does not hold the {self.name} images; {FETCH_REMEDY} again")
        return _frozen(images)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images in splits; class names stand in label order."""

    name: str
    title: str
    class_names: tuple[str, ...]
    splits: dict[str, Split]

    @classmethod
    def read(cls, folder: Path) -> "Dataset":
        """The data set that a folder's split.json describes."""
        document: dict[str, Any] = json.loads((folder / "split.json").read_text())
        height, width, channels = document["image_shape"]
        splits = {
            name: Split(
                name=name,
                dataset=folder.name,
                folder=folder,
                image_shape=(height, width, channels),
                size=int(part["images"]),
                shipped=int(part["shipped"]),
                blocks=tuple(part["blocks"]),
                file=part.get("file"),
            )
            for name, part in document["parts"].items()
        }
        return cls(folder.name, document.get("title", folder.name), tuple(document["class_names"]), splits)

    def split(self, name: str) -> Split:
        """The split of that name. Raises UnknownNameError."""
        return look_up("split", name, self.splits)

    @property
    def search(self) -> Split:
        """The images that choose."""
        return self.split(SplitName.SEARCH)

    @property
    def report(self) -> Split:
        """The images that judge."""
        return self.split(SplitName.REPORT)

    @property
    def calibration_hash(self) -> str | None:
        """The hash of the images that choose how to round; None where the data set has none."""
        return self.splits[CALIBRATION].hash if CALIBRATION in self.splits else None

    @property
    def excerpt_size(self) -> int:
        """Images of each of both splits that ship."""
        return self.search.shipped

    @property
    def is_here(self) -> bool:
        """Whether every image of both splits is here: shipped, or fetched into the cache."""
        return self.search.is_here and self.report.is_here

    def available(self, split: SplitName) -> int:
        """How many images of a split can be used: all where both splits are here, else the excerpt's."""
        return self.split(split).size if self.is_here else self.split(split).shipped

    def images(self, image_set: ImageSet) -> NDArray[np.uint8]:
        """The images of a set, as `Split.images` gives them."""
        return self.split(image_set.split).images(image_set.images)[image_set.start :]


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, read-only: it is shared by all who ask."""
    array.flags.writeable = False
    return array
