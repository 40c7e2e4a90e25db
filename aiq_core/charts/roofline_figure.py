"""The roofline chart's figure: zones, ceilings, ridge, layers and their labels."""

from math import ceil, floor, log10, sqrt
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, labels, style
from aiq_core.charts.roofline import RooflineData, Spot, hover
from aiq_core.charts.style import Look
from aiq_core.records import FP32_BITS

LABELLED = 6
MARGIN_PX = {"l": 50, "r": 66, "t": 22, "b": 38}
LARGEST_MARK_PX = 22
SMALLEST_MARK_PX = 6
ARROW_PX = 8
AWAY = 0.03
"""How far beside its mark a label begins, as a share of the plot's width."""

CROWDED_LEFT = 0.38
"""Share of the plot's width left of which a label does not fit left of its mark."""


def roofline_figure(data: RooflineData, look: Look) -> dict[str, Any]:
    """A Plotly figure, as a dict."""
    x_low, x_high = data.x_range
    return {
        "data": [
            *_roof_traces(data, look),
            *_arrow_traces(data, look),
            *_label_traces(data, look),
            *_dot_traces(data, look),
        ],
        "layout": style.layout(
            look,
            data.height_px,
            MARGIN_PX,
            shapes=[
                *zones(look, data.x_range, data.roof.ridge, layer="above"),
                *_zone_labels(data, look),
                *_ceiling_labels(data, look),
                _legend(data, look),
            ],
            xaxis=style.axis(
                look, wording.per_byte(data.traffic), type="log", range=[log10(x_low), log10(x_high)], dtick=1
            ),
            yaxis=rate_axis(look, data.y_range),
        ),
    }


def rate_axis(look: Look, ends: tuple[float, float]) -> dict[str, Any]:
    """The axis of speed, from one FLOP/s to another, with a tick a decade."""
    low, high = map(log10, ends)
    decades = [10.0**power for power in range(ceil(low), floor(high) + 1)]
    return style.axis(
        look,
        "attainable FLOP/s",
        type="log",
        range=[low, high],
        tickvals=decades,
        ticktext=[wording.short_rate(rate) for rate in decades],
    )


def zones(look: Look, x_range: tuple[float, float], edge: float, layer: str = "below") -> list[dict[str, Any]]:
    """Both zones, shaded, and the ridge between them, on its `layer`."""
    palette = look.palette
    whole = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    shapes: list[dict[str, Any]] = [
        {
            **whole,
            "type": "rect",
            "x0": low,
            "x1": high,
            "line": {"width": 0},
            "fillcolor": style.faded(colour, 0.1),
        }
        for low, high, colour in ((x_range[0], edge, palette.memory), (edge, x_range[1], palette.compute))
    ]
    dotted = {"color": palette.muted, "width": look.scale, "dash": "dot"}
    return [*shapes, {**whole, "type": "line", "x0": edge, "x1": edge, "line": dotted, "layer": layer}]


def _zone_labels(data: RooflineData, look: Look) -> list[dict[str, Any]]:
    palette, size = look.palette, look.font_px
    fonts = [{"size": size, "color": colour} for colour in (palette.memory, palette.compute)]
    low_right = {"yref": "paper", "xanchor": "right", "yanchor": "bottom"}
    high_left = {"yref": "paper", "xanchor": "left", "yanchor": "top"}
    return [
        style.label(look, "memory-bound", 0, 1, (6, -5), xref="paper", **high_left, font=fonts[0]),
        style.label(look, "compute-bound", 1, 0, (-6, 4), xref="paper", **low_right, font=fonts[1]),
        _ridge_label(data, look),
    ]


def _ridge_label(data: RooflineData, look: Look) -> dict[str, Any]:
    """Left of the ridge, at the bottom, a line above "compute-bound", which may reach across the ridge on a phone.

    At the top where activations may be quantized: names of layers stand at the bottom, and the ridge is far right.
    Where it is not, right of it, for "memory-bound" stands left.
    """
    high, (low, most) = data.joint, data.x_range
    is_far = log10(data.roof.ridge / low) > log10(most / low) / 2
    text, shift = f"ridge {wording.significant(data.roof.ridge)}", 0 if high else 1.6 * look.font_px - 1
    where: dict[str, Any] = {"xref": "x", "yref": "paper", "xanchor": "right" if is_far or not high else "left"}
    where["yanchor"] = "top" if high else "bottom"
    return style.label(look, text, data.roof.ridge, int(high), (0, shift), padding=5, **where)


