"""The command of machines that compute for others."""

from typing import Annotated

import typer

from aiq_core.commands.console import DeviceName, app

Threads = Annotated[int | None, typer.Option(help="Threads of PyTorch; OMP_NUM_THREADS, or one a core.")]
Name = Annotated[str | None, typer.Option(help="What runs call it; its address by default.")]


@app.command()
def worker(
    address: Annotated[str, typer.Argument(help="The scheduler's, such as tcp://host:8786.")],
    threads: Threads = None,
    name: Name = None,
    device: DeviceName = None,
) -> None:
    """Compute for the runs of a dask scheduler, until it ends; docs/cluster.md has more."""
    from aiq_core.runtime.cluster.remote import serve

    serve(address, threads, name, device)
