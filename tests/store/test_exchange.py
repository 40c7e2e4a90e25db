"""Runs that leave and come back: whole, or refused with nothing written."""

import base64
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiq_core import exchange
from aiq_core.documents import run_document
from aiq_core.errors import AiqError, ExchangeError, StoreError
from aiq_core.library import Library
from aiq_core.records import Evaluation, Run, RunStatus, SplitName
from aiq_core.store import Store
from tests import bundled

MakeEvaluation = Callable[..., Evaluation]


@pytest.fixture
def text(store: Store, finished_run: Run, evaluation: MakeEvaluation) -> str:
    """An export with FP32 and the run's policy on both splits."""
    for split in SplitName:
        for bits, wrong in ((32, 10), (4, 30)):
            store.save_evaluation(evaluation(bits, wrong, split=split))
    store.add_run(finished_run)
    return exchange.export_run(Library(store, None), finished_run.id)


@pytest.fixture
def receiver(tmp_path: Path) -> Library:
    return Library(Store(tmp_path / "receiver.sqlite"), None)


def sealed(body: dict[str, Any]) -> bytes:
    """A document with a hash that fits, whatever it says."""
    body = {name: value for name, value in body.items() if name != "sha256"}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps({**body, "sha256": hashlib.sha256(canonical.encode()).hexdigest()}).encode()


def holds_nothing(library: Library) -> bool:
    return library.store.runs() == [] and library.store.evaluations() == []


def test_a_run_comes_back_with_its_predictions(
    text: str, receiver: Library, finished_run: Run, evaluation: MakeEvaluation
) -> None:
    imported = exchange.import_run(receiver, text.encode())
    assert finished_run.origin is not None
    expected = replace(finished_run, origin=replace(finished_run.origin, source="imported"))
    assert receiver.run(imported.id) == imported == expected
    assert len(receiver.store.evaluations()) == 2 * 2
    for split in SplitName:
        for bits, wrong in ((32, 10), (4, 30)):
            made = evaluation(bits, wrong, split=split)
            found = receiver.store.evaluation(made.key, ["imported"])
            assert found is not None and np.array_equal(found.outcomes, made.outcomes)
            assert receiver.find(made.key) is None  # shown, but no search believes it


def test_exported_again_it_says_the_same(text: str, receiver: Library, finished_run: Run, store: Store) -> None:
    """From the sender's store the text is stable; it depends on nothing but the run."""
    assert exchange.export_run(Library(Store(store.path), None), finished_run.id) == text
    document = json.loads(text)
    assert document["run"]["id"] == finished_run.id
    assert [len(e["predicted"]) < 500 for e in document["evaluations"]] == [True] * 4


def test_importing_twice_keeps_both_under_their_own_ids(text: str, receiver: Library, finished_run: Run) -> None:
    ids = [exchange.import_run(receiver, text.encode()).id for _ in range(2)]
    assert ids == [finished_run.id, f"{finished_run.id}-2"]
    assert len(receiver.store.evaluations()) == 4


def test_a_truncated_export_writes_nothing(text: str, receiver: Library) -> None:
    for length in (0, 1, len(text) // 2, len(text) - 1):
        with pytest.raises(ExchangeError, match="run.json is not whole JSON .*export the run again"):
            exchange.import_run(receiver, text[:length].encode(), "run.json")
    assert holds_nothing(receiver)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "is not a run exported from AIQ Explorer; use a file that `export` wrote"),
        (b'"text"', "is not a run exported"),
        (b'{"format": "another"}', "is not a run exported"),
        (b"\xff\xfe\x00", "is not whole JSON"),
        (b'{"format": "aiq-explorer run", "version": 2}', "has version 2, this app reads 1; update the app"),
        (b'{"format": "aiq-explorer run", "version": 1}', "its hash is not None"),
        (b"[" * 100_000, "is not whole JSON"),
    ],
    ids=["list", "text", "other format", "binary", "newer", "no hash", "deep"],
)
def test_a_foreign_document_writes_nothing(content: bytes, message: str, receiver: Library) -> None:
    with pytest.raises(ExchangeError, match=message):
        exchange.import_run(receiver, content, "theirs.json")
    assert holds_nothing(receiver)


