"""The trade-off chart's figure: marks, intervals, the path, and labels that keep clear of each other."""

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

from aiq_core.charts import draw, labels, style
from aiq_core.charts.labels import Anchor
from aiq_core.charts.pareto import PaperPoint, ParetoData, Point, Uniform
from aiq_core.charts.style import Look
from aiq_core.metrics import Metric
from aiq_core.records import FP32_BITS, SplitName
from aiq_core.wording import number, per_byte, span

HEIGHT_PX = 288
MARGIN_PX = {"l": 48, "r": 10, "t": 22, "b": 38}
RING_PX = 17


def pareto_figure(data: ParetoData, look: Look, widths: Sequence[float] = labels.PLOT_WIDTHS_PX) -> dict[str, Any]:
    """The figure as a Plotly dict; `customdata` of every policy's mark is its key, so that a click can name it.

    `widths` are those of the plot, in pixels, that its labels must suit.
    """
    palette, marks = look.palette, partial(_marks, data.metric, look)
    path = {"color": palette.text, "width": 1.6 * look.scale}
    # Where two marks meet, a click takes the one drawn later.
    traces = [
        marks(data.dominated, style.faded(palette.muted, 0.35), 4.5, "circle"),
        _intervals(_told(data), look),
        marks(data.path, palette.text, 6.5, "circle") | {"mode": "lines+markers", "line": path},
        marks(data.random, palette.muted, 7.5, "x-thin", edge=1.6, kind=data.random_name),
        marks(data.others, palette.text, 5.5, "circle-open", edge=1.3),
        marks(data.members, palette.accent, 6.5, "circle"),
        *(_uniform(even, data.metric, look) for even in data.uniform),
        *(_beside(name, point, data.metric, look) for name, point in data.beside),
        _paper(data.paper, look),
    ]
    ringed = [(point, colour) for point, colour in ((data.pinned, palette.text), (data.shown, palette.accent)) if point]
    ringed += [(point, palette.accent) for _, point in data.runs]
    named = {key for trace in traces for key in trace.get("customdata", ())}
    traces += [marks([point], colour, 4.5, "circle") for point, colour in ringed if point.key not in named]
    return {
        "data": [trace for trace in traces if len(trace["x"])],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            xaxis=style.axis(look, per_byte(data.traffic), range=list(data.x_range)),
            yaxis=style.axis(
                look,
                f"{data.metric.title} {data.metric.unit}, {data.images:,} {data.judges} images",
                range=list(data.y_range),
            ),
            # The reader's zoom stays while the axes would.
            uirevision=f"{data.x_range} {data.y_range}",
            # Shapes, not marks: where alpha moves on, the marks stay as they are and need not be drawn again.
            shapes=[*_budget_shapes(data, look), *(_ring(point, look, colour) for point, colour in ringed)],
            annotations=[
                *_labels(data, look, widths),
                *_budget_note(data, look),
                *_below_note(data, look),
                *_fallen_notes(data, look),
                _key(data, look),
            ],
        ),
    }


def _marks(
    metric: Metric,
    look: Look,
    points: Sequence[Point],
    colour: str,
    size: float,
    symbol: str,
    edge: float = 0,
    kind: str = "",
) -> dict[str, Any]:
    said = [_hover(point, kind, metric) for point in points]
    named = {"customdata": [point.key for point in points], "text": said, "hovertemplate": "%{text}<extra></extra>"}
    return draw.dots(look, *_at(points), symbol, size, colour, edge, **named)


def _uniform(even: Uniform, metric: Metric, look: Look) -> dict[str, Any]:
    """Filled as its weights, rimmed as its activations where these are quantized."""
    colours, open_mark = look.palette.bits, even.bits == FP32_BITS
    trace = _marks(
        metric, look, [even.point], colours[even.bits], 10, style.SYMBOLS[even.bits], 1.8 if open_mark else 0
    )
    if even.activation_bits != FP32_BITS:
        trace["marker"]["line"] = {"width": 2.2 * look.scale, "color": colours[even.activation_bits]}
    return trace


def _at(points: Sequence[Point | PaperPoint]) -> tuple[list[float], list[float]]:
    return [point.intensity for point in points], [point.top1 for point in points]


def _told(data: ParetoData) -> list[Point]:
    """The policies whose interval is drawn: on the images that judge, every one with a name."""
    told = [*data.path, *(even.point for even in data.uniform)]
    if data.split is SplitName.REPORT:
        told += [
            *(point for _, point in data.beside),
            *data.random,
            *(point for _, point in data.runs),
            *([data.shown] if data.shown else []),
        ]
    return told


