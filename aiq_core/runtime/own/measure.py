"""A network of its own code on the images of a data set: what it predicts, and how those predictions look."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from aiq_core.catalog import Model
from aiq_core.catalog.dataset import Split
from aiq_core.errors import EvaluationError
from aiq_core.runtime.data import to_input
from aiq_core.runtime.logits import logits

CHUNK = 125
CHUNK_NUMBERS = 2**22
"""At most so many numbers of images at once, so that large images need no more memory than small ones."""

SHEET, COLUMNS, TILE, LINE, MARGIN = 12, 4, 160, 16, 12
"""Images of a contact sheet, side by side, pixels of each, of a line of its text, and between images."""

LOW = 0.5
"""The share right above which no other order of classes is looked for."""

DRAWS = 20
MOST_CLASSES = 1_024
"""Above which no order is looked for: twenty draws take a minute at three times as many, and a square of memory."""

Say = Callable[[float, str], None]


def plain_input(pixels: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images as most people have them, channel after channel, which a network may rely on: float32[n, C, H, W]."""
    # `contiguous` would leave a single channel with the strides of channels_last, which convolutions then keep.
    return to_input(pixels, mean, std).clone(memory_format=torch.contiguous_format)


def forward(module: nn.Module, x: Tensor, name: str, result: str | None) -> Tensor:
    """The logits of a batch. Raises EvaluationError where the network's own code fails on it."""
    try:
        given = module(x)
    except Exception as error:  # it is somebody's code
        said = str(error).strip().partition("\n")[0]
        raise EvaluationError(
            f"{name} fails on images of {list(x.shape)} ({type(error).__name__}: {said}); mend its forward, which has "
            "to take a batch of any size, and add it again"
        ) from error
    return logits(given, len(x), name, result)


def predict(
    module: nn.Module, model: Model, split: Split, device: torch.device, say: Say
) -> tuple[NDArray[np.int64], float]:
    """The class of each image of a split, and seconds an image, those of the fastest chunk: the others shared the
    machine with whatever else ran. Raises EvaluationError for NaN logits.
    """
    card = model.card
    chunk = max(1, min(CHUNK, CHUNK_NUMBERS // int(np.prod(card.input_shape))))
    found = []
    module = module.to(device)
    seconds, bad = float("inf"), 0
    with torch.inference_mode():
        for start in range(0, split.size, chunk):
            started = time.monotonic()
            x = plain_input(split.read(start, start + chunk), card.mean, card.std).to(device)
            given = forward(module, x, model.name, card.result).cpu()
            bad += int((~torch.isfinite(given).all(dim=1)).sum())
            found.append(given.argmax(1).numpy())
            seconds = min(seconds, (time.monotonic() - started) / len(x))
            say((start + len(x)) / split.size, f"{split.name}: {start + len(x):,} of {split.size:,} images")
    if bad:
        raise EvaluationError(
            f"{model} gives NaN or infinite logits for {bad:,} of {split.size:,} {split.name} images: they have no "
            "class; use weights and a preprocessing under which it stays finite"
        )
    return np.concatenate(found), seconds


def better_order(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> int | None:
    """How many would be right if classes stood in the best other order; None where that says nothing.

    It does where at most half are right, twice as many would be, and more than of the predictions in any random order.
    """
    if classes > MOST_CLASSES:
        return None
    right = int((predicted == labels).sum())
    best = _best(predicted, labels, classes)
    if right > LOW * len(labels) or best < max(2 * right, 2):
        return None
    generator = np.random.default_rng(0)
    drawn = [_best(generator.permutation(predicted), labels, classes) for _ in range(DRAWS)]
    return best if best > max(drawn) else None


def _best(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> int:
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return int(counts[linear_sum_assignment(counts, maximize=True)].sum())


def contact_sheet(split: Split, predicted: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """Writes a PNG of the first images of a split with their true and predicted names."""
    count = min(SHEET, split.size)
    width, height = TILE + MARGIN, TILE + 2 * LINE + MARGIN
    sheet = Image.new("RGB", (COLUMNS * width + MARGIN, -(-count // COLUMNS) * height + MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, pixels in enumerate(split.images(count)):
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
        scale = TILE / max(picture.size)
        method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
        picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), method)
        x, y = MARGIN + (place % COLUMNS) * width, MARGIN + (place // COLUMNS) * height
        sheet.paste(picture, (x, y))
        true, told = names[int(split.labels[place])], names[int(predicted[place])]
        colour = "#0b6e3b" if true == told else "#b3261e"
        draw.text((x, y + TILE + 2), _short(f"is {true}", font), "black", font)
        draw.text((x, y + TILE + 2 + LINE), _short(f"read as {told}", font), colour, font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _short(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > TILE and len(text) > 1:
        text = text.removesuffix("…")[:-1] + "…"
    return text
