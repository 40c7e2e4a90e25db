"""The command line: `python -m aiq_core --help`."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from aiq_core import __version__, assets, documents, hardware, jobs
from aiq_core.errors import AiqError, SettingError
from aiq_core.hardware import DEFAULT_MACHINE
from aiq_core.intensity import traffic
from aiq_core.library import Library, open_library
from aiq_core.records import Algorithm, Granularity, Policy, Quantizer, Request, Run, RunStatus, SplitName
from aiq_core.search.baselines import uniform

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
out, err = Console(), Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]
Model = Annotated[str, typer.Argument(help="A model that `models` lists.")]
Images = Annotated[int | None, typer.Option(help="Search images, a multiple of 10; all that are here by default.")]
NoBundled = Annotated[bool, typer.Option("--no-bundled", help="Let no bundled evaluation answer.")]

POLL_S = 0.2
LABEL_WIDTH = 100
"""Characters a line from which the list of runs has room for their labels."""


def print_json(document: Any) -> None:
    """The document alone on stdout."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


@app.command()
def models(as_json: Json = False) -> None:
    """List the models with their size and accuracy."""
    cards = [assets.card(name) for name in assets.model_names()]
    if as_json:
        names = ("name", "title", "dataset", "search_top1_percent", "report_top1_percent", "model_hash")
        return print_json([{name: getattr(card, name) for name in names} for card in cards])
    whole = [Column(name, no_wrap=True) for name in ("model", "title", "data")]
    table = Table(*whole, "search top-1 %", "report top-1 %", Column("hash", no_wrap=True), box=box.SIMPLE_HEAD)
    for card in cards:
        table.add_row(
            *(card.name, card.title, card.dataset, f"{card.search_top1_percent:.2f}"),
            *(f"{card.report_top1_percent:.2f}", card.model_hash),
        )
    out.print(table)


@app.command()
def profile(
    model: Model, batch: Annotated[int, typer.Option(help="Images at once.")] = 1, as_json: Json = False
) -> None:
    """Count FLOPs, bytes moved and arithmetic intensity, layer by layer, at FP32."""
    known = assets.profile(model)
    moved = traffic(known, [known.uniform(32)], batch)
    layers = [
        {"name": layer.name, "kind": str(layer.kind), "flops": int(moved.flops[i]), "weights": layer.weights,
         "moved_bytes": int(moved.layer_bytes[0, i]), "intensity": float(moved.layer_intensity[0, i]),
         "quantizable": layer.quantizable}
        for i, layer in enumerate(known.layers)
    ]  # fmt: skip
    document = {
        "model": model,
        "batch": batch,
        "flops": int(moved.flops.sum()),
        "moved_bytes": int(moved.moved_bytes[0]),
        "intensity": float(moved.intensity[0]),
        "layers": layers,
    }
    if as_json:
        return print_json(document)
    table = Table(
        "layer", "FLOPs", "weights", "bytes moved", "FLOPs/byte", title=f"{model}, batch {batch}, FP32, unfused"
    )
    for row in layers:
        name = row["name"] if row["quantizable"] else f"{row['name']} (stays FP32)"
        numbers = (f"{row['flops']:,}", f"{row['weights']:,}", f"{row['moved_bytes']:,}", f"{row['intensity']:.2f}")
        table.add_row(str(name), *numbers)
    table.add_section()
    table.add_row("all", f"{document['flops']:,}", "", f"{document['moved_bytes']:,}", f"{document['intensity']:.4f}")
    out.print(table)


@app.command()
def data() -> None:
    """Fetch CIFAR-10 into the cache; without it the excerpt in assets/ serves."""
    from aiq_core.runtime.data import fetch_cifar10

    fetch_cifar10(err.print)


@app.command()
def train(
    model: Model,
    output: Annotated[Path | None, typer.Option(help="Where weights and card go; ./trained/MODEL.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda for an NVIDIA GPU.")] = "cpu",
) -> None:
    """Train a model by its recipe; killed at any moment, it goes on where it was."""
    from aiq_core.runtime.train import Progress as TrainingProgress
    from aiq_core.runtime.train import train as run_training

    def report(at: TrainingProgress) -> None:
        err.print(f"epoch {at.epoch}/{at.epochs}  loss {at.loss:.4f}  ETA {at.eta_s:.0f} s")

    folder = output or Path("trained") / model
    card = run_training(model, folder, report, device=device)
    out.print(
        f"{model}: {card.search_top1_percent:.2f} % on search, {card.report_top1_percent:.2f} % on report, in {folder}"
    )


