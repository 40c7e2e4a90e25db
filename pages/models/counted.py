"""The card of a network of which only the counts are known, and how it goes."""

from functools import partial

import streamlit as st

from aiq_core import intensity
from aiq_core.hardware import Machine
from aiq_core.library import read_only
from aiq_core.records import FP32_BITS, ModelProfile
from aiq_core.tasks import add as adding
from aiq_core.wording import significant
from pages.common import errors, known
from pages.common.controls import View
from pages.common.popovers import popover
from pages.models import widths
from pages.models.facts import stamp, work


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
            on_click=widths.open_network,
            args=(name,),
        )
        remover(name)


def remover(name: str) -> None:
    """Takes it away, once that was confirmed."""
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
        widths.open_network(None)
