"""Somebody's labelled images -> a data set of a catalogue: found, cut into parts, preprocessed once into blocks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog.dataset import ARRAY, CALIBRATION
from aiq_core.errors import DataError, SettingError
from aiq_core.records import SplitName
from aiq_core.runtime.own.named import FORMS, named
from aiq_core.runtime.own.pictures import (
    Pictures,
    from_csv,
    from_folder,
    from_npy,
    from_npz,
    reason,
)
from aiq_core.runtime.splits import CALIBRATION_IMAGES, round_robin

SEED = 0
"""Of the order in which the images of a class are dealt to the parts."""

CALIBRATION_SHARE = 10
"""At most one image in so many calibrates, where there is one set for everything."""

LAYOUTS = ("NHWC", "NCHW")
VAGUE = ("data", "images", "test", "train", "val", "valid", "validation", "search", "report", "calibration")
"""Names of files and folders that say what images are for, not what they show."""

NAMED = 5


@dataclass(frozen=True)
class Given:
    """What the parts are made of: `data`, and `report` and `calibration` where these are sets of their own."""

    data: Pictures
    report: Pictures | None = None
    calibration: Pictures | None = None

    @property
    def sets(self) -> tuple[Pictures, ...]:
        """Each of them that is given."""
        return tuple(each for each in (self.data, self.report, self.calibration) if each is not None)


def find(text: str, layout: str | None = None, train: bool = False) -> Pictures:
    """What a text names: a folder, a .npz, two .npy with a comma between them, a .csv, or a data set by its name.

    `train` asks for the training images of a name. Raises DataError.
    """
    if layout is not None and layout not in LAYOUTS:
        raise SettingError(f"layout={layout!r} is not offered; choose from {', '.join(LAYOUTS)}")
    first, second = _two(text)
    path = Path(text).expanduser()
    if second and first.endswith(ARRAY):
        return from_npy(Path(first).expanduser(), Path(second).expanduser(), layout)
    if path.is_dir():
        return from_folder(path)
    if path.is_file():
        if path.suffix == ".npz":
            return from_npz(path, layout)
        if path.suffix == ".csv":
            return from_csv(path)
        raise DataError(f"{path} is no set of images; give {FORMS}")
    return named(text, train)


def _two(text: str) -> tuple[str, str]:
    """Both sides of the first comma; the second is empty without one."""
    first, _, second = text.partition(",")
    return first.strip(), second.strip()


def ordered(pictures: Pictures, order: Sequence[str] | None) -> Pictures:
    """A set with its classes in another order; with these names where only numbers are known. Raises DataError."""
    if order is None:
        return pictures
    if pictures.class_names is None:
        return replace(pictures, class_names=tuple(order))
    unknown = [name for name in pictures.class_names if name not in order]
    if unknown:
        raise DataError(
            f"there are classes that --classes lacks: {', '.join(unknown[:NAMED])}; name every class, in the order of "
            "the network's outputs"
        )
    places = np.array([order.index(name) for name in pictures.class_names], dtype=np.int64)
    return replace(pictures, labels=places[pictures.labels], class_names=tuple(order))


def deal(labels: NDArray[np.int64], shares: dict[str, float]) -> dict[str, NDArray[np.intp]]:
    """Part -> indices of its images in round-robin order over classes, by their shares of every class.

    The images of each class are put in an order by a generator of numbers that begins at 0, and dealt in turn; no image
    is in two parts. What the shares leave over of a class goes where most is owed over all classes before it.
    """
    generator = np.random.default_rng(SEED)
    owed = dict.fromkeys(shares, 0.0)
    found: dict[str, list[int]] = {name: [] for name in shares}
    total = sum(shares.values())
    for label in np.unique(labels):
        for index in generator.permutation(np.flatnonzero(labels == label)):
            for name, share in shares.items():
                owed[name] += share / total
            name = max(owed, key=lambda each: owed[each])
            owed[name] -= 1
            found[name].append(int(index))
    parts = {name: np.array(sorted(indices), dtype=np.intp) for name, indices in found.items()}
    return {name: part[round_robin(labels[part])] for name, part in parts.items()}  # type: ignore[arg-type]


def dealt(given: Given) -> tuple[dict[str, tuple[Pictures, NDArray[np.intp]]], list[str]]:
    """Each part with the set it is of and its images there; and the rule, in words. Raises DataError."""
    count = len(given.data)
    calibrating = min(CALIBRATION_IMAGES, count // CALIBRATION_SHARE) or 1
    shares = {str(SplitName.SEARCH): 1.0} if given.report else {str(SplitName.SEARCH): 1.0, str(SplitName.REPORT): 1.0}
    if given.calibration is None:
        rest = (count - calibrating) / len(shares)
        shares = {CALIBRATION: float(calibrating), **dict.fromkeys(shares, max(rest, 0.0))}
    parts = {name: (given.data, indices) for name, indices in deal(given.data.labels, shares).items()}
    said = []
    if len(shares) > 1:
        sizes = ", ".join(f"{len(indices):,} {name}" for name, (_, indices) in parts.items())
        said.append(f"{count:,} images dealt class by class, in an order drawn with seed {SEED}: {sizes}")
    if given.report is not None:
        parts[SplitName.REPORT] = given.report, _whole(given.report)
    if given.calibration is not None:
        parts[CALIBRATION] = given.calibration, _whole(given.calibration)[:CALIBRATION_IMAGES]
    for name, (_, indices) in parts.items():
        if not len(indices):
            raise DataError(f"no images are left for {name} of {count}; give more images, or a set of its own")
    return {str(name): part for name, part in parts.items()}, said


def _whole(pictures: Pictures) -> NDArray[np.intp]:
    return deal(pictures.labels, {"all": 1.0})["all"]


def class_names(given: Given) -> tuple[str, ...]:
    """The names of classes, in the order of labels. Raises DataError where two sets have other ones."""
    named = [each for each in given.sets if each.class_names is not None]
    for each in named[1:]:
        if each.class_names != named[0].class_names:
            raise DataError(
                f"two sets have other classes: {_listed(named[0].class_names)} and {_listed(each.class_names)}; "
                "give sets of the same classes, or all of them by --classes"
            )
    if named and named[0].class_names is not None:
        return named[0].class_names
    return tuple(str(label) for label in range(1 + max(int(each.labels.max()) for each in given.sets)))


def _listed(names: tuple[str, ...] | None) -> str:
    return f"{len(names or ())} ({', '.join((names or ())[:NAMED])})"


def title_of(text: str) -> str:
    """What readers call the images that a text names: a file or folder, with its own folder if that says more.

    Of a data set of torchvision's its part stands after it: `CIFAR10 test`.
    """
    first = text.partition(",")[0]
    path = Path(first).expanduser()
    if not path.exists():
        return first.removeprefix("torchvision:").replace(":", " ")
    path = path.resolve()
    vague = path.stem.lower() in VAGUE and path.parent.name not in ("", path.stem)
    return f"{path.parent.name}/{path.name}" if vague else path.name


def read_classes(path: Path) -> list[str]:
    """Names of classes in the order of a network's outputs: a name a line, a JSON list, or a JSON object name -> place.

    Raises DataError.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        found = json.loads(text) if path.suffix == ".json" else lines
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as classes ({reason(error)}); write a name a line, or JSON") from None
    if isinstance(found, dict):
        if sorted(map(str, found.values())) != sorted(map(str, range(len(found)))):
            raise DataError(f"{path} gives places other than 0 to {len(found) - 1}; give each class its place")
        places = {str(name): int(place) for name, place in found.items()}
        found = sorted(places, key=lambda name: places[name])
    if not isinstance(found, list) or len(set(map(str, found))) != len(found) or not found:
        raise DataError(f"{path} does not name classes, each once; write a name a line, or JSON")
    return [str(name) for name in found]


