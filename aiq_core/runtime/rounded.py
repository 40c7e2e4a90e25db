"""Rounded layers of a model: from memory, else as shipped, else from the cache on disk, else computed.

Those that were fine-tuned are read, and never computed.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from aiq_core.catalog import Model, cache_dir
from aiq_core.catalog.shipped import ShippedLayers
from aiq_core.errors import SettingError
from aiq_core.records import Quantizer
from aiq_core.rounding import ROUNDINGS, LayerStatistics, RoundedLayer, round_layer
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.statistics import layer_statistics
from aiq_core.runtime.tuned import TunedLayers


class RoundedLayers:
    """Called with a layer's name and a width below 32, gives the layer rounded as `settings` say.

    What depends on calibration images is kept on disk; the rest is made again sooner than it is read. Raises
    SettingError for calibration images that are not those of the model's data set, and DataError for fine-tuned layers
    that are gone.
    """

    def __init__(self, model: Model, settings: Quantizer) -> None:
        self.model, self.settings = model, settings
        if settings.calibration not in (None, model.dataset.calibration_hash):
            raise SettingError(
                f"calibration={settings.calibration} is not the hash of {model.dataset.name}'s calibration images, "
                f"{model.dataset.calibration_hash}; use that"
            )
        self._shipped = ShippedLayers(model, settings)
        self._tuned = TunedLayers(model, settings.trained) if settings.is_fine_tuned else None
        self._held: dict[tuple[str, int], RoundedLayer] = {}

    def __call__(self, layer: str, bits: int) -> RoundedLayer:
        """The layer at a width."""
        if (layer, bits) not in self._held:
            self._held[layer, bits] = self._kept(layer, bits)
        return self._held[layer, bits]

    def _kept(self, layer: str, bits: int) -> RoundedLayer:
        if self._tuned is not None:
            return self._tuned(layer, bits)
        if not ROUNDINGS[self.settings.rounding].is_calibrated:
            return self.computed(layer, bits)
        path = self._file(layer, bits)
        found = self._shipped(layer, bits) or _read(path)
        if found is None:
            found = self.computed(layer, bits)
            _write(path, found)
        return found

    def computed(self, layer: str, bits: int) -> RoundedLayer:
        """The layer rounded now, by one thread: no sum depends on how many there are, and small ones are no faster."""
        with threadpool_limits(1, "blas"):
            return round_layer(self.model.folded[layer], bits, self.settings, lambda: self._statistics[layer])

    @cached_property
    def _statistics(self) -> Mapping[str, LayerStatistics]:
        return layer_statistics(self.model)

    def _file(self, layer: str, bits: int) -> Path:
        """Where a layer lies in the cache: named by all that it depends on."""
        text = f"{layer} {bits} {self.settings.key(self.model.profile.uniform(bits))}"
        return cache_dir() / "rounded" / self.model.hash / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.npz"


def _write(path: Path, layer: RoundedLayer) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, integers=layer.integers, scale=layer.scale, bias=layer.bias, hash=layer.hash)
    # Where nothing can be kept, it is made again.
    with suppress(OSError):
        write_whole(path, buffer.getvalue())


def _read(path: Path) -> RoundedLayer | None:
    """The layer in a file; None where there is none, or it is damaged."""
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            layer = RoundedLayer(file["integers"], file["scale"], file["bias"])
            return layer if layer.hash == str(file["hash"]) else None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