def _intervals(points: Sequence[Point], look: Look) -> dict[str, Any]:
    """95 % intervals, faint: drawn as strong as the marks they would drown the path."""
    bars = draw.intervals(look, [point.interval for point in points], style.faded(look.palette.muted, 0.4))
    colour = style.faded(look.palette.muted, 0.01)
    return draw.dots(look, *_at(points), "circle", 1, colour, hoverinfo="skip", error_y=bars)


def _ring(point: Point, look: Look, colour: str) -> dict[str, Any]:
    radius = RING_PX / 2 * look.scale
    return {
        **{"type": "circle", "xsizemode": "pixel", "ysizemode": "pixel"},
        **{"xanchor": point.intensity, "yanchor": point.top1},
        **{"x0": -radius, "x1": radius, "y0": -radius, "y1": radius},
        "line": {"color": colour, "width": 2.6 * look.scale},
    }


@lru_cache(maxsize=8192)
def _hover(point: Point, kind: str, metric: Metric) -> str:
    value = f"{metric.title} {number(point.top1, 2)} {metric.unit} ({span(point.interval)})"
    lines = [point.name.replace("; ", "<br>"), f"AI {number(point.intensity, 2)} FLOPs/byte, {value}", kind]
    return "<br>".join(line for line in lines if line)


def _beside(name: str, point: Point, metric: Metric, look: Look) -> dict[str, Any]:
    """A policy that was rounded otherwise: not clickable, since the chart's table has none like it."""
    trace = _marks(metric, look, [point], look.palette.paper, 9, "star-open", 1.6, name)
    return {key: value for key, value in trace.items() if key != "customdata"}


def _paper(points: Sequence[PaperPoint], look: Look) -> dict[str, Any]:
    """The paper's own points, from its network on the test images: not clickable, since nothing here has them."""
    said = [
        f"the paper's {p.name}: AI {number(p.intensity, 2)}, top-1 {number(p.top1, 2)} % on its test images"
        for p in points
    ]
    return draw.dots(look, *_at(points), "star", 9, look.palette.paper, hovertext=said, hoverinfo="text")


def _anchor(data: ParetoData, intensity: float, top1: float, text: str, radius_px: float, size: float = 1.0) -> Anchor:
    (x_low, x_high), (y_low, y_high) = data.x_range, data.y_range
    return Anchor((intensity - x_low) / (x_high - x_low), (y_high - top1) / (y_high - y_low), text, radius_px, size)


class _Label(NamedTuple):
    """A name wanted at a place; `radius` is its mark's in pixels at scale 1, `size` the text's in font sizes."""

    x: float
    y: float
    text: str
    colour: str
    radius: float
    size: float = 0.95


def _labels(data: ParetoData, look: Look, widths: Sequence[float]) -> list[dict[str, Any]]:
    """Names beside the marks: runs, what to compare with, the pinned and the shown policy, the paper's points."""
    palette, scale = look.palette, look.scale
    wanted = [_Label(p.intensity, p.top1, name, palette.accent, RING_PX / 2, 1.3) for name, p in data.runs]
    wanted += [_Label(p.intensity, p.top1, name, palette.paper, 7) for name, p in data.beside]
    for even in data.uniform:
        wanted.append(_Label(even.point.intensity, even.point.top1, even.name, palette.bits[even.bits], 7))
    if data.pinned is not None:
        wanted.append(_Label(data.pinned.intensity, data.pinned.top1, "A", palette.text, RING_PX / 2))
        if data.shown is not None and data.shown.key != data.pinned.key:
            wanted.append(_Label(data.shown.intensity, data.shown.top1, "B", palette.accent, RING_PX / 2))
    if data.random:
        lowest = min(data.random, key=lambda point: point.top1)
        wanted.append(_Label(lowest.intensity, lowest.top1, f"random × {len(data.random)}", palette.muted, 6))
    wanted += [
        _Label(p.intensity, p.top1, "paper, test images" if p.name == "AIQ" else f"paper {p.name}", palette.paper, 6)
        for p in data.paper
    ]
    wanted = [label for label in wanted if data.y_range[0] <= label.y <= data.y_range[1]]
    anchors = [
        _anchor(data, label.x, label.y, label.text, label.radius * scale, max(1.0, label.size)) for label in wanted
    ]
    obstacles = [_anchor(data, p.intensity, p.top1, "", 3 * scale) for p in (*data.path, *data.random, *data.others)]
    obstacles += [_anchor(data, p.intensity, p.top1, "", 1.5 * scale) for p in data.dominated]
    obstacles += [_anchor(data, *between, "", 2 * scale) for between in _along(data.path)]
    if data.split is SplitName.REPORT:
        tall = [(p.intensity, p.low + share / 20 * (p.high - p.low)) for p in _told(data) for share in range(21)]
        obstacles += [_anchor(data, x, y, "", 2 * scale) for x, y in tall]
    if data.shown is not None:
        obstacles.append(_anchor(data, data.shown.intensity, data.shown.top1, "", RING_PX / 2 * scale))
    obstacles += _budget_note_places(data, look)
    height = (HEIGHT_PX - MARGIN_PX["t"] - MARGIN_PX["b"]) * scale
    places = labels.place_labels(anchors, obstacles, height, look.font_px, widths)
    return [
        style.note(
            look,
            f"<b>{label.text}</b>" if label.size > 1 else label.text,
            label.x,
            label.y,
            xanchor=place.xanchor,
            yanchor=place.yanchor,
            xshift=place.xshift,
            yshift=place.yshift,
            font={"size": look.font_px * label.size, "color": label.colour},
        )
        for label, place in zip(wanted, places, strict=True)
    ]


