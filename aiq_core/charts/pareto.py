"""The trade-off chart: accuracy against AI, with what is known, the best at every alpha, and what to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aiq_core.charts.style import Look, axis, faded, layout, note
from aiq_core.charts.wording import number, span
from aiq_core.envelope import PolicyTable, pareto
from aiq_core.records import Policy
from aiq_core.statistics import wilson

HEIGHT_PX = 292
MARGIN_PX = {"l": 46, "r": 10, "t": 8, "b": 38}
DOMINATED_SHOWN = 600
"""Dominated points drawn at most: more only hide each other; the table and the CSV have them all."""


@dataclass(frozen=True, slots=True)
class Point:
    """A policy drawn: AI in FLOPs/byte, top-1 in percent with its 95 % interval; `row` is its row of the table."""

    row: int
    key: str
    name: str
    intensity: float
    top1: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PaperPoint:
    """A point that the paper prints, on its own network and the test images."""

    name: str
    intensity: float
    top1: float


PAPER_POINTS: Mapping[str, tuple[PaperPoint, ...]] = {
    # arXiv 2512.14090, table for ResNet-20; AI of the uniform policies recomputed (biases at FP32).
    "resnet20": (
        PaperPoint("FP32", 29.8494, 91.92),
        PaperPoint("INT8", 42.3022, 91.96),
        PaperPoint("INT4", 45.4634, 89.94),
        PaperPoint("AIQ", 45.2466, 91.02),
    ),
}


@dataclass(frozen=True)
class ParetoData:
    """Everything drawn. `path` are the policies best at some alpha, in order; `others` the Pareto points beside it."""

    images: int
    path: tuple[Point, ...]
    others: tuple[Point, ...]
    dominated: tuple[Point, ...]
    uniform: tuple[tuple[int, Point], ...]
    random: tuple[Point, ...]
    shown: Point | None
    pinned: Point | None
    budget_top1: float | None
    paper: tuple[PaperPoint, ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def pareto_data(
    table: PolicyTable,
    path_rows: Sequence[int],
    random_policies: Sequence[Policy],
    shown: Policy | None,
    pinned: Policy | None = None,
    budget_points: float | None = None,
    dominated: bool = True,
    paper: bool = False,
) -> ParetoData:
    """Points of every policy in the table; `path_rows` are those best at some alpha, by rising alpha."""
    uniform_rows = {bits: table.row(table.profile.uniform(bits)) for bits in (32, 8, 4)}
    random_rows = [row for policy in random_policies if (row := table.row(policy)) is not None]
    front = pareto(table)
    special = {*path_rows, *random_rows, *(row for row in uniform_rows.values() if row is not None)}
    rest = [row for row in range(len(table.policies)) if row not in special]
    below = [row for row in rest if not front[row]]
    below = below[:: -(-len(below) // DOMINATED_SHOWN)] if below else []
    paper_points = PAPER_POINTS.get(table.profile.model, ()) if paper else ()
    budget = None if budget_points is None else 100 * table.baseline_correct / table.images - budget_points
    x_range, y_range = _ranges(table)
    return ParetoData(
        images=table.images,
        path=tuple(_point(table, row) for row in path_rows),
        others=tuple(_point(table, row) for row in rest if front[row]),
        dominated=tuple(_point(table, row) for row in below) if dominated else (),
        uniform=tuple((bits, _point(table, row)) for bits, row in uniform_rows.items() if row is not None),
        random=tuple(_point(table, row) for row in random_rows),
        shown=_point_of(table, shown),
        pinned=_point_of(table, pinned),
        budget_top1=budget,
        paper=paper_points,
        x_range=x_range,
        y_range=y_range,
    )


def _point_of(table: PolicyTable, policy: Policy | None) -> Point | None:
    row = None if policy is None else table.row(policy)
    return None if row is None else _point(table, row)


def _point(table: PolicyTable, row: int) -> Point:
    top1 = wilson(int(table.correct[row]), table.images)
    policy = table.policies[row]
    return Point(row, policy.key, describe(policy), float(table.intensity[row]), top1.value, top1.low, top1.high)


def describe(policy: Policy) -> str:
    """How many layers stand at each width, as short text: `4 bits × 12, 8 × 6, FP32 × 2`."""
    widths, counts = np.unique(policy.weight_bits, return_counts=True)
    parts = [f"{'FP32' if w == 32 else f'{w} bits'} × {c}" for w, c in zip(widths, counts, strict=True)]
    return ", ".join(parts)


def _ranges(table: PolicyTable) -> tuple[tuple[float, float], tuple[float, float]]:
    """Fixed by the model and its image set: from FP32 to every layer at the lowest width, 3.2 points down."""
    low, high = float(table.intensity.min()), float(table.intensity.max())
    top = 100 * table.baseline_correct / table.images
    return (low - 0.05 * (high - low), high + 0.07 * (high - low)), (top - 3.6, top + 1.1)


def pareto_frame(data: ParetoData) -> pd.DataFrame:
    """The chart's data, a row a point."""
    groups: list[tuple[str, Sequence[Point]]] = [
        ("best at some alpha", data.path),
        ("Pareto", data.others),
        ("uniform", [point for _, point in data.uniform]),
        ("random", data.random),
        ("dominated", data.dominated),
    ]
    rows = [
        {
            "group": group,
            "policy": point.key,
            "layers": point.name,
            "flops_per_byte": point.intensity,
            "search_top1_percent": point.top1,
            "low_percent": point.low,
            "high_percent": point.high,
            "search_images": data.images,
        }
        for group, points in groups
        for point in points
    ]
    return pd.DataFrame(rows)