def with_classes(given: Given, outputs: int, known: tuple[str, ...] | None) -> Given:
    """The sets with a name a class of the network's. Raises DataError where labels and outputs do not go together."""
    names = class_names(given) if any(each.class_names for each in given.sets) else None
    if names is not None and len(names) != outputs:
        raise DataError(
            f"the images are of {len(names)} classes ({', '.join(names[:NAMED])}), the network has {outputs} outputs; "
            "give --classes, a file with the name of each output in order"
        )
    for each in given.sets:
        least, most = int(each.labels.min()), int(each.labels.max())
        if least < 0 or most >= outputs:
            first = "; they begin at 1: subtract 1" if (least, most) == (1, outputs) else ""
            raise DataError(
                f"labels run from {least} to {most}, the network has {outputs} outputs, 0 to {outputs - 1}{first}; "
                "give labels that are places of its outputs"
            )
    chosen = names or (known if known is not None and len(known) == outputs else tuple(map(str, range(outputs))))

    others = (None if each is None else _covered(each, chosen) for each in (given.report, given.calibration))
    return Given(_covered(given.data, chosen), *others)


def _covered(pictures: Pictures, names: tuple[str, ...]) -> Pictures:
    """A set with the names of all classes, which says of which of these it has no image."""
    seen = set(pictures.labels.tolist())
    empty = [name for label, name in enumerate(names) if label not in seen]
    more = (f"no images of {len(empty)} of {len(names)} classes: {', '.join(empty[:NAMED])}",) if empty else ()
    return replace(pictures, class_names=names, said=pictures.said + more)
