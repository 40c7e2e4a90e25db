"""Adding a user's own network with its images: a dry run in a folder apart, which is moved in place at the end."""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiq_core import catalog, intensity
from aiq_core.catalog import Catalog, Model, data_dir
from aiq_core.catalog.catalog import PROFILES
from aiq_core.catalog.model import CONTACT_SHEET
from aiq_core.errors import AiqError, DataError, SettingError
from aiq_core.estimate import ASKED_SHARE, WORK_SHARE
from aiq_core.library import Library
from aiq_core.records import DEFAULT_WIDTHS, FP32_BITS, ModelProfile, SplitName
from aiq_core.search.strategies import strategy
from aiq_core.space import MOST_CHOOSING

if TYPE_CHECKING:
    from aiq_core.runtime.own.asked import Asked, Found

Say = Callable[[float, str], None]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
LONGEST_TITLE = 60
PREFIX = "adding-"
STALE_S = 24 * 3600.0
"""Age beyond which what is half added is nobody's."""


class RefusedError(AiqError):
    """A dry run after which nothing is kept: `document` is all it found, `status` the exit status."""

    def __init__(self, message: str, document: Mapping[str, Any], status: int = 1) -> None:
        super().__init__(message)
        self.document, self.status = document, status


CHANCE_STATUS = 2
Decide = Callable[[Mapping[str, Any]], bool]
"""Sees the dry run; whether to go on."""


@contextmanager
def writing() -> Iterator[None]:
    """Raises DataError where the system refuses a file: the disc is full, or a folder is not to be written or read."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or data_dir()} cannot be used ({error.strerror or error}); make room, change its "
            "permissions, or set AIQ_DATA_DIR and AIQ_CACHE_DIR to other folders"
        ) from None


def own_catalog() -> Catalog:
    """The user's own models and data sets, as they are now."""
    return Catalog(data_dir() / "catalog")


@writing()
def added(
    library: Library, asked: "Asked", say: Say, decide: Decide = lambda _: True, allow_chance: bool = False
) -> Mapping[str, Any]:
    """Adds a model under its name; its dry run as a document. Nothing is kept where `decide` says no.

    Raises RefusedError after a dry run that found a reason to stop, AiqError before.
    """
    own = ready(library, asked.name, asked.title)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=own, ignore_cleanup_errors=True) as temporary:
        document = tried(asked, Path(temporary), say)
        if document["is_chance"] and not allow_chance:
            raise RefusedError(
                f"{asked.name} is right as often as guessing would be, so its figures would say nothing: look at the "
                "weights, the preprocessing and the order of classes, or add it all the same with --allow-chance",
                document,
                CHANCE_STATUS,
            )
        if decide(document):
            move(library, Path(temporary), asked.name)
            document["added"] = True
    return document


@writing()
def counted(library: Library, asked: "Asked", say: Say, decide: Decide) -> Mapping[str, Any]:
    """Adds a network of which only the counts are wanted, without weights or data. Raises AiqError."""
    from aiq_core.runtime.own.dry_run import counted_alone
    from aiq_core.runtime.profile import profile_text

    own = ready(library, asked.name)
    say(0.0, "counting")
    profile, said = counted_alone(asked)
    accuracy = dict.fromkeys([f"{split}_top1_percent" for split in SplitName])
    document = {
        "name": asked.name,
        "added": False,
        "said": said,
        "operators_refused": [],
        **_counts(profile),
        **accuracy,
    }
    if decide(document):
        path = own / PROFILES / f"{asked.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(profile_text(profile))
        document["added"] = True
    return document


def ready(library: Library, name: str, title: str | None = None) -> Path:
    """The folder of the user's catalogue, where a model of that name may be put. Raises AiqError."""
    library.store  # on a read-only server this says so  # noqa: B018
    _check_name(library, name)
    if title is not None and (len(title) > LONGEST_TITLE or not title.isprintable()):
        raise SettingError(f"title={title!r} is not offered; use at most {LONGEST_TITLE} characters, on one line")
    folder = own_catalog().folder
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    return folder


def tried(asked: "Asked", folder: Path, say: Say) -> dict[str, Any]:
    """What a dry run finds, as a document; the model and its data set lie in `folder` then, which was empty.

    Raises RefusedError after a dry run that leaves no model, AiqError before.
    """
    from aiq_core.runtime.own.dry_run import dry_run

    found = dry_run(asked, folder, say)
    document = document_of(asked, found)
    if found.model is None:
        raise RefusedError(str(found.refused), document)
    sheet = catalog.cache_dir() / "contact_sheets" / f"{asked.name}.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found.model.folder / CONTACT_SHEET, sheet)
    return document | {"contact_sheet": str(sheet)}


def _check_name(library: Library, name: str) -> None:
    if not NAME.fullmatch(name):
        raise SettingError(f"name={name!r} is not offered; use 1 to 60 letters, digits, '_', '-' or '.'")
    if name in catalog.bundled().models.keys() | catalog.bundled().datasets.keys():
        raise SettingError(f"{name!r} ships with the app; choose another name")
    if name in library.models.keys() | own_catalog().profiles.keys():
        raise SettingError(f"there is a model {name!r} already; choose another name, or `remove {name}` first")