@app.command()
def evaluate(
    model: Model,
    bits: Annotated[int | None, typer.Option(help="Every layer at this width.")] = None,
    policy: Annotated[Path | None, typer.Option(help="A JSON file {layer: bits}, or an exported run.")] = None,
    images: Images = None,
    granularity: Granularity = Granularity.CHANNEL,
    no_bundled: NoBundled = False,
    as_json: Json = False,
) -> None:
    """Measure a policy's accuracy on the search and the report images."""
    known = assets.profile(model)
    if (bits is None) == (policy is None):
        raise SettingError("give either --bits or --policy FILE")
    if bits is not None:
        known.policy({known.quantizable_names[0]: bits})
        request = Request(model, Algorithm.UNIFORM, policies=uniform(known, bits), label=f"all at {bits} bits")
    else:
        assert policy is not None
        request = Request(model, Algorithm.MANUAL, policies=(_read_policy(policy, model),), label=policy.name)
    request = replace(
        request,
        images=images or _search_images(model),
        quantizer=Quantizer(granularity=granularity),
        use_bundled=not no_bundled,
    )
    _run(request, as_json)


def _read_policy(path: Path, model: str) -> Policy:
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error.strerror}); give a JSON file of layer: bits") from None
    except ValueError as error:
        raise SettingError(f'{path} is not JSON ({error}); it looks like {{"conv1": 8, "linear": 4}}') from None
    bits = document.get("policy", document) if isinstance(document, dict) else None
    if not isinstance(bits, dict) or not all(isinstance(width, int) for width in bits.values()):
        raise SettingError(f'{path} holds no policy; it looks like {{"conv1": 8, "linear": 4}}')
    return assets.profile(model).policy(bits)


Algorithms = Annotated[Algorithm, typer.Option(help="greedy or coordinate.")]
Widths = Annotated[str, typer.Option(help="Widths on offer, comma-separated.")]
Normaliser = Annotated[
    float | None, typer.Option(help="FLOPs/byte that count as 1; 1.32 x the AI at the lowest widths.")
]
AccuracyNormaliser = Annotated[float, typer.Option(help="Points that count as 1.")]
Floor = Annotated[float | None, typer.Option(help="Lowest search top-1 allowed, %; FP32's minus 2.42 points.")]
Exclude = Annotated[list[str] | None, typer.Option(help="A layer that stays FP32; may be repeated.")]
Fix = Annotated[list[str] | None, typer.Option(help="LAYER=BITS held from the start; may be repeated.")]
MaxEvaluations = Annotated[int | None, typer.Option(help="Stop at the best so far after this many evaluations.")]
MaxMinutes = Annotated[float | None, typer.Option(help="Stop at the best so far after this many minutes.")]


@app.command()
def search(
    model: Model,
    alpha: Annotated[float, typer.Option(help="0 (only accuracy) to 1 (only AI).")] = 0.9,
    algorithm: Algorithms = Algorithm.GREEDY,
    widths: Widths = "32,8,4",
    intensity_normaliser: Normaliser = None,
    accuracy_normaliser: AccuracyNormaliser = 10.0,
    floor: Floor = None,
    exclude: Exclude = None,
    fix: Fix = None,
    images: Images = None,
    max_evaluations: MaxEvaluations = None,
    max_minutes: MaxMinutes = None,
    no_bundled: NoBundled = False,
    as_json: Json = False,
) -> None:
    """Search a policy; nothing is ever evaluated twice, and Ctrl-C loses nothing."""
    request = Request(
        model,
        _searching(algorithm),
        alpha,
        widths=_numbers(widths),
        intensity_normaliser=intensity_normaliser,
        accuracy_normaliser=accuracy_normaliser,
        floor_percent=floor,
        excluded=tuple(exclude or ()),
        fixed=_fixed(fix or []),
        images=images or _search_images(model),
        max_evaluations=max_evaluations,
        max_minutes=max_minutes,
        use_bundled=not no_bundled,
    )
    _run(request, as_json)


@app.command()
def sweep(
    model: Model,
    alphas: Annotated[str, typer.Option(help="FIRST:LAST:STEP, or a comma-separated list.")] = "0:1:0.1",
    algorithm: Algorithms = Algorithm.GREEDY,
    images: Images = None,
    no_bundled: NoBundled = False,
    as_json: Json = False,
) -> None:
    """Search at many alphas on one memo."""
    library = open_library()
    count = images or _search_images(model)
    requests = [
        Request(model, _searching(algorithm), alpha, images=count, use_bundled=not no_bundled)
        for alpha in _alphas(alphas)
    ]
    runs = jobs.submit_sweep(library, requests)
    try:
        finished = [_follow(library, run.id, as_json) for run in runs]
    except typer.Exit:
        for run in runs:  # Ctrl-C ends the sweep, not only the run that was watched
            jobs.cancel(library, run.id)
        raise
    if as_json:
        return print_json([documents.run_document(library, run) for run in finished])
    _print_runs(library, finished)


