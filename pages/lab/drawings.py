"""The charts that answer an edit: bits, roofline, and the picked layer's weights or group's facts."""

from functools import partial

import pandas as pd

from aiq_core.activations import PIXEL_BITS
from aiq_core.catalog import Model
from aiq_core.catalog.shipped import ROUNDING as SHIPPED
from aiq_core.catalog.shipped import ShippedLayers, shipped_settings
from aiq_core.charts.bits import BitsData, bits_data, bits_frame
from aiq_core.charts.bits_figure import bits_figure, clickable
from aiq_core.charts.reasons import Reason, reasons
from aiq_core.charts.roofline import roofline_data, roofline_frame
from aiq_core.charts.roofline_figure import roofline_figure
from aiq_core.charts.weights import WeightsData, error_text, weights_data, weights_figure, weights_frame
from aiq_core.envelope import PolicyTable
from aiq_core.library import asked_step
from aiq_core.records import FP32_BITS, OFFERED_BITS, UNFUSED, Site
from aiq_core.wording import bits_name, number, size
from pages.common import controls, fronts, known
from pages.common.charts import Drawing
from pages.lab.shown import Shown


def bits(shown: Shown) -> Drawing:
    """The bits chart, in which a click anywhere above or below a site's bar picks it."""
    data, look = _bits_data(shown), shown.view.look
    changed = len(data.changed)
    differs = f"outlined: {changed} changed, lines show before" if changed else "nothing changed yet"
    return Drawing(
        "lab-bits-chart",
        f"{shown.view.model}-lab-bits",
        data.title,
        f"click one to work on it; {differs}",
        f"{data.title}, {shown.site} picked: {data.spoken}",
        clickable(bits_figure(data, look), data, shown.site, look),
        partial(bits_frame, data),
    )


def _bits_data(shown: Shown) -> BitsData:
    table, former = _table(shown), shown.former
    view, space = shown.view, shown.space
    costs = fronts.costs(view.model, space) if fronts.can_measure_costs(view.model) else None
    rate = None if table is None else fronts.front(view.model, view.images, UNFUSED, space).points_per_nat
    return bits_data(
        shown.profile,
        shown.policy,
        _reasons(shown),
        table,
        former,
        groups=True,
        quantizer=shown.quantizer,
        costs=costs,
        points_per_nat=rate,
    )


def _table(shown: Shown) -> PolicyTable | None:
    """What is known in the policy's space; None where not even FP32 is."""
    view, space = shown.view, shown.space
    can_calibrate = view.model.dataset.calibration_hash is not None
    if not known.is_known(view.model, view.images, space) or (space.is_joint and not can_calibrate):
        return None
    return known.table(view.model, view.images, space=space)


def _reasons(shown: Shown) -> dict[Site, Reason]:
    """Of sites that stand as at the start, the start's reasons; of the others, that a hand set them."""
    view, start, profile = shown.view, shown.start, shown.profile
    at_start = dict.fromkeys(profile.sites, Reason(f"as it was: {start.text}", ""))
    # Asked of measured starts only: for any other policy every run would be read in vain.
    table = _table(shown)
    if table is not None and table.row(start.policy) is not None:
        run = known.reasons(view.model, start.policy.key, space=shown.space)
        position = None if run is None else asked_step(run, start.policy, profile)
        at_start = reasons(profile, start.policy, run, position)
    widths = ((site, profile.width(start.policy, site), profile.width(shown.policy, site)) for site in profile.sites)
    by_hand = {site: Reason(f"set by hand, from {bits_name(was)}", "") for site, was, now in widths if was != now}
    return at_start | by_hand


def roofline(shown: Shown) -> Drawing:
    """Every layer before → after, the picked ones ringed; for a machine that has a roofline here."""
    view, (before, before_name) = shown.view, shown.before
    name = "FP32" if before.is_fp32 else before_name
    data = roofline_data(
        view.machine, shown.profile, before, shown.policy, view.batch, OFFERED_BITS, controls.BATCHES, name
    )
    figure = roofline_figure(data, view.look)
    ringed = [dot for dot in data.dots if dot.layer in touched(shown)]
    figure["data"].append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [dot.after.intensity for dot in ringed],
            "y": [dot.after.rate for dot in ringed],
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
        f"{before_name} → now; {f'ring: {shown.site}' if shown.is_layer else 'rings: its layers'}",
        f"Roofline of {view.machine.name} with {len(data.dots)} layers of {view.model} at batch {view.batch}; "
        f"{data.memory_bound} are memory-bound. "
        + " ".join(f"{dot.layer} does {number(dot.after.intensity, 2)} FLOPs per byte." for dot in ringed),
        figure,
        partial(roofline_frame, data),
    )