def pareto_figure(data: ParetoData, look: Look) -> dict[str, Any]:
    """The figure as a Plotly dict; `customdata` of every policy's mark is its key, so that a click can name it."""
    palette, scale = look.palette, look.scale
    traces = [
        _marks(data.dominated, look, "dominated", faded(palette.muted, 0.35), 4, "circle"),
        _intervals(data.path, look),
        _line(data.path, look),
        _marks(data.random, look, "random layers, same widths", palette.muted, 7, "x-thin", line=1.4),
        _marks(data.others, look, "Pareto, off the path", palette.text, 6, "diamond-open", line=1.2),
        *(_uniform(bits, point, look) for bits, point in data.uniform),
    ]
    if data.paper:
        traces.append(_paper(data.paper, look))
    for point, name, colour in ((data.pinned, "A, pinned", palette.muted), (data.shown, "this policy", palette.accent)):
        if point is not None:
            traces.append(_ring(point, look, name, colour))
    margin = MARGIN_PX
    return {
        "data": [trace for trace in traces if len(trace["x"])],
        "layout": layout(
            look,
            HEIGHT_PX,
            margin,
            clickmode="event+select",
            xaxis=axis(look, "FLOPs per byte", range=list(data.x_range)),
            yaxis=axis(look, f"top-1 % on {data.images:,} search images", range=list(data.y_range)),
            showlegend=True,
            legend={
                "x": 0.01,
                "y": 0.01,
                "xanchor": "left",
                "yanchor": "bottom",
                "bgcolor": faded(palette.background, 0.75),
                "font": {"size": look.font_px * 0.92},
                "itemsizing": "constant",
                "tracegroupgap": 0,
            },
            shapes=_budget_shape(data, look),
            annotations=[*_uniform_notes(data, look), *_budget_note(data, look)],
            uirevision=f"{scale}",
        ),
    }


def _hover(points: Sequence[Point]) -> list[str]:
    from aiq_core.statistics import Interval

    return [
        f"{point.name}<br>AI {number(point.intensity, 2)} · top-1 {number(point.top1, 2)} % "
        f"({span(Interval(point.top1, point.low, point.high))})"
        for point in points
    ]


