"""Labelled images by the name of a data set of torchvision's."""

import inspect
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aiq_core.catalog import bundled, cache_dir
from aiq_core.errors import DataError
from aiq_core.records import SplitName
from aiq_core.runtime.own.pictures import Pictures, from_arrays

TEST, TRAIN = ":test", ":train"

TARGETS = ("targets", "labels", "_labels")
"""Where data sets of torchvision's keep the classes of their images."""

FORMS = "a folder of class folders, a .npz, images.npy,labels.npy, a .csv of paths and labels, or CIFAR10 and the like"


def _kind(text: str) -> str:
    """The name of a data set of torchvision's as torchvision spells it. Raises DataError for one that is none."""
    from torchvision import datasets

    known: dict[str, str] = {each.lower(): each for each in datasets.__all__}
    name = text.removeprefix("torchvision:").removesuffix(TEST).removesuffix(TRAIN).lower()
    if name not in known:
        raise DataError(f"{text!r} is neither there nor a data set of torchvision's; give {FORMS}")
    return known[name]


def named(text: str, train: bool) -> Pictures:
    """A data set by its name, `:test` or `:train` after it where it matters. Raises DataError."""
    kind = _kind(text)
    train = text.endswith(TRAIN) or (train and not text.endswith(TEST))
    if kind == "CIFAR10" and (found := _fetched_cifar10(train)) is not None:
        return found
    return from_torchvision(kind, cache_dir() / "torchvision", train)


def _fetched_cifar10(train: bool) -> Pictures | None:
    """CIFAR-10 as `python -m aiq_core data` left it in the cache; None where it did not."""
    cifar10 = bundled().dataset("cifar10")
    names = ["training", SplitName.SEARCH] if train else [SplitName.REPORT]
    if not all(cifar10.split(name).cached_file.is_file() for name in names):
        return None
    from aiq_core.runtime.data import training_images

    parts = [training_images(cifar10)] if train else []
    splits = [cifar10.split(name) for name in names[-1:]]
    parts += [(split.images(split.size), split.labels) for split in splits]
    images, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    found = from_arrays(images, labels, "CIFAR10", "NHWC")
    said = (f"{len(labels):,} {'training' if train else 'test'} images of CIFAR-10",)
    return replace(found, class_names=cifar10.class_names, said=said)


def training_of(text: str) -> str | None:
    """What names the training images of a data set by name; None for no name, for one that says it, or has none."""
    name = text.removesuffix(TEST)
    if text.endswith(TRAIN) or Path(text).expanduser().exists() or "," in text or not has_training(_kind(name)):
        return None
    return f"{name}{TRAIN}"


def has_training(name: str) -> bool:
    """Whether a data set of torchvision's has training images apart from those that test."""
    return not {"train", "split"}.isdisjoint(_parameters(name))


def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    from torchvision import datasets

    return inspect.signature(getattr(datasets, name)).parameters


def from_torchvision(name: str, root: Path, train: bool) -> Pictures:
    """A data set of torchvision's, fetched into `root` where it is not there. Raises DataError."""
    found = _torchvisions(name, root, train)
    targets = next((value for each in TARGETS if (value := getattr(found, each, None)) is not None), None)
    try:
        labels = np.array([int(each) for each in (() if targets is None else targets)], dtype=np.int64)
    except (TypeError, ValueError):
        labels = np.array([], dtype=np.int64)
    if not len(labels) or len(labels) != len(found):
        raise DataError(f"torchvision's {name} has no class an image; give another data set")
    classes = getattr(found, "classes", None)
    kind = "" if not has_training(name) else "training " if train else "test "
    said = (f"{len(labels):,} {kind}images of torchvision's {name}",)
    names = tuple(map(str, classes)) if classes else None
    return Pictures(labels, names, lambda i: found[i][0], lambda i: f"image {i} of {name}", said)


def _torchvisions(name: str, root: Path, train: bool) -> Any:
    """The data set itself. Raises DataError where it cannot be had."""
    from torchvision import datasets

    parameters = _parameters(name)
    settings = {"root": str(root), "download": True, "train": train}
    how: dict[str, Any] = {key: value for key, value in settings.items() if key in parameters}
    ways = [how]
    if "split" in parameters and "train" not in how:
        usual = parameters["split"].default
        # Where nothing is called test, what validates judges.
        splits = ("test", "val") if not train else ("train" if usual is inspect.Parameter.empty else usual,)
        ways = [{**how, "split": split} for split in splits]
    said = ""
    for way in ways:
        try:
            with redirect_stdout(sys.stderr):  # what it prints of fetching is no part of a result
                return getattr(datasets, name)(**way)
        except Exception as error:  # no network, a wrong archive, a split of another name
            said = said or f"{type(error).__name__}: {' '.join(str(error).split())}"
    raise DataError(
        f"torchvision's {name} cannot be had ({said}); connect to the network, or put it into {root}, or give its "
        "images in class folders"
    )