def _along(points: Sequence[Point], parts: int = 8) -> list[tuple[float, float]]:
    """Places along the path's line, which labels must not cross either."""
    places = []
    for one, other in pairwise(points):
        for part in range(1, parts):
            share = part / parts
            places.append(
                (
                    one.intensity + share * (other.intensity - one.intensity),
                    one.top1 + share * (other.top1 - one.top1),
                )
            )
    return places


def _budget_shapes(data: ParetoData, look: Look) -> list[dict[str, Any]]:
    if data.budget_top1 is None:
        return []
    band = {"xref": "paper", "x0": 0, "x1": 1, "y0": data.budget_top1, "layer": "below"}
    line = {"color": look.palette.accent, "width": look.scale, "dash": "dot"}
    return [
        {
            **band,
            "type": "rect",
            "y1": data.y_range[1],
            "fillcolor": style.faded(look.palette.accent, 0.09),
            "line": {"width": 0},
        },
        {**band, "type": "line", "y1": data.budget_top1, "line": line},
    ]


def _budget_note(data: ParetoData, look: Look) -> list[dict[str, Any]]:
    """Under the band's edge, where no policy of the path stands at the left."""
    if data.budget_top1 is None:
        return []
    font = {"size": look.font_px * 0.95, "color": look.palette.accent}
    where = {"xref": "paper", "xanchor": "left", "yanchor": "top", "xshift": 6 * look.scale, "yshift": -3}
    return [style.note(look, "↑ within the budget", 0.08, data.budget_top1, font=font, **where)]


def _budget_note_places(data: ParetoData, look: Look) -> list[Anchor]:
    """Where the note stands, for names to keep off."""
    if data.budget_top1 is None:
        return []
    (x_low, x_high), (y_low, y_high) = data.x_range, data.y_range
    middle = data.budget_top1 - (y_high - y_low) * 0.8 * look.font_px / (HEIGHT_PX * look.scale)
    places = (x_low + share / 100 * (x_high - x_low) for share in range(9, 36, 3))
    return [_anchor(data, x, middle, "", 0.5 * look.font_px) for x in places]


def _fallen(data: ParetoData) -> list[Uniform]:
    """Uniform policies under the y axis, by falling AI."""
    fallen = [even for even in data.uniform if even.point.top1 < data.y_range[0]]
    return sorted(fallen, key=lambda even: -even.point.intensity)


def _fallen_notes(data: ParetoData, look: Look) -> list[dict[str, Any]]:
    """Names uniform policies under the y axis at its edge: they always belong to the picture. Each above the last."""
    where = {"yref": "paper", "xanchor": "right", "yanchor": "bottom", "xshift": 12}
    line = labels.LINE_EM * look.font_px * 0.95
    return [
        style.note(
            look,
            f"↓ {even.name}: {number(even.point.top1, 1)} %",
            even.point.intensity,
            0,
            font={"size": look.font_px * 0.95, "color": look.palette.bits[even.bits]},
            yshift=3 + place * line,
            **where,
        )
        for place, even in enumerate(_fallen(data))
    ]


def _below_note(data: ParetoData, look: Look) -> list[dict[str, Any]]:
    if data.below <= len(_fallen(data)):
        return []
    where = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "xshift": 5, "yshift": 3}
    return [style.note(look, f"↓ {data.below - len(_fallen(data))} more below", 0, 0, **where)]


def _key(data: ParetoData, look: Look) -> dict[str, Any]:
    """What the marks mean, in one line above the plot."""
    parts = ["● best at some alpha"]
    if data.others:
        parts.append("○ other Pareto")
    if data.members:
        parts.append(f"<span style='color:{look.palette.accent}'>●</span> {data.members_name}")
    if data.dominated:
        parts.append(f"<span style='color:{style.faded(look.palette.muted, 0.6)}'>●</span> {data.rest_name}")
    return style.note(
        look, "   ".join(parts), x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="bottom", yshift=4
    )
