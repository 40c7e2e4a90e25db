"""What is computed of a policy without any image: before → after, a number each."""

import streamlit as st

from aiq_core.errors import SettingError
from aiq_core.hardware import Machine
from aiq_core.intensity import traffic
from aiq_core.records import ModelProfile, Policy
from aiq_core.roofline import predict
from aiq_core.wording import MINUS, number, seconds, signed, size

COMPUTED = "Computed: FLOPs over bytes moved at batch 1, every layer reading and writing DRAM (unfused)."
WIDTH_PX = 152


def draw(profile: ModelProfile, machine: Machine, batch: int, before: Policy, after: Policy) -> None:
    """Four numbers of a policy, each against the policy before."""
    moved = traffic(profile, [before, after])
    at_batch = _at_batch(profile, batch, after)
    _metric("Intensity, FLOPs/byte", moved.intensity, lambda value: number(value, 2), COMPUTED + at_batch)
    _metric(
        "Weights",
        moved.weight_bytes.sum(axis=1),
        size,
        "Computed: weights times their bits. As stored they have scales and folded biases, float32, beside them.",
        True,
    )
    _metric(f"Moved per {profile.item}", moved.moved_bytes, size, COMPUTED, True)
    _time(profile, machine, batch, before, after)


def _at_batch(profile: ModelProfile, batch: int, policy: Policy) -> str:
    if batch == 1:
        return ""
    at = traffic(profile, [policy], batch).intensity[0]
    return f" At batch {batch}: {number(float(at), 2)} FLOPs/byte."


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


def _time(profile: ModelProfile, machine: Machine, batch: int, before: Policy, after: Policy) -> None:
    label = "Predicted time" if batch == 1 else f"Predicted, batch {batch}"
    if not machine.runs_fp32:
        why = f"{machine.name} only computes in integers: it has a time where weights and activations all are."
        told = _integers(profile, machine, batch, after)
        st.metric(label, told, "can't run FP32", width=WIDTH_PX, delta_color="off", delta_arrow="off", help=why)
        return
    at = predict(machine, profile, [before, after], batch)
    bound = at.memory_bound.sum(axis=1)
    _metric(
        label,
        at.total_seconds,
        seconds,
        f"Roofline time of a batch of {batch} on {machine.name}, if kernels for these widths existed. "
        f"Predicted, not measured. {int(bound[1])} of {at.seconds.shape[1]} layers wait for bytes, before {bound[0]}.",
        inverse=True,
    )


def _integers(profile: ModelProfile, machine: Machine, batch: int, policy: Policy) -> str:
    """The time on a machine that only computes in integers."""
    try:
        return seconds(float(predict(machine, profile, [policy], batch).total_seconds[0]))
    except SettingError:
        return "–"
