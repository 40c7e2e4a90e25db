"""Makes assets/data: labels, block hashes and lossless mosaics of the images that ship."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiq_core.catalog.dataset import MOSAIC_COLUMNS
from aiq_core.catalog.hashes import hash_blocks
from aiq_core.errors import DataError
from aiq_core.runtime.data import fetch_parts
from aiq_core.runtime.sources import CIFAR10_SOURCES, Source
from aiq_core.runtime.splits import Part, digits_parts

CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
"""In label order, after https://www.cs.toronto.edu/~kriz/cifar.html."""

CIFAR10_SHIPPED = {"search": 2000, "report": 2000, "calibration": 512, "training": 0}
DIGITS_PIXEL_SCALE = 15
"""scikit-learn's digits are 0 to 16; 15 times that is exact, fits a byte and can be looked at."""

CIFAR10_README = """# CIFAR-10 excerpt
Images and labels of CIFAR-10 by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton
(https://www.cs.toronto.edu/~kriz/cifar.html; A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
2009), a labelled subset of the 80 Million Tiny Images collection. Its authors ask to cite that report and state no
licence. This project's licence covers its code only, not these images.

Lossless: mosaics of 50 images a row, in split order. `search` is the first 2,000 of the last 500 training images of
each class, `report` the first 2,000 test images, both round-robin over classes; `calibration` is 512 training images
outside `search`. labels.npz has the labels of all 5,000 + 10,000 images; split.json the hash of every 500 images.
"""

DIGITS_README = """# Digits
The 1,797 images of scikit-learn's `load_digits`: the test set of "Optical Recognition of Handwritten Digits"
(E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49, CC BY 4.0).
Pixels are 15 times the original 0 to 16, so they can be looked at; nothing is lost.

`report` is the last 50 images of each class, `search` the 50 before them, both round-robin over classes; `training`
is the rest in the original order, `calibration` 512 of it.
"""


def bundle_digits(folder: Path) -> None:
    """Write the digits dataset to `folder`."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * DIGITS_PIXEL_SCALE).astype(np.uint8)[..., None]
    parts = digits_parts(Part(pixels, digits.target.astype(np.uint8)))
    shipped = {name: len(part.labels) for name, part in parts.items()}
    write_dataset(folder, "digits", parts, shipped, [str(label) for label in range(10)], DIGITS_README)


def bundle_cifar10(folder: Path, report: Callable[[str], None], sources: tuple[Source, ...] = CIFAR10_SOURCES) -> None:
    """Fetch CIFAR-10 and write its excerpt to `folder`."""
    parts = fetch_parts(report, sources)
    write_dataset(folder, "CIFAR-10", parts, CIFAR10_SHIPPED, CIFAR10_CLASSES, CIFAR10_README)


def write_dataset(
    folder: Path, title: str, parts: dict[str, Part], shipped: dict[str, int], class_names: list[str], readme: str
) -> None:
    """Write split.json, labels.npz, README.md and a mosaic of the first `shipped` images of each part."""
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "title": title,
        "class_names": class_names,
        "image_shape": list(parts["search"].images.shape[1:]),
        "parts": {},
    }
    labels = {}
    for name, part in parts.items():
        entry: dict[str, Any] = {"images": len(part.labels), "shipped": shipped[name]}
        if shipped[name]:
            file_name, content = mosaic(name, part.images[: shipped[name]])
            (folder / file_name).write_bytes(content)
            entry["file"] = file_name
            labels[name] = part.labels
        entry["blocks"] = list(hash_blocks(part.images, part.labels))
        document["parts"][name] = entry
    np.savez_compressed(folder / "labels.npz", allow_pickle=False, **labels)
    (folder / "split.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "README.md").write_text(readme)


def mosaic(name: str, images: NDArray[np.uint8]) -> tuple[str, bytes]:
    """File name and content of a lossless mosaic of uint8[n, H, W, C]: WebP or PNG, the smaller one."""
    count, height, width, channels = images.shape
    rows = -(-count // MOSAIC_COLUMNS)
    tiles = np.zeros((rows * MOSAIC_COLUMNS, height, width, channels), dtype=np.uint8)
    tiles[:count] = images
    grid = tiles.reshape(rows, MOSAIC_COLUMNS, height, width, channels).swapaxes(1, 2)
    pixels = grid.reshape(rows * height, MOSAIC_COLUMNS * width, channels)
    picture = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
    choices = [(f"{name}.png", _encode(picture, format="PNG", optimize=True))]
    if channels == 3:  # WebP has no grey images
        choices.append((f"{name}.webp", _encode(picture, format="WEBP", lossless=True, quality=100, method=6)))
    file_name, content = min(choices, key=lambda choice: len(choice[1]))
    with Image.open(io.BytesIO(content)) as decoded:
        if not np.array_equal(np.asarray(decoded).reshape(pixels.shape), pixels):
            raise DataError(f"{file_name} does not decode to the images it was made of; use another Pillow")
    return file_name, content


def _encode(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()
