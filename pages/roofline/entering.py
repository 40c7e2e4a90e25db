"""Machines by hand: a form that enters one, and those entered, each with a button that removes it once confirmed."""

from functools import partial

import streamlit as st

from aiq_core import entered
from aiq_core.hardware import Machine, NumberType
from aiq_core.library import read_only
from aiq_core.wording import prefixed_rate, rate
from pages.common import errors, known
from pages.common.popovers import popover
from pages.roofline import measuring

NAME, BANDWIDTH = "enter-name", "enter-bandwidth"
GIGA = 1e9
KINDS = (NumberType.FP32, NumberType.BF16, NumberType.FP16, NumberType.INT8, NumberType.INT4)
FIELD_PX = 120


def draw() -> None:
    """Those entered, and the form; nothing on a read-only server."""
    if read_only():
        return
    with st.container(border=True, gap="small"):
        st.markdown("**Your machines** :gray[entered by hand]")
        mine = [machine for machine in known.library().machines.values() if entered.is_entered(machine)]
        if not mine:
            st.caption("One that is not in the list: enter what its data sheet says, and every page predicts for it.")
        for machine in mine:
            _row(machine)
        # By another name once one is entered: Streamlit would leave it open.
        popover("Enter a machine", "add", _form, key=f"enter-machine-{len(mine)}")


def _row(machine: Machine) -> None:
    rates = ", ".join(f"{kind} {rate(source.value, kind)}" for kind, source in machine.rates.items())
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        memory = f"{prefixed_rate(machine.bandwidth.value, ' ')}B/s"
        st.markdown(f"{machine.name} :gray[{memory}; {rates}]")
        st.button("Show it", key=f"show-{machine.key}", type="tertiary", on_click=measuring.choose, args=(machine.key,))
        popover("Remove", "delete", partial(_ask, machine), key=f"remove-{machine.key}")


def _ask(machine: Machine) -> None:
    st.markdown(f"Remove **{machine.name}**?")
    st.caption("Links that name it then show the default machine, and budgets of time on it can't be asked for.")
    st.button("Remove it", key=f"removed-{machine.key}", type="primary", on_click=_remove, args=(machine.key,))


def _remove(key: str) -> None:
    with errors.kept():
        known.library().remove_machine(key)


def _form() -> None:
    with st.form("enter", border=False):
        st.text_input("Name", key=NAME, max_chars=entered.LONGEST_NAME, placeholder="My laptop")
        st.number_input("Memory bandwidth, GB/s", 0.0, key=BANDWIDTH, value=None, format="%g", width=2 * FIELD_PX)
        st.caption("Dense peak rates in GFLOP/s (integers: GOP/s), a multiply-add being two; leave out what it lacks.")
        with st.container(horizontal=True, gap="small"):
            for kind in KINDS:
                st.number_input(str(kind), 0.0, key=f"enter-{kind}", value=None, format="%g", width=FIELD_PX)
        st.form_submit_button("Enter it", type="primary", on_click=_enter)


def _enter() -> None:
    said = st.session_state
    given = {str(kind): said[f"enter-{kind}"] for kind in KINDS}
    rates = {kind: GIGA * value for kind, value in given.items() if value is not None}
    with errors.kept():
        name = said[NAME]
        machine = entered.machine(entered.key_of(name), name, GIGA * (said[BANDWIDTH] or 0), rates)
        known.library().add_machine(machine)
        measuring.choose(machine.key)
        said[errors.NOTE] = f"{machine.name} is entered and shown; it can be chosen on every page."
        for name in (NAME, BANDWIDTH, *(f"enter-{kind}" for kind in KINDS)):
            del said[name]
