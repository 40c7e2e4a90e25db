"""Budgets that are counted, not measured, in the user's words: AI, what is stored, bits, time on a machine."""

import streamlit as st

from aiq_core.frontier import Budget, Quantity
from aiq_core.hardware import Machine

FIELDS = (
    (Quantity.INTENSITY, "× FP32’s AI, at least", 1.0, 1.0),
    (Quantity.STORED, "MB stored, at most", 0.01, 1e6),
    (Quantity.BITS, "bits a weight, at most", 0.1, 1.0),
    (Quantity.TIME, "µs an image, at most", 10.0, 1e-6),
)
"""What is limited, how it is asked for, by which steps, and how many of `Budget.limit`'s units one is."""

FIELD_PX = 150

NOTE = "Never exceeded. What is stored has scales and biases, bits are those of all layers, held ones too."


def fields(key: str, machine: Machine) -> tuple[Budget, ...]:
    """A field for each; those that are filled are budgets. Time is at batch 1 on `machine`."""
    found = []
    with st.container(horizontal=True, gap="small"):
        for quantity, label, step, unit in FIELDS:
            name = f"{key}-{quantity}"
            value = st.number_input(
                label, 0.0, None, None, step, format="%g", key=name, placeholder="no limit", width=FIELD_PX
            )
            if value:
                on = machine.key if quantity is Quantity.TIME else None
                found.append(Budget(quantity, value * unit, on))
    st.caption(f"{NOTE} Time is predicted for {machine.name} at batch 1.")
    return tuple(found)
