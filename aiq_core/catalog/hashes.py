"""What identifies a model and a split: hashes over everything that decides a prediction."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.graph import Graph
from aiq_core.metrics import TOP1

BLOCK_IMAGES = 500
"""Images that share a hash, so that an excerpt of whole blocks can be checked alone."""


FIRST_HASHES = {
    "25a8b155929b7dad": "86c84ee3fd0b39d0",
    "826b7c564a742781": "b28807c3fcd75477",
    "c034b8e51d4e539c": "2a6c75ede1e54f23",
    "ee8376a896406903": "c9ae72e9393175fc",
    "ec6a582dd3af87e9": "fe5453af078299b1",
}
"""Content of a bundled model -> its hash from when its name stood for the forward, which its evaluations carry."""


def model_hash(
    graph: Graph,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    tensors: Mapping[str, NDArray[Any]],
    metric: str = TOP1,
) -> str:
    """16 hex digits over what is computed: graph, preprocessing, every tensor's name, type, shape and bytes, metric.

    The metric came later, and enters only where it is not the first: what an outcome is, is the model's task.
    """
    computed = [[asdict(operation) for operation in graph], [*map(float, mean)], [*map(float, std)]]
    computed += [] if metric == TOP1 else [metric]
    digest = hashlib.sha256(json.dumps(computed, sort_keys=True).encode())
    for key in sorted(tensors):
        array = tensors[key]
        digest.update(json.dumps([key, str(array.dtype), list(array.shape)]).encode())
        digest.update(array.tobytes())
    found = digest.hexdigest()[:16]
    return FIRST_HASHES.get(found, found)


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