def _searching(algorithm: Algorithm) -> Algorithm:
    if algorithm not in (Algorithm.GREEDY, Algorithm.COORDINATE):
        raise SettingError(f"algorithm={algorithm} does not search; choose greedy or coordinate")
    return algorithm


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}, reverse=True))
    except ValueError:
        raise SettingError(f"widths={text!r} cannot be read; write them like 32,8,4") from None


def _alphas(text: str) -> list[float]:
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        first, last, step = (float(part) for part in text.split(":"))
        if not step > 0 or not 0 <= first <= last <= 1:
            raise ValueError(text)
        # Rounded: 0.1 added up is not 0.3, and the alpha names the run.
        return [round(first + index * step, 10) for index in range(int((last - first) / step + 1e-9) + 1)]
    except ValueError:
        raise SettingError(f"alphas={text!r} cannot be read; write 0:1:0.1 or 0.1,0.5,0.9, within 0 and 1") from None


def _fixed(parts: list[str]) -> dict[str, int]:
    fixed = {}
    for part in parts:
        name, _, bits = part.partition("=")
        if not bits.isdigit():
            raise SettingError(f"fix={part!r} cannot be read; write it like conv1=8")
        fixed[name] = int(bits)
    return fixed


def _search_images(model: str) -> int:
    """All search images where they were fetched, else those of the excerpt."""
    dataset = assets.card(model).dataset
    whole = assets.has_all_images(dataset)
    return assets.split_size(dataset, SplitName.SEARCH) if whole else assets.excerpt_size(dataset)


def _run(request: Request, as_json: bool) -> None:
    library = open_library()
    assets.card(request.model)
    run = _follow(library, jobs.submit(library, request).id, as_json)
    if as_json:
        return print_json(documents.run_document(library, run))
    _print_run(library, run)


