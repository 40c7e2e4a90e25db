"""Budgets that are counted, not measured, in the user's words: AI, what is stored, bits, time on a machine."""

import streamlit as st

from aiq_core.frontier import Budget, Quantity
from aiq_core.hardware import Machine

FIELDS = (
    (Quantity.INTENSITY, "AI, times FP32’s at least", 1.0, 1.0),
    (Quantity.STORED, "MB stored at most", 0.01, 1e6),
    (Quantity.BITS, "Bits a weight at most, on average", 0.1, 1.0),
)
"""What is limited, how it is asked for, by which steps, and how many of `Budget.limit`'s units one is."""

NOTE = "Counted: stored with scales and biases, bits over all layers, held ones too. Never exceeded."


def fields(key: str, machine: Machine) -> tuple[Budget, ...]:
    """A field for each; those that are filled are budgets. Time is at batch 1 on `machine`."""
    found = []
    for quantity, label, step, unit in FIELDS:
        value = st.number_input(
            label, 0.0, None, None, step, format="%g", key=f"{key}-{quantity}", placeholder="no limit"
        )
        if value:
            found.append(Budget(quantity, value * unit))
    label = f"µs an image at most, {machine.name}"
    value = st.number_input(label, 0.0, None, None, 10.0, format="%g", key=f"{key}-time", placeholder="no limit")
    if value:
        found.append(Budget(Quantity.TIME, value * 1e-6, machine.key))
    st.caption(NOTE)
    return tuple(found)
