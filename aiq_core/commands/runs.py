"""Commands about runs: list, show, export, import, report; the bundled results and the claims."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from aiq_core import documents, jobs
from aiq_core.commands.console import Json, app, err, out, print_json, print_run, print_runs
from aiq_core.errors import SettingError
from aiq_core.hardware import DEFAULT_MACHINE
from aiq_core.library import open_library
from aiq_core.traffic import TRAFFIC_MODELS


@app.command()
def runs(model: str | None = None, archived: bool = False, as_json: Json = False) -> None:
    """List the runs, bundled and your own."""
    library = open_library()
    jobs.reap(library)
    known = library.runs(None if model is None else library.model(model), archived)
    if as_json:
        return print_json([documents.run_summary(run) for run in known])
    print_runs(library, list(known))


@app.command()
def show(
    run_id: str,
    traffic: Annotated[
        str | None, typer.Option(help=f"How bytes are counted, if not as the run did: {' or '.join(TRAFFIC_MODELS)}.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Everything about one run."""
    library = open_library()
    print_run(library, library.run(run_id), as_json, traffic)


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
        _write(path, exchange.export_run(library, run_id))
    out.print(f"{path}: {path.stat().st_size:,} bytes", soft_wrap=True, markup=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingError(f"{path} cannot be written ({error.strerror}); choose another --output") from None


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

    library = open_library()
    deck = build.build(library, run_ids, library.machine(machine))
    path = output or Path(f"{html.file_name(deck)}.html")
    forms = {".html": html.page, ".json": html.to_json, ".csv": html.table}
    if path.suffix.lower() not in forms:
        raise SettingError(f"{path.name} ends in {path.suffix!r}; choose a name that ends in {', '.join(forms)}")
    _write(path, forms[path.suffix.lower()](deck))
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
