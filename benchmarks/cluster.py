"""Seconds to a whole frontier from an empty store, in one process and with 1, 2 and 4 worker processes of one thread.

python -m benchmarks.cluster --model resnet20 --images 2000
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from aiq_core import catalog, space
from aiq_core.catalog import Model
from aiq_core.execute import Evaluators, Execution, new_run
from aiq_core.frontier import Sensitivity
from aiq_core.library import Library
from aiq_core.machines import on
from aiq_core.records import Request, Run, RunStatus
from aiq_core.store import Store
from benchmarks._common import machine, markdown

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def workers(count: int, folder: Path) -> Iterator[str]:
    """The address of a scheduler with so many worker processes on this machine."""
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str, within: Path) -> None:
        with (folder / "log").open("ab") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            processes.append(subprocess.Popen(command, cwd=within, env=environment, stdout=log, stderr=log))

    try:
        start(*command, "--scheduler-file", "found", within=folder)
        while not (folder / "found").exists() or not (folder / "found").read_text():
            time.sleep(0.05)
        address = json.loads((folder / "found").read_text())["address"]
        for number in range(count):
            start(sys.executable, "-m", "aiq_core", "worker", address, "--name", f"{number}", within=ROOT)
        while (folder / "log").read_text().count("Registered to:") < count:
            time.sleep(0.05)
        yield address
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def timed(request: Request, model: Model, folder: Path) -> tuple[Run, float]:
    """A run from an empty store and cache, and the seconds in which it measured costs."""
    os.environ["AIQ_CACHE_DIR"] = str(cache(folder))
    library = Library(Store(folder / "store.sqlite"), None)
    run, spent = library.add_run(new_run(model, request)), 0.0
    with on(request.cluster, Evaluators(1)) as machines:

        def costs(of: Model, asked: Request, say: Callable[[str], None]) -> Sensitivity:
            nonlocal spent
            begun = time.monotonic()
            found = machines.costs(of, asked, say)
            spent = time.monotonic() - begun
            return found

        for _ in Execution(library, run, replace(machines, costs=costs)).advance():
            pass
    run = library.store.run(run.id)
    if run.status is not RunStatus.DONE:
        raise SystemExit(run.message)
    return run, spent


def cpu_s() -> float:
    """CPU seconds so far of this process and of those that it started and that ended, their start included."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def cache(folder: Path) -> Path:
    """A cache that holds the data and nothing else."""
    made = folder / "cache"
    made.mkdir()
    for path in CACHE.glob("*"):
        if path.name in catalog.bundled().datasets:
            (made / path.name).symlink_to(path)
    return made


CACHE = catalog.cache_dir()


def main() -> None:
    if os.environ.get("OMP_NUM_THREADS") != "1":
        # Of one thread, as its workers are: torch reads it when it is imported.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        raise SystemExit(subprocess.call([sys.executable, __file__, *sys.argv[1:]], env=environment))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="digits_cnn")
    parser.add_argument("--images", type=int, help="search images; those that ship by default")
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    model = catalog.bundled().model(options.model)
    quantizer, images = space.JOINT.quantizer(model.dataset), options.images or model.dataset.excerpt_size
    request = space.JOINT.front_request(model.name, quantizer, model.profile, images, options.points)
    request = replace(request, use_bundled=False)
    print(f"{machine(1)}\n\n{options.points} points of {model.title}, {images:,} search images, from an empty store:\n")
    found: list[tuple[str, Run, float, float]] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        for count in (0, *options.workers):
            folder = Path(name) / str(count)
            folder.mkdir()
            used = -cpu_s()
            if count:
                with workers(count, folder) as address:
                    run, spent = timed(replace(request, cluster=address), model, folder)
            else:
                run, spent = timed(request, model, folder)
            called = f"{count} worker process{'es' if count > 1 else ''}" if count else "this process, one thread"
            found.append((called, run, spent, used + cpu_s()))
            print(f"{called}: {run.seconds:.1f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    rows = [
        (
            called,
            *(f"{seconds:.1f}" for seconds in (spent, run.seconds - spent, run.seconds, used)),
            f"{found[0][1].seconds / run.seconds:.2f}",
            "yes" if run.steps == found[0][1].steps else "NO",
        )
        for called, run, spent, used in found
    ]
    print(
        markdown(("computed by", "costs, s", "the rest, s", "in all, s", "CPU, s", "times as fast", "same front"), rows)
    )


if __name__ == "__main__":
    main()