def _follow(library: Library, run_id: str, quiet: bool) -> Run:
    """Watches a run to its end; Ctrl-C cancels it and says how to go on. Raises AiqError where it did not end well."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
            task = progress.add_task("queued", total=None)
            while (run := library.store.run(run_id)).status in jobs.UNFINISHED:
                jobs.ensure_worker(library)
                progress.update(
                    task, description=_describe(run), total=jobs.expected_steps(run), completed=len(run.steps)
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


def _describe(run: Run) -> str:
    if not run.steps:
        return f"{run.status}"
    best, correct = run.steps[-1], run.steps[-1].correct
    eta = jobs.eta_s(run)
    left = "" if eta is None else f", about {eta:.0f} s left"
    return (
        f"step {len(run.steps)}: AI {best.intensity:.2f}, {100 * correct / run.request.images:.2f} % on search, "
        f"{run.evaluations} evaluations{left}"
    )


@app.command()
def resume(run_id: str, as_json: Json = False) -> None:
    """Go on with a run that was cancelled, interrupted or failed."""
    library = open_library()
    jobs.resume(library, run_id)
    run = _follow(library, run_id, as_json)
    if as_json:
        return print_json(documents.run_document(library, run))
    _print_run(library, run)


@app.command()
def runs(model: str | None = None, archived: bool = False, as_json: Json = False) -> None:
    """List the runs, bundled and your own."""
    library = open_library()
    jobs.reap(library)
    known = library.runs(model, archived)
    if as_json:
        return print_json([documents.run_summary(run) for run in known])
    _print_runs(library, list(known))


@app.command()
def show(run_id: str, as_json: Json = False) -> None:
    """Everything about one run."""
    library = open_library()
    run = library.run(run_id)
    if as_json:
        return print_json(documents.run_document(library, run))
    _print_run(library, run)


def _print_runs(library: Library, known: list[Run]) -> None:
    # Whole also at 80 characters, where labels have no room: an id that is cut can't be used.
    widths = {"id": 10, "model": 20, "search": 14, "status": 6, "AI": 6, "top-1 %": 7}
    whole = (Column(name, no_wrap=True, min_width=width) for name, width in widths.items())
    labels = ("label",) if out.width >= LABEL_WIDTH else ()
    table = Table(*whole, *labels, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for run in known:
        alpha = "" if run.request.alpha is None else f" {run.request.alpha:g}"
        table.add_row(
            *(run.id, run.request.model, f"{run.request.algorithm}{alpha}", str(run.status)),
            *documents.policy_figures(library, run),
            *(run.request.label or "" for _ in labels),
        )
    out.print(table)


def _print_run(library: Library, run: Run) -> None:
    document = documents.run_document(library, run)
    out.print(
        f"[bold]{run.id}[/bold] {run.request.model} {run.request.algorithm} alpha {run.request.alpha}: {run.status}"
    )
    for line in documents.sentences(document):
        out.print(line, highlight=False)
    if run.policy is not None:
        table = Table("layer", "bits")
        for name, width in document["policy"].items():
            table.add_row(name, "FP32" if width == 32 else str(width))
        out.print(table)


@app.command()
def export(
    run_id: Annotated[str | None, typer.Argument(help="The run; leave out with --all.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to; RUN.json, or aiq-explorer.sqlite.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Your whole store, as one SQLite file.")] = False,
) -> None:
    """Write a run with its predictions to a JSON file, or your whole store to a SQLite file."""
    from aiq_core import exchange

    if everything == (run_id is not None):
        raise SettingError("give either a RUN or --all")
    library = open_library()
    path = output or Path("aiq-explorer.sqlite" if run_id is None else f"{run_id}.json")
    if run_id is None:
        library.store.copy_to(path)
    else:
        text = exchange.export_run(library, run_id)
        try:
            path.write_text(text)
        except OSError as error:
            raise SettingError(f"{path} cannot be written ({error.strerror}); choose another --output") from None
    out.print(f"{path}: {path.stat().st_size:,} bytes", soft_wrap=True, markup=False)


@app.command()
def report(
    run_ids: Annotated[list[str], typer.Argument(help="One run, or several to compare.", metavar="RUN...")],
    output: Annotated[
        Path | None, typer.Option(help="Where to; .html for slides, .json or .csv for their data.")
    ] = None,
    machine: Annotated[
        str, typer.Option(help="The machine of the roofline, as in the app's address.")
    ] = DEFAULT_MACHINE,
) -> None:
    """Write runs as slides: one HTML file that opens without a network, or their data."""
    from aiq_core.deck import build, html

    deck = build.build(open_library(), run_ids, hardware.machine(machine))
    path = output or Path(f"{html.file_name(deck)}.html")
    forms = {".html": html.page, ".json": html.to_json, ".csv": html.table}
    if path.suffix.lower() not in forms:
        raise SettingError(f"{path.name} ends in {path.suffix!r}; choose a name that ends in {', '.join(forms)}")
    try:
        path.write_text(forms[path.suffix.lower()](deck), encoding="utf-8")
    except OSError as error:
        raise SettingError(f"{path} cannot be written ({error.strerror}); choose another --output") from None
    out.print(f"{path}: {len(deck.slides)} slides, {path.stat().st_size:,} bytes", soft_wrap=True, markup=False)


@app.command(name="import")
def import_(path: Path) -> None:
    """Take in what `export` wrote: it is shown with its origin and never answers a search here."""
    from aiq_core import exchange

    taken = exchange.import_file(open_library(), path)
    for run in taken:
        out.print(f"{run.id}: {run.request.model} {run.request.algorithm}, imported")
    if not taken:
        out.print("Every run in it is known here already")


@app.command()
def results() -> None:
    """Make the bundled results in assets/ that are missing; interrupted, it goes on where it was."""
    from aiq_core import results as bundled

    bundled.make(err.print)


@app.command()
def claims(as_json: Json = False) -> None:
    """Recompute every headline claim, the paper's and ours, from the stored evaluations."""
    from aiq_core import claims as evidence

    known = evidence.claims(open_library())
    if as_json:
        return print_json([evidence.document(claim) for claim in known])
    table = Table("", "claim", "paper", "measured (95 %)", "run", "how")
    for claim in known:
        paper, measured = evidence.figure(claim, claim.paper), evidence.figure(claim, claim.measured, interval=True)
        table.add_row(evidence.mark(claim), claim.statement, paper, measured, claim.run or "", claim.note)
    out.print(table)


@app.command(name="assets")
def make_assets() -> None:
    """Make the profiles, excerpts and labels in assets/ again."""
    from aiq_core.runtime.bundle import bundle

    bundle(err.print)


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)


def main(command: Callable[[], None] = app) -> None:
    """Runs the command line; what a user can mend ends in one line, not in a traceback."""
    try:
        command()
    except AiqError as error:
        # As it is, on one line: what a user typed may look like markup, and a pipe is not 80 columns wide.
        text = Text.assemble(("error:", "red"), " ", " ".join(str(error).split()))
        err.print(text, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
