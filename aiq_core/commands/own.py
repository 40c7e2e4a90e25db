"""Commands about a user's own networks: add one after a dry run, take one away."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from aiq_core.commands.console import Json, app, err, out, print_json
from aiq_core.errors import SettingError
from aiq_core.library import open_library
from aiq_core.tasks import add as adding
from aiq_core.wording import an, duration, number, prefixed_rate, size

Numbers = str | None

CANCELLED = 130
"""The exit status after Ctrl-C, as shells have it."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What it is to be called.")],
    network: Annotated[
        str,
        typer.Option(
            help="path/to/net.py:build, torchvision:resnet50, timm:NAME, or an exported program, .pt2; with "
            "--only-profile also a configuration of transformers', config.json."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(help="A folder of class folders, a .npz, images.npy,labels.npy, a .csv, or CIFAR10 and the like."),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="A .safetensors file, a checkpoint, `default` (the network's own) or `random`.")
    ] = "default",
    report_data: Annotated[str | None, typer.Option(help="Images that judge; without, half of --data do.")] = None,
    calibration_data: Annotated[str | None, typer.Option(help="Training images; without, a part of --data.")] = None,
    preprocessing: Annotated[Path | None, typer.Option(help="A TOML or JSON file of what follows.")] = None,
    resize: Annotated[Numbers, typer.Option(help="The shorter side, or HEIGHT,WIDTH.")] = None,
    crop: Annotated[Numbers, typer.Option(help="The middle: a square's side, or HEIGHT,WIDTH.")] = None,
    interpolation: Annotated[str | None, typer.Option(help="nearest, bilinear, bicubic or lanczos.")] = None,
    mean: Annotated[Numbers, typer.Option(help="A number a channel, of values in the range.")] = None,
    std: Annotated[Numbers, typer.Option(help="A number a channel.")] = None,
    value_range: Annotated[Numbers, typer.Option("--range", help="What pixels run from and to: 0,1 usually.")] = None,
    background: Annotated[int | None, typer.Option(help="Under what is transparent; 255, white.")] = None,
    layout: Annotated[str | None, typer.Option(help="NHWC or NCHW, where arrays leave it open.")] = None,
    classes: Annotated[Path | None, typer.Option(help="Names in the order of the outputs: lines, or JSON.")] = None,
    key: Annotated[str | None, typer.Option(help="Which state dict, where a checkpoint has several.")] = None,
    result: Annotated[str | None, typer.Option(help="Which result is the logits, where there are several.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A layer that stays FP32, or the start of names.")] = None,
    title: Annotated[str | None, typer.Option(help="The name that readers see.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda, for the dry run.")] = "cpu",
    yes: Annotated[bool, typer.Option("--yes", help="Add it without asking after the dry run.")] = False,
    allow_chance: Annotated[bool, typer.Option("--allow-chance", help="Add what is no better than guessing.")] = False,
    only_profile: Annotated[
        bool, typer.Option("--only-profile", help="Count it alone, without weights or data; --crop gives the size.")
    ] = False,
    tokens: Annotated[int | None, typer.Option(help="How long a text is, where --network is a configuration.")] = None,
    as_json: Json = False,
) -> None:
    """Add your own network and images; a dry run comes first, and nothing is kept unless you say so."""
    from aiq_core.runtime.own.asked import Asked

    if not data and not only_profile:
        raise SettingError("add needs --data, images with labels; or --only-profile, which counts the network alone")
    if only_profile and (data or report_data or calibration_data or weights not in ("default", "random")):
        raise SettingError("--only-profile counts without weights or images; leave them out, or --only-profile")
    numbers = {"resize": resize, "crop": crop, "mean": mean, "std": std, "range": value_range}
    flags: dict[str, Any] = {key: _numbers(key, text) for key, text in numbers.items() if text is not None}
    flags |= {
        name: value
        for name, value in (("interpolation", interpolation), ("background", background))
        if value is not None
    }
    asked = Asked(
        name=name,
        network=network,
        weights=weights,
        data=data or "",
        report_data=report_data,
        calibration_data=calibration_data,
        preprocessing=None if preprocessing is None else str(preprocessing),
        flags=flags,
        exclude=tuple(exclude or ()),
        title=title,
        device=device,
        key=key,
        layout=layout,
        classes=None if classes is None else str(classes),
        result=result,
        tokens=tokens,
    )
    _add(asked, yes, allow_chance, as_json, only_profile)