def move(library: Library, source: Path, name: str) -> None:
    """Puts what was made in place. Raises SettingError where another one has got its name meanwhile."""
    target = ready(library, name)
    # Data first: a model is there with its card, and then has them.
    for kind in ("data", "models"):
        place = target / kind / name
        place.parent.mkdir(exist_ok=True)
        if place.exists():  # left over by one that was stopped between the two
            shutil.rmtree(place)
        (source / kind / name).rename(place)


def _sweep(folder: Path) -> None:
    for each in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - each.stat().st_mtime > STALE_S:
                shutil.rmtree(each, ignore_errors=True)


def document_of(asked: "Asked", found: "Found") -> dict[str, Any]:
    """A dry run as JSON, as far as it came."""
    document: dict[str, Any] = {
        "name": asked.name,
        "title": asked.title or asked.name,
        "added": False,
        "keys_loaded": found.keys_loaded,
        "keys_missing": len(found.mismatch.missing),
        "keys_unexpected": len(found.mismatch.unexpected),
        "keys_misshaped": len(found.mismatch.misshaped),
        "parameters": found.parameters,
        "weights_stored_bytes": found.stored_bytes,
        "operators_refused": found.operators_refused,
        "said": found.said,
    }
    if found.profile is not None:
        document |= _counts(found.profile)
    if found.model is not None:
        document |= _accuracy(found, found.model)
        document["estimate"] = estimate(found.profile or found.model.profile, found)
    return document


def _counts(profile: ModelProfile) -> dict[str, Any]:
    moved = intensity.traffic(profile, [profile.uniform(FP32_BITS)])
    kinds: dict[str, int] = {}
    for layer in profile.layers:
        kinds[str(layer.kind)] = kinds.get(str(layer.kind), 0) + layer.calls
    return {
        "item": profile.item,
        "operators": kinds,
        "quantizable_layers": len(profile.quantizable),
        "flops": int(moved.flops.sum()),
        "moved_bytes": int(moved.moved_bytes[0]),
        "intensity": float(moved.intensity[0]),
    }


def _accuracy(found: "Found", model: Model) -> dict[str, Any]:
    card, document = model.card, dict[str, Any]()
    for split in SplitName:
        interval = model.metric.interval(found.right[split], found.images[split])
        document |= {
            f"{split}_images": found.images[split],
            f"{split}_right": found.right[split],
            f"{split}_top1_percent": interval.value,
            f"{split}_top1_interval": [interval.low, interval.high],
        }
    others = [name for name in found.images if name not in tuple(SplitName)]
    document |= {f"{name}_{what}": counts[name] for name in others for what, counts in _named(found)}
    judged = found.judged()[1]
    whole = found.judged() if found.is_calibrated_apart else (sum(found.right.values()), sum(found.images.values()))
    return document | {
        "all_images": whole[1],
        "all_right": whole[0],
        "all_top1_percent": 100 * whole[0] / whole[1],
        "classes": len(card.class_names),
        "class_names": list(card.class_names),
        "input_shape": list(card.input_shape),
        "chance_percent": 100 / len(card.class_names),
        "is_chance": card.is_chance,
        "better_class_order": None
        if found.better_order is None
        else {"right": found.better_order, "of": judged, "top1_percent": 100 * found.better_order / judged},
        "model_hash": model.hash,
        "search_hash": model.dataset.search.hash,
        "report_hash": model.dataset.report.hash,
        "seconds_an_image": found.seconds_an_image,
    }


def _named(found: "Found") -> tuple[tuple[str, dict[str, int]], ...]:
    return ("images", found.images), ("right", found.right)


def estimate(profile: ModelProfile, found: "Found") -> dict[str, Any]:
    """What a greedy search of bits for weights will cost here: evaluations and minutes, at the images it suggests."""
    images = min(MOST_CHOOSING, found.images[SplitName.SEARCH])
    layers, moves = len(profile.quantizable), len(profile.quantizable) * (len(DEFAULT_WIDTHS) - 1)
    plain = strategy("greedy").plain_evaluations(layers, moves)
    evaluations = max(1, round(ASKED_SHARE * plain))
    minutes = evaluations * WORK_SHARE * images * found.seconds_an_image / 60
    return {"images": images, "evaluations": evaluations, "minutes": minutes, "plain_evaluations": plain}


@writing()
def remove(library: Library, name: str) -> None:
    """Takes a user's own model away, with its data set; its runs and evaluations stay in the store. Raises AiqError."""
    library.store  # noqa: B018
    folder = removable(library, name)
    (folder / PROFILES / f"{name}.json").unlink(missing_ok=True)
    for kind in ("models", "data"):  # the card first: what has none is no model
        place = folder / kind / name
        if place.exists():
            gone = folder / f"{PREFIX}{kind}-{name}"
            shutil.rmtree(gone, ignore_errors=True)
            place.rename(gone)
            shutil.rmtree(gone)


def removable(library: Library, name: str) -> Path:
    """The folder of the catalogue that holds a user's own model. Raises SettingError for a bundled one."""
    if name in own_catalog().profiles:
        return own_catalog().folder
    if library.model(name).bundled:
        raise SettingError(f"{name} ships with the app and stays; only own models can be removed")
    return own_catalog().folder
