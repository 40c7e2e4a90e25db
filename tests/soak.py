"""Searches killed again and again, a full disk and a locked store: `make soak`.

A search runs in a worker of its own and is killed (SIGKILL) at random moments, resumed, killed again. Counted are the
evaluations and steps that the store had reported done and that are gone afterwards, and those that differ from a search
that nobody disturbed; in the end the resumed search must equal that one, step by step.
"""

import argparse
import hashlib
import multiprocessing
import os
import platform
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from filelock import Timeout
from numpy.typing import NDArray

from aiq_core import jobs
from aiq_core.catalog import Model
from aiq_core.errors import StoreError
from aiq_core.execute import Execution, new_run
from aiq_core.library import Library
from aiq_core.machines import Machines
from aiq_core.records import (
    EvaluationKey,
    ImageSet,
    Origin,
    Policy,
    Quantizer,
    Request,
    Run,
    RunStatus,
    is_done,
)
from aiq_core.store import Store
from tests import bundled

ROOT = Path(__file__).resolve().parent.parent
ALL_WIDTHS = (32, 8, 7, 6, 5, 4, 3, 2)
DIGITS = tuple(
    Request("digits_cnn", algorithm, alpha, widths=ALL_WIDTHS, images=500, use_bundled=False)
    for algorithm, alpha in (
        ("coordinate", 0.95),
        ("greedy", 0.9),
        ("coordinate", 0.9),
        ("greedy", 0.5),
    )
)
RESNET = (Request("resnet20", "greedy", 0.9, images=2000, max_evaluations=12, use_bundled=False),)
SEARCHES = {"digits_cnn": (DIGITS, 0.5), "resnet20": (RESNET, 12.0)}
"""Model -> its searches, and the longest time in seconds that one of its workers is let live once it works."""

WAIT_S = 600.0
LOCK_S = 20.0
"""Longer than a writer waits (15 s), so that a worker has to give up."""


# Workers


class Process(Protocol):
    """What a worker is here: a process to be killed."""

    pid: int | None

    def is_alive(self) -> bool:
        """Whether it still runs."""

    def join(self) -> None:
        """Waits for its end."""


