"""The command that times a linear layer with real kernels."""

from typing import Annotated, Any

import typer
from rich import box
from rich.table import Column, Table

from aiq_core.charts.linear import message, provenance
from aiq_core.commands.console import Json, app, err, out, print_json
from aiq_core.errors import SettingError
from aiq_core.library import open_library
from aiq_core.linear import BATCHES, KERNELS, Linear, baseline, rows_of
from aiq_core.tasks.linear import SIZE, timed
from aiq_core.wording import number, significant


@app.command()
def linear(
    rows: Annotated[int, typer.Option(help="Outputs of the layer.")] = SIZE,
    columns: Annotated[int, typer.Option(help="Its inputs.")] = SIZE,
    batch: Annotated[str, typer.Option(help="Batches, comma-separated.")] = ",".join(map(str, BATCHES)),
    threads: Annotated[int, typer.Option(help="Threads of each engine.")] = 1,
    as_json: Json = False,
) -> None:
    """Time a linear layer in FP32, 8 and 4 bits with real kernels, weights cold, by batch."""

    heard = ""

    def say(share: float, told: str) -> None:
        nonlocal heard
        if not as_json and told != heard:
            err.print(f"{100 * share:3.0f} %  {told}", highlight=False)
        heard = told

    found = timed(open_library(), rows, columns, _batches(batch), threads, say)
    if as_json:
        return print_json(document(found))
    _print(found)


def _batches(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise SettingError(f"batch={text!r} cannot be read; write them like 1,8,64") from None


def document(found: Linear) -> dict[str, Any]:
    """A timed layer as JSON: a row a kernel and batch, and one for each kernel that was not timed."""
    return {
        "machine": found.cpu,
        "threads": found.threads,
        "rows": found.rows,
        "columns": found.columns,
        "cold": found.is_cold,
        "ridge": {KERNELS[key].engine: _ridge(found, key) for key in found.narrow},
        "kernels": rows_of(found),
        "versions": dict(found.versions),
        "created_at": found.created_at,
        "seconds": found.seconds,
    }


def _ridge(found: Linear, key: str) -> dict[str, float | None]:
    batch = found.ridge_batch(key)
    return {"flops_per_byte": found.ridge(key), "batch": batch if batch < float("inf") else None}


def _print(found: Linear) -> None:
    out.print(provenance(found), highlight=False, markup=False)
    batches = found.measured_batches
    names = (Column("batch", no_wrap=True), Column("", no_wrap=True))
    title = "FP32 in ms, the others × its speed"
    table = Table(*names, *map(str, batches), box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), title=title)
    for key in dict.fromkeys(each.kernel for each in found.timings):
        at = [found.table.get((key, batch)) for batch in batches]
        is_fp32 = key == baseline(key)
        cells = (
            each and (significant(1e3 * each.seconds.value) if is_fp32 else number(each.gain.value, 1)) for each in at
        )
        table.add_row(KERNELS[key].engine if is_fp32 else "", KERNELS[key].width, *(cell or "–" for cell in cells))
    out.print(table)
    for bits in (4, 8):
        fastest = found.fastest(bits)
        if fastest is not None:
            gain = found.table[fastest, batches[0]].gain
            spread = f"rounds {number(gain.low, 2)} to {number(gain.high, 2)} ×"
            out.print(f"{KERNELS[fastest].name}: {message(found, fastest)} ({spread}).", highlight=False, markup=False)
    for key, why in found.missing.items():
        out.print(f"{KERNELS[key].name}: not timed, {why}", highlight=False, markup=False, soft_wrap=True)
