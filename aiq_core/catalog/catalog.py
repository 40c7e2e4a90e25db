"""A folder of models and data sets."""

import json
from functools import cached_property
from pathlib import Path

from aiq_core.catalog.dataset import Dataset
from aiq_core.catalog.model import Card, Model
from aiq_core.errors import look_up
from aiq_core.records import ModelProfile

ASSETS = Path(__file__).resolve().parent.parent.parent / "assets"

PROFILES = "profiles"
"""The folder of those networks of which only the counts are known."""

FIRST_MODELS = ("resnet20", "mobilenet_v2")
"""The paper's main models, in the order that pages list them; they open on the first."""


class Catalog:
    """The models and data sets in a folder, read once; `current` reads them anew. Empty without a folder."""

    def __init__(self, folder: Path, bundled: bool = False) -> None:
        self.folder, self.bundled = folder, bundled
        self._version = self._modified()

    def _modified(self) -> tuple[int, ...]:
        """When a model was last added or taken away, by whatever process."""
        folders = self.folder / "models", self.folder / PROFILES
        return tuple(folder.stat().st_mtime_ns if folder.is_dir() else 0 for folder in folders)

    @property
    def current(self) -> "Catalog":
        """This one, or another where models were added or taken away since it was made."""
        return self if self._modified() == self._version else Catalog(self.folder, self.bundled)

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """Data sets by name: the folders with a split.json."""
        folders = sorted(path.parent for path in (self.folder / "data").glob("*/split.json"))
        return {folder.name: Dataset.read(folder) for folder in folders}

    @cached_property
    def models(self) -> dict[str, Model]:
        """Models by name, those with a card: the paper's main ones, then by data set and name."""
        folders = [path.parent for path in (self.folder / "models").glob("*/card.json")]
        cards = {folder: Card.read(folder) for folder in folders}
        if not self.bundled:  # one whose images were taken away is none, and the others stay
            cards = {folder: card for folder, card in cards.items() if card.dataset in self.datasets}
        rank = {name: place for place, name in enumerate(FIRST_MODELS)}
        ordered = sorted(cards.items(), key=lambda item: (rank.get(item[1].name, 9), item[1].dataset, item[1].name))
        return {card.name: Model(card, self.dataset(card.dataset), folder, self.bundled) for folder, card in ordered}

    @cached_property
    def profiles(self) -> dict[str, ModelProfile]:
        """Networks without weights or data, of which only the counts are known, by name."""
        files = sorted((self.folder / PROFILES).glob("*.json"))
        return {path.stem: ModelProfile.from_json(json.loads(path.read_text())) for path in files}

    def dataset(self, name: str) -> Dataset:
        """The data set of that name. Raises UnknownNameError."""
        return look_up("dataset", name, self.datasets)

    def model(self, name: str) -> Model:
        """The model of that name. Raises UnknownNameError."""
        return look_up("model", name, self.models)


def bundled() -> Catalog:
    """What ships with the app."""
    return Catalog(ASSETS, bundled=True)
