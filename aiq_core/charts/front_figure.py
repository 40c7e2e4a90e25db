"""The figures of a front: points lost against AI, and against what they were predicted to cost."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from aiq_core.charts import draw, labels, style
from aiq_core.charts.front import FrontData, Mark, Standing, Uniform
from aiq_core.charts.labels import Anchor
from aiq_core.charts.pareto import describe
from aiq_core.charts.style import Look
from aiq_core.wording import nats, number, per_byte, signed, span, widths_name

HEIGHT_PX = 288
MARGIN_PX = {"l": 48, "r": 12, "t": 22, "b": 38}
RING_PX = 16
MOST_LOST = 3.0
"""Points lost down to which the axis reaches: a point that fell apart must not flatten the rest."""


def front_figure(data: FrontData, look: Look) -> dict[str, Any]:
    """Points lost, downwards, against AI: the shape of the trade-off chart. `customdata` is a policy's key."""
    palette = look.palette
    by = {standing: [mark for mark in data.marks if mark.standing is standing] for standing in Standing}
    line = {"color": palette.text, "width": 1.6 * look.scale}
    traces = [
        _marks(by[Standing.DOMINATED], look, style.faded(palette.muted, 0.5), 5.5, "circle"),
        _marks(by[Standing.HULL], look, palette.text, 7, "circle") | {"mode": "lines+markers", "line": line},
        _marks(by[Standing.FRONT], look, palette.text, 6.5, "circle-open", 1.4),
    ]
    deepest = _deepest(data)
    seen = [even for even in data.uniform if even.drop.value <= deepest]
    traces += [_uniform(even, look) for even in seen]
    across = [*(mark.intensity for mark in data.marks), *(even.intensity for even in seen)]
    wide = max(across) - min(across) or max(across)
    highest = min(0.0, *(mark.drop.low for mark in data.marks))
    room = 0.05 * (deepest - highest)
    x_range = min(across) - 0.05 * wide, max(across) + 0.07 * wide
    y_range = highest - room, deepest + room
    rings = [mark for mark in data.marks if mark.policy == data.shown]
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            xaxis=style.axis(look, per_byte(data.traffic), range=[*x_range]),
            # Downwards: fewer points lost stand higher, as more accuracy does elsewhere.
            yaxis=style.axis(look, f"points lost, {data.images:,} {data.judges} images", range=[*reversed(y_range)]),
            shapes=[_zero(look), *(_ring(mark, look) for mark in rings)],
            annotations=[_key(by, look), *_names(seen, data.marks, x_range, y_range, look)],
        ),
    }


def _deepest(data: FrontData) -> float:
    """Where the axis of points lost ends: all points with their intervals, unless they fell apart."""
    most = max(mark.drop.value for mark in data.marks)
    return max(1.0, min(max(mark.drop.high for mark in data.marks), max(MOST_LOST, 1.2 * most)))


def _marks(marks: Sequence[Mark], look: Look, colour: str, size: float, symbol: str, edge: float = 0) -> dict[str, Any]:
    bars = draw.intervals(look, [mark.drop for mark in marks], style.faded(look.palette.muted, 0.4))
    told = {
        "customdata": [mark.policy.key for mark in marks],
        "text": [hover(mark) for mark in marks],
        "hovertemplate": "%{text}<extra></extra>",
    }
    xs, ys = [mark.intensity for mark in marks], [mark.drop.value for mark in marks]
    return draw.dots(look, xs, ys, symbol, size, colour, edge, error_y=bars, **told)


def hover(mark: Mark) -> str:
    """What a point says under the pointer."""
    noise = ", within noise" if mark.drop.contains_zero else ""
    lines = [
        f"<b>{signed(100 * (mark.ratio - 1), 0)} %</b>: AI {number(mark.intensity, 2)}",
        f"{number(mark.drop.value, 2)} points lost ({span(mark.drop)}{noise})",
        f"{mark.standing}{', refined by evaluations' if mark.refined else ''}",
        describe(mark.policy).replace("; ", "<br>"),
    ]
    if mark.cost is not None:
        lines.insert(2, f"predicted to cost {nats(mark.cost)}")
    return "<br>".join(lines)


