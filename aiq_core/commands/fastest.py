"""The search for time: a table of kernels on this machine, and the frontier along the time that it predicts."""

from typing import Annotated

import typer
from rich.progress import Progress

from aiq_core import jobs, space
from aiq_core.commands.console import Images, Json, ModelName, app, err, follow, print_run
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.prediction import Measured
from aiq_core.errors import look_up
from aiq_core.frontier import Quantity, parse_budgets
from aiq_core.library import Library, open_library
from aiq_core.records import KernelTable, SplitName
from aiq_core.tasks import kernels

Runtime = Annotated[str, typer.Option("--engine", help=f"What runs it: {' or '.join(RUNTIMES)}.")]
Batch = Annotated[int, typer.Option(help="Images a batch.")]
Threads = Annotated[int, typer.Option(help="Threads that it runs on.")]
Again = Annotated[bool, typer.Option("--measure-again", help="Measure the kernels anew where they are known.")]
Within = Annotated[
    list[str] | None, typer.Option(help="A budget, such as drop<=0.5 or stored<=0.3MB; may be repeated.")
]


@app.command()
def fastest(
    model: ModelName,
    engine: Runtime = Engine.ONNX_RUNTIME,
    batch: Batch = 32,
    threads: Threads = 1,
    points: Annotated[int, typer.Option(help="Points of the front.")] = space.TIME_POINTS,
    within: Within = None,
    images: Images = None,
    measure_again: Again = False,
    as_json: Json = False,
) -> None:
    """The policies of least predicted cost at each time in a runtime here: which layers to run in INT8."""
    library = open_library()
    known = library.model(model)
    table = _table(
        library,
        model,
        look_up("engine", engine, {each: each for each in RUNTIMES}),
        batch,
        threads,
        measure_again,
        as_json,
    )
    budgets = parse_budgets(within or ())
    request = space.JOINT.time_request(
        model,
        space.JOINT.quantizer(known.dataset),
        known.profile,
        images or known.dataset.available(SplitName.SEARCH),
        table.hash,
        points,
        tuple(str(budget) for budget in budgets if budget.is_linear),
    )
    run = follow(library, jobs.submit(library, request).id, as_json)
    drop = next((budget for budget in budgets if budget.quantity is Quantity.DROP), None)
    print_run(library, run, as_json, within=drop)


def _table(
    library: Library, model: str, engine: Engine, batch: int, threads: int, again: bool, quiet: bool
) -> KernelTable:
    """The table of this CPU: the one that is known, or measured now."""
    from aiq_core.runtime.cpu import cpu_kind

    known = Measured.of(library, library.model(model).hash, engine, batch, threads, cpu_kind()).table
    if known is not None and not again:
        return known
    with Progress(console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task("measuring kernels", total=1.0)
        return kernels.measured(
            library,
            model,
            engine,
            batch,
            threads,
            lambda share, told: progress.update(task, completed=share, description=told),
        )
