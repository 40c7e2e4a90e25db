"""Commands about the machines that predictions are for: presets, measured ones and entered ones."""

from typing import Annotated, Any

import typer
from rich import box
from rich.table import Column, Table

from aiq_core import entered
from aiq_core.commands.console import Json, app, out, print_json
from aiq_core.hardware import Machine
from aiq_core.library import open_library
from aiq_core.wording import prefixed_rate, rate

machines = typer.Typer(help="The machines that predictions are for; `machines add` and `machines remove` your own.")
app.add_typer(machines, name="machines")

Rate = Annotated[float | None, typer.Option(help="Peak rate in operations/s, a multiply-add being two.")]


@machines.callback(invoke_without_command=True)
def listed(context: typer.Context, as_json: Json = False) -> None:
    """List every machine: presets, then measured ones, then entered ones."""
    if context.invoked_subcommand is not None:
        return
    known = open_library().machines.values()
    if as_json:
        return print_json([document(machine) for machine in known])
    table = Table(Column("key", no_wrap=True), "name", "bandwidth", "peak rates", "", box=box.SIMPLE_HEAD)
    for machine in known:
        memory = f"{prefixed_rate(machine.bandwidth.value, ' ')}B/s"
        rates = ", ".join(f"{kind} {rate(source.value, kind)}" for kind, source in machine.rates.items())
        table.add_row(machine.key, machine.name, memory, rates, str(machine.bandwidth.kind))
    out.print(table)


@machines.command()
def add(
    key: Annotated[str, typer.Argument(help="Its name in addresses: a to z, 0 to 9 and hyphens.")],
    name: Annotated[str, typer.Option(help="As menus show it.")],
    bandwidth: Annotated[float, typer.Option(help="Of its memory, in bytes/s, such as 25e9.")],
    fp32: Rate = None,
    tf32: Rate = None,
    fp16: Rate = None,
    bf16: Rate = None,
    int8: Rate = None,
    int4: Rate = None,
) -> None:
    """Enter a machine by its data sheet."""
    rates = {"FP32": fp32, "TF32": tf32, "FP16": fp16, "BF16": bf16, "INT8": int8, "INT4": int4}
    given = {kind: value for kind, value in rates.items() if value is not None}
    library = open_library()
    library.add_machine(entered.machine(key, name, bandwidth, given))
    out.print(f"{library.machine(key).name} is offered as {key} everywhere", highlight=False, markup=False)


@machines.command()
def remove(key: Annotated[str, typer.Argument(help="The key of a machine that was entered.")]) -> None:
    """Forget a machine that was entered."""
    open_library().remove_machine(key)
    out.print(f"{key} is removed", highlight=False, markup=False)


def document(machine: Machine) -> dict[str, Any]:
    """A machine as JSON: bytes/s and operations/s, each with who vouches for it."""
    return {
        "key": machine.key,
        "name": machine.name,
        "bandwidth_bytes_per_s": machine.bandwidth.value,
        "peak_flops": {str(kind): source.value for kind, source in machine.rates.items()},
        "fp32_typed": None if machine.fp32_typed is None else str(machine.fp32_typed),
        "kind": str(machine.bandwidth.kind),
        "grade": machine.grade,
        "note": machine.note,
    }
