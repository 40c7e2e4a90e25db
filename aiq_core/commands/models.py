"""Commands about networks and data: what there is, counted, fetched, trained."""

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Column, Table

from aiq_core import __version__, catalog, intensity
from aiq_core.commands.console import Json, ModelName, Traffic, app, err, out, print_json
from aiq_core.library import open_library
from aiq_core.records import UNFUSED


@app.command()
def models(as_json: Json = False) -> None:
    """List the models with their size and accuracy."""
    cards = [known.card for known in open_library().models.values()]
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
    model: ModelName,
    batch: Annotated[int, typer.Option(help="Images at once.")] = 1,
    traffic: Traffic = UNFUSED,
    as_json: Json = False,
) -> None:
    """Count FLOPs, bytes moved and arithmetic intensity, layer by layer, at FP32."""
    known = open_library().profile(model)
    moved = intensity.traffic(known, [known.uniform(32)], batch, traffic)
    layers = [
        {"name": layer.name, "kind": str(layer.kind), "flops": int(moved.flops[i]), "weights": layer.weights,
         "moved_bytes": int(moved.layer_bytes[0, i]), "intensity": float(moved.layer_intensity[0, i]),
         "quantizable": layer.quantizable}
        for i, layer in enumerate(known.layers)
    ]  # fmt: skip
    document = {
        "model": model,
        "batch": batch,
        "traffic": traffic,
        "flops": int(moved.flops.sum()),
        "moved_bytes": int(moved.moved_bytes[0]),
        "intensity": float(moved.intensity[0]),
        "layers": layers,
    }
    if as_json:
        return print_json(document)
    numbers = [Column(name, no_wrap=True) for name in ("FLOPs", "weights", "bytes moved", "FLOPs/byte")]
    table = Table(Column("layer", overflow="fold"), *numbers, title=f"{model}, batch {batch}, FP32, {traffic}")
    for row in layers:
        name = row["name"] if row["quantizable"] else f"{row['name']} (stays FP32)"
        table.add_row(
            *(str(name), f"{row['flops']:,}", f"{row['weights']:,}", f"{row['moved_bytes']:,}"),
            f"{row['intensity']:.2f}",
        )
    table.add_section()
    table.add_row("all", f"{document['flops']:,}", "", f"{document['moved_bytes']:,}", f"{document['intensity']:.4f}")
    out.print(table)


@app.command()
def data() -> None:
    """Fetch CIFAR-10 into the cache; without it the excerpt in assets/ serves."""
    from aiq_core.runtime.data import fetch_cifar10

    fetch_cifar10(catalog.bundled().dataset("cifar10"), err.print)


@app.command()
def train(
    model: ModelName,
    output: Annotated[Path | None, typer.Option(help="Where weights and card go; ./trained/MODEL.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda for an NVIDIA GPU.")] = "cpu",
) -> None:
    """Train a model by its recipe; killed at any moment, it goes on where it was."""
    from aiq_core.runtime.models import spec
    from aiq_core.runtime.train import Progress as TrainingProgress
    from aiq_core.runtime.train import train as run_training

    def report(at: TrainingProgress) -> None:
        err.print(f"epoch {at.epoch}/{at.epochs}  loss {at.loss:.4f}  ETA {at.eta_s:.0f} s")

    folder = output or Path("trained") / model
    card = run_training(model, catalog.bundled().dataset(spec(model).dataset), folder, report, device=device)
    out.print(
        f"{model}: {card.search_top1_percent:.2f} % on search, {card.report_top1_percent:.2f} % on report, in {folder}"
    )


@app.command(name="assets")
def make_assets() -> None:
    """Make the profiles, excerpts and labels in assets/ again."""
    from aiq_core.runtime.bundle import bundle

    bundle(err.print)


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)
