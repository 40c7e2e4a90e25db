"""Runs on real worker processes: the results are those of one process, whoever dies, is slow or holds other weights."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from aiq_core import documents, exchange, jobs, space
from aiq_core.catalog import Catalog, Model
from aiq_core.catalog.hashes import model_hash
from aiq_core.errors import ClusterError
from aiq_core.execute import Evaluators, Execution, execute, new_run
from aiq_core.library import Library
from aiq_core.machines import Machines, on
from aiq_core.records import ImageSet, Request, Run, RunStatus, SplitName
from aiq_core.runtime.cluster import Cluster, pool
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.store import Store, codec
from tests import bundled
from tests.watching import is_over, wait, workers

pytestmark = pytest.mark.thorough  # four workers, one killed: a quarter of a minute

ROOT = Path(__file__).resolve().parent.parent
DIGITS = bundled.model("digits_cnn")
JOINT = space.JOINT.quantizer(DIGITS.dataset)
FRONT = replace(space.JOINT.front_request("digits_cnn", JOINT, DIGITS.profile, 500, 6), refinement=6, use_bundled=False)
GREEDY = Request("digits_cnn", "greedy", 0.5, widths=(32, 8, 6, 5, 4, 3), images=500, use_bundled=False)
START_S = 100


@dataclass(frozen=True)
class Cell:
    """A scheduler and its workers: two that may compute, one of other weights, and one of two threads."""

    address: str
    processes: dict[str, "subprocess.Popen[bytes]"]
    log: Path

    def start(self, name: str, *options: str, folder: Path = ROOT) -> None:
        command = [sys.executable, "-m", "aiq_core", "worker", self.address, "--name", name, *options]
        with self.log.open("ab") as log:
            self.processes[name] = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def await_workers(self, count: int) -> None:
        """Until so many are there: the commonest kind of those that a run finds is the run's."""
        end = time.monotonic() + START_S
        while self.log.read_text().count("Registered to:") < count:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def other_weights(folder: Path) -> Path:
    """A checkout whose digits_cnn is another one."""
    shutil.copytree(ROOT / "aiq_core", folder / "aiq_core", ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("models/digits_cnn", "data/digits"):
        shutil.copytree(ROOT / "assets" / part, folder / "assets" / part)
    model = folder / "assets" / "models" / "digits_cnn"
    tensors = load_file(model / "weights.safetensors")
    tensors["linear.bias"] = tensors["linear.bias"] + np.float32(1)
    save_file(tensors, model / "weights.safetensors")
    card = json.loads((model / "card.json").read_text())
    card["model_hash"] = model_hash(DIGITS.profile.graph, tuple(card["mean"]), tuple(card["std"]), tensors, "top1")
    (model / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return other_weights(tmp_path_factory.mktemp("other"))


def scheduled(folder: Path) -> Cell:
    """A scheduler, in a folder without our code, which it does not need."""
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with (folder / "scheduler.log").open("wb") as log:
        scheduler = subprocess.Popen([*command, "--scheduler-file", "found"], cwd=folder, stdout=log, stderr=log)
    found, end = folder / "found", time.monotonic() + START_S
    while not found.exists() or not found.read_text():
        assert scheduler.poll() is None and time.monotonic() < end, (folder / "scheduler.log").read_text()
        time.sleep(0.05)
    return Cell(json.loads(found.read_text())["address"], {"scheduler": scheduler}, folder / "workers.log")


@pytest.fixture(scope="module")
def cell(other: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    cell = scheduled(tmp_path_factory.mktemp("cluster"))
    try:
        cell.start("first")
        cell.start("second")
        cell.start("of-other-weights", folder=other)
        cell.start("of-two-threads", "--threads", "2")
        cell.await_workers(4)
        yield cell
    finally:
        cell.stop()


@pytest.fixture
def make_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Library]]:
    """Libraries of their own, each with an empty cache."""

    def make(name: str) -> Library:
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv("AIQ_CACHE_DIR", str(folder / "cache"))
        return Library(Store(folder / "store.sqlite"), None)

    yield make
    for worker in workers():
        worker.kill()
        worker.wait()


def added(library: Library, request: Request) -> Run:
    return library.add_run(new_run(DIGITS, request))


def found(library: Library, run: Run) -> str:
    """All that a run found: its steps, its points, and every outcome that is stored."""
    document = documents.run_document(library, run)
    evaluations = sorted(library.store.evaluations(), key=lambda each: (each.key.split_hash, each.key.policy))
    return json.dumps(
        {
            "points": document.get("points"),
            "policy": run.policy and run.policy.key,
            "counts": [run.evaluations, run.evaluations_new],
            "steps": [codec.step_to_json(step) for step in run.steps],
            "evaluations": [
                [each.key.policy, each.key.split_hash, each.integers, each.outcomes.tolist()] for each in evaluations
            ],
        }
    )


def with_costs(machines: Machines, before: Callable[[], None]) -> Machines:
    """Those machines; `before` is called once the first costs are being measured."""

    def costs(model: Model, request: Request, say: Callable[[str], None]) -> Any:
        def told(message: str) -> None:
            before()
            say(message)

        return machines.costs(model, request, told)

    return replace(machines, costs=costs)


def test_a_search_takes_the_steps_of_one_process(cell: Cell, make_library: Callable[[str], Library]) -> None:
    here, there = make_library("here"), make_library("there")
    alone = execute(here, added(here, GREEDY), Evaluators(1))
    run = execute(there, added(there, replace(GREEDY, cluster=cell.address)), Evaluators(1))
    assert run.status is alone.status is RunStatus.DONE, run.message
    assert found(there, run) == found(here, alone)
    assert run.origin is not None and alone.origin is not None and run.origin.can_resume(alone.origin)
    # Asked again, the store answers, and the workers are asked for nothing.
    again = execute(there, added(there, replace(GREEDY, cluster=cell.address)), Evaluators(1))
    assert (again.steps, again.evaluations_new) == (run.steps, 0)


def test_who_is_refused_is_named(cell: Cell, other: Path, make_library: Callable[[str], Library]) -> None:
    there = make_library("there")
    evaluated = Request("digits_cnn", "uniform", images=500, policies=(DIGITS.profile.uniform(4),), use_bundled=False)
    # By the process that works for the command line and the pages.
    run = wait(there, jobs.submit(there, replace(evaluated, cluster=cell.address)).id, is_over)
    assert run.status is RunStatus.DONE, run.message
    strange = Catalog(other / "assets", bundled=True).model("digits_cnn")
    weights = f"its model hash is {strange.hash}, this run's is {DIGITS.hash}"
    assert sorted(run.message.split("; ")) == [
        f"worker of-other-weights was refused: {weights}",
        "worker of-two-threads was refused: its number of threads is 2, this run's is 1",
    ]
    # What names the machines is no part of the request, and does not leave with it.
    assert run.id == evaluated.digest
    assert cell.address not in exchange.export_run(there, run.id)


def test_a_slow_worker_holds_nothing_up(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "FIRST_DEADLINE_S", 0.5)
    images, policy, fp32 = ImageSet(SplitName.SEARCH, 500), DIGITS.profile.uniform(3, 4), DIGITS.profile.uniform(32)
    outcomes = {}
    with Cluster(cell.address, deadline_s=0.5) as cluster:
        cluster.origin(DIGITS)
        cell.processes["second"].send_signal(signal.SIGSTOP)
        try:
            for evaluator in (cluster.evaluator(DIGITS, images, JOINT), TorchEvaluator(DIGITS, images, JOINT, 1)):
                outcomes[evaluator] = DIGITS.metric.blank(500)
                for _ in evaluator.chunks(policy, fp32, outcomes[evaluator]):
                    pass
        finally:
            cell.processes["second"].send_signal(signal.SIGCONT)
    theirs, ours = outcomes.values()
    assert (theirs == ours).all()


def test_a_front_is_that_of_one_process_whoever_dies(cell: Cell, make_library: Callable[[str], Library]) -> None:
    here = make_library("here")
    alone = execute(here, added(here, FRONT), Evaluators(1))
    there = make_library("there")
    run = added(there, replace(FRONT, cluster=cell.address))
    with on(cell.address, Evaluators(1)) as machines:
        for _ in Execution(there, run, with_costs(machines, cell.processes["second"].kill)).advance():
            pass
    run = there.store.run(run.id)
    assert run.status is RunStatus.DONE, run.message
    assert found(there, run) == found(here, alone)
    assert "worker second is gone, and others were asked instead" in run.message
    assert "worker of-other-weights was refused: its model hash is" in run.message


def test_without_a_worker_that_may_compute_it_says_why(cell: Cell) -> None:
    splits = DIGITS.dataset.splits
    elsewhere = replace(DIGITS, dataset=replace(DIGITS.dataset, splits={**splits, "search": splits["report"]}))
    with Cluster(cell.address, patience_s=0.5) as cluster, pytest.raises(ClusterError) as error:
        cluster.origin(elsewhere)
    said = str(error.value)
    assert said.startswith(f"no worker at {cell.address} may compute; ")
    hashes = f"its hash of search images is {splits['search'].hash}, this run's is {splits['report'].hash}"
    assert f"worker first was refused: {hashes}" in said
    assert f"start one with `python -m aiq_core worker {cell.address}`" in said


def test_without_its_scheduler_a_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = scheduled(tmp_path)
    monkeypatch.setattr(pool, "CONNECT_S", 2)
    said = f"the scheduler at {cell.address} is gone; what was evaluated is kept, resume goes on from there"
    with Cluster(cell.address) as cluster, pytest.raises(ClusterError, match=said):
        cluster.origin(DIGITS, lambda message: cell.stop())


def test_without_a_scheduler_it_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECT_S", 0.2)
    said = "no scheduler answers at tcp://127.0.0.1:9 .*start one with `dask scheduler`"
    with Cluster("tcp://127.0.0.1:9") as cluster, pytest.raises(ClusterError, match=said):
        cluster.origin(DIGITS)
