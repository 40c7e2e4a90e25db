"""A network of which only the counts are known: its roofline, and what fewer bits would do, without any accuracy."""

from functools import partial

import pandas as pd
import streamlit as st

from aiq_core import intensity
from aiq_core.charts.roofline import roofline_data
from aiq_core.charts.roofline_figure import roofline_figure
from aiq_core.hardware import Machine
from aiq_core.library import read_only
from aiq_core.records import DEFAULT_WIDTHS, FP32_BITS, ModelProfile
from aiq_core.roofline import predict
from aiq_core.tasks import add as adding
from aiq_core.wording import seconds, significant, size, widths_name
from pages.common import controls, errors, known
from pages.common.charts import chart
from pages.common.controls import View
from pages.common.popovers import popover
from pages.models.facts import stamp, work

WIDTHS = ((FP32_BITS, FP32_BITS), (8, FP32_BITS), (4, FP32_BITS), (8, 8), (4, 8))
"""Bits of weights and of activations that a table compares."""


def has_stamp(machine: Machine) -> bool:
    """Whether a machine has a roofline; where it has none, a line says so."""
    if not machine.runs_fp32:
        st.caption(f"{machine.name} can't run FP32 activations: no roofline here")
    return machine.runs_fp32


def draw_stamp(svg: str, alt: str, words: str) -> None:
    """A roofline in small, with what it says."""
    st.image(svg, alt=alt, width="stretch")
    st.caption(words)


def card(name: str, profile: ModelProfile, view: View) -> None:
    """Its card; no accuracy is known, and none is claimed."""
    st.markdown(f"**{name}** :gray[your own, counted alone]")
    st.caption("Without weights or images: no accuracy is known, so nothing can be searched")
    if has_stamp(view.machine):
        draw_stamp(*stamp(profile, name, view.machine, view.look))
    st.markdown(f"AI **{significant(intensity.intensity(profile, profile.uniform(FP32_BITS)))}** FLOPs per byte")
    st.caption(work(profile))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Bits and times",
            key=f"times-{name}",
            type="tertiary",
            icon=":material/speed:",
            on_click=partial(_dialog, name, profile, view),
        )
        if not read_only():
            popover("Remove", "delete", partial(_ask, name), key=f"remove-{name}")


def _ask(name: str) -> None:
    st.markdown(f"Remove **{name}**?")
    st.caption("Its counts go, which is all that is kept of it.")
    st.button("Remove it", key=f"removed-{name}", type="primary", on_click=_remove, args=(name,))


def _remove(name: str) -> None:
    with errors.kept():
        adding.remove(known.library(), name)
        st.session_state[errors.NOTE] = f"{name} is removed."


@st.dialog("Bits and times", width="large")
def _dialog(name: str, profile: ModelProfile, view: View) -> None:
    st.markdown(f"**{name}** on {view.machine.name}, batch {view.batch} :gray[computed and predicted, not measured]")
    st.dataframe(table(profile, view), hide_index=True)
    st.caption(
        "Every layer at the same bits, of weights and, where the name says so, of activations; if kernels existed."
    )
    if view.machine.runs_fp32:
        fp32, eight = profile.uniform(FP32_BITS), profile.uniform(8, 8)
        data = roofline_data(view.machine, profile, fp32, eight, view.batch, DEFAULT_WIDTHS, controls.BATCHES)
        alt = f"Roofline of {view.machine.name} with {len(data.dots)} layers of {name}, FP32 to W8A8"
        chart(roofline_figure(data, view.look), f"roofline-{name}", f"{name}-roofline", alt)


def table(profile: ModelProfile, view: View) -> pd.DataFrame:
    """What uniform widths do to AI, size and predicted time, a row a pair of widths."""
    rows = []
    for bits, activation_bits in WIDTHS:
        policy = profile.uniform(bits, activation_bits)
        row = {
            "bits": widths_name(bits, activation_bits),
            "AI, batch 1": significant(intensity.intensity(profile, policy)),
            "weights": size(intensity.stored_bytes(profile, policy)),
        }
        if view.machine.runs_fp32:
            found = predict(view.machine, profile, [policy], view.batch)
            row["predicted time a batch"] = seconds(float(found.seconds.sum()))
        rows.append(row)
    return pd.DataFrame(rows)