def _add(asked: Any, yes: bool, allow_chance: bool, as_json: bool, only_profile: bool) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=as_json) as progress:
        shown = progress.add_task("", total=1.0)

        def say(share: float, told: str) -> None:
            progress.update(shown, completed=share, description=told)

        def decide(document: Mapping[str, Any]) -> bool:
            progress.stop()
            if not as_json:
                print_dry_run(document)
            return yes or (not as_json and typer.confirm(f"Add {asked.name}?", err=True))

        try:
            if only_profile:
                document = adding.counted(open_library(), asked, say, decide)
            else:
                document = adding.added(open_library(), asked, say, decide, allow_chance)
        except KeyboardInterrupt:
            progress.stop()
            err.print("Cancelled; nothing was added.")
            raise typer.Exit(CANCELLED) from None
        except adding.RefusedError as refused:
            progress.stop()
            if as_json:
                print_json({**refused.document, "error": str(refused)})
            else:
                print_dry_run(refused.document)
            err.print(f"error: {refused}", highlight=False, soft_wrap=True, markup=False)
            raise typer.Exit(refused.status) from None
    if as_json:
        print_json(document)
    elif document["added"]:
        following = "profile" if only_profile else "frontier"
        _say(f"Added. Next: `python -m aiq_core {following} {asked.name}`{'' if only_profile else ', or open the app'}")
    else:
        _say("Nothing was added.")
    if as_json and not document["added"]:
        err.print("not added: --json asks nothing; give --yes to add it", highlight=False)


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise SettingError(f"{name}={text!r} is no list of numbers; write them like 0.5,0.5,0.5") from None


def print_dry_run(document: Mapping[str, Any]) -> None:
    """A dry run, for reading."""
    out.print(f"[bold]{document['name']}[/bold]: dry run", highlight=False)
    if "keys_loaded" in document:
        wrong = [f"{document[f'keys_{kind}']:,} {kind}" for kind in ("missing", "unexpected", "misshaped")]
        loaded = f"{document['keys_loaded']:,} tensors loaded"
        _say(f"{loaded}, {', '.join(wrong)}; {document['parameters']:,} parameters")
    for line in document.get("said", ()):
        _say(line)
    if "flops" in document:
        kinds = ", ".join(f"{count} {kind}" for kind, count in document["operators"].items())
        _say(f"{kinds}; {document['quantizable_layers']} layers can have bits; no operator refused")
        _say(
            f"{prefixed_rate(document['flops'], ' ')}FLOP and {size(document['moved_bytes'])} moved "
            f"{an(document['item'])}: AI {number(document['intensity'], 2)} FLOPs per byte (computed, FP32, batch 1)"
        )
    for told in document["operators_refused"]:
        _say(f"refused: {told}")
    if "report_images" in document:
        _print_accuracy(document)


def _print_accuracy(document: Mapping[str, Any]) -> None:
    for split in ("search", "report"):
        low, high = document[f"{split}_top1_interval"]
        _say(
            f"FP32 top-1 on {split}: {number(document[f'{split}_top1_percent'], 2)} % (95 %: {number(low, 2)} to "
            f"{number(high, 2)}), {document[f'{split}_right']:,} of {document[f'{split}_images']:,} images, measured "
            "here"
        )
    _say(
        f"on all images given: {number(document['all_top1_percent'], 2)} %, {document['all_right']:,} of "
        f"{document['all_images']:,} right"
    )
    if document["better_class_order"] is not None:
        better = document["better_class_order"]
        _say(
            f"class order: in another order {better['right']:,} of {better['of']:,} would be right "
            f"({number(better['top1_percent'], 1)} %); is it the network's? Give --classes, the names in its order"
        )
    if document["is_chance"]:
        _say(f"chance level: guessing gives {number(document['chance_percent'], 2)} %, which the interval holds")
    found = document["estimate"]
    _say(
        f"a greedy search asks for about {found['evaluations']:,} evaluations, {duration(60 * found['minutes'])} "
        f"here, on {found['images']:,} search images"
    )
    _say(f"twelve images with what they are read as: {document['contact_sheet']}")


def _say(text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="An own model.")],
    yes: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
) -> None:
    """Take an own model away, with the copies of its code, weights and images."""
    library = open_library()
    folder = adding.removable(library, name)
    runs = len([run for run in library.runs() if run.request.model == name])
    if not yes:
        kept = "counts" if name in library.profiles else "copies of the code, weights and images"
        _say(
            f"The {kept} of {name} in {folder} go; {runs} runs and what was evaluated stay in the store, and are known "
            "again once the same network is added under this name."
        )
        typer.confirm(f"Remove {name}?", abort=True, err=True)
    adding.remove(library, name)
    _say(f"{name} is removed.")
