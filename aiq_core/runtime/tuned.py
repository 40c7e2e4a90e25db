"""Fine-tuned layers on disk: a folder each, with the integers, scales and biases, and a card that says how they came.

They lie in the user's data folder, or beside the model that they ship with. Nothing makes them again but training.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aiq_core.catalog import Model, data_dir
from aiq_core.errors import AiqError, DataError, SettingError
from aiq_core.records import FP32_BITS, Policy
from aiq_core.rounding import RoundedLayer
from aiq_core.runtime.files import write_whole

FOLDER, LAYERS, CARD = "fine_tuned", "layers.npz", "card.json"

Layers = Mapping[str, RoundedLayer]


def own_folder() -> Path:
    """Where those of this user lie."""
    return data_dir() / FOLDER


def _folders(model: Model) -> tuple[Path, Path]:
    return model.folder / FOLDER, own_folder()


def hash_of(model: Model, policy: Policy, layers: Layers) -> str:
    """16 hex digits over a model, a policy and every number of the layers below FP32."""
    parts = [model.hash, policy.key, *(f"{name} {layer.hash}" for name, layer in sorted(layers.items()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def keep(model: Model, policy: Policy, layers: Layers, card: Mapping[str, Any]) -> str:
    """Writes layers, and then their card; returns their hash, by which they are read again."""
    trained = hash_of(model, policy, layers)
    arrays = {
        f"{part}.{name}": getattr(layer, part)
        for name, layer in layers.items()
        for part in ("integers", "scale", "bias")
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, policy=np.array(policy.key), **arrays)
    write_whole(own_folder() / trained / LAYERS, buffer.getvalue())
    _write_card(trained, {"trained": trained, "model": model.name, "model_hash": model.hash, **card})
    return trained


def add_to_card(trained: str, figures: dict[str, Any]) -> None:
    """Says more on the card of layers of this user; nothing where they are gone."""
    path = own_folder() / trained / CARD
    if (card := _card(path)) is not None:
        _write_card(trained, card | figures)


def find(model: Model, **settings: Any) -> str | None:
    """The hash of the layers whose card says these settings, and which are whole; None where there are none."""
    for folder in _folders(model):
        for path in sorted(folder.glob(f"*/{CARD}")):
            card = _card(path) or {}
            if all(card.get(name) == value for name, value in settings.items()) and _read(model, path.parent.name):
                return path.parent.name
    return None


class TunedLayers:
    """Called with a layer's name and a width, gives the layer as it was trained.

    Raises DataError where the layers are gone, and SettingError for another width than they were trained at.
    """

    def __init__(self, model: Model, trained: str | None) -> None:
        found = None if trained is None else _read(model, trained)
        if found is None:
            raise DataError(
                f"the fine-tuned layers {trained} of {model} are not in {own_folder()}, or were changed there, and "
                f"only training makes them: put their folder back, or run `python -m aiq_core fine-tune {model}` with "
                "--run and the id of the run that shows them"
            )
        policy, self._layers = found
        self._trained, self._bits = trained, model.profile.named_bits(policy)

    def __call__(self, layer: str, bits: int) -> RoundedLayer:
        """The layer at the width that it was trained at."""
        if self._bits[layer] != bits:
            raise SettingError(
                f"bits={bits} are asked for {layer}, and the fine-tuned layers {self._trained} have it at "
                f"{self._bits[layer]}; measure the policy that was trained, or round by another method"
            )
        return self._layers[layer]


def _read(model: Model, trained: str) -> tuple[Policy, dict[str, RoundedLayer]] | None:
    """The policy and layers of that hash; None where they are in no folder, or give another one."""
    profile = model.profile
    for folder in _folders(model):
        try:
            # Opened here: numpy leaves a file open that it cannot read.
            with (folder / trained / LAYERS).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                policy = Policy.from_key(str(file["policy"]))
                layers = {
                    name: RoundedLayer(file[f"integers.{name}"], file[f"scale.{name}"], file[f"bias.{name}"])
                    for name, bits in profile.named_bits(policy).items()
                    if bits != FP32_BITS
                }
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, AiqError):
            continue
        if hash_of(model, policy, layers) == trained:
            return policy, layers
    return None


def _card(path: Path) -> dict[str, Any] | None:
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None


def _write_card(trained: str, card: Mapping[str, Any]) -> None:
    write_whole(own_folder() / trained / CARD, (json.dumps(card, indent=1) + "\n").encode())