def _roof_traces(data: RooflineData, look: Look) -> list[dict[str, Any]]:
    """The bandwidth line up to the roof, the roof, and the ceilings not in use, dashed."""
    (low, high), palette = data.x_range, look.palette
    bandwidth, roof = data.bandwidth, data.roof
    top = max(data.ceilings, key=lambda ceiling: ceiling.rate)
    others = [ceiling for ceiling in data.ceilings if ceiling is not roof and ceiling.ridge < high]
    xs = [roof.ridge, top.ridge, None, *(x for ceiling in others for x in (ceiling.ridge, high, None))]
    ys = [roof.rate, top.rate, None, *(y for ceiling in others for y in (ceiling.rate, ceiling.rate, None))]
    return [
        draw.line(look, [low, roof.ridge, high], [low * bandwidth, roof.rate, roof.rate], palette.text),
        draw.line(look, xs, ys, style.faded(palette.muted, 0.8), width=1, dash="4px,3px"),
    ]


def up_px(data: RooflineData, rate: float, look: Look) -> float:
    """Height of a rate above the x axis in pixels."""
    low, high = data.y_range
    height = (data.height_px - MARGIN_PX["t"] - MARGIN_PX["b"]) * look.scale
    return height * log10(rate / low) / log10(high / low)


def _across(data: RooflineData, intensity: float) -> float:
    """How far right an AI lies, as a share of the plot's width."""
    low, high = data.x_range
    return log10(intensity / low) / log10(high / low)


def line_px(look: Look) -> float:
    """Height of a line of labels in pixels."""
    return labels.LINE_EM * 0.9 * look.font_px


def _ceiling_labels(data: RooflineData, look: Look) -> list[dict[str, Any]]:
    """A label right of each ceiling, in the margin, so that marks and labels inside stay clear."""
    ceilings = sorted(data.ceilings, key=lambda ceiling: ceiling.rate)
    wanted = [up_px(data, ceiling.rate, look) for ceiling in ceilings]
    found = []
    for ceiling, height, at in zip(ceilings, labels.spread(wanted, line_px(look)), wanted, strict=True):
        text = f"{ceiling.number_type} {wording.prefixed_rate(ceiling.rate)}"
        roof = ceiling is data.roof
        found.append(
            style.label(
                look,
                f"<b>{text}</b>" if roof else text,
                1,
                ceiling.rate,
                (4 * look.scale, height - at),
                xref="paper",
                yref="y",
                xanchor="left",
                yanchor="middle",
                font={"size": look.font_px * 0.9, "color": look.palette.text if roof else look.palette.muted},
            )
        )
    return found


def _arrow_traces(data: RooflineData, look: Look) -> list[dict[str, Any]]:
    """From before to after, one trace a width: as annotations, arrows took most of the time to draw the chart."""
    # An arrow shorter than its marks says nothing.
    far = [spot for spot in data.spots if spot.after.intensity / spot.before.intensity >= 1.08]
    traces = []
    for bits in sorted({spot.moving_bits for spot in far}):
        spots = [spot for spot in far if spot.moving_bits == bits]
        colour = look.palette.bits[bits]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "hoverinfo": "skip",
                "x": [x for spot in spots for x in (spot.before.intensity, spot.after.intensity, None)],
                "y": [y for spot in spots for y in (spot.before.rate, spot.after.rate, None)],
                "line": {"color": colour, "width": 1.8 * look.scale},
                "marker": {
                    "symbol": "arrow",
                    "angleref": "previous",
                    "color": colour,
                    "line": {"width": 0},
                    "opacity": 1,
                    "size": [size for _ in spots for size in (0, ARROW_PX * look.scale, 0)],
                    "standoff": [px for spot in spots for px in (0, _diameter(spot.after.share, look) / 2, 0)],
                },
            }
        )
    return traces


def _diameter(share: float, look: Look) -> float:
    """Marker diameter in pixels: its area is the share of predicted time, within what can be seen and told apart."""
    return min(max(44 * sqrt(share), SMALLEST_MARK_PX), LARGEST_MARK_PX) * look.scale


