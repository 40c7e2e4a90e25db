"""What every command shares: the consoles, the common options, and how runs are followed and printed."""

import json
import sys
import time
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from aiq_core import documents, jobs
from aiq_core.errors import AiqError
from aiq_core.frontier import Budget
from aiq_core.library import Library
from aiq_core.records import FP32_BITS, UNFUSED, Request, Run, RunStatus
from aiq_core.traffic import TRAFFIC_MODELS
from aiq_core.wording import number, signed, size

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The command line: `python -m aiq_core --help`.",
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]
ModelName = Annotated[str, typer.Argument(help="A model that `models` lists.")]
Images = Annotated[int | None, typer.Option(help="Search images; all that are here by default.")]
Traffic = Annotated[str, typer.Option(help=f"How bytes are counted: {' or '.join(TRAFFIC_MODELS)}.")]
NoBundled = Annotated[bool, typer.Option("--no-bundled", help="Let no bundled evaluation answer.")]
ClusterAddress = Annotated[
    str | None, typer.Option("--cluster", help="The scheduler whose workers compute, such as tcp://host:8786.")
]
DeviceName = Annotated[str | None, typer.Option("--device", help="What evaluates: cpu or cuda; AIQ_DEVICE, or cpu.")]

POLL_S = 0.2
LABEL_WIDTH = 100
"""Characters a line from which the list of runs has room for their labels."""


def print_json(document: Any) -> None:
    """The document alone on stdout."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def run(library: Library, request: Request, as_json: bool) -> None:
    """Submits a request, watches it to its end and prints it."""
    print_run(library, follow(library, jobs.submit(library, request).id, as_json), as_json)


def follow(library: Library, run_id: str, quiet: bool) -> Run:
    """Watches a run to its end; Ctrl-C cancels it and says how to go on. Raises AiqError where it did not end well."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
            task = progress.add_task("queued", total=None)
            while (run := library.store.run(run_id)).status in jobs.UNFINISHED:
                jobs.ensure_worker(library)
                progress.update(
                    task,
                    description=_describe(library, run),
                    total=jobs.expected_steps(library, run),
                    completed=len(run.steps),
                )
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        jobs.cancel(library, run_id)
        err.print(
            f"Cancelled; what was evaluated is kept. Go on with [bold]python -m aiq_core resume {run_id}[/bold]",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(130) from None
    if run.status is not RunStatus.DONE:
        raise AiqError(f"run {run_id} is {run.status}: {run.message or 'its process died; resume goes on from there'}")
    return library.run(run_id)


def _describe(library: Library, run: Run) -> str:
    if not run.steps:
        return run.message or f"{run.status}"
    best, correct = run.steps[-1], run.steps[-1].score
    eta = jobs.eta_s(library, run)
    left = "" if eta is None else f", about {eta:.0f} s left"
    return (
        f"step {len(run.steps)}: AI {best.intensity:.2f}, {100 * correct / run.request.images:.2f} % on search, "
        f"{run.evaluations} evaluations{left}"
    )


def print_runs(library: Library, known: list[Run]) -> None:
    """A table of runs."""
    # Whole also at 80 characters, where labels have no room: an id that is cut can't be used.
    widths = {"id": 10, "model": 20, "search": 14, "status": 6, "AI": 6, "top-1 %": 7}
    whole = (Column(name, no_wrap=True, min_width=width) for name, width in widths.items())
    labels = ("label",) if out.width >= LABEL_WIDTH else ()
    table = Table(*whole, *labels, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for run in known:
        alpha = "" if run.request.alpha is None else f" {run.request.alpha:g}"
        counted = "" if run.request.traffic == UNFUSED else f", {run.request.traffic}"
        table.add_row(
            *(run.id, run.request.model, f"{run.request.algorithm}{alpha}{counted}", str(run.status)),
            *documents.policy_figures(library, run),
            *(run.request.label or "" for _ in labels),
        )
    out.print(table)


def print_run(library: Library, run: Run, as_json: bool, by: str | None = None, within: Budget | None = None) -> None:
    """Everything of a run, as one JSON document or for reading, by its own traffic model unless told otherwise."""
    document = documents.run_document(library, run, by, within)
    if as_json:
        return print_json(document)
    out.print(
        f"[bold]{run.id}[/bold] {run.request.model} {run.request.algorithm} alpha {run.request.alpha}: {run.status}"
    )
    for line in documents.sentences(document):
        out.print(line, highlight=False, markup=False)
    if "points" in document:
        _print_front(document)
    if run.policy is not None:
        profile, policy = library.model(run.request.model).profile, run.policy
        table = Table(Column("layer", overflow="fold"), "bits")
        for site in profile.sites if policy.has_activations else profile.weight_sites:
            width = profile.width(policy, site)
            table.add_row(str(site), "FP32" if width == FP32_BITS else str(width))
        out.print(table)


def _print_front(document: dict[str, Any]) -> None:
    """A line a point, and the one that a budget leaves."""
    keys = ("bits",) if out.width >= LABEL_WIDTH else ()
    timed = ("µs an image",) if any("predicted_us_an_image" in point for point in document["points"]) else ()
    names = ("AI", "gain", *timed, "lost, confirm", "95 %", "report", "stored")
    heads = (Column(name, no_wrap=True) for name in names)
    table = Table(*heads, *keys, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for point in document["points"]:
        drop, judged = point["confirm_drop_points"], point["report_drop_points"]
        interval = point["confirm_drop_interval"]
        table.add_row(
            number(point["intensity"], 1) + (" " if point["beaten"] else " ◆"),
            f"{signed(point['intensity_gain_percent'], 0)} %",
            *(number(point["predicted_us_an_image"], 1) for _ in timed),
            "" if drop is None else number(drop, 2),
            "" if interval is None else " to ".join(number(end, 2) for end in interval),
            "" if judged is None else number(judged, 2),
            size(point["stored_bytes"]),
            *(point["policy_key"] for _ in keys),
        )
    out.print(table)
    gain = "is faster, as predicted," if timed else "has more AI"
    out.print(f"◆ no other point {gain} and has more right on the images that confirm", highlight=False)
    if "chosen" in document:
        words = document["budget"]
        chosen = document["chosen"]
        name = "nothing" if chosen is None else chosen["policy_key"]
        out.print(f"{words}: {name}; {document['choice']}", highlight=False, markup=False, soft_wrap=True)
