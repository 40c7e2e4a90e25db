"""What ships with the app, all without torch: cards, profiles, weights, labels, split order and excerpts."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from aiq_core.errors import DataError, UnknownNameError, WeightsError
from aiq_core.records import ImageSet, ModelProfile, SplitName

ASSETS = Path(__file__).resolve().parent.parent / "assets"
BLOCK_IMAGES = 500
"""Images that share a hash, so that an excerpt of whole blocks can be checked alone."""

FIRST_MODELS = ("resnet20", "mobilenet_v2")
"""The paper's main models, in the order that pages list them; they open on the first."""

MOSAIC_COLUMNS = 50
"""Images side by side in an excerpt's file."""

FETCH_REMEDY = "run `python -m aiq_core data` to fetch them"


@dataclass(frozen=True)
class Card:
    """What is known of a model's weights. Hashes are hex; `model_hash` is short, `weights_sha256` of the file.

    `mean` and `std` are per channel, of pixels / 255. Top-1 is FP32's on all images of the split.
    """

    name: str
    title: str
    dataset: str
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    model_hash: str
    weights_sha256: str
    recipe: Mapping[str, Any]
    search_top1_percent: float
    report_top1_percent: float

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Card":
        """The card that a card.json holds."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
        }
        return cls(**fields)


def cache_dir() -> Path:
    """The user's folder for what can be fetched or made again; AIQ_CACHE_DIR moves it."""
    override = os.environ.get("AIQ_CACHE_DIR")
    return Path(override) if override else Path(platformdirs.user_cache_dir("aiq-explorer"))


@cache
def model_names() -> tuple[str, ...]:
    """Models with a card: the paper's main ones, then by dataset and name."""
    cards = [Card.from_json(json.loads(path.read_text())) for path in (ASSETS / "models").glob("*/card.json")]
    cards.sort(key=lambda entry: (entry.dataset, entry.name))
    names = [entry.name for entry in cards]
    return (*(name for name in FIRST_MODELS if name in names), *(name for name in names if name not in FIRST_MODELS))


@cache
def card(name: str) -> Card:
    """The card of a model. Raises UnknownNameError."""
    return Card.from_json(json.loads((_model_folder(name) / "card.json").read_text()))


@cache
def profile(name: str) -> ModelProfile:
    """The profile of a model. Raises UnknownNameError."""
    return ModelProfile.from_json(json.loads((_model_folder(name) / "profile.json").read_text()))


@cache
def weights(name: str) -> dict[str, NDArray[Any]]:
    """Tensor name -> array of a model, checked against its card. Raises UnknownNameError, WeightsError."""
    path = _model_folder(name) / "weights.safetensors"
    tensors = read_weights(path)
    expected = card(name)
    found = model_hash(name, expected.mean, expected.std, tensors)
    if found != expected.model_hash:
        raise WeightsError(
            f"{path} has model hash {found}, its card says {expected.model_hash}; "
            "restore the file from the repository, or make its card anew with `make assets`"
        )
    return tensors


@dataclass(frozen=True, eq=False)
class LayerInput:
    """What a layer reads for one image, float32[C, H, W] ([C] of a linear layer), and how it convolves it.

    `bias` is that of the layer with its batch norm folded in, float32[out].
    """

    value: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    padding: int
    groups: int