class RealWorker:
    """`python -m aiq_core.worker`, as the app starts it."""

    def __init__(self, folder: Path) -> None:
        with (folder / "worker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "aiq_core.worker"],
                cwd=ROOT,
                env={**os.environ, "AIQ_DATA_DIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.pid = self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def join(self) -> None:
        self._process.wait()


class FakeEvaluator:
    """Predictions made of the policy's name, a few images at a time: the store and the search cannot tell."""

    origin = Origin("soak", "none", 1, 50, "2026-01-01T00:00:00+00:00")

    def __init__(self, labels: NDArray[np.uint8], images: int, pause_s: float) -> None:
        self._labels, self._images, self._pause_s = labels, images, pause_s

    def integers(self, policy: Policy) -> str:
        """Nothing is rounded."""
        return ""

    def expect(self, coming: Iterable[object]) -> None:
        """Computes nothing ahead."""

    def chunks(self, policy: Policy, base: Policy | None, predicted: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """Fills what is not done; narrower policies are wrong more often."""
        seed = int.from_bytes(hashlib.sha256(policy.key.encode()).digest()[:8])
        wrong = np.random.default_rng(seed).random(len(predicted)) < 0.02 + 0.2 / min(policy.weight_bits) ** 2
        answers = np.where(wrong, (self._labels + 1) % 10, self._labels)
        for start in range(0, self._images, self.origin.chunk):
            part = slice(start, start + self.origin.chunk)
            if (~is_done(predicted[part])).any():
                time.sleep(self._pause_s)
                predicted[part] = answers[part]
                yield predicted


def fake_worker(folder: Path, pause_s: float = 0.001) -> Process:
    """A forked process that does what a worker does, with the fake evaluator: it starts at once."""
    process = multiprocessing.get_context("fork").Process(target=_work, args=(folder, pause_s))
    process.start()
    return process


def _work(folder: Path, pause_s: float) -> None:
    library = Library(Store(folder / "store.sqlite"), None)

    def make(model: Model, images: ImageSet, quantizer: Quantizer) -> FakeEvaluator:
        return FakeEvaluator(model.dataset.split(images.split).labels, images.images, pause_s)

    machines = Machines(make, lambda _: FakeEvaluator.origin)
    for run_id in library.store.with_status(RunStatus.QUEUED):
        with ExitStack() as stack:
            try:
                stack.enter_context(jobs.run_lock(library, run_id).acquire(blocking=False))
            except Timeout:
                continue
            if not library.store.set_status(run_id, RunStatus.RUNNING, only_from=[RunStatus.QUEUED]):
                continue
            for _ in Execution(library, library.store.run(run_id), machines).advance():
                pass


StartWorker = Callable[[Path], Process]


# What is compared


Known = dict[EvaluationKey, NDArray[np.uint8]]


def known(library: Library) -> Known:
    """Every prediction that the store reports, by key."""
    return {evaluation.key: evaluation.outcomes for evaluation in library.store.evaluations()}


def progress(found: Known) -> int:
    """How many predictions there are."""
    return sum(int(np.count_nonzero(is_done(predicted))) for predicted in found.values())


def lost(before: Known, after: Known) -> int:
    """Evaluations of which anything that was done is not, or has changed."""
    count = 0
    for key, predicted in before.items():
        done = is_done(predicted)
        count += key not in after or bool((after[key][done] != predicted[done]).any())
    return count


def unkept(reported: Run, after: Run, found: Known) -> int:
    """Steps that a run had reported and has no more, and those whose policy is not known on all its images."""
    images = after.request.images
    complete = {
        key.policy
        for key, predicted in found.items()
        if key.split_hash == after.search_hash and is_done(predicted[:images]).all()
    }
    return sum(step not in after.steps for step in reported.steps) + sum(
        step.policy.key not in complete for step in after.steps
    )


def wrong(found: Known, truth: Known) -> int:
    """Evaluations that differ from the undisturbed search's where both are done, or that it never asked for."""
    count = 0
    for key, predicted in found.items():
        if key not in truth:
            count += 1
            continue
        both = (is_done(predicted)) & (is_done(truth[key]))
        count += bool((predicted[both] != truth[key][both]).any())
    return count


def result(run: Run) -> tuple[object, ...]:
    """What a search came to, apart from how long it took and what it had to compute."""
    return (
        *(run.status, run.steps, run.policy, run.evaluations),
        *(run.baseline_score, run.floor_score, run.intensity_normaliser),
    )


@dataclass
class Tally:
    """What a soak has seen."""

    kills: int = 0
    kills_at_work: int = 0
    evaluations: int = 0
    lost: int = 0
    wrong: int = 0
    damaged: int = 0
    unequal: int = 0
    searches: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, wrong, damaged or unequal."""
        return not (self.lost or self.wrong or self.damaged or self.unequal)


# One search


class Soak:
    """One search in a folder of its own, driven by workers that may be killed."""

    def __init__(self, folder: Path, request: Request, start: StartWorker) -> None:
        self.folder, self._start = folder, start
        folder.mkdir(parents=True, exist_ok=True)
        self.library = Library(Store(folder / "store.sqlite"), None)
        self.run_id = self.library.add_run(new_run(bundled.model(request.model), request)).id

    def run(self) -> Run:
        """The search as the store holds it."""
        return self.library.store.run(self.run_id)

    def start(self) -> Process:
        """A worker, with the run queued if it is not over."""
        jobs.reap(self.library)
        if self.run().status in jobs.RESUMABLE:
            self.library.store.set_status(self.run_id, RunStatus.QUEUED, only_from=jobs.RESUMABLE)
        return self._start(self.folder)

    def finish(self) -> Run:
        """Undisturbed to the end, however often a worker gives up."""
        end = time.monotonic() + WAIT_S
        while self.run().status is not RunStatus.DONE:
            if time.monotonic() > end:
                raise RuntimeError(
                    f"run {self.run_id} is {self.run().status} after {WAIT_S:.0f} s: {self.run().message}"
                )
            worker = self.start()
            worker.join()
        return self.run()

    def start_and_wait(self) -> Process:
        """A worker that has taken the run and loaded what it needs (seconds, for torch), or has ended."""
        started = time.time()
        worker = self.start()
        while worker.is_alive() and self.library.store.heartbeat_age_s(self.run_id) > time.time() - started:
            time.sleep(0.002)
        return worker

    def kill_after(self, seconds: float, tally: Tally) -> bool:
        """Starts a worker and kills it so long after it began to work; whether there was anything to kill."""
        at_first = progress(known(self.library))
        worker = self.start_and_wait()
        time.sleep(seconds)
        before, reported = known(self.library), self.run()
        was_alive = worker.is_alive()
        if was_alive and worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        after = known(self.library)
        tally.lost += lost(before, after) + unkept(reported, self.run(), after)
        tally.damaged += not is_sound(self.folder)
        tally.kills += was_alive
        tally.kills_at_work += was_alive and progress(before) > at_first
        return was_alive

    def compare(self, truth: "Soak", tally: Tally) -> None:
        """The finished search against the undisturbed one."""
        found = known(self.library)
        tally.wrong += wrong(found, known(truth.library))
        tally.unequal += result(self.run()) != result(truth.run())
        tally.evaluations += len(found)
        tally.searches += 1

    def close(self) -> None:
        """Lets go of the store."""
        self.library.store.close()


def is_sound(folder: Path) -> bool:
    """SQLite's own check of the file."""
    connection = sqlite3.connect(folder / "store.sqlite", timeout=30)
    try:
        return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
    finally:
        connection.close()


def kill_and_resume(
    folder: Path, requests: tuple[Request, ...], start: StartWorker, kills: int, longest_s: float, seed: int = 0
) -> Tally:
    """Searches in turn, each killed until it is done, until `kills` were dealt; the last ends undisturbed."""
    tally, chance = Tally(), random.Random(seed)
    truths: dict[int, Soak] = {}
    number = 0
    while tally.kills < kills:
        which = number % len(requests)
        if which not in truths:
            truths[which] = Soak(folder / f"truth-{which}", requests[which], start)
            truths[which].finish()
        soak = Soak(folder / f"soak-{number}", requests[which], start)
        while tally.kills < kills and soak.run().status is not RunStatus.DONE:
            soak.kill_after(chance.uniform(0, longest_s), tally)
        soak.finish()
        soak.compare(truths[which], tally)
        soak.close()
        number += 1
    for truth in truths.values():
        truth.close()
    return tally


# A full disk


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of its own of that size at `folder`; False where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = mount is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def fill(folder: Path) -> Path:
    """Writes until not one byte more fits; the file that did it."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return path


def full_disk(folder: Path, request: Request, start: StartWorker, size: str = "3m") -> Tally | None:
    """A disk that runs full under a live search, and is freed again. None where no such disk can be made here."""
    tally = Tally()
    with small_disk(folder / "disk", size) as mounted:
        if not mounted:
            return None
        truth = Soak(folder / "truth", request, start)
        truth.finish()
        soak = Soak(folder / "disk", request, start)
        worker = soak.start_and_wait()
        while worker.is_alive() and len(known(soak.library)) < 2:
            time.sleep(0.002)
        filler = fill(soak.folder)
        before = known(soak.library)
        worker.join()
        status = soak.run().status
        tally.notes.append(f"the worker met a full disk: run left as {status}")
        if status is RunStatus.DONE:
            tally.notes.append("the search ended before it needed space; give it less")
            tally.unequal += 1
        try:
            jobs.reap(soak.library)
        except StoreError as error:
            tally.notes.append(f"marking it: {str(error).partition(': ')[2]}")
        filler.unlink()
        tally.lost += lost(before, known(soak.library))
        tally.damaged += not is_sound(soak.folder)
        soak.finish()
        soak.compare(truth, tally)
        for each in (soak, truth):
            each.close()
    return tally


# A locked store


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process's unfinished write: nobody else may write meanwhile."""
    connection = sqlite3.connect(folder / "store.sqlite", timeout=30, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def locked_store(folder: Path, request: Request, start: StartWorker, seconds: float) -> Tally:
    """A store that somebody else holds for so long under a live search."""
    tally = Tally()
    truth = Soak(folder / "truth", request, start)
    truth.finish()
    soak = Soak(folder / "locked", request, start)
    worker = soak.start_and_wait()
    while worker.is_alive() and not known(soak.library):
        time.sleep(0.002)
    with locked(soak.folder):
        before = known(soak.library)
        time.sleep(seconds)
        tally.notes.append(f"held for {seconds:g} s: the worker {'waits' if worker.is_alive() else 'has given up'}")
    worker.join()
    jobs.reap(soak.library)
    run = soak.run()
    tally.notes.append(f"then the run stands as {run.status}" + (f" ({run.message})" if run.message else ""))
    tally.lost += lost(before, known(soak.library))
    tally.damaged += not is_sound(soak.folder)
    soak.finish()
    soak.compare(truth, tally)
    for each in (soak, truth):
        each.close()
    return tally


# The command


def report(name: str, tally: Tally | None, seconds: float) -> bool:
    """Prints what a part found; whether it is clean."""
    if tally is None:
        print(f"{name}: NOT CHECKED, this user may not mount a small disk; run as root", flush=True)
        return True
    print(
        f"{name}: {tally.kills} kills ({tally.kills_at_work} of them after new predictions), {tally.searches} searches "
        f"finished, {tally.evaluations} evaluations; {tally.lost} lost, "
        f"{tally.wrong} wrong, {tally.damaged} stores damaged, {tally.unequal} results unequal; {seconds:.0f} s",
        *(f"\n  {note}" for note in tally.notes),
        flush=True,
    )
    return tally.is_clean


def main() -> int:
    """Runs the parts that were asked for; 1 where anything was lost, wrong, damaged or unequal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs to deal (50)")
    parser.add_argument("--model", choices=list(SEARCHES), default="digits_cnn", help="what is searched (digits_cnn)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (0)")
    parser.add_argument("--only", choices=("kills", "disk", "lock"), help="only this part")
    options = parser.parse_args()
    requests, longest_s = SEARCHES[options.model]
    print(f"{platform.node()}: {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, "
          f"SQLite {sqlite3.sqlite_version}, {options.model}, seed {options.seed}", flush=True)  # fmt: skip
    clean = True
    with tempfile.TemporaryDirectory(prefix="aiq-soak-") as name:
        folder = Path(name)
        parts: dict[str, tuple[str, Callable[[], Tally | None]]] = {
            "kills": (
                "killed and resumed",
                lambda: kill_and_resume(folder / "kills", requests, RealWorker, options.kills, longest_s, options.seed),
            ),
            "disk": ("full disk", lambda: full_disk(folder / "disk", requests[0], RealWorker)),
            "lock": ("locked store", lambda: locked_store(folder / "lock", requests[0], RealWorker, LOCK_S)),
        }
        for part, (title, run) in parts.items():
            if options.only in (None, part):
                started = time.monotonic()
                clean &= report(title, run(), time.monotonic() - started)
    print("clean" if clean else "NOT CLEAN", flush=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
