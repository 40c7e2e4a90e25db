"""Writing the rounded layers that ship with a model, for `catalog.shipped` to read."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog import Model
from aiq_core.catalog.shipped import BITS, FILE, made_by, nearest_at, shipped_settings
from aiq_core.rounding import RoundedLayer
from aiq_core.rounding.mse import SHARES
from aiq_core.rounding.nearest import scales
from aiq_core.runtime.files import write_whole


def write_shipped(model: Model, rounded: Callable[[str, int], RoundedLayer]) -> None:
    """Write to a model's folder its layers at every width, as `rounded` gives them under `shipped_settings`."""
    settings = shipped_settings(model)
    arrays: dict[str, NDArray[Any]] = {"made": np.array(made_by(model, settings))}
    for bits in BITS:
        layers = {name: rounded(name, bits) for name in model.profile.quantizable_names}
        added, places = [], []
        for name, layer in layers.items():
            weight = model.folded[name].weight
            added.append((layer.integers - nearest_at(weight, layer.scale, bits, settings)).ravel())
            whole = scales(weight, bits, settings.granularity, settings.grid)
            tried = np.stack([(whole * np.float32(share) == layer.scale).ravel() for share in SHARES])
            places.append(tried.argmax(axis=0).astype(np.uint8))
        arrays[f"added.{bits}"], arrays[f"place.{bits}"] = np.concatenate(added), np.concatenate(places)
        arrays[f"bias.{bits}"] = np.concatenate([layer.bias for layer in layers.values()])
        arrays[f"hash.{bits}"] = np.array([layer.hash for layer in layers.values()])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_whole(model.folder / FILE, buffer.getvalue())