def test_a_document_beyond_the_limit_is_not_read(receiver: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LIMIT_BYTES", 1000)
    with pytest.raises(ExchangeError, match="has 1,001 bytes, the limit is 1,000"):
        exchange.import_run(receiver, b"x" * 1001)


def test_any_changed_byte_of_the_figures_fails_the_hash(text: str, receiver: Library) -> None:
    for before, after in (('"evaluations":1', '"evaluations":2'), ('"correct":480', '"correct":499')):
        assert before in text
        with pytest.raises(ExchangeError, match="was changed after its export"):
            exchange.import_run(receiver, text.replace(before, after, 1).encode())
    assert holds_nothing(receiver)


def changed(text: str, *path: str | int, to: object) -> bytes:
    """The export with one value replaced and its hash made to fit."""
    body = json.loads(text)
    target = body
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = to
    return sealed(body)


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (("run", "model_hash"), "0" * 16, "was made with other weights or data .*import it where those are installed"),
        (("run", "search_hash"), "0" * 16, "other weights or data"),
        (("run", "report_hash"), "0" * 16, "other weights or data"),
        (("run", "request", "model"), "resnet9", "is of 'resnet9', and there is no model of that name"),
        (("run", "policy"), "w2x5 a32x6", "names a policy that none of its steps asked for"),
        (("run", "policy"), "nonsense", "policy key 'nonsense' cannot be read"),
        (("run", "status"), "thriving", "is not a complete export"),
        (("run", "origin"), None, "is not a complete export"),
        (("run", "steps"), None, "is not a complete export"),
        (("run", "id"), "../../etc/cron.d/x", "is not a complete export"),
        (("evaluations", 0, "key", "model_hash"), "0" * 16, "predictions of other weights or data"),
        (("evaluations", 0, "key", "split_hash"), "0" * 16, "predictions of other weights or data"),
        (("evaluations", 0, "predicted"), packed(bytes(499)), "predictions of other weights or data"),
        (("evaluations", 0, "predicted"), "####", "is not a complete export"),
        (("evaluations", 0, "predicted"), "AAAA", "is not a complete export"),
        (("evaluations", 0, "predicted"), packed(bytes(64 * 2**20)), "is not a complete export"),
    ],
    ids=str,
)
def test_an_export_that_cannot_be_true_writes_nothing(
    text: str, receiver: Library, path: tuple[str | int, ...], to: object, message: str
) -> None:
    with pytest.raises(AiqError, match=message):
        exchange.import_run(receiver, changed(text, *path, to=to), "run.json")
    assert holds_nothing(receiver)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path to everything in a document."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inside:
        yield from places(part, (*path, name))


def test_no_wrong_type_anywhere_breaks_the_app(text: str, receiver: Library) -> None:
    """Each value in turn is something else: refused with nothing written, or harmless wherever the run is shown."""
    refused = 0
    for index, path in enumerate(places(json.loads(text))):
        if path == ("sha256",):
            continue
        for wrong in (None, ("text", -1, [])[index % 3]):
            count = len(receiver.store.runs())
            try:
                run = exchange.import_run(receiver, changed(text, *path, to=wrong))
            except AiqError:
                refused += 1
                assert len(receiver.store.runs()) == count, path
                continue
            shown = run_document(receiver, receiver.run(run.id))
            json.dumps(shown)
            receiver.table(bundled.model("digits_cnn"), 500)
    assert refused > 75


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.RUNNING])
def test_an_unfinished_run_is_not_started_here(
    store: Store, receiver: Library, finished_run: Run, status: RunStatus
) -> None:
    store.add_run(replace(finished_run, status=status))
    imported = exchange.import_run(receiver, exchange.export_run(Library(store, None), finished_run.id).encode())
    assert receiver.run(imported.id).status is RunStatus.INTERRUPTED
    assert receiver.store.with_status(RunStatus.QUEUED, RunStatus.RUNNING) == []


# Whole stores.


@pytest.fixture
def copy(text: str, store: Store, tmp_path: Path) -> Path:
    """The whole store as a file, of the run that `text` exports alone."""
    store.copy_to(tmp_path / "copy.sqlite")
    return tmp_path / "copy.sqlite"


def test_a_store_comes_back_as_its_run_alone_does(copy: Path, text: str, receiver: Library, tmp_path: Path) -> None:
    (imported,) = exchange.import_file(receiver, copy)
    other = Library(Store(tmp_path / "other.sqlite"), None)
    assert imported == exchange.import_run(other, text.encode())
    assert [e.key for e in receiver.store.evaluations()] == [e.key for e in other.store.evaluations()]
    assert {e.origin.source for e in receiver.store.evaluations()} == {"imported"}
    assert exchange.import_file(receiver, copy) == []


def test_a_store_of_other_weights_is_refused_whole(
    store: Store, finished_run: Run, evaluation: MakeEvaluation, receiver: Library, tmp_path: Path
) -> None:
    store.save_evaluation(evaluation(32, 10))
    store.add_run(finished_run)
    store.add_run(replace(finished_run, model_hash="0" * 16))
    store.copy_to(tmp_path / "copy.sqlite")
    with pytest.raises(ExchangeError, match=r"copy\.sqlite, run .*-2, was made with other weights or data"):
        exchange.import_file(receiver, tmp_path / "copy.sqlite")
    assert holds_nothing(receiver)


def test_a_foreign_database_is_refused(receiver: Library, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "foreign.sqlite") as foreign:
        foreign.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreError, match="belongs to another application"):
        exchange.import_file(receiver, tmp_path / "foreign.sqlite")
    assert holds_nothing(receiver)
