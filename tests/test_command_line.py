"""Every command as a shell sees it: one JSON document, one line for an error, exit codes, Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from aiq_core import __main__ as command_line
from aiq_core import __version__, jobs
from aiq_core.commands import searches
from aiq_core.execute import new_run
from aiq_core.intensity import intensity, moved_bytes, stored_bytes, weight_bytes
from aiq_core.library import Library, open_library
from aiq_core.records import Grid, Policy, Request, RunStatus
from aiq_core.rounding import settings
from aiq_core.store import Store
from tests import bundled

ROOT = Path(__file__).resolve().parent.parent
WAIT_S = 100

RUN_KEYS = {
    "id", "model", "algorithm", "alpha", "policy", "intensity", "baseline_intensity", "intensity_gain_percent",
    "search_top1_percent", "report_top1_percent", "report_drop_points", "report_drop_interval", "report_images",
    "weight_bytes", "moved_bytes", "predicted_speedup", "evaluations", "evaluations_new", "steps",
    "traffic", "objective_traffic", "stored_bytes", "stored_intensity_gain_percent",
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """Stdout as the one JSON document it must be."""
        assert self.code == 0, self.stderr
        return json.loads(self.stdout)


Aiq = Callable[..., Said]


@pytest.fixture
def aiq(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Aiq:
    """aiq("profile", "resnet20", "--json"): the command line in this process, on a store of the test's own."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["aiq_core", *map(str, arguments)])
        capfd.readouterr()
        try:
            command_line.main()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        return Said(code, *capfd.readouterr())

    return call


# What is known without a search.


@pytest.mark.parametrize("name", bundled.NAMES)
def test_profile(aiq: Aiq, name: str) -> None:
    document = aiq("profile", name, "--json").document
    profile = bundled.profile(name)
    fp32 = profile.uniform(32)
    assert set(document) >= {"model", "flops", "moved_bytes", "intensity", "layers"}
    assert (document["model"], document["batch"]) == (name, 1)
    assert document["flops"] == profile.flops
    assert document["moved_bytes"] == moved_bytes(profile, fp32)
    assert document["intensity"] == document["flops"] / document["moved_bytes"]
    assert [layer["name"] for layer in document["layers"]] == [layer.name for layer in profile.layers]
    assert sum(layer["flops"] for layer in document["layers"]) == document["flops"]
    assert sum(layer["moved_bytes"] for layer in document["layers"]) == document["moved_bytes"]


def test_profile_of_the_papers_model_at_a_batch(aiq: Aiq, monkeypatch: pytest.MonkeyPatch) -> None:
    one = aiq("profile", "resnet20", "--json").document
    assert (one["flops"], one["moved_bytes"]) == (81_626_368, 2_734_608)
    many = aiq("profile", "resnet20", "--batch", 128, "--json").document
    assert many["flops"] == 128 * one["flops"] and many["intensity"] > one["intensity"]
    monkeypatch.setenv("COLUMNS", "120")
    printed = aiq("profile", "resnet20").stdout
    assert "81,626,368" in printed and "29.8494" in printed and "stays FP32" in printed


def test_models(aiq: Aiq) -> None:
    listed = aiq("models", "--json").document
    assert [entry["name"] for entry in listed] == list(bundled.NAMES)
    assert all(entry["report_top1_percent"] > 80 for entry in listed)
    # In full also where the terminal is 80 columns wide: a name or hash that is cut cannot be used.
    printed = aiq("models").stdout
    assert all(entry["name"] in printed and entry["model_hash"] in printed for entry in listed)


def test_version(aiq: Aiq) -> None:
    assert aiq("version").stdout == f"{__version__}\n"


def test_help_lists_every_command(aiq: Aiq) -> None:
    said = aiq("--help")
    assert said.code == 0
    names = [command.name or command.callback.__name__ for command in command_line.app.registered_commands]  # type: ignore[union-attr]
    assert len(names) >= 14
    assert all(f" {name} " in said.stdout for name in names)


