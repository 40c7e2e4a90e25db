"""The row of numbers: before → after of everything computed, and accuracy where it is measured."""

import streamlit as st

from aiq_core.records import Policy, SplitName
from aiq_core.space import Space
from aiq_core.store.store import BUNDLED, IMPORTED
from aiq_core.wording import MINUS, number, signed, span
from pages.common import computed
from pages.common.computed import WIDTH_PX
from pages.common.controls import View
from pages.lab import policies
from pages.lab.accuracy import Measured

SOURCES = {BUNDLED: "Ships with the app.", IMPORTED: "Imported, not measured here."}


def draw(view: View, before: Policy, after: Policy, found: dict[SplitName, Measured | None]) -> None:
    """Six numbers of the policy at work, each against the policy before."""
    with st.container(horizontal=True, border=True, gap="small"):
        computed.draw(view.model.profile, view.machine, view.batch, before, after)
        for split in (SplitName.REPORT, SplitName.SEARCH):
            _accuracy(view, policies.space_of(after, view.space), split, found[split])


def _accuracy(view: View, space: Space, split: SplitName, found: Measured | None) -> None:
    top1 = view.model.metric.title.capitalize()
    if found is None:
        st.metric(
            f"{top1}, {'confirm' if space.is_joint and split is SplitName.SEARCH else split}",
            "not measured",
            width=WIDTH_PX,
            help="No bits chosen by hand have an accuracy until they are evaluated. Measure it below.",
        )
        return
    drop, against = found.drop, "FP32" if found.against_fp32 else "the policy before"
    said = ""
    if drop is not None:
        said = f" Drop against {against}: {number(drop.value, 2)} points, 95 % {span(drop)} (Newcombe, paired)."
    noise = drop is not None and drop.contains_zero
    delta = None if drop is None else f"{signed(-drop.value, 2)} points".replace(MINUS, "-")
    if noise and drop is not None and drop.value != 0:
        delta = f"{signed(-drop.value, 2)}, within noise".replace(MINUS, "-")
    st.metric(
        f"{top1}, {found.images:,} {found.judges}",
        f"{number(found.top1.value, 2)} %",
        delta,
        delta_color="off" if noise else "normal",
        delta_arrow="off" if noise else "auto",
        width=WIDTH_PX + 8,
        help=f"On {found.images:,} {found.judges} images{_apart(found)}, 95 % {span(found.top1)} (Wilson).{said} "
        + SOURCES.get(found.source, "Measured here.")
        + (" Within noise: the interval holds 0." if noise else ""),
    )


def _apart(found: Measured) -> str:
    """What sets search images apart on which no search chose."""
    on = found.on
    return f" (search images {on.start + 1:,} to {on.images:,}, on which no search chose)" if on.start else ""
