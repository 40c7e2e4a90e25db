"""The row of numbers, each with its change and how it was got."""

from typing import Literal, NamedTuple

import streamlit as st

from aiq_core.envelope import PolicyTable
from aiq_core.intensity import intensity
from aiq_core.records import UNFUSED, Policy, SplitName
from aiq_core.traffic import traffic_model
from aiq_core.wording import MINUS, number, signed, size, span
from pages.common import known
from pages.common.controls import View
from pages.explore.figures import Figures


class Metric(NamedTuple):
    """A number with its change; `colour` and `arrow` as st.metric takes them, `width` in pixels."""

    label: str
    value: str
    change: str
    width: int
    help: str | None = None
    colour: Literal["normal", "inverse", "off"] = "normal"

    @property
    def arrow(self) -> Literal["auto", "off"]:
        return "off" if self.colour == "off" else "auto"

    @property
    def judged(self) -> Literal["good", "bad", ""]:
        """What its colour says of the change."""
        if self.colour == "off":
            return ""
        return "bad" if self._falls == (self.colour == "normal") else "good"

    @property
    def arrow_text(self) -> str:
        """Its arrow where it has one."""
        if self.colour == "off":
            return ""
        return "↓ " if self._falls else "↑ "

    @property
    def _falls(self) -> bool:
        return self.change.startswith("-")


def computed(traffic: str) -> str:
    """How FLOPs per byte and bytes were got."""
    return f"Computed: FLOPs over bytes moved at batch 1, {traffic} traffic. {traffic_model(traffic).sentence}"


def metrics(found: Figures, view: View) -> list[Metric]:
    """The row, from left to right."""
    counted = "" if view.traffic == UNFUSED else f", {view.traffic}"
    cells, images, split = found.search, found.images, found.judges
    if found.report is not None:
        cells, images, split = found.report, found.report_images, SplitName.REPORT
    top1, drop = cells.after, cells.drop
    return [
        Metric(
            f"FLOPs/byte{counted}" if counted else "Intensity, FLOPs/byte",
            number(found.intensity, 2),
            _arrowed(f"{signed(found.gain_percent, 1)} %"),
            150,
            computed(view.traffic),
        ),
        Metric(
            f"Top-1, {images:,} {split}",
            f"{number(top1.value, 2)} %",
            "within noise" if drop.contains_zero else _arrowed(f"{signed(-drop.value, 2)} points"),
            150,
            f"Measured on {images:,} {split} images. Top-1 {number(top1.value, 2)} %, 95 % {span(top1)} (Wilson). "
            f"Drop {number(drop.value, 2)} points, 95 % {span(drop)} (Newcombe, paired).",
            "off" if drop.contains_zero else "normal",
        ),
        Metric(
            "Drop, 95 % interval",
            span(drop),
            f"{number(drop.value, 2)} points",
            150,
            f"FP32 minus this policy on the same {images:,} {split} images, Newcombe's paired interval.",
            "off",
        ),
        Metric(
            "Weights",
            size(found.weight_bytes),
            f"{_change(found.weight_bytes, found.weight_bytes_before)}; {size(found.stored_bytes)} stored",
            165,
            "Computed: weights times their bits. With the scales that rounding needs and the biases that folding "
            f"makes, float32 both, a deployed network stores {size(found.stored_bytes)} "
            f"(FP32: {size(found.stored_bytes_before)}).",
            "inverse",
        ),
        Metric(
            f"Moved{counted}" if counted else "Moved per image",
            size(found.moved_bytes),
            _change(found.moved_bytes, found.moved_bytes_before),
            130,
            computed(view.traffic),
            "inverse",
        ),
        _speed_up(found, view),
    ]


def _speed_up(found: Figures, view: View) -> Metric:
    name, width = "Predicted speed-up", 165
    if found.speed_up is None:
        return Metric(name, "–", "can't run FP32", width, colour="off")
    return Metric(
        name,
        f"{number(found.speed_up, 2)} ×",
        f"{found.memory_bound}/{found.layers} memory-bound",
        width,
        f"If kernels for these widths existed: roofline time at FP32 over roofline time of this policy on "
        f"{view.machine.name} at batch {view.batch}, {view.traffic} traffic. Predicted, not measured. "
        f"{found.memory_bound} of {found.layers} layers wait for bytes at FP32.",
        "off",
    )


def draw(found: Figures, view: View) -> None:
    with st.container(horizontal=True, border=True, gap="small"):
        for metric in metrics(found, view):
            st.metric(
                metric.label,
                metric.value,
                metric.change,
                delta_color=metric.colour,
                delta_arrow=metric.arrow,
                width=metric.width,
                help=metric.help,
            )


def against(table: PolicyTable, view: View, policy: Policy, pinned: Policy) -> str:
    """What the pinned policy A has, and how this one, B, differs from it on the same images."""
    split, images = SplitName.REPORT, table.report_images
    how = {"quantizer": table.quantizer, "before": pinned, "after": policy}
    cells = known.library().paired(view.model, split, images, **how)
    if cells is None:
        split, images, end = table.judges, table.images, table.start + table.images
        cells = known.library().paired(view.model, SplitName.SEARCH, end, start=table.start, **how)
    a, b = (intensity(table.profile, which, 1, table.traffic, table.quantizer) for which in (pinned, policy))
    if cells is None:
        return f"A: {number(a, 2)} FLOPs/byte; B − A: {signed(b - a, 2)}"
    lost = cells.drop
    noise = ", within noise" if lost.contains_zero else ""
    return (
        f"A: {number(a, 2)} FLOPs/byte, {number(cells.before.value, 2)} % on {images:,} {split} images. B against A: "
        f"{signed(b - a, 2)} FLOPs/byte, {number(lost.value, 2)} points lost (95 % {span(lost)}{noise}; "
        f"{cells.lost} lost, {cells.gained} gained, exact McNemar p {cells.p:.2g})"
    )


def _change(after: float, before: float) -> str:
    return "0 %" if after == before else _arrowed(f"{signed(100 * (after / before - 1), 0)} %")


def _arrowed(change: str) -> str:
    """Streamlit tells a fall by an ASCII minus."""
    return change.replace(MINUS, "-")
