"""Trying what a browser hands over: a dry run, after which the model waits until it is kept or forgotten."""

import csv
import io
import re
import shutil
import stat
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from aiq_core.catalog import data_dir
from aiq_core.errors import DataError, SettingError
from aiq_core.library import Library
from aiq_core.records import Task
from aiq_core.tasks import add as adding

Say = Callable[[float, str], None]

KIND = "try"
ZIP, ARRAYS, LIST = ".zip", ".npz", "labels.csv"
UNPACKED_SHARE = 0.1
"""Of a trial's progress, what unpacking takes."""

DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError)
"""What is raised of a zip that is damaged, has a password, or is packed in a way that Python does not read."""

MOST_BYTES = 8 * 10**9
MOST_FILES = 500_000
"""What a zip may hold, unpacked."""

KEPT, FORGOTTEN, WAITS, REFUSED, UPLOADS = "kept", "forgotten", "waits", "refused", "uploads"
"""Keys of a trial's result and settings."""


@adding.writing()
def upload(files: Mapping[str, tuple[str, IO[bytes] | bytes]]) -> tuple[str, dict[str, Path]]:
    """Keeps uploaded files, each by what it is for with its name and content; the upload's name, and where they are."""
    name = uuid.uuid4().hex[:12]
    _sweep()
    found = {}
    for what, (title, content) in files.items():
        found[what] = data_dir() / UPLOADS / name / what / re.sub(r"[^A-Za-z0-9_.-]", "_", Path(title).name)
        found[what].parent.mkdir(parents=True)
        with found[what].open("wb") as file:
            shutil.copyfileobj(io.BytesIO(content) if isinstance(content, bytes) else content, file)
    return name, found


def _sweep() -> None:
    """Takes uploads away that nobody came back to."""
    for each in (data_dir() / UPLOADS).glob("*"):
        if time.time() - each.stat().st_mtime > adding.STALE_S:
            shutil.rmtree(each, ignore_errors=True)


@adding.writing()
def work(library: Library, settings: Mapping[str, Any], say: Say) -> Mapping[str, Any]:
    """Tries what `Asked` takes, with `uploads`, the upload's name; `waits` in its result is the folder that waits.

    What a dry run refuses is in `refused`, and nothing waits then. A zip of class folders is unpacked first. No code
    comes from here. Raises AiqError.
    """
    from aiq_core.runtime.own.asked import Asked

    asked = Asked.of({name: value for name, value in settings.items() if name != UPLOADS})
    if not asked.network.startswith(("torchvision:", "timm:")):
        raise SettingError(f"network={asked.network!r} is code, which is added from the command line alone")
    own = adding.ready(library, asked.name, asked.title)

    def found(text: str) -> str:
        path = Path(text)
        if path.suffix.lower() == ARRAYS:
            return text
        if path.suffix.lower() != ZIP:
            raise SettingError(f"data={path.name!r} is not offered here; give a {ZIP} of class folders or a {ARRAYS}")
        return str(unpacked(path, lambda share, told: say(UNPACKED_SHARE * share, told)))

    report = None if asked.report_data is None else found(asked.report_data)
    asked = replace(asked, data=found(asked.data), report_data=report)
    folder = own / f"{adding.PREFIX}{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    try:
        document = adding.tried(
            asked, folder, lambda share, told: say(UNPACKED_SHARE + (1 - UNPACKED_SHARE) * share, told)
        )
    except adding.RefusedError as refused:
        shutil.rmtree(folder)
        return {**refused.document, REFUSED: str(refused)}
    except BaseException:
        shutil.rmtree(folder)
        raise
    return {**document, WAITS: folder.name}


def unpacked(path: Path, say: Say = lambda *_: None) -> Path:
    """The class folders in a zip, unpacked beside it; hidden files are left out. Raises DataError."""
    folder = path.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            files = _files(archive, path)
            for place, each in enumerate(files):
                say(place / len(files), f"unpacking, {place:,} of {len(files):,} files")
                archive.extract(each, folder)
        # Whatever tool packed it, the class folders may lie in a folder of their own.
        found = folder
        while len(inside := list(found.iterdir())) == 1 and inside[0].is_dir():
            found = inside[0]
        _check_list(found, path.name)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, DAMAGED):
            raise
        raise DataError(f"{path.name} cannot be unpacked ({error}); make the zip again, without a password") from None
    return found


def _check_list(folder: Path, name: str) -> None:
    """Raises DataError for a list of images that names any outside: who uploads has no right to these."""
    listed = folder / LIST
    if not listed.is_file():
        return
    with listed.open(newline="", encoding="utf-8-sig", errors="replace") as file, suppress(csv.Error):
        for row in csv.reader(file):
            if row and not (folder / row[0].strip()).resolve().is_relative_to(folder.resolve()):
                raise DataError(
                    f"{name} has a {LIST} that names {row[0]!r}, which leads out of it; list its own images"
                )


def _files(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """What is to be unpacked. Raises DataError for what has no place in class folders, or too much of it."""
    files = [each for each in archive.infolist() if not each.is_dir() and not _is_hidden(each.filename)]
    for each in files:
        parts = Path(each.filename).parts
        if ".." in parts or Path(each.filename).is_absolute() or stat.S_ISLNK(each.external_attr >> 16):
            raise DataError(f"{path.name} holds {each.filename!r}, which leads out of it; zip the class folders alone")
    size = sum(each.file_size for each in files)
    if not files or len(files) > MOST_FILES or size > MOST_BYTES:
        raise DataError(
            f"{path.name} holds {len(files):,} files of {size / 1e9:.1f} GB; 1 to {MOST_FILES:,} of at most "
            f"{MOST_BYTES / 1e9:.0f} GB are offered; add a larger set from a folder, by the command"
        )
    return files


def _is_hidden(name: str) -> bool:
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in Path(name).parts)


def plain(task: Task, text: str) -> str:
    """A text of a trial in which uploaded files go by their names alone."""
    folder = data_dir() / UPLOADS / str(task.settings.get(UPLOADS))
    return re.sub(f"{re.escape(str(folder))}/[a-z]+/", "", text)


@adding.writing()
def keep(library: Library, task: Task) -> None:
    """Moves what a trial made in place. Raises AiqError."""
    own = adding.ready(library, task.settings["name"])
    folder = own / str(task.result.get(WAITS))
    if not folder.is_dir():
        raise DataError(f"what was tried of {task.settings['name']} is gone, as it waits for a day; try it again")
    adding.move(library, folder, task.settings["name"])
    _close(library, task, KEPT)


def forget(library: Library, task: Task) -> None:
    """Takes away what was uploaded and made."""
    _close(library, task, FORGOTTEN)


def _close(library: Library, task: Task, how: str) -> None:
    if task.result.get(WAITS):
        shutil.rmtree(adding.own_catalog().folder / task.result[WAITS], ignore_errors=True)
    if task.settings.get(UPLOADS):
        shutil.rmtree(data_dir() / UPLOADS / task.settings[UPLOADS], ignore_errors=True)
    library.store.tasks.save(replace(task, result={**task.result, how: True}))


def current(library: Library) -> Task | None:
    """The latest trial, while it is neither kept nor forgotten."""
    tasks = library.store.tasks.all(KIND)
    return tasks[-1] if tasks and not {KEPT, FORGOTTEN} & tasks[-1].result.keys() else None
