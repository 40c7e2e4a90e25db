"""The charts that answer an edit: bits, roofline, and the layer's weights."""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from aiq_core import assets, folding
from aiq_core.charts.bits import Bar, BitsData, bar_height, bits_data, bits_figure, bits_frame
from aiq_core.charts.reasons import Reason, reasons
from aiq_core.charts.roofline import roofline_data, roofline_frame
from aiq_core.charts.roofline_figure import roofline_figure
from aiq_core.charts.style import Look, faded
from aiq_core.charts.weights import WeightsData, error_text, weights_data, weights_figure, weights_frame
from aiq_core.charts.wording import bits_name, number
from aiq_core.library import asked_step
from aiq_core.records import FP32_BITS, OFFERED_BITS, ModelProfile, Policy
from pages.common import controls, known
from pages.common.charts import Click, card, chart, has_roofline
from pages.common.controls import View
from pages.explore import panels
from pages.lab import state
from pages.lab.history import Entry

CHART = "lab-bits-chart"


def bits(view: View, start: Entry, before: Policy, policy: Policy, layer: int, below: Callable[[], None]) -> None:
    """The bits chart, in which a click anywhere above a layer's name picks it; `below` draws what changes them."""
    profile = assets.profile(view.model)
    data = _bits_data(view, profile, start, before, policy)
    changed = len(data.changed)
    title = f"click a layer to work on it; {_differ(changed)}"
    with card("Bits per layer", title, partial(bits_frame, data), f"{view.model}-lab-bits"):
        alt = ", ".join(f"{bar.layer} {bar.bits}" for bar in data.bars)
        figure = clickable(bits_figure(data, view.look), data, layer, view.look)
        name = f"{view.model}-lab-bits"
        chart(figure, CHART, name, f"Bits per layer, {data.bars[layer].layer} picked: {alt}", on_click=_clicked)
        below()


def _differ(count: int) -> str:
    return "nothing changed yet" if not count else f"outlined: {count} changed, lines show before"


def _bits_data(view: View, profile: ModelProfile, start: Entry, before: Policy, policy: Policy) -> BitsData:
    why = _reasons(view, profile, start, policy)
    if known.is_known(view.model, view.images):
        return bits_data(profile, policy, why, known.table(view.model, view.images), before)
    bars = [
        Bar(layer.name, width, layer.weights, layer.weights * width / 8, (), why[i], before.weight_bits[i])
        for i, (layer, width) in enumerate(zip(profile.quantizable, policy.weight_bits, strict=True))
    ]
    return BitsData(profile.model, tuple(bars), view.images, "")


def _reasons(view: View, profile: ModelProfile, start: Entry, policy: Policy) -> tuple[Reason, ...]:
    """Of layers that stand as at the start, the start's reasons; of the others, that a hand set them."""
    at_start = (Reason(f"as it was: {start.text}", ""),) * len(policy.weight_bits)
    # Asked of measured starts only: for any other policy every run would be read in vain.
    if known.is_known(view.model, view.images) and known.table(view.model, view.images).row(start.policy) is not None:
        run = known.reasons(view.model, start.policy.key)
        position = None if run is None else asked_step(run, start.policy, profile)
        at_start = reasons(profile, start.policy, run, position)
    return tuple(
        reason if was == now else Reason(f"set by hand, from {bits_name(was)}", "")
        for reason, was, now in zip(at_start, start.policy.weight_bits, policy.weight_bits, strict=True)
    )


def clickable(figure: dict[str, Any], data: BitsData, layer: int, look: Look) -> dict[str, Any]:
    """The bits figure with a column a layer to click on, the picked one shaded and named."""
    bars, layout, palette = figure["data"][0], figure["layout"], look.palette
    top = bar_height(FP32_BITS) * 1.18
    columns = {
        "type": "bar",
        "x": bars["x"],
        "y": [top] * len(data.bars),
        "width": 1,
        "marker": {"color": "rgba(0,0,0,0)", "line": {"width": 0}},
        "customdata": bars["customdata"],
        "hovertemplate": bars["hovertemplate"],
    }
    picked = {
        "type": "rect",
        "yref": "paper",
        "x0": layer - 0.5,
        "x1": layer + 0.5,
        "y0": 0,
        "y1": 1,
        "line": {"width": 1.5 * look.scale, "color": palette.text},
        "fillcolor": faded(palette.accent, 0.12),
        "layer": "below",
    }
    # The columns stand above the bars and say what they would: once is enough to send.
    below = {name: value for name, value in bars.items() if name not in ("customdata", "hovertemplate")}
    return {
        "data": [{**below, "hoverinfo": "skip"}, columns],
        "layout": {**layout, "barmode": "overlay", "shapes": [*layout["shapes"], picked]},
    }


def _clicked(click: Click) -> None:
    """A click on a column picks its layer."""
    names = assets.profile(st.session_state["model"]).quantizable_names
    if click.index is not None and click.index < len(names):
        state.set_layer(names[click.index])


def roofline(view: View, before: Policy, before_name: str, policy: Policy, layer: int) -> None:
    """Every layer before → after, the picked one ringed."""
    if not has_roofline(view.machine):
        return
    profile = assets.profile(view.model)
    name = "FP32" if before.is_fp32 else before_name
    data = roofline_data(view.machine, profile, before, policy, view.batch, OFFERED_BITS, controls.BATCHES, name)
    picked = profile.quantizable_names[layer]
    figure = roofline_figure(data, view.look)
    dot = next(dot for dot in data.dots if dot.layer == picked)
    figure["data"].append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [dot.after.intensity],
            "y": [dot.after.rate],
            "hoverinfo": "skip",
            "marker": {
                "symbol": "circle-open",
                "size": 30 * view.look.scale,
                "color": view.look.palette.text,
                "line": {"width": 1.5 * view.look.scale},
            },
        }
    )
    title = f"{before_name} → now; ring: {picked}"
    sources = partial(panels.machine_sources, view.machine)
    with card("Roofline", title, partial(roofline_frame, data), f"{view.model}-lab-roofline", extra=sources):
        alt = (
            f"Roofline of {view.machine.name} with {len(data.dots)} layers of {view.model} at batch {view.batch}; "
            f"{data.memory_bound} are memory-bound. {picked} does {number(dot.after.intensity, 2)} FLOPs per byte."
        )
        chart(figure, "lab-roofline", f"{view.model}-lab-roofline", alt)


@st.cache_resource(max_entries=4, show_spinner=False)
def _folded(model: str):  # type: ignore[no-untyped-def]
    return folding.folded_weights(model)


@st.cache_resource(max_entries=120, show_spinner=False)
def _weights(model: str, layer: str, bits: int) -> WeightsData:
    return weights_data(model, layer, _folded(model)[layer], bits)


def weights(view: View, policy: Policy, layer: int, extra: Callable[[], None]) -> None:
    """The picked layer's weights before rounding and after."""
    name = assets.profile(view.model).quantizable_names[layer]
    data = _weights(view.model, name, policy.weight_bits[layer])
    with card("Weights", name, partial(weights_frame, data), f"{view.model}-{name}-weights", extra):
        alt = f"Histogram of the {data.weights:,} weights of {name} before rounding and at {bits_name(data.bits)}."
        if data.error is not None:
            alt += f" {error_text(data.error)}."
        chart(weights_figure(data, view.look), "lab-weights", f"{view.model}-{name}-weights", alt)
        st.caption("FP32: nothing is rounded, so nothing is lost." if data.error is None else error_text(data.error))
