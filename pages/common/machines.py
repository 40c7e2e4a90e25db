"""Where a machine's numbers come from, said beside its roofline."""

from functools import partial

import pandas as pd
import streamlit as st

from aiq_core.hardware import Machine
from aiq_core.wording import rate, significant
from pages.common.popovers import popover

GRADES = {
    "A": "vendor document, two agreeing reports of it, or direct measurement",
    "B": "inferred in part",
    "C": "as entered",
}


def machine_sources(machine: Machine) -> None:
    """Where each of the machine's numbers comes from."""
    popover("Sources", "menu_book", partial(_sources, machine))


def _sources(machine: Machine) -> None:
    st.markdown(f"**{machine.name}** :gray[grade {machine.grade}: {GRADES[machine.grade]}]")
    rows = [
        {"what": str(kind), "value": rate(source.value, kind), "kind": str(source.kind), "source": source.note}
        for kind, source in machine.rates.items()
    ]
    memory = machine.bandwidth
    rows.append(
        {
            "what": "DRAM",
            "value": f"{significant(memory.value / 1e9)} GB/s",
            "kind": str(memory.kind),
            "source": memory.note,
        }
    )
    st.table(pd.DataFrame(rows).set_index("what"))
    if machine.note:
        st.caption(machine.note)
