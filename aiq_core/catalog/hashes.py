"""What identifies a model and a split: hashes over everything that decides a prediction."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_IMAGES = 500
"""Images that share a hash, so that an excerpt of whole blocks can be checked alone."""


def model_hash(name: str, mean: tuple[float, ...], std: tuple[float, ...], tensors: Mapping[str, NDArray[Any]]) -> str:
    """16 hex digits over architecture (by name), preprocessing and every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps([name, list(mean), list(std)]).encode())
    for key in sorted(tensors):
        array = np.ascontiguousarray(tensors[key])
        digest.update(json.dumps([key, str(array.dtype), list(array.shape)]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def block_hash(images: NDArray[np.uint8], labels: NDArray[Any]) -> str:
    """64 hex digits over a block's images uint8[n, H, W, C] and labels[n]."""
    digest = hashlib.sha256(json.dumps(list(images.shape)).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(np.ascontiguousarray(labels).tobytes())
    return digest.hexdigest()


def hash_blocks(images: NDArray[np.uint8], labels: NDArray[Any]) -> tuple[str, ...]:
    """The hash of every block of 500 images."""
    starts = range(0, len(images), BLOCK_IMAGES)
    return tuple(block_hash(images[i : i + BLOCK_IMAGES], labels[i : i + BLOCK_IMAGES]) for i in starts)


def root_hash(blocks: tuple[str, ...]) -> str:
    """16 hex digits over the hashes of a split's blocks."""
    return hashlib.sha256("".join(blocks).encode()).hexdigest()[:16]
