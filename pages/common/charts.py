"""A chart in its card: title, CSV of its data, and the chart with its alt text."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st
from plotly.io.json import to_json_plotly

from aiq_core.charts.style import config
from aiq_core.hardware import Machine


class Drawing(NamedTuple):
    """A chart and its card: `key` names it on the page, `name` in files, `frame` makes the table of its data."""

    key: str
    name: str
    title: str
    subtitle: str
    alt: str
    figure: dict[str, Any]
    frame: Callable[[], pd.DataFrame]

    @property
    def payload(self) -> dict[str, Any]:
        """What chart.js draws for pages/instant; the page's own says whether it can be clicked."""
        return payload(self.key, self.figure, self.name, self.alt)


class Click(NamedTuple):
    """The mark of a chart that was clicked: its `customdata` and its place in its trace, None where it has none."""

    customdata: Any
    index: int | None


@contextmanager
def card(
    title: str,
    subtitle: str,
    frame: Callable[[], pd.DataFrame] | None = None,
    name: str = "",
    extra: Callable[[], None] | None = None,
) -> Iterator[None]:
    """A bordered box with a title line; what `frame` makes is offered as CSV, `extra` draws more options."""
    with st.container(border=True, gap=None):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.markdown(f"**{title}** :gray[{subtitle}]", width="stretch")
            if extra is not None:
                extra()
            if frame is not None:
                st.download_button(
                    "CSV",
                    lambda: frame().to_csv(index=False).encode(),
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


# Under the test id of Streamlit's own charts, for which tools that photograph pages wait.
CHART_JS = (Path(__file__).parent / "chart.js").read_text(encoding="utf-8")
# Where nothing can hover, Plotly's buttons would always stand over the chart's own key. A player's are white under the
# pointer, in the dark theme too, and show no focus.
CHART_CSS = """
.aiq-chart:fullscreen { background: var(--st-background-color); height: 100% !important; }
@media (hover: none) { .aiq-chart .modebar-container { display: none; } }
.aiq-chart .updatemenu-button:hover rect { fill: var(--st-secondary-background-color) !important; }
.aiq-chart .updatemenu-button:focus { outline: none; }
.aiq-chart .updatemenu-button:focus-visible rect {
  stroke: var(--st-primary-color) !important; stroke-width: 3px !important;
}
"""
_draw = st.components.v2.component(
    "aiq-chart",
    html='<div class="aiq-chart" data-testid="stPlotlyChart" role="figure"></div>',
    css=CHART_CSS,
    js=CHART_JS,
    isolate_styles=False,
)


def payload(
    key: str, figure: dict[str, Any], file_name: str, alt: str, clickable: bool = False, foresight: str = ""
) -> dict[str, Any]:
    """What chart.js draws: the figure's parts as texts, so that it can tell what is new from what is not."""
    # Plotly's encoder knows numpy.
    parts = {"traces": figure["data"], "layout": figure["layout"], "frames": figure.get("frames", [])}
    texts = {name: to_json_plotly(part) for name, part in parts.items()}
    return {
        **texts,
        "key": key,
        "config": config(file_name),
        "height": figure["layout"]["height"],
        "clickable": clickable,
        "alt": alt,
        "foresight": foresight,
    }


def chart(
    figure: dict[str, Any],
    key: str,
    file_name: str,
    alt: str,
    on_click: Callable[[Click], None] | None = None,
    foresight: str = "",
    on_played: Callable[[str], None] | None = None,
) -> None:
    """A Plotly figure drawn as it is; `alt` is read by screen readers, `on_click` hears of a click on a mark.

    `foresight` is what pages/instant asks for to show what comes next. `on_played` hears at which frame a player came
    to rest.
    """

    def clicked() -> None:
        if on_click is not None and (click := st.session_state[key]["clicked"]) is not None:
            on_click(Click(**click))

    def played() -> None:
        if on_played is not None and (name := st.session_state[key]["played"]) is not None:
            on_played(name)

    data = payload(key, figure, file_name, alt, on_click is not None, foresight)
    _draw(key=key, data=data, on_clicked_change=clicked, on_played_change=played)


def drawing_card(
    drawing: Drawing,
    extra: Callable[[], None] | None = None,
    on_click: Callable[[Click], None] | None = None,
    foresight: str = "",
    beneath: Callable[[], None] | None = None,
) -> None:
    """A drawing in its card, with more options that `extra` draws and what `beneath` draws under the chart."""
    with card(drawing.title, drawing.subtitle, drawing.frame, drawing.name, extra):
        chart(drawing.figure, drawing.key, drawing.name, drawing.alt, on_click, foresight)
        if beneath is not None:
            beneath()