def _trace(points: Sequence[Point], look: Look, name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [point.intensity for point in points],
        "y": [point.top1 for point in points],
        "customdata": [point.key for point in points],
        "hovertext": _hover(points),
        "hoverinfo": "text",
        "selected": {"marker": {"size": 12 * look.scale, "color": look.palette.accent}},
        "unselected": {"marker": {"opacity": 1}},
        **more,
    }


def _marks(
    points: Sequence[Point], look: Look, name: str, colour: str, size: float, symbol: str, line: float = 0
) -> dict[str, Any]:
    marker = {"color": colour, "size": size * look.scale, "symbol": symbol, "line": {"width": line, "color": colour}}
    return _trace(points, look, name, marker=marker)


def _intervals(points: Sequence[Point], look: Look) -> dict[str, Any]:
    """The 95 % intervals of the path in the grid's colour: as marks they would drown the line."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [point.intensity for point in points],
        "y": [point.top1 for point in points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [point.high - point.top1 for point in points],
            "arrayminus": [point.top1 - point.low for point in points],
            "color": look.palette.grid,
            "thickness": 1.5,
            "width": 0,
        },
        "marker": {"size": 0.1, "color": look.palette.grid},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _line(points: Sequence[Point], look: Look) -> dict[str, Any]:
    marker = {"color": look.palette.text, "size": 6 * look.scale, "symbol": "circle"}
    line = {"color": look.palette.text, "width": 1.5 * look.scale}
    return _trace(points, look, "best known at some alpha", mode="lines+markers", marker=marker, line=line)


def _uniform(bits: int, point: Point, look: Look) -> dict[str, Any]:
    from aiq_core.charts.style import SYMBOLS

    colour = look.palette.bits[bits]
    marker = {
        "color": colour,
        "size": 10 * look.scale,
        "symbol": SYMBOLS[bits],
        "line": {"width": 1.6, "color": colour},
    }
    return _trace([point], look, _uniform_name(bits), marker=marker, showlegend=False)


def _uniform_name(bits: int) -> str:
    return "FP32" if bits == 32 else f"all {bits} bits"


def _uniform_notes(data: ParetoData, look: Look) -> list[dict[str, Any]]:
    return [
        note(
            look,
            _uniform_name(bits),
            point.intensity,
            max(point.top1, data.y_range[0]),
            yshift=11 * look.scale,
            font={"size": look.font_px * 0.95, "color": look.palette.bits[bits]},
        )
        for bits, point in data.uniform
    ]


def _paper(points: Sequence[PaperPoint], look: Look) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": "paper, test images",
        "x": [point.intensity for point in points],
        "y": [point.top1 for point in points],
        "text": [f"paper {point.name}" for point in points],
        "textposition": "middle left",
        "textfont": {"size": look.font_px * 0.9, "color": look.palette.muted},
        "marker": {"symbol": "star-open", "size": 9 * look.scale, "color": look.palette.muted},
        "hovertext": [
            f"paper's {p.name}: AI {p.intensity:.2f}, top-1 {p.top1:.2f} % on its test images" for p in points
        ],
        "hoverinfo": "text",
    }


def _ring(point: Point, look: Look, name: str, colour: str) -> dict[str, Any]:
    marker = {
        "symbol": "circle-open",
        "size": 17 * look.scale,
        "color": colour,
        "line": {"width": 2.6 * look.scale, "color": colour},
    }
    return _trace([point], look, name, marker=marker)


def _budget_shape(data: ParetoData, look: Look) -> list[dict[str, Any]]:
    if data.budget_top1 is None:
        return []
    return [
        {
            "type": "rect",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": data.budget_top1,
            "y1": data.y_range[1],
            "fillcolor": faded(look.palette.accent, 0.08),
            "line": {"width": 0},
            "layer": "below",
        }
    ]


def _budget_note(data: ParetoData, look: Look) -> list[dict[str, Any]]:
    if data.budget_top1 is None:
        return []
    font = {"size": look.font_px * 0.95, "color": look.palette.accent}
    where = {"xref": "paper", "xanchor": "left", "yanchor": "bottom"}
    return [note(look, "within the budget ↑", 0.01, data.budget_top1, font=font, **where)]
