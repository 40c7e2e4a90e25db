"""What somebody hands over, and what a dry run finds of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from aiq_core.catalog import Model
from aiq_core.errors import AiqError, SettingError
from aiq_core.records import ModelProfile, SplitName
from aiq_core.runtime.own.checkpoint import Mismatch


@dataclass(frozen=True)
class Asked:
    """What is handed over, as the command line has it; `flags` are settings of the preprocessing, `tokens` is the
    length of a text, where the network is a configuration's.
    """

    name: str
    network: str
    weights: str
    data: str
    report_data: str | None = None
    calibration_data: str | None = None
    preprocessing: str | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    title: str | None = None
    device: str = "cpu"
    key: str | None = None
    layout: str | None = None
    classes: str | None = None
    result: str | None = None
    tokens: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Asked":
        """What a task's settings say. Raises SettingError for one that is none, or is missing."""
        names = {each.name for each in fields(cls)}
        unknown = [name for name in settings if name not in names]
        if unknown:
            raise SettingError(f"add has no setting {unknown[0]!r}; choose from {', '.join(sorted(names))}")
        for name in ("name", "network", "weights", "data"):
            if not settings.get(name):
                raise SettingError(f"add needs {name}; give it")
        return cls(**{**settings, "exclude": tuple(settings.get("exclude", ()))})


@dataclass
class Found:
    """What a dry run found, as far as it came; `refused` says why it stopped. `right` and `images` are counts a split.

    `is_calibrated_apart` says that calibration images are of another set than those that choose.
    `better_order` is how many would be right if classes stood in another order, where that says something; `model` the
    whole of it, where it can be kept.
    """

    said: list[str] = field(default_factory=list)
    keys_loaded: int = 0
    mismatch: Mismatch = field(default_factory=lambda: Mismatch((), (), ()))
    parameters: int = 0
    stored_bytes: int = 0
    refused: AiqError | None = None
    operators_refused: list[str] = field(default_factory=list)
    profile: ModelProfile | None = None
    right: dict[str, int] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    seconds_an_image: float = 0.0
    better_order: int | None = None
    is_calibrated_apart: bool = False
    model: Model | None = None

    def percent(self, split: str) -> float:
        """Top-1 on a split."""
        return 100 * self.right[split] / self.images[split]

    def judged(self) -> tuple[int, int]:
        """How many are right of how many, on the splits that choose and judge."""
        splits = [str(split) for split in SplitName]
        return sum(self.right[split] for split in splits), sum(self.images[split] for split in splits)
