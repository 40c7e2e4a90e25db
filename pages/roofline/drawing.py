"""The page's chart, and the table of the machine's numbers."""

from functools import partial

import pandas as pd

from aiq_core.charts.measured_roof import measured_roof_figure, numbers_frame
from aiq_core.charts.roofline import RooflineData, roofline_data, roofline_frame
from aiq_core.hardware import Machine, NumberType
from aiq_core.records import DEFAULT_WIDTHS, FP32_BITS
from aiq_core.roof import Roof
from aiq_core.wording import number, prefixed_rate, rate, size
from pages.common import controls
from pages.common.charts import Drawing
from pages.common.controls import View
from pages.common.picked import Picked

HEIGHT_PX = 400


def data(picked: Picked, machine: Machine) -> RooflineData:
    """From FP32, or the pinned policy A, to the policy shown, on a machine that runs FP32 activations."""
    view, profile = picked.view, picked.table.profile
    before, name = picked.before
    return roofline_data(
        machine,
        profile,
        before,
        picked.chosen.policy,
        view.batch,
        DEFAULT_WIDTHS,
        controls.BATCHES,
        name,
        view.traffic,
        picked.table.quantizer,
        view.space.is_joint,
        height_px=HEIGHT_PX,
    )


def untouched(view: View, roof: Roof | None) -> Drawing:
    """The machine's roof with a model's layers in FP32."""
    fp32 = view.model.profile.uniform(FP32_BITS)
    found = roofline_data(
        view.machine,
        view.model.profile,
        fp32,
        fp32,
        view.batch,
        DEFAULT_WIDTHS,
        controls.BATCHES,
        by=view.traffic,
        height_px=HEIGHT_PX,
    )
    return Drawing(
        "machine-roofline",
        f"{view.model}-roofline-{view.machine.key}",
        "Roofline",
        "layers in FP32, by predicted time; hover for what limits one",
        f"Roofline of {view.machine.name} with {len(found.dots)} layers of {view.model} at batch {view.batch}; "
        f"{found.memory_bound} are memory-bound in FP32.",
        measured_roof_figure(found, view.look, roof),
        partial(roofline_frame, found),
    )


def roofline(picked: Picked, found: RooflineData, roof: Roof | None, other: Machine | None) -> Drawing:
    """The machine's roof with its layers, banded where it was measured, and another machine's roof beside it."""
    view = picked.view
    beside = None if other is None else data(picked, other)
    alt = (
        f"Roofline of {view.machine.name} with {len(found.dots)} layers of {view.model} at batch {view.batch}; "
        f"{found.memory_bound} are memory-bound with this policy."
    )
    if roof is not None:
        caches = len(roof.levels) - 1
        alt += f" Measured: bands are its spread, lighter lines {caches} cache level{'' if caches == 1 else 's'}."
    if other is not None:
        alt += f" The dashed roof is {other.name}'s."
    return Drawing(
        "machine-roofline",
        f"{view.model}-roofline-{view.machine.key}",
        "Roofline",
        f"layers, {found.before_name} → now, by predicted time; hover for what limits one",
        alt,
        measured_roof_figure(found, view.look, roof, beside),
        partial(roofline_frame, found),
    )


def numbers(machine: Machine, roof: Roof | None, other: Machine | None) -> pd.DataFrame:
    """The machine's numbers in words, a row each."""
    frame = numbers_frame(machine, roof, other)
    shown = pd.DataFrame({"": [_title(what, roof) for what in frame["what"]]})
    for column, title in (("value", "sustained" if roof else "rate"), ("low", "lowest"), ("high", "highest")):
        if column in frame:
            shown[title] = _rates(frame, column)
    if other is not None:
        shown[other.name] = _rates(frame, "beside")
        shown["share of it"] = [f"{number(100 * share, 0)} %" if share == share else "–" for share in frame["share"]]
    return shown.set_index("")


def _title(what: str, roof: Roof | None) -> str:
    footprints = {} if roof is None else {level.name: level.footprint_bytes for level in roof.levels}
    if what not in footprints:
        return what
    return f"{what}, {'at' if what == 'memory' else 'up to'} {size(footprints[what])}"


def _rates(frame: pd.DataFrame, column: str) -> list[str]:
    kinds = {str(kind): kind for kind in NumberType}
    return [
        "–" if value != value else rate(value, kinds[what]) if what in kinds else f"{prefixed_rate(value, ' ')}B/s"
        for what, value in zip(frame["what"], frame[column].astype(float), strict=True)
    ]
