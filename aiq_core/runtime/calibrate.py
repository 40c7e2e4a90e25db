"""What a network's stored tensors hold for its calibration images: from it their ranges, kept on disk."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aiq_core.activations import BINS, Calibration, Histogram
from aiq_core.catalog import Model, cache_dir
from aiq_core.errors import AiqError, EvaluationError
from aiq_core.records import Ranges
from aiq_core.runtime.chunk import chunk_of
from aiq_core.runtime.data import to_input
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.folded import network_of

CHUNK = 64
FILE = "ranges.json"


def calibration(model: Model, ranges: Ranges) -> Calibration:
    """The calibration of a model: the one that ships with it, or was made before, or made now."""
    kept = cache_dir() / "ranges" / f"{model.hash}-{ranges.calibration}-{ranges.rule}.json"
    for path in (model.folder / FILE, kept):
        found = _read(path)
        if found is not None and (found.model_hash, found.ranges) == (model.hash, ranges):
            return found
    made = Calibration.of(model.hash, ranges, histograms(model))
    write_calibration(made, kept)
    return made


def write_calibration(made: Calibration, path: Path) -> None:
    """Write a calibration as JSON."""
    write_whole(path, (json.dumps(made.to_json(), indent=1) + "\n").encode())


def _read(path: Path) -> Calibration | None:
    try:
        return Calibration.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, AiqError):
        return None


def histograms(model: Model) -> dict[int, Histogram]:
    """Stored tensor -> what it held for the calibration images, FP32, norms folded.

    Raises EvaluationError where that is NaN or infinite.
    """
    network = network_of(model)
    split = model.dataset.split("calibration")
    split.images(split.size)  # which checks them
    chunk = chunk_of(model.profile, CHUNK)
    low: dict[int, float] = {}
    high: dict[int, float] = {}
    counts: dict[int, np.ndarray] = {}

    def ends(place: int, x: Tensor) -> Tensor:
        least, most = (float(value) for value in torch.aminmax(x))
        if not np.isfinite([least, most]).all():
            raise EvaluationError(
                f"{model} gives NaN or infinity in operation {place} ({model.profile.graph[place].operator}) for a "
                "calibration image, so its activations have no range; use a network that stays finite"
            )
        low[place], high[place] = min(low.get(place, 0.0), least), max(high.get(place, 0.0), most)
        return x

    def count(place: int, x: Tensor) -> Tensor:
        largest = max(-low[place], high[place])
        if largest > 0:
            found = torch.histc(x.abs(), BINS, 0, largest).numpy().astype(np.float64)
            counts[place] = counts.get(place, 0) + found
        return x

    with torch.inference_mode():
        for visit in (ends, count):
            for start in range(0, split.size, chunk):
                x = to_input(split.read(start, start + chunk), model.card.mean, model.card.std)
                x = x.contiguous(memory_format=torch.channels_last)
                for part in range(len(network.parts)):
                    x = network.run(part, x, visit)
    none = np.eye(1, BINS).ravel()
    return {
        place: Histogram(counts.get(place, none), max(-low[place], high[place]), low[place] < 0)
        for place in model.profile.stored_tensors
        if model.profile.graph[place].operator != "image"
    }
