"""How a dataset is cut: `search` and `report` in round-robin order, `calibration` and `training` outside both."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiq_core.runtime.sources import Decoded

CIFAR10_SEARCH_PER_CLASS = 500
DIGITS_PER_CLASS = 50
CALIBRATION_IMAGES = 512


class Part(NamedTuple):
    """Images uint8[n, H, W, C] and labels uint8[n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def take(self, indices: NDArray[np.intp]) -> "Part":
        """The images at `indices`, in that order."""
        return Part(self.images[indices], self.labels[indices])


def round_robin(labels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Indices that visit the k-th image of class 0, 1, ..., then the k+1-th; classes that run out are skipped."""
    rank = np.zeros(len(labels), dtype=np.intp)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    return np.lexsort((labels, rank))


def last_of_each_class(labels: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    """Mask of the last `count` images of every class."""
    mask = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        mask[np.flatnonzero(labels == label)[-count:]] = True
    return mask


def cifar10_parts(decoded: Decoded) -> dict[str, Part]:
    """CIFAR-10's parts: `search` is the last 500 training images of each class, `report` the test images."""
    train = Part(decoded.train_images, decoded.train_labels)
    return _parts(train, CIFAR10_SEARCH_PER_CLASS, Part(decoded.test_images, decoded.test_labels))


def digits_parts(whole: Part) -> dict[str, Part]:
    """The digits' parts: `report` is the last 50 of each class, `search` the 50 before them."""
    held_out = last_of_each_class(whole.labels, DIGITS_PER_CLASS)
    return _parts(whole.take(np.flatnonzero(~held_out)), DIGITS_PER_CLASS, whole.take(np.flatnonzero(held_out)))


def _parts(train: Part, search_per_class: int, report: Part) -> dict[str, Part]:
    held_out = last_of_each_class(train.labels, search_per_class)
    search = train.take(np.flatnonzero(held_out))
    training = train.take(np.flatnonzero(~held_out))
    return {
        "search": search.take(round_robin(search.labels)),
        "report": report.take(round_robin(report.labels)),
        "training": training,
        "calibration": training.take(round_robin(training.labels)[:CALIBRATION_IMAGES]),
    }
