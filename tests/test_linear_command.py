"""`linear` and `bundle-measurements` as a shell sees them, on a roof that is known already."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiq_core import __main__ as command_line
from aiq_core import tasks
from aiq_core.library import Library
from aiq_core.linear import KERNELS, LINEAR, Linear
from aiq_core.records import RunStatus, Task
from aiq_core.runtime.cpu import cpu_kind
from aiq_core.runtime.deployment import linear as bench
from aiq_core.store import Store
from tests.test_roof import roof

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A store that knows the roof; rounds of a call each, as tiny layers are all overhead."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(bench, "AT_LEAST_S", 0.0)
    monkeypatch.setattr(bench, "SLOW", np.inf)
    made = Store(tmp_path / "store.sqlite")
    made.measurements.save(replace(roof(), cpu=cpu_kind()).measurement)
    return made


@pytest.fixture
def aiq(store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["aiq_core", *arguments])
        capfd.readouterr()
        try:
            command_line.main()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        return code, *capfd.readouterr()

    return call


SMALL = ("linear", "--rows", "128", "--columns", "256", "--batch", "2,1")


def test_every_kernel_and_batch_is_a_row(aiq: Call, store: Store) -> None:
    code, said, _ = aiq(*SMALL, "--json")
    assert code == 0
    document: dict[str, Any] = json.loads(said)
    assert (document["rows"], document["columns"], document["threads"]) == (128, 256, 1)
    timed = [row for row in document["kernels"] if "seconds" in row]
    assert len(timed) + 2 * sum("missing" in row for row in document["kernels"]) == 2 * len(KERNELS)
    assert all(row["gain_low"] <= row["gain"] <= row["gain_high"] for row in timed)
    assert set(document["ridge"]["ONNX Runtime"]) == {"flops_per_byte", "batch"}
    (kept,) = store.measurements.all(LINEAR)
    assert Linear.from_json(kept.document).subject == "128x256"


def test_it_is_printed_with_its_machine(aiq: Call) -> None:
    code, said, progress = aiq(*SMALL)
    assert code == 0
    assert "1 thread: 128 × 256" in " ".join(said.split())
    assert "At batch 1, 4-bit weights run " in " ".join(said.split())
    lines = progress.splitlines()
    assert any("packing PyTorch, 4 bits" in line for line in lines)
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("--batch", "1,x"), "batch='1,x' cannot be read; write them like 1,8,64"),
        (("--threads", "100000"), "threads=100000 is not offered; this machine has 1 to "),
        (("--rows", "1000"), "rows=1000 cannot be packed; choose a multiple of 128"),
    ],
)
def test_what_is_not_offered(aiq: Call, given: tuple[str, ...], complaint: str) -> None:
    code, _, said = aiq("linear", *given)
    assert code == 1
    assert complaint in said


def test_a_task_does_the_same(store: Store) -> None:
    settings = {"rows": 128, "columns": 128, "batches": [1]}
    store.tasks.add(Task("one", "linear", settings, RunStatus.QUEUED, "2026-01-01T00:00:00"))
    ended = tasks.run(Library(store, None), store.tasks.get("one"))
    assert ended.status is RunStatus.DONE, ended
    assert [each.document for each in store.measurements.all(LINEAR)] == [ended.result]


def test_measurements_are_bundled_beside_those_of_other_machines(
    aiq: Call, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from aiq_core import library
    from aiq_core.commands import measurements

    path = tmp_path / "measurements.json"
    other = replace(roof(), cpu="another CPU").measurement
    for module in (library, measurements):
        monkeypatch.setattr(module, "BUNDLED_MEASUREMENTS", path)
    monkeypatch.setattr(measurements, "bundled_measurements", lambda: (other,))
    monkeypatch.setattr(library, "bundled_measurements", library.bundled_measurements.__wrapped__)
    code, said, _ = aiq("bundle-measurements", "--kind", "roof")
    assert (code, said.split()[0]) == (0, "roof:")
    assert [each.cpu for each in library.bundled_measurements()] == sorted([cpu_kind(), "another CPU"])
    assert len(path.read_text().splitlines()) == 4
    code, _, said = aiq("bundle-measurements", "--kind", "linear")
    assert code == 1
    assert "nothing of this kind is measured yet" in said
