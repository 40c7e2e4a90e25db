"""The command that puts measurements of this machine among those that ship with the app."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from aiq_core.commands.console import app, out
from aiq_core.errors import DataError
from aiq_core.library import BUNDLED_MEASUREMENTS, bundled_measurements, open_library
from aiq_core.records import Measurement


@app.command(name="bundle-measurements")
def bundle_measurements(
    kinds: Annotated[list[str] | None, typer.Option("--kind", help="Such as roof; all by default.")] = None,
) -> None:
    """Write the latest measurements of the user's store into assets/, beside those of other machines."""
    latest = {_place(each): each for each in open_library().store.measurements.all() if not each.kind.endswith("-part")}
    chosen = {place: each for place, each in latest.items() if kinds is None or each.kind in kinds}
    if not chosen:
        raise DataError("nothing of this kind is measured yet; run `measure` or `linear` first")
    merged = {_place(each): each for each in bundled_measurements()} | chosen
    documents = [json.dumps(asdict(merged[place]), separators=(",", ":")) for place in sorted(merged)]
    # A line a measurement: one that is measured again changes a line.
    BUNDLED_MEASUREMENTS.write_text("[\n" + ",\n".join(documents) + "\n]\n", encoding="utf-8")
    for (kind, cpu, threads), count in Counter((each.kind, each.cpu, each.threads) for each in chosen.values()).items():
        out.print(f"{kind}: {count} of {cpu}, {threads} threads", highlight=False, markup=False)


def _place(each: Measurement) -> tuple[str, str, int, str]:
    return each.kind, each.cpu, each.threads, each.subject
