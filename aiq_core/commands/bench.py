"""The command that times a model's variants in every engine on this machine."""

from typing import Annotated, Any

import typer
from rich import box
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from aiq_core.commands.console import Json, ModelName, app, err, out, print_json
from aiq_core.deployment.engine import Engine
from aiq_core.deployment.rows import Row
from aiq_core.errors import SettingError
from aiq_core.library import open_library
from aiq_core.tasks.bench import BATCHES, Benched, Wanted, benched
from aiq_core.wording import number, signed


@app.command()
def bench(
    model: ModelName,
    run: Annotated[str | None, typer.Option(help="The run whose policy is timed too; of a front its point.")] = None,
    batch: Annotated[str, typer.Option(help="Images at once, comma-separated.")] = ",".join(map(str, BATCHES)),
    threads: Annotated[int, typer.Option(help="Threads of each engine.")] = 1,
    engines: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(Engine)}.")] = ",".join(Engine),
    experiment: Annotated[bool, typer.Option("--experiment", help="The variants of the paper's experiment.")] = False,
    as_json: Json = False,
) -> None:
    """Time a model as it is deployed: PyTorch, ONNX Runtime, OpenVINO, in rounds side by side; and its accuracy."""
    wanted = Wanted(
        model, run, _batches(batch), threads, tuple(filter(None, engines.split(","))), experiment=experiment
    )
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=as_json) as progress:
        task = progress.add_task("", total=1.0)
        found = benched(
            open_library(), wanted, lambda share, told: progress.update(task, completed=share, description=told)
        )
    if as_json:
        return print_json(document(found, wanted))
    _print(found)


def _batches(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise SettingError(f"batch={text!r} cannot be read; write it like {','.join(map(str, BATCHES))}") from None


def document(found: Benched, wanted: Wanted) -> dict[str, Any]:
    """What was found as JSON: a row a variant, engine and batch; an engine that is not installed has a note."""
    place = found.place
    return {
        "machine": place.cpu,
        "threads": place.threads,
        "flags": list(place.flags),
        "versions": dict(place.versions),
        "model": found.model.name,
        "run": wanted.run,
        "rows": [
            *(row.to_json() for row in found.rows),
            *({"engine": str(engine), "note": note} for engine, note in found.missing.items()),
        ],
    }


def _print(found: Benched) -> None:
    place = found.place
    versions = ", ".join(f"{name} {version}" for name, version in place.versions.items())
    threads = "1 thread" if place.threads == 1 else f"{place.threads} threads"
    out.print(f"[bold]{place.cpu}[/bold], {threads}; {versions}", highlight=False)
    for batch in dict.fromkeys(row.timing.batch for row in found.rows):
        table = Table("engine", "variant", "images/s", "× its FP32", "× eager", "points lost", box=box.SIMPLE_HEAD)
        for row in found.rows:
            if row.timing.batch == batch:
                table.add_row(*_cells(row))
        out.print(f"batch {batch}", table, sep="\n")
    for engine, note in found.missing.items():
        out.print(f"{engine.words}: {note}", highlight=False, markup=False)
    unsteady = {row.timing.batch: row.timing.unsteady for row in found.rows if row.timing.unsteady}
    for batch, rounds in unsteady.items():
        out.print(
            f"batch {batch}: {rounds} rounds stayed more than 2 × off the median, though measured again: the clock or "
            "the load of this machine jumps; bench it again when it is quiet",
            highlight=False,
        )


def _cells(row: Row) -> tuple[str, ...]:
    judged, eager = row.against_fp32, row.timing.ratio_to_eager_fp32
    own = None if row.variant.is_fp32 else row.timing.ratio_to_engine_fp32
    return (
        _SHORT[row.engine],
        row.variant.name,
        number(row.timing.images_per_s.value, 0),
        "–" if own is None else f"{number(own.value, 2)} ({number(own.low, 2)}–{number(own.high, 2)})",
        "–" if eager is None else number(eager.value, 2),
        "–" if judged is None else signed(judged.drop.value, 2),
    )


_SHORT = {
    Engine.EAGER: "eager",
    Engine.CHANNELS_LAST: "eager, NHWC",
    Engine.ONNX_RUNTIME: "ONNX Runtime",
    Engine.OPENVINO: "OpenVINO",
}
"""For a table in a terminal."""
