"""Commands about this machine and what runs on it: its roof, and policies as files."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from aiq_core.commands.console import Json, app, err, out, print_json
from aiq_core.errors import SettingError
from aiq_core.library import open_library
from aiq_core.records import Policy
from aiq_core.roof import Roof, Spread, threads_words
from aiq_core.tasks.export import Format
from aiq_core.tasks.measure import measured, most_threads
from aiq_core.wording import prefixed_rate, size


@app.command()
def measure(
    threads: Annotated[str, typer.Option(help="Numbers of threads, comma-separated; one and all by default.")] = "",
    as_json: Json = False,
) -> None:
    """Measure this machine's roof: bandwidth by footprint, and peak rates a number type."""
    found = measured(
        open_library(), _threads(threads), lambda share, told: None if as_json else err.print(told, highlight=False)
    )
    if as_json:
        return print_json(document(found[-1]) | {"roofs": [document(roof) for roof in found]})
    for roof in found:
        _print(roof)


def _threads(text: str) -> list[int] | None:
    try:
        return [int(part) for part in text.split(",")] if text else None
    except ValueError:
        raise SettingError(f"threads={text!r} cannot be read; write them like 1,{most_threads()}") from None


def document(roof: Roof) -> dict[str, Any]:
    """A roof as JSON: bytes/s a level, operations/s a type, each with its lowest and highest round."""

    def spread(rate: Spread) -> dict[str, float]:
        return {"value": rate.value, "low": rate.low, "high": rate.high}

    return {
        "machine": roof.cpu,
        "threads": roof.threads,
        "bandwidth_bytes_per_s": {
            level.name: spread(level.rate) | {"footprint_bytes": level.footprint_bytes} for level in roof.levels
        },
        "peak_flops": {str(kind): spread(rate) for kind, rate in roof.peaks.items()},
        "flags": list(roof.flags),
        "versions": dict(roof.versions),
        "created_at": roof.created_at,
        "seconds": roof.seconds,
        "curve": [
            {"footprint_bytes": point.footprint_bytes, "kernel": point.kernel} | spread(point.rate)
            for point in roof.curve
        ],
    }


def _print(roof: Roof) -> None:
    out.print(
        f"[bold]{roof.cpu}[/bold], {threads_words(roof.threads)}, measured in {roof.seconds:.0f} s", highlight=False
    )
    table = Table("", "sustained", "lowest", "highest", box=box.SIMPLE_HEAD)
    for level in roof.levels:
        rates = (f"{prefixed_rate(rate, ' ')}B/s" for rate in (level.rate.value, level.rate.low, level.rate.high))
        table.add_row(f"{level.name}, up to {size(level.footprint_bytes)}", *rates)
    for kind, rate in roof.peaks.items():
        rates = (f"{prefixed_rate(each, ' ')}OP/s" for each in (rate.value, rate.low, rate.high))
        table.add_row(str(kind), *rates)
    out.print(table)


@app.command(name="export-model")
def export_model(
    run_id: Annotated[str, typer.Argument(help="The run whose policy is written.")],
    form: Annotated[Format, typer.Option("--format", help="onnx runs; packed only stores.")] = Format.ONNX,
    output: Annotated[Path | None, typer.Option(help="Where to; MODEL-RUN.onnx or .aiq.")] = None,
    policy: Annotated[str | None, typer.Option(help="A policy's key, for a run of many.")] = None,
    check: Annotated[bool, typer.Option(help="Run the file on report images beside the simulation.")] = True,
    reduce_range: Annotated[
        bool, typer.Option("--reduce-range", help="7-bit weights where sums could saturate on CPUs without VNNI.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a run's policy as an ONNX model, or packed to its widths."""
    from aiq_core.runtime.export import exported, packed

    library = open_library()
    run = library.run(run_id)
    model = library.model(run.request.model)
    chosen = run.policy or (run.request.policies[0] if len(run.request.policies) == 1 else None)
    if policy is not None:
        chosen = Policy.from_key(policy)
    if chosen is None:
        raise SettingError(
            f"run {run_id} has {len(run.steps)} policies; name one by --policy KEY, as `show` prints them"
        )
    path = output or Path(f"{model.name}-{run_id}.{form.suffix}")
    quantizer = run.request.quantizer
    if form is Format.ONNX:
        found = exported(model, chosen, quantizer, path, check, reduce_range)
    elif reduce_range:
        raise SettingError("--reduce-range is for files that run; packed ones only store: leave it out")
    else:
        found = packed(model, chosen, quantizer, path, check)
    if as_json:
        return print_json(found)
    out.print(f"{path}: {size(path.stat().st_size)}", highlight=False, soft_wrap=True, markup=False)
    for line in found["said"]:
        out.print(line, highlight=False, soft_wrap=True, markup=False)