def touched(shown: Shown) -> set[str]:
    """The layers that the picked site is of."""
    name, profile = shown.site.name, shown.profile
    if shown.is_layer:
        return {name}
    return {layer.name for layer in (*profile.writers(name), *profile.readers(name))}


@known.cached(6)
def _shipped(model: Model) -> ShippedLayers:
    return ShippedLayers(model, shipped_settings(model))


@known.cached(120)
def _weights_data(model: Model, layer: str, bits: int, rounding: str) -> WeightsData:
    """As `rounding` makes the layer where that ships with the app, else to nearest."""
    rounded = _shipped(model)(layer, bits) if rounding == SHIPPED else None
    named = None if rounded is None else (rounding, rounded)
    return weights_data(model.name, layer, model.folded_weights[layer], bits, named)


def _weights_of(shown: Shown) -> WeightsData:
    return _weights_data(shown.view.model, shown.site.name, shown.bits, shown.quantizer.rounding)


def weights(shown: Shown) -> Drawing:
    """The picked layer's weights before rounding and after."""
    view, name = shown.view, shown.site.name
    data = _weights_of(shown)
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
    """What rounding costs the picked layer's weights, in words, and where another rounding is shown than measured."""
    data, rounding = _weights_of(shown), shown.quantizer.rounding
    if data.error is None:
        return "FP32: nothing is rounded, so nothing is lost."
    lost = error_text(data.error)
    if data.rounding == rounding:
        return lost
    return f"{lost}. Shown rounded to nearest: what {rounding} makes of it at {bits_name(data.bits)} does not ship."


def why_more_than_half(shown: Shown) -> str | None:
    """Why a weight may move by more than half a step; None where none does."""
    data = _weights_of(shown)
    if data.error is None or data.error.to_nearest:
        return None
    return (
        f"{data.rounding} rounds so that the layer's output on calibration images changes least. For that a weight may "
        "be clipped, or move by more than half a step."
    )


def _range(shown: Shown) -> dict[str, str]:
    """Where the picked group's tensors end at its width, from calibration images; nothing where that does not ship."""
    calibration, (name, bits) = shown.view.model.shipped_ranges, (shown.site.name, shown.bits)
    if bits == FP32_BITS or calibration is None or calibration.ranges != shown.quantizer.activations:
        return {}
    places = (place for place, group in shown.profile.stored_tensors.items() if group == name)
    tensors = [calibration.tensors[place] for place in places if place in calibration.tensors]
    ends = [(-tensor.ends[bits] if tensor.signed else 0, tensor.ends[bits], tensor.scale(bits)) for tensor in tensors]
    told = [f"{number(low, 2)} to {number(high, 2)} by {number(step, 3)}" for low, high, step in ends]
    pixels = "exact: pixels are bytes" if bits >= PIXEL_BITS else f"{2**bits} of 256 values of a pixel"
    return {f"range at {bits_name(bits)}": "; ".join(dict.fromkeys(told)) or pixels}


def group_facts(shown: Shown) -> pd.DataFrame:
    """What is known of the picked group without an image: its size, who writes and reads it, and what that moves."""
    profile, name = shown.profile, shown.site.name
    writers, readers = profile.writers(name), profile.readers(name)
    elements = profile.elements(shown.site)
    accesses = sum(layer.output_elements for layer in writers) + sum(layer.input_elements for layer in readers)
    at_fp32, now = accesses * FP32_BITS / 8, accesses * shown.bits / 8
    rows = {
        "elements of a tensor": f"{elements:,}, {size(elements * shown.bits / 8)} at {bits_name(shown.bits)}",
        "written by": ", ".join(layer.name for layer in writers) or "no layer",
        "read by": ", ".join(layer.name for layer in readers) or "no layer",
        "moved an image": f"{size(now)}, at FP32 {size(at_fp32)} ({UNFUSED})",
        **_range(shown),
    }
    return pd.DataFrame(rows.items(), columns=["what", "value"]).set_index("what")
