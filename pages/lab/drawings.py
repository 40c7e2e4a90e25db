"""The charts that answer an edit: bits, roofline, and the picked layer's weights."""

from functools import partial
from typing import Any

from aiq_core.catalog import Model
from aiq_core.charts.bits import Bar, BitsData, bar_height, bits_data, bits_figure, bits_frame
from aiq_core.charts.reasons import Reason, reasons
from aiq_core.charts.roofline import roofline_data, roofline_frame
from aiq_core.charts.roofline_figure import roofline_figure
from aiq_core.charts.style import Look, faded
from aiq_core.charts.weights import WeightsData, error_text, weights_data, weights_figure, weights_frame
from aiq_core.library import asked_step
from aiq_core.records import FP32_BITS, OFFERED_BITS
from aiq_core.wording import bits_name, number
from pages.common import controls, known
from pages.common.charts import Drawing
from pages.lab.shown import Shown


def bits(shown: Shown) -> Drawing:
    """The bits chart, in which a click anywhere above a layer's name picks it."""
    data, look = _bits_data(shown), shown.view.look
    changed = len(data.changed)
    differs = f"outlined: {changed} changed, lines show before" if changed else "nothing changed yet"
    bars = ", ".join(f"{bar.layer} {bar.bits}" for bar in data.bars)
    return Drawing(
        "lab-bits-chart",
        f"{shown.view.model}-lab-bits",
        "Bits per layer",
        f"click a layer to work on it; {differs}",
        f"Bits per layer, {shown.layer_name} picked: {bars}",
        clickable(bits_figure(data, look), data, shown.layer, look),
        partial(bits_frame, data),
    )


def _bits_data(shown: Shown) -> BitsData:
    view, policy, profile, former = shown.view, shown.policy, shown.profile, shown.former
    why = _reasons(shown)
    if known.is_known(view.model, view.images):
        return bits_data(profile, policy, why, known.table(view.model, view.images), former)
    bars = [
        Bar(layer.name, width, layer.weights, layer.weights * width / 8, (), why[i], former.weight_bits[i])
        for i, (layer, width) in enumerate(zip(profile.quantizable, policy.weight_bits, strict=True))
    ]
    return BitsData(profile.model, tuple(bars), view.images, "")


def _reasons(shown: Shown) -> tuple[Reason, ...]:
    """Of layers that stand as at the start, the start's reasons; of the others, that a hand set them."""
    view, start, policy = shown.view, shown.start, shown.policy
    at_start = (Reason(f"as it was: {start.text}", ""),) * len(policy.weight_bits)
    # Asked of measured starts only: for any other policy every run would be read in vain.
    if known.is_known(view.model, view.images) and known.table(view.model, view.images).row(start.policy) is not None:
        run = known.reasons(view.model, start.policy.key)
        position = None if run is None else asked_step(run, start.policy, shown.profile)
        at_start = reasons(shown.profile, start.policy, run, position)
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


def roofline(shown: Shown) -> Drawing:
    """Every layer before → after, the picked one ringed; for a machine that has a roofline here."""
    view, (before, before_name) = shown.view, shown.before
    name = "FP32" if before.is_fp32 else before_name
    data = roofline_data(
        view.machine, shown.profile, before, shown.policy, view.batch, OFFERED_BITS, controls.BATCHES, name
    )
    figure = roofline_figure(data, view.look)
    dot = next(dot for dot in data.dots if dot.layer == shown.layer_name)
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
    return Drawing(
        "lab-roofline",
        f"{view.model}-lab-roofline",
        "Roofline",
        f"{before_name} → now; ring: {shown.layer_name}",
        f"Roofline of {view.machine.name} with {len(data.dots)} layers of {view.model} at batch {view.batch}; "
        f"{data.memory_bound} are memory-bound. "
        f"{shown.layer_name} does {number(dot.after.intensity, 2)} FLOPs per byte.",
        figure,
        partial(roofline_frame, data),
    )


@known.cached(120)
def _weights_data(model: Model, layer: str, bits: int) -> WeightsData:
    return weights_data(model.name, layer, model.folded_weights[layer], bits)


def weights(shown: Shown) -> Drawing:
    """The picked layer's weights before rounding and after."""
    view, name = shown.view, shown.layer_name
    data = _weights_data(view.model, name, shown.policy.weight_bits[shown.layer])
    alt = f"Histogram of the {data.weights:,} weights of {name} before rounding and at {bits_name(data.bits)}."
    if data.error is not None:
        alt += f" {error_text(data.error)}."
    return Drawing(
        "lab-weights",
        f"{view.model}-{name}-weights",
        "Weights",
        name,
        alt,
        weights_figure(data, view.look),
        partial(weights_frame, data),
    )


def weights_lost(shown: Shown) -> str:
    """What rounding costs the picked layer's weights, in words."""
    error = _weights_data(shown.view.model, shown.layer_name, shown.policy.weight_bits[shown.layer]).error
    return "FP32: nothing is rounded, so nothing is lost." if error is None else error_text(error)
