"""A chart in its card: title, CSV of its data, and the chart with its alt text."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st
from plotly.basedatatypes import BaseFigure

from aiq_core.charts.style import config
from aiq_core.hardware import Machine


@contextmanager
def card(
    title: str,
    subtitle: str,
    frame: pd.DataFrame | None = None,
    name: str = "",
    extra: Callable[[], None] | None = None,
) -> Iterator[None]:
    """A bordered box with a title line; `frame` is offered as CSV, `extra` draws more options."""
    with st.container(border=True, gap=None):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.markdown(f"**{title}** :gray[{subtitle}]", width="stretch")
            if extra is not None:
                extra()
            if frame is not None:
                st.download_button(
                    "CSV",
                    lambda: frame.to_csv(index=False).encode(),
                    f"{name}.csv",
                    "text/csv",
                    key=f"csv-{name}",
                    type="tertiary",
                    icon=":material/download:",
                    help="The chart's data. The chart itself saves as SVG from the camera in its corner.",
                    on_click="ignore",
                )
        yield


def has_roofline(machine: Machine) -> bool:
    """Whether a machine has a roofline here; where it has none, a card in its place says why."""
    if not machine.runs_fp32:
        with card("Roofline", f"{machine.name} can't run FP32 activations"):
            st.info(
                f"{machine.name} only computes in integers, and activations are FP32 here, so there is no "
                "prediction for it. Choose another machine.",
                icon=":material/block:",
            )
    return machine.runs_fp32


class _Ready(BaseFigure):  # type: ignore[misc]
    """A figure drawn as it is: Plotly's validation would cost more than all the rest, and tests do it."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec

    def to_dict(self) -> dict[str, Any]:
        return self._spec


def chart(
    figure: dict[str, Any], key: str, file_name: str, alt: str, on_select: Callable[[], None] | None = None
) -> None:
    """A Plotly figure drawn as it is, without Streamlit's theme; `alt` is read by screen readers."""
    st.plotly_chart(
        _Ready(figure),
        key=key,
        theme=None,
        width="stretch",
        config=config(file_name),
        on_select=on_select or "ignore",
        selection_mode="points",
        alt=alt,
    )