def _dot_traces(data: RooflineData, look: Look) -> list[dict[str, Any]]:
    """One trace before, one after; the largest first, so that small ones stay on top. A mark stands for one layer."""
    spots, palette = data.spots, look.palette
    moved = [spot for spot in spots if spot.is_moved]
    base = {"type": "scatter", "mode": "markers", "hovertemplate": "%{customdata}<extra></extra>"}
    edges = [(spot.after.bits == FP32_BITS, spot.after.input_bits != FP32_BITS) for spot in spots]
    before = {
        **base,
        "name": data.before_name,
        "x": [spot.before.intensity for spot in moved],
        "y": [spot.before.rate for spot in moved],
        "customdata": [hover(spot, data.before_name) for spot in moved],
        "marker": {
            "symbol": [style.open_symbol(spot.before.bits) for spot in moved],
            "size": [_diameter(spot.before.share, look) for spot in moved],
            "color": [palette.bits[spot.before.bits] for spot in moved],
            "line": {"width": 1.5 * look.scale},
            "opacity": 0.8,
        },
    }
    after = {
        **base,
        "name": "shown",
        "x": [spot.after.intensity for spot in spots],
        "y": [spot.after.rate for spot in spots],
        "customdata": [hover(spot, data.before_name) for spot in spots],
        "marker": {
            "symbol": [style.SYMBOLS[spot.after.bits] for spot in spots],
            "size": [_diameter(spot.after.share, look) for spot in spots],
            "color": [palette.bits[spot.after.bits] for spot in spots],
            "line": {
                "width": [(2 if is_open or quantized else 1) * look.scale for is_open, quantized in edges],
                "color": [_edge(spot, look) for spot in spots],
            },
            "opacity": 1,
        },
    }
    return [before, after]


def _edge(spot: Spot, look: Look) -> str:
    """Around what a mark's filling says of the weights, what the layer reads."""
    if spot.after.bits == FP32_BITS:
        return look.palette.bits[FP32_BITS]
    return look.palette.background if spot.after.input_bits == FP32_BITS else look.palette.bits[spot.after.input_bits]


def _label_traces(data: RooflineData, look: Look) -> list[dict[str, Any]]:
    """Names of the largest spots: up and left of the roof, which is empty there; in the left third, down and right.

    Stacked in the order of their marks, so that the lines to them do not cross. Texts and lines are traces, a third
    quicker to draw than annotations.
    """
    largest = sorted(data.spots[:LABELLED], key=lambda spot: spot.after.intensity)
    gap = line_px(look)
    above = [spot for spot in largest if _across(data, spot.after.intensity) >= CROWDED_LEFT]
    below = [spot for spot in largest if spot not in above][::-1]
    heights = labels.spread([up_px(data, spot.after.rate, look) + 0.9 * gap for spot in above], gap)
    depths = labels.spread([0.9 * gap - up_px(data, spot.after.rate, look) for spot in below], gap)
    # Spot, height of its label above the axis in pixels, and the label's side: -1 is left.
    places = [
        *((spot, height, -1) for spot, height in zip(above, heights, strict=True)),
        *((spot, -depth, 1) for spot, depth in zip(below, depths, strict=True)),
    ]
    whole = wording.without_shared_head([dot.layer for dot in data.dots])
    short = wording.clipped(whole.values(), wording.MOST_LETTERS)
    (x_low, x_high), (y_low, y_high) = data.x_range, data.y_range
    plot_px = up_px(data, y_high, look)
    aside = (x_high / x_low) ** AWAY
    xs = [spot.after.intensity * aside**side for spot, _, side in places]
    ys = [y_low * (y_high / y_low) ** (height / plot_px) for _, height, _ in places]
    return [
        draw.line(
            look,
            [x for (spot, *_), to in zip(places, xs, strict=True) for x in (spot.after.intensity, to, None)],
            [y for (spot, *_), to in zip(places, ys, strict=True) for y in (spot.after.rate, to, None)],
            style.faded(look.palette.muted, 0.6),
            width=1,
        ),
        {
            "type": "scatter",
            "mode": "text",
            "name": "labels",
            "hoverinfo": "skip",
            "x": xs,
            "y": ys,
            "text": [wording.together([whole[name] for name in spot.names], short) for spot, *_ in places],
            "textposition": ["middle right" if side > 0 else "middle left" for *_, side in places],
            "textfont": {"size": look.font_px * 0.9, "color": look.palette.text},
            "cliponaxis": False,
        },
    ]


def _legend(data: RooflineData, look: Look) -> dict[str, Any]:
    """What the marks mean, in one line above the plot."""
    states = [state for dot in data.dots for state in (dot.before, dot.after)]
    widths = {
        width for state in states for width in ((state.bits, state.input_bits) if data.is_joint else (state.bits,))
    }
    what = "rim: input" if data.is_joint else f" outline: {data.before_name}"
    text = f"{style.key_to_bits(widths, look, short=data.is_joint)}  {what}"
    return style.label(look, text, 0, 1, (0, 4), xref="paper", yref="paper", xanchor="left", yanchor="bottom")