def test_runs_lists_the_bundled_ones(aiq: Aiq) -> None:
    listed = aiq("runs", "--json").document
    assert len(listed) > 5
    assert all({"id", "model", "algorithm", "alpha"} <= set(run) for run in listed)
    only = aiq("runs", "--model", "digits_cnn", "--json").document
    assert {run["model"] for run in only} == {"digits_cnn"} and len(only) < len(listed)
    assert only[0]["id"] in aiq("runs").stdout


def assert_run_document(document: dict[str, Any]) -> None:
    """The keys that readers rely on, and figures that follow from each other, by the traffic model that it names."""
    assert set(document) >= RUN_KEYS
    profile = bundled.profile(document["model"])
    policy = profile.policy(document["policy"])
    assert list(document["policy"]) == list(profile.quantizable_names)
    by = document["traffic"]
    assert document["intensity"] == intensity(profile, policy, by=by)
    assert document["baseline_intensity"] == intensity(profile, profile.uniform(32), by=by)
    gain = document["intensity"] / document["baseline_intensity"] - 1
    assert document["intensity_gain_percent"] == pytest.approx(100 * gain)
    assert document["weight_bytes"] == weight_bytes(profile, policy)
    assert document["stored_bytes"] == stored_bytes(profile, policy)
    stored = intensity(profile, policy, by="as-stored") / intensity(profile, profile.uniform(32), by="as-stored") - 1
    assert document["stored_intensity_gain_percent"] == pytest.approx(100 * stored)
    assert document["moved_bytes"] == moved_bytes(profile, policy, by=by)
    assert set(document["predicted_speedup"]) == set(open_library().machines)
    low, high = document["report_drop_interval"]
    assert low <= document["report_drop_points"] <= high
    lost = document["report_baseline_top1_percent"] - document["report_top1_percent"]
    assert document["report_drop_points"] == pytest.approx(lost)
    assert 0 < document["search_top1_percent"] <= 100
    assert document["evaluations_new"] <= document["evaluations"]
    for step in document["steps"]:
        assert set(step) >= {"index", "layer", "bits", "policy", "intensity", "correct", "loss", "reason", "candidates"}


def test_show_says_everything_of_a_bundled_run(aiq: Aiq) -> None:
    runs = aiq("runs", "--model", "resnet20", "--json").document
    greedy = next(run for run in runs if run["algorithm"] == "greedy" and run["alpha"] == 0.9)
    document = aiq("show", greedy["id"], "--json").document
    assert_run_document(document)
    assert document["report_images"] == 10_000
    assert document["source"] == "bundled"
    assert document["steps"][-1]["policy"] == document["policy_key"]
    printed = aiq("show", greedy["id"]).stdout
    assert f"AI {document['intensity']:.4f} FLOPs/byte" in printed
    assert "unfused, batch 1" in printed


def test_show_counts_bytes_as_asked(aiq: Aiq) -> None:
    runs = aiq("runs", "--model", "mobilenet_v2", "--json").document
    usual, fused = (aiq("show", runs[0]["id"], *more, "--json").document for more in ((), ("--traffic", "fused")))
    assert_run_document(usual)
    assert_run_document(fused)
    assert (usual["traffic"], fused["traffic"]) == ("unfused", "fused")
    assert usual["intensity"] != fused["intensity"] and usual["steps"] == fused["steps"]
    assert fused["objective_traffic"] == "unfused"
    assert usual["weight_bytes"] == fused["weight_bytes"] and usual["stored_bytes"] == fused["stored_bytes"]
    said = aiq("show", runs[0]["id"], "--traffic", "nosuch")
    assert said.code == 1 and "unknown traffic model 'nosuch'; choose from unfused, as-stored, fused" in said.stderr


def test_show_has_the_reason_and_the_traceback_of_a_failed_run(aiq: Aiq, tmp_path: Path) -> None:
    failed = new_run(bundled.model("digits_cnn"), Request("digits_cnn", "greedy", 0.33, images=500))
    failed = replace(failed, status=RunStatus.FAILED, message="`KeyError: '[/x]'`", traceback="Traceback: [/x]")
    run = Store(tmp_path / "data" / "store.sqlite").add_run(failed)
    assert "`KeyError: '[/x]'`" in aiq("show", run.id).stdout
    assert aiq("show", run.id, "--json").document["traceback"] == "Traceback: [/x]"