def _uniform(even: Uniform, look: Look) -> dict[str, Any]:
    """Filled as its weights, rimmed as its activations, as everywhere."""
    colours, is_open = look.palette.bits, even.bits == 32
    name = widths_name(even.bits, even.activation_bits)
    text = f"{name}: AI {number(even.intensity, 2)}<br>{number(even.drop.value, 2)} points lost ({span(even.drop)})"
    trace = draw.dots(
        look, [even.intensity], [even.drop.value], style.SYMBOLS[even.bits], 10, colours[even.bits],
        1.8 if is_open else 0, text=[text], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    if not is_open and even.activation_bits != 32:
        trace["marker"]["line"] = {"width": 2.2 * look.scale, "color": colours[even.activation_bits]}
    return trace


def _names(
    seen: Sequence[Uniform],
    marks: Sequence[Mark],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    look: Look,
) -> list[dict[str, Any]]:
    """Names of the uniform policies, clear of each other and of the points."""

    def anchor(at: Uniform | Mark, text: str, radius_px: float) -> Anchor:
        across = (at.intensity - x_range[0]) / (x_range[1] - x_range[0])
        return Anchor(across, (at.drop.value - y_range[0]) / (y_range[1] - y_range[0]), text, radius_px * look.scale)

    names = [widths_name(even.bits, even.activation_bits) for even in seen]
    anchors = [anchor(even, name, 7) for even, name in zip(seen, names, strict=True)]
    height = (HEIGHT_PX - MARGIN_PX["t"] - MARGIN_PX["b"]) * look.scale
    obstacles = [anchor(mark, "", 4) for mark in marks]
    places = labels.place_labels(anchors, obstacles, height, look.font_px, labels.PLOT_WIDTHS_PX)
    return [
        style.note(
            look,
            name,
            even.intensity,
            even.drop.value,
            **asdict(place),
            font={"size": look.font_px * 0.95, "color": look.palette.bits[even.bits]},
        )
        for even, name, place in zip(seen, names, places, strict=True)
    ]


def _ring(mark: Mark, look: Look) -> dict[str, Any]:
    half = RING_PX / 2 * look.scale
    return {
        "type": "circle",
        "xsizemode": "pixel",
        "ysizemode": "pixel",
        "xanchor": mark.intensity,
        "yanchor": mark.drop.value,
        "x0": -half,
        "x1": half,
        "y0": -half,
        "y1": half,
        "line": {"color": look.palette.accent, "width": 2.6 * look.scale},
    }


def _zero(look: Look) -> dict[str, Any]:
    line = {"color": look.palette.muted, "width": look.scale, "dash": "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "line": line, "layer": "below"}


def _key(by: dict[Standing, list[Mark]], look: Look) -> dict[str, Any]:
    glyphs = {
        Standing.HULL: "●",
        Standing.FRONT: "○",
        Standing.DOMINATED: f"<span style='color:{style.faded(look.palette.muted, 0.7)}'>●</span>",
    }
    # Short, for phones.
    words = {Standing.HULL: "hull", Standing.FRONT: "front"}
    parts = [f"{glyph} {words.get(standing, standing)}" for standing, glyph in glyphs.items() if by[standing]]
    return style.heading(look, "   ".join(parts), yshift=4)


def predicted_figure(data: FrontData, look: Look) -> dict[str, Any]:
    """Points lost against predicted cost, with the line through the origin that fits best and the noise around it."""
    known = [mark for mark in data.marks if mark.cost is not None]
    most = max((mark.cost or 0.0 for mark in known), default=1.0) or 1.0
    ends = [0.0, 1.05 * most]
    slope = data.points_per_nat or 0.0
    halves = sorted((mark.drop.high - mark.drop.low) / 2 for mark in known)
    noise = halves[len(halves) // 2] if halves else 0.0
    palette = look.palette
    band = draw.line(
        look,
        [*ends, *reversed(ends)],
        [slope * ends[0] - noise, slope * ends[1] - noise, slope * ends[1] + noise, slope * ends[0] + noise],
        "rgba(0,0,0,0)",
        fill="toself",
        fillcolor=style.faded(palette.accent, 0.12),
    )
    points = _marks(known, look, palette.text, 6.5, "circle") | {"x": [mark.cost for mark in known]}
    low = min(-noise, *(mark.drop.low for mark in known)) if known else 0.0
    high = max(slope * ends[1] + noise, *(mark.drop.high for mark in known)) if known else 1.0
    key = f"<span style='color:{style.faded(palette.accent, 0.5)}'>■</span> as wide as 95 % intervals usually are"
    return {
        "data": [band, draw.line(look, ends, [slope * end for end in ends], palette.accent), points],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            xaxis=style.axis(look, "predicted cost, nats", range=[-0.03 * most, 1.08 * most]),
            yaxis=style.axis(look, f"points lost, {data.images:,} {data.judges} images", range=[low, high]),
            annotations=[style.heading(look, key, yshift=4)],
        ),
    }
