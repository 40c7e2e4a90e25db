"""The row of numbers: before → after of everything computed, and accuracy where it is measured."""

import streamlit as st

from aiq_core.intensity import traffic
from aiq_core.records import Policy, SplitName
from aiq_core.roofline import predict
from aiq_core.space import Space
from aiq_core.store.store import BUNDLED, IMPORTED
from aiq_core.wording import MINUS, number, seconds, signed, size, span
from pages.common.controls import View
from pages.lab import policies
from pages.lab.accuracy import Measured

COMPUTED = "Computed: FLOPs over bytes moved at batch 1, every layer reading and writing DRAM (unfused)."
WIDTH_PX = 152
SOURCES = {BUNDLED: "Ships with the app.", IMPORTED: "Imported, not measured here."}


def draw(view: View, before: Policy, after: Policy, found: dict[SplitName, Measured | None]) -> None:
    """Six numbers of the policy at work, each against the policy before."""
    profile = view.model.profile
    moved = traffic(profile, [before, after])
    values, weights = moved.intensity, moved.weight_bytes.sum(axis=1)
    with st.container(horizontal=True, border=True, gap="small"):
        _metric("Intensity, FLOPs/byte", values, lambda value: number(value, 2), COMPUTED + _at_batch(view, after))
        _metric(
            "Weights",
            weights,
            size,
            "Computed: weights times their bits. As stored they have scales and folded biases, float32, beside them.",
            True,
        )
        _metric("Moved per image", moved.moved_bytes, size, COMPUTED, True)
        _time(view, before, after)
        for split in (SplitName.REPORT, SplitName.SEARCH):
            _accuracy(view, policies.space_of(after, view.space), split, found[split])


def _at_batch(view: View, policy: Policy) -> str:
    if view.batch == 1:
        return ""
    at = traffic(view.model.profile, [policy], view.batch).intensity[0]
    return f" At batch {view.batch}: {number(float(at), 2)} FLOPs/byte."


def _metric(label, pair, text, help_text: str, inverse: bool = False) -> None:  # type: ignore[no-untyped-def]
    before, after = (float(value) for value in pair)
    unchanged = text(before) == text(after)
    st.metric(
        label,
        text(after),
        "as before" if unchanged else f"{_percent(after, before)} from {text(before)}",
        width=WIDTH_PX,
        delta_color="off" if unchanged else "inverse" if inverse else "normal",
        delta_arrow="off" if unchanged else "auto",
        help=f"{help_text} Before: {text(before)}.",
    )


def _percent(after: float, before: float) -> str:
    change = 100 * (after / before - 1)
    # Streamlit tells a fall by an ASCII minus.
    digits = 2 if abs(change) < 0.095 else 1 if abs(change) < 9.95 else 0
    return f"{signed(change, digits)} %".replace(MINUS, "-")


def _time(view: View, before: Policy, after: Policy) -> None:
    label = "Predicted time" if view.batch == 1 else f"Predicted, batch {view.batch}"
    if not view.machine.runs_fp32:
        why = f"{view.machine.name} only computes in integers, and activations are FP32 here."
        st.metric(label, "–", "can't run FP32", width=WIDTH_PX, delta_color="off", delta_arrow="off", help=why)
        return
    at = predict(view.machine, view.model.profile, [before, after], view.batch)
    bound = at.memory_bound.sum(axis=1)
    _metric(
        label,
        at.total_seconds,
        seconds,
        f"Roofline time of a batch of {view.batch} on {view.machine.name}, if kernels for these widths existed. "
        f"Predicted, not measured. {int(bound[1])} of {at.seconds.shape[1]} layers wait for bytes, before {bound[0]}.",
        inverse=True,
    )


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
