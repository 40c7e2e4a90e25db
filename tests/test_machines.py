"""Machines as a list of the library: presets, measured ones, entered ones, by whatever process they come and go."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aiq_core import __main__ as command_line
from aiq_core import entered, roof
from aiq_core.deck import build
from aiq_core.documents import run_document
from aiq_core.errors import DataError, SettingError, UnknownNameError
from aiq_core.hardware import PRESETS, NumberType, SourceKind
from aiq_core.library import Library, open_library
from aiq_core.roof import Bandwidth, Roof, Spread
from aiq_core.roofline import predict
from aiq_core.store import Store
from tests import bundled

MINE = entered.machine("mine", "Mine", 25e9, {"INT8": 4e11, "FP32": 1e11})
ROOF = Roof(
    "Ampere(R) Altra(TM) CPU @ 3.00GHz (NEON)",
    1,
    (Bandwidth(2**20, "sum", Spread(1e10, 9e9, 11e9)),),
    {NumberType.FP32: Spread(1e11, 9e10, 1.1e11)},
    (),
    {},
    "2026-01-01T00:00:00",
    6.0,
)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store(tmp_path / "store.sqlite"), None)


def own(library: Library) -> list[str]:
    return list(library.machines)[len(PRESETS) :]


def test_presets_come_first_then_what_was_measured_here_then_elsewhere_then_what_was_entered(library: Library) -> None:
    assert list(library.machines) == list(PRESETS)
    library.add_machine(MINE)
    here = replace(ROOF, cpu=f"{roof.processor()} (AVX2)")
    for each in (ROOF, replace(here, threads=2), here):
        library.store.measurements.save(each.measurement)
    assert own(library) == [here.key, replace(here, threads=2).key, "ampere-altra-neon-1t", "mine"]
    names = [library.machine(key).name for key in own(library)]
    assert names == ["This machine, 1 thread", "This machine, 2 threads", "Ampere Altra, 1 thread", "Mine"]
    assert here.key.endswith("avx2-1t")


def test_another_process_sees_them_come_and_go(library: Library, tmp_path: Path) -> None:
    other = Library(Store(tmp_path / "store.sqlite"), None)
    assert own(library) == own(other) == []
    other.add_machine(MINE)
    assert own(library) == ["mine"]
    other.remove_machine("mine")
    other.add_machine(replace(MINE, name="Mine, again"))
    assert library.machine("mine").name == "Mine, again"
    other.remove_machine("mine")
    assert own(library) == []


def test_one_measured_again_is_the_latest(library: Library) -> None:
    library.store.measurements.save(ROOF.measurement)
    assert library.machine(ROOF.key).ceiling(32, 32)[1] == 1e11
    faster = replace(ROOF, peaks={NumberType.FP32: Spread(2e11, 2e11, 2e11)}, created_at="2026-01-02T00:00:00")
    library.store.measurements.save(faster.measurement)
    assert own(library) == [ROOF.key]
    assert library.machine(ROOF.key).ceiling(32, 32)[1] == 2e11


def test_an_entered_machine_is_read_back_as_it_was(library: Library) -> None:
    library.add_machine(MINE)
    assert library.machine("mine") == MINE
    assert list(MINE.rates) == [NumberType.FP32, NumberType.INT8]
    assert MINE.bandwidth.kind is SourceKind.ENTERED
    assert entered.is_entered(MINE) and not entered.is_entered(PRESETS["pi-5"])


def test_types_that_hold_a_width_are_taken_by_their_speed() -> None:
    # Integers of 8 bits are whole in BF16; a CPU without dot products multiplies them faster in FP32.
    brain = entered.machine("brain", "Brain", 1e9, {"FP32": 1e11, "BF16": 8e11})
    slow = entered.machine("slow", "Slow", 1e9, {"FP32": 1e11, "INT8": 2e10})
    assert brain.ceiling(8, 8) == (NumberType.BF16, 8e11)
    assert brain.ceiling(8, 32) == (NumberType.FP32, 1e11)
    assert slow.ceiling(8, 8) == (NumberType.FP32, 1e11)
    tensor = entered.machine("tensor", "Tensor", 1e9, {"FP32": 1e11, "TF32": 8e11})
    assert tensor.ceiling(32, 32) == (NumberType.TF32, 8e11)
    assert not entered.machine("edge", "Edge", 1e9, {"INT8": 1e12}).runs_fp32


@pytest.mark.parametrize(
    ("key", "name", "bandwidth", "rates", "said"),
    [
        ("My key", "Mine", 1e9, {"FP32": 1e9}, "key='My key' is not offered; use at most 40 of a to z"),
        ("a" * 41, "Mine", 1e9, {"FP32": 1e9}, "use at most 40 of a to z"),
        ("mine", " ", 1e9, {"FP32": 1e9}, "name='' has 0 characters; use 1 to 60"),
        ("mine", "m" * 61, 1e9, {"FP32": 1e9}, "has 61 characters; use 1 to 60"),
        ("mine", "My $x$", 1e9, {"FP32": 1e9}, r"name='My \$x\$' has '\$', which pages would read as markup"),
        ("mine", "Mine", 0, {"FP32": 1e9}, "bandwidth=0 is not a number above 0"),
        ("mine", "Mine", 1e9, {"FP32": float("nan")}, "FP32=nan is not a number above 0"),
        ("mine", "Mine", 1e9, {"INT8": -1}, "INT8=-1 is not a number above 0"),
        ("mine", "Mine", 1e9, {}, "Mine has no peak rate; give one in operations/s"),
    ],
)
def test_what_is_outside_the_limits_says_why(
    key: str, name: str, bandwidth: float, rates: dict[str, float], said: str
) -> None:
    with pytest.raises(SettingError, match=said):
        entered.machine(key, name, bandwidth, rates)


def test_a_key_is_taken_once_and_only_what_was_entered_is_removed(library: Library) -> None:
    with pytest.raises(SettingError, match="key='pi-5' is Raspberry Pi 5’s already; choose another"):
        library.add_machine(replace(MINE, key="pi-5"))
    with pytest.raises(UnknownNameError, match=r"unknown entered machine 'pi-5'; choose from \(none yet\)"):
        library.remove_machine("pi-5")
    library.add_machine(MINE)
    with pytest.raises(SettingError, match="key='mine' is Mine’s already"):
        library.add_machine(MINE)
    with pytest.raises(UnknownNameError, match="unknown machine 'v100'; choose from a100-tf32.*, mine"):
        library.machine("v100")
    with pytest.raises(DataError, match="read-only"):
        Library(None, None).add_machine(MINE)


def test_what_is_predicted_is_predicted_for_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("aiq_core.library.bundled_measurements", tuple)
    library = open_library()
    library.add_machine(MINE)
    run = next(run for run in library.runs(bundled.model("digits_cnn")) if run.policy is not None)
    assert run.policy is not None
    times = run_document(library, run)["predicted_speedup"]
    profile = bundled.profile("digits_cnn")
    assert list(times) == [*PRESETS, "mine"]
    before, after = predict(MINE, profile, [profile.uniform(32), run.policy]).total_seconds
    assert times["mine"] == pytest.approx(before / after)
    assert build.build(library, [run.id], library.machine("mine")).machine_name == "Mine"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command and gives what it says; no machine ships with a roof."""
    monkeypatch.setattr("aiq_core.library.bundled_measurements", tuple)
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["aiq_core", *arguments])
        with pytest.raises(SystemExit):
            command_line.main()
        told = capsys.readouterr()
        return told.out + told.err

    return run


def test_machines_are_listed_entered_and_removed_by_commands(call: Callable[..., str]) -> None:
    assert {each["key"] for each in json.loads(call("machines", "--json"))} == set(PRESETS)
    told = call("machines", "add", "mine", "--name", "Mine", "--bandwidth", "25e9", "--fp32", "1e11", "--int8", "4e11")
    assert told == "Mine is offered as mine everywhere\n"
    (mine,) = (each for each in json.loads(call("machines", "--json")) if each["key"] == "mine")
    assert mine["bandwidth_bytes_per_s"] == 25e9
    assert mine["peak_flops"] == {"FP32": 1e11, "INT8": 4e11}
    assert (mine["kind"], mine["grade"], mine["fp32_typed"]) == ("entered", "C", "FP32")
    assert "25 GB/s" in call("machines")
    assert "key='mine' is Mine’s already" in call(
        "machines", "add", "mine", "--name", "M", "--bandwidth", "1e9", "--fp32", "1"
    )
    assert call("machines", "remove", "mine") == "mine is removed\n"
    assert "unknown entered machine 'mine'" in call("machines", "remove", "mine")