@cache
def layer_inputs(name: str) -> dict[str, LayerInput]:
    """Quantizable layer -> what it reads for the first report image; empty where that was not made.

    Raises UnknownNameError, DataError.
    """
    path = _model_folder(name) / "layers.npz"
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            return {
                layer: LayerInput(
                    file[f"input.{layer}"].astype(np.float32),
                    file[f"bias.{layer}"],
                    *(int(number) for number in file[f"geometry.{layer}"]),
                )
                for layer in profile(name).quantizable_names
            }
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{path} cannot be read ({error}); restore it from the repository") from None


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Tensor name -> array of a safetensors file. Raises WeightsError for anything else, a pickle above all."""
    try:
        return parse_safetensors(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); restore it from the repository") from None
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            f"{path} is not a safetensors file ({error}); pickles can run code and are never loaded: "
            "save the tensors with safetensors.torch.save_file"
        ) from None


def model_hash(name: str, mean: tuple[float, ...], std: tuple[float, ...], tensors: Mapping[str, NDArray[Any]]) -> str:
    """16 hex digits over architecture (by name), preprocessing and every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps([name, list(mean), list(std)]).encode())
    for key in sorted(tensors):
        array = np.ascontiguousarray(tensors[key])
        digest.update(json.dumps([key, str(array.dtype), list(array.shape)]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def block_hash(images: NDArray[np.uint8], labels_: NDArray[np.uint8]) -> str:
    """64 hex digits over a block's images uint8[n, H, W, C] and labels uint8[n]."""
    digest = hashlib.sha256(json.dumps(list(images.shape)).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(np.ascontiguousarray(labels_).tobytes())
    return digest.hexdigest()


def hash_blocks(images: NDArray[np.uint8], labels_: NDArray[np.uint8]) -> tuple[str, ...]:
    """The hash of every block of 500 images."""
    starts = range(0, len(images), BLOCK_IMAGES)
    return tuple(block_hash(images[i : i + BLOCK_IMAGES], labels_[i : i + BLOCK_IMAGES]) for i in starts)


def root_hash(blocks: tuple[str, ...]) -> str:
    """16 hex digits over the hashes of a split's blocks."""
    return hashlib.sha256("".join(blocks).encode()).hexdigest()[:16]


@cache
def dataset_names() -> tuple[str, ...]:
    """Datasets with a split.json."""
    return tuple(sorted(path.parent.name for path in (ASSETS / "data").glob("*/split.json")))


@cache
def splits(dataset: str) -> dict[str, Any]:
    """The dataset's split.json. Raises UnknownNameError."""
    if dataset not in dataset_names():
        raise UnknownNameError("dataset", dataset, dataset_names())
    document: dict[str, Any] = json.loads((ASSETS / "data" / dataset / "split.json").read_text())
    return document


def class_names(dataset: str) -> tuple[str, ...]:
    """Class names in label order."""
    return tuple(splits(dataset)["class_names"])


def block_hashes(dataset: str, split: SplitName) -> tuple[str, ...]:
    """The hash of each 500 images of a split, in split order."""
    return tuple(_part(dataset, split)["blocks"])


def split_hash(dataset: str, split: SplitName) -> str:
    """16 hex digits that identify a split's images, labels and order."""
    return root_hash(block_hashes(dataset, split))


def split_size(dataset: str, split: SplitName) -> int:
    """Images in a split."""
    return int(_part(dataset, split)["images"])


def excerpt_size(dataset: str) -> int:
    """Images of each split that ship with the app."""
    return int(_part(dataset, SplitName.SEARCH)["shipped"])


@cache
def labels(dataset: str, split: str) -> NDArray[np.uint8]:
    """Labels of all images of a split (or of the part `training` or `calibration`, where shipped), uint8[n]."""
    _part(dataset, split)
    with np.load(ASSETS / "data" / dataset / "labels.npz", allow_pickle=False) as file:
        return _frozen(file[str(split)].astype(np.uint8))


@cache
def excerpt(dataset: str, split: str) -> NDArray[np.uint8]:
    """The shipped images of a split, its first, uint8[n, H, W, C], checked against its hashes. Raises DataError."""
    part = _part(dataset, split)
    if "file" not in part:
        raise DataError(f"no images of {split} ship for {dataset}; {FETCH_REMEDY}")
    path = ASSETS / "data" / dataset / part["file"]
    height, width, channels = splits(dataset)["image_shape"]
    count = int(part["shipped"])
    with Image.open(path) as mosaic:
        pixels = np.asarray(mosaic, dtype=np.uint8)
    tiles = pixels.reshape(-1, height, MOSAIC_COLUMNS, width, channels).swapaxes(1, 2)
    images_ = np.ascontiguousarray(tiles.reshape(-1, height, width, channels)[:count])
    expected = tuple(part["blocks"][: -(-count // BLOCK_IMAGES)])
    if hash_blocks(images_, labels(dataset, split)[:count]) != expected:
        raise DataError(f"{path} does not hold the images that split.json describes; restore it from the repository")
    return _frozen(images_)


def calibration(dataset: str) -> NDArray[np.uint8]:
    """512 training images outside both splits, balanced over classes, uint8[n, H, W, C]."""
    return excerpt(dataset, "calibration")


def calibration_hash(dataset: str) -> str:
    """16 hex digits that identify the calibration images and their order."""
    return root_hash(tuple(_part(dataset, "calibration")["blocks"]))


def has_all_images(dataset: str) -> bool:
    """Whether every image of both splits is here: shipped, or fetched into the cache."""
    return all(
        excerpt_size(dataset) == split_size(dataset, split) or cached_file(dataset, split).is_file()
        for split in SplitName
    )


def cached_file(dataset: str, part: str) -> Path:
    """Where a fetched part's decoded images lie: `search`, `report`, `training` or `training_labels`."""
    return cache_dir() / dataset / f"{part}.npy"


def require_images(dataset: str, image_set: ImageSet) -> None:
    """Raises DataError for more images than the split has, or than are here."""
    split, count = image_set.split, image_set.images
    if count > split_size(dataset, split):
        raise DataError(
            f"{count} images of {split} are asked for, {dataset} has {split_size(dataset, split)}; choose at most that"
        )
    if count > excerpt_size(dataset) and not cached_file(dataset, split).is_file():
        raise DataError(
            f"{count} images of {split} are asked for, {excerpt_size(dataset)} ship with the app; {FETCH_REMEDY}"
        )


def images(dataset: str, image_set: ImageSet) -> NDArray[np.uint8]:
    """The images of a set in split order, uint8[n, H, W, C]: the excerpt where it suffices, else the cache.

    Raises DataError for more images than the split has, or than are here.
    """
    require_images(dataset, image_set)
    split, count = image_set.split, image_set.images
    if count <= excerpt_size(dataset):
        return excerpt(dataset, split)[:count]
    path = cached_file(dataset, split)
    return _cached_split(dataset, split, path, path.stat().st_mtime_ns)[:count]


@cache
def _cached_split(dataset: str, split: SplitName, path: Path, _modified_ns: int) -> NDArray[np.uint8]:
    """A fetched split, read and checked once for each time its file changes."""
    try:
        images_: NDArray[np.uint8] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}); {FETCH_REMEDY} again") from None
    if hash_blocks(images_, labels(dataset, split)) != block_hashes(dataset, split):
        raise DataError(f"{path} does not hold the {split} images; {FETCH_REMEDY} again")
    return _frozen(images_)


def _model_folder(name: str) -> Path:
    if name not in model_names():
        raise UnknownNameError("model", name, model_names())
    return ASSETS / "models" / name


def _part(dataset: str, part: str) -> dict[str, Any]:
    parts: dict[str, dict[str, Any]] = splits(dataset)["parts"]
    if part not in parts:
        raise UnknownNameError("split", part, parts)
    return parts[part]


def _frozen(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The array, read-only: it is shared by all who ask."""
    array.flags.writeable = False
    return array