# Errors.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("profile", "resnet21"), "unknown model 'resnet21'; choose from resnet20, mobilenet_v2, heavy_early_resnet20"),
        (("profile", "resnet20", "--batch", "0"), "batch=0 is not offered; choose 1 or more images"),
        (("show", "nosuch"), "unknown run 'nosuch'; choose from"),
        (("show", "[red]nosuch"), "unknown run '[red]nosuch'"),
        (("resume", "nosuch"), "unknown run 'nosuch'"),
        (("export", "nosuch"), "unknown run 'nosuch'"),
        (("search", "resnet21"), "unknown model 'resnet21'"),
        (("search", "digits_cnn", "--alpha", "1.5"), "alpha=1.5 is not offered; choose a number from 0"),
        (("search", "digits_cnn", "--alpha", "nan"), "alpha=nan is not offered"),
        (("search", "digits_cnn", "--algorithm", "random"), "algorithm=random does not search; choose greedy or"),
        (("search", "digits_cnn", "--weights", "32,16"), "widths=[32, 16] are not offered; choose from [32, 8"),
        (("search", "digits_cnn", "--weights", "a"), "widths='a' cannot be read; write them like 32,8,4"),
        (("search", "digits_cnn", "--activations", "8,1"), "activation_widths=[8, 1] are not offered"),
        (("search", "digits_cnn", "--start", "w9a9"), "bits=9 is not offered; choose from 32, 8"),
        (("search", "digits_cnn", "--start", "half"), "policy key 'half' cannot be read"),
        (("search", "digits_cnn", "--rounding", "up"), "unknown rounding 'up'; choose from nearest, mse"),
        (("search", "digits_cnn", "--activations", "8", "--ranges", "up"), "unknown rule of activations 'up'"),
        (("search", "digits_cnn", "--choose-images", "500"), "choose_images=500 leaves none of 500 search images"),
        (("search", "digits_cnn", "--floor", "101"), "floor=101.0 is not a percentage; choose 0 to 100"),
        (("search", "mobilenet_v2", "--exclude", "[b]conv"), "layer '[b]conv' is not quantizable in mobilenet_v2"),
        (("search", "digits_cnn", "--fix", "linear"), "fix='linear' cannot be read; write it like conv1=8"),
        (("search", "digits_cnn", "--images", "-15"), "images=-15 is not offered; choose 1 or more"),
        (("search", "digits_cnn", "--images", "510"), "510 images of search are asked for, digits has 500"),
        (("search", "digits_cnn", "--max-evaluations", "0"), "max_evaluations=0 is not offered"),
        (("sweep", "digits_cnn", "--alphas", "0:2:1"), "alphas='0:2:1' cannot be read; write 0:1:0.1"),
        (("evaluate", "digits_cnn"), "give either --bits or --policy FILE"),
        (("evaluate", "digits_cnn", "--bits", "16"), "bits=16 is not offered; choose from 32, 8"),
        (("evaluate", "digits_cnn", "--policy", "nosuch.json"), "nosuch.json cannot be read (No such file"),
        (("fine-tune", "digits_cnn"), "give one of --bits, --policy FILE and --run RUN"),
        (("fine-tune", "digits_cnn", "--bits", "4", "--run", "x"), "give one of --bits, --policy FILE and --run RUN"),
        (("fine-tune", "digits_cnn", "--bits", "32"), "at FP32, so there is nothing to train; give a layer fewer bits"),
        (("fine-tune", "digits_cnn", "--policy", "nosuch.json"), "nosuch.json cannot be read (No such file"),
        (("fine-tune", "digits_cnn", "--run", "nosuch"), "unknown run 'nosuch'; choose from"),
        (
            ("fine-tune", "digits_cnn", "--bits", "4", "--start", "up"),
            "unknown rounding 'up'; choose from nearest, mse",
        ),
        (("fine-tune", "digits_cnn", "--bits", "4", "--epochs", "0"), "epochs=0 is not offered; choose 1 or more"),
        (("import", "nosuch.json"), "nosuch.json cannot be read (No such file"),
        (("import", "."), "cannot be read (Is a directory"),
        (("export",), "give either a RUN or --all"),
        (("export", "0123456789", "--all"), "give either a RUN or --all"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_error_is_one_line_and_exit_code_1(aiq: Aiq, arguments: tuple[str, ...], message: str) -> None:
    for more in ((), ("--json",)) if arguments[0] not in ("import", "export") else ((),):
        said = aiq(*arguments, *more)
        assert said.code == 1
        assert said.stdout == ""
        (line,) = said.stderr.splitlines()
        assert line.startswith("error: ") and message in line


def test_a_policy_file_that_is_none(aiq: Aiq, tmp_path: Path) -> None:
    for content, message in (
        ("{", "policy.json: that is not JSON"),
        ("[1]", "policy 1 is not an object of layer: bits"),
        ('{"linear": "four"}', "for linear in policy 1 is not a whole number"),
        ('{"linear": 9}', "bits=9 is not offered for linear"),
        ('{"conv": 4}', "layer 'conv' is not quantizable in digits_cnn"),
    ):
        path = tmp_path / "policy.json"
        path.write_text(content)
        said = aiq("evaluate", "digits_cnn", "--policy", path, "--json")
        assert (said.code, said.stdout) == (1, "") and message in said.stderr
        assert len(said.stderr.splitlines()) == 1


def test_a_store_that_is_foreign_is_one_line_too(aiq: Aiq, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store.sqlite").write_text("not a database")
    said = aiq("runs", "--json")
    assert (said.code, said.stdout) == (1, "")
    assert "is not a SQLite file and was left untouched" in said.stderr and len(said.stderr.splitlines()) == 1


def test_an_export_that_cannot_be_written_is_one_line(aiq: Aiq, tmp_path: Path) -> None:
    run_id = aiq("runs", "--model", "digits_cnn", "--json").document[0]["id"]
    said = aiq("export", run_id, "--output", tmp_path / "nosuch" / "run.json")
    assert said.code == 1 and "run.json cannot be written (No such file" in said.stderr
    assert len(said.stderr.splitlines()) == 1


# With a worker.


def test_search_show_export_and_import(aiq: Aiq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One search from the shell, then all that can be done with it."""
    found = aiq("search", "digits_cnn", "--alpha", "0.5", "--weights", "32,4", "--no-bundled", "--json").document
    assert_run_document(found)
    assert (found["model"], found["algorithm"], found["alpha"]) == ("digits_cnn", "greedy", 0.5)
    assert found["status"] == "done" and found["report_images"] == 500
    assert found["evaluations"] >= found["evaluations_new"] > 0 and found["steps"]
    assert aiq("show", found["id"], "--json").document == found
    summary = next(run for run in aiq("runs", "--json").document if run["id"] == found["id"])
    assert summary.items() <= found.items()

    said = aiq("export", found["id"], "--output", tmp_path / "run.json")
    assert said.code == 0 and "run.json" in said.stdout
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "elsewhere"))
    assert aiq("import", tmp_path / "run.json").code == 0
    shown = aiq("show", found["id"], "--json").document
    assert shown["source"] == "imported" and shown["steps"] == found["steps"]

    # The whole store, to a third machine; what is there already is not taken in twice.
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))
    whole = tmp_path / "store.sqlite"
    assert aiq("export", "--all", "--output", whole).code == 0
    refused = aiq("export", "--all", "--output", whole)
    assert refused.code == 1 and "exists already and was left untouched" in refused.stderr
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "third"))
    assert f"{found['id']}: digits_cnn greedy, imported" in aiq("import", whole).stdout
    assert aiq("show", found["id"], "--json").document == shown
    assert "known here already" in aiq("import", whole).stdout


@pytest.mark.thorough
def test_a_search_by_another_traffic_model(aiq: Aiq) -> None:
    """AI, the normaliser and so the loss are by it; evaluations are shared, and the run is told from the usual one."""
    asked = ("search", "digits_cnn", "--alpha", "0.5")
    usual, fused = (aiq(*asked, *more, "--json").document for more in ((), ("--traffic", "fused")))
    assert_run_document(fused)
    assert fused["id"] != usual["id"]
    profile = bundled.profile("digits_cnn")
    lowest = intensity(profile, profile.uniform(4), by="fused")
    assert fused["intensity_normaliser"] == pytest.approx(1.32 * lowest)
    assert fused["objective_traffic"] == fused["traffic"] == "fused"
    for step in fused["steps"]:
        assert step["intensity"] == intensity(profile, Policy.from_key(step["policy"]), by="fused")
    assert "greedy 0.5, fused" in aiq("runs", "--model", "digits_cnn").stdout
    refused = aiq(*asked, "--traffic", "paper")
    assert refused.code == 1 and "unknown traffic model 'paper'" in refused.stderr


def test_evaluate_on_bundled_results_computes_nothing(aiq: Aiq, tmp_path: Path) -> None:
    document = aiq("evaluate", "digits_cnn", "--bits", "4", "--json").document
    assert_run_document(document)
    assert document["policy"] == dict.fromkeys(bundled.profile("digits_cnn").quantizable_names, 4)
    assert document["evaluations_new"] == 0
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(document["policy"]))
    # The same policy from a file, and the whole document as the file.
    assert searches.read_policy(path, bundled.profile("digits_cnn")).key == document["policy_key"]
    path.write_text(json.dumps(document))
    assert searches.read_policy(path, bundled.profile("digits_cnn")).key == document["policy_key"]


@pytest.mark.thorough
def test_evaluate_rounds_as_it_is_told(aiq: Aiq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_CACHE_DIR", str(tmp_path / "cache"))
    command = "evaluate", "digits_cnn", "--bits", 2, "--images", 100, "--json"
    said = [aiq(*command, *how).document for how in ((), ("--rounding", "gptq", "--grid", "full"))]
    nearest, gptq = (document["search_top1_percent"] for document in said)
    assert gptq > nearest + 10
    asked = Store(tmp_path / "data" / "store.sqlite").run(said[1]["id"]).request.quantizer
    assert asked == settings("gptq", bundled.dataset("digits").calibration_hash, grid=Grid.FULL)
    assert list((tmp_path / "cache").rglob("*.npz"))


def test_sweep_gives_one_document_of_all_alphas(aiq: Aiq) -> None:
    documents = aiq("sweep", "digits_cnn", "--alphas", "0.1:0.9:0.4", "--images", 100, "--json").document
    assert [document["alpha"] for document in documents] == [0.1, 0.5, 0.9]
    for document in documents:
        assert_run_document(document)
        assert document["search_images"] == 100


LONG = ("search", "digits_cnn", "--algorithm", "coordinate", "--weights", "32,8,7,6,5,4,3,2", "--no-bundled", "--json")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own answer to Ctrl-C, here and in the processes started: a suite in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def say_where_it_hangs(tmp_path: Path) -> Iterator[None]:
    """Prints the runs and the worker's log when a test ends; pytest shows it of a failed one."""
    yield
    for run in Store(tmp_path / "data" / "store.sqlite").runs():
        print(f"{run.id} {run.status}: {run.evaluations} evaluations in {run.seconds:.1f} s {run.message}")
    log = tmp_path / "data" / "worker.log"
    print(log.read_text() if log.exists() else "no worker")


@pytest.mark.usefixtures("interruptible", "say_where_it_hangs")
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_cancels_and_resume_goes_on(aiq: Aiq, tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "aiq_core", *LONG],
        cwd=ROOT,
        env={**os.environ, "AIQ_DATA_DIR": str(data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    library = Library(Store(data / "store.sqlite"), None)
    end = time.monotonic() + WAIT_S
    while not (runs := library.store.runs()) or runs[0].evaluations_new < 3:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=WAIT_S)
    assert (process.returncode, stdout) == (130, "")
    (line,) = stderr.splitlines()
    assert line.endswith(f"Go on with python -m aiq_core resume {runs[0].id}")
    while (stopped := library.store.run(runs[0].id)).status is RunStatus.RUNNING:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert stopped.status is RunStatus.CANCELLED
    resumed = aiq("resume", stopped.id, "--json").document
    assert_run_document(resumed)
    assert resumed["status"] == "done"
    assert resumed["evaluations_new"] < resumed["evaluations"]
    assert [step["reason"] for step in resumed["steps"][: len(stopped.steps)]] == [s.reason for s in stopped.steps]
    said = aiq("resume", stopped.id)
    assert said.code == 1 and "is done, so it cannot be resumed" in said.stderr


@pytest.mark.usefixtures("interruptible", "say_where_it_hangs")
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_cancels_every_run_of_a_sweep(aiq: Aiq, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    library = Library(Store(tmp_path / "data" / "store.sqlite"), None)

    def interrupt() -> None:
        while len(library.store.runs()) < 3:
            time.sleep(0.05)
        time.sleep(1)  # into the watching
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with jobs.slot_lock(library, 0):  # so that nothing starts
        said = aiq("sweep", "digits_cnn", "--alphas", "0.1:0.9:0.4", "--json")
    assert (said.code, said.stdout) == (130, "")
    assert [run.status for run in library.store.runs()] == [RunStatus.CANCELLED] * 3


def test_a_joint_search_chooses_confirms_and_reports(aiq: Aiq) -> None:
    asked = ("--weights", "8,4", "--activations", "8,6,4", "--rounding", "gptq", "--start", "w8a8", "--alpha", "0.5")
    said = aiq("search", "digits_cnn", *asked, "--json")
    document = json.loads(said.stdout)
    assert document["rounding"] == document["quantizer"]["rounding"] == "gptq"
    assert document["quantizer"]["activations"] == {"rule": "mse", "calibration": document["quantizer"]["calibration"]}
    # Half of the 500 search images choose, the other half confirm.
    counts = [document[f"{split}_images"] for split in ("search", "confirm", "report")]
    assert counts == [250, 250, 500]
    assert set(document["policy"].values()) <= {8, 4} and set(document["activation_policy"].values()) <= {8, 6, 4}
    assert len(document["activation_policy"]) == 6
    # At least four times FP32's: every byte but the biases' is a quarter of it or less.
    assert document["intensity_gain_percent"] > 280 and document["traffic"] == "unfused"
    assert document["stored_intensity_gain_percent"] < document["intensity_gain_percent"]
    low, high = document["report_drop_interval"]
    assert low <= document["report_drop_points"] <= high
    assert document["confirm_top1_percent"] == 100 * round(document["confirm_top1_percent"] * 2.5) / 250
    moved = {next(iter({"layer", "group"} & step.keys())) for step in document["steps"]}
    assert moved == {"layer", "group"}
    shown = json.loads(aiq("show", document["id"], "--json").stdout)
    assert shown == document


def test_evaluate_gives_activations_bits(aiq: Aiq) -> None:
    asked = ("--bits", "4", "--activation-bits", "8", "--rounding", "gptq", "--images", "200")
    document = json.loads(aiq("evaluate", "digits_cnn", *asked, "--json").stdout)
    assert document["label"] == "W4A8"
    assert set(document["policy"].values()) == {4} and set(document["activation_policy"].values()) == {8}
    assert document["confirm_top1_percent"] is None and document["search_images"] == 200


@pytest.mark.thorough
def test_fine_tune_trains_measures_and_shows(aiq: Aiq, tmp_path: Path) -> None:
    asked = ("--bits", 4, "--activation-bits", 4, "--epochs", 1, "--rate", 0.002)
    document = aiq("fine-tune", "digits_cnn", *asked, "--json").document
    assert set(document) >= RUN_KEYS
    assert (document["label"], document["algorithm"], document["rounding"]) == ("W4A4", "fine_tune", "fine_tuned")
    assert document["tuning"]["epochs"] == 1 and document["tuning"]["peak_learning_rate"] == 0.002
    assert aiq("show", document["id"], "--json").document == document
    assert f"layers {document['quantizer']['trained']}" in aiq("show", document["id"]).stdout
    assert document["id"] in aiq("runs", "--model", "digits_cnn").stdout
    # Once more by the run: the layers are there, so nothing is trained or computed, and they come again where not.
    again = aiq("fine-tune", "digits_cnn", "--run", document["id"], "--json").document
    assert (again["quantizer"], again["evaluations_new"]) == (document["quantizer"], 0)
    shutil.rmtree(tmp_path / "data" / "fine_tuned")
    again = aiq("fine-tune", "digits_cnn", "--run", document["id"], "--json").document
    assert again["quantizer"] == document["quantizer"]
    assert (tmp_path / "data" / "fine_tuned" / again["quantizer"]["trained"] / "layers.npz").is_file()
