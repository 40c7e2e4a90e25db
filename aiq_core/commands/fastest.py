"""The search for time: a table of kernels on this machine, and the frontier along the time that it predicts."""

from typing import Annotated

import typer
from rich.progress import Progress

from aiq_core import jobs, space
from aiq_core.commands.console import Images, Json, ModelName, app, err, follow, print_run
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.errors import look_up
from aiq_core.frontier import Quantity, parse_budgets
from aiq_core.library import open_library
from aiq_core.tasks import fastest as search
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
    budgets = parse_budgets(within or ())
    runtime = look_up("engine", engine, {str(each): each for each in RUNTIMES})
    counted = tuple(str(budget) for budget in budgets if budget.is_linear)
    with Progress(console=err, transient=True, disable=as_json) as progress:
        task = progress.add_task("measuring kernels", total=1.0)
        take = kernels.measured if measure_again else search.known_table
        table = take(
            library,
            model,
            runtime,
            batch,
            threads,
            lambda share, told: progress.update(task, completed=share, description=told),
        )
    request = search.request(library, model, table, points, counted, images)
    run = follow(library, jobs.submit(library, request).id, as_json)
    drop = next((budget for budget in budgets if budget.quantity is Quantity.DROP), None)
    print_run(library, run, as_json, within=drop)
