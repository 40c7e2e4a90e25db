"""The optimism chart: points that policies lose on the search images against points they lose on the report images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from aiq_core.charts import draw, style
from aiq_core.charts.style import Look
from aiq_core.envelope import PolicyTable
from aiq_core.judged import Judged, Kind, judged
from aiq_core.metrics import Metric
from aiq_core.records import Policy
from aiq_core.wording import bit_counts, number, span

HEIGHT_PX = 336
MARGIN_PX = {"l": 48, "r": 10, "t": 38, "b": 38}


SYMBOLS: Mapping[Kind, str] = {
    Kind.CHOSEN: "circle",
    Kind.UNIFORM: "square-open",
    Kind.RANDOM: "x-thin",
    Kind.SINGLE: "circle-open",
    Kind.OTHER: "diamond-open",
}
GLYPHS: Mapping[Kind, str] = {
    Kind.CHOSEN: "●", Kind.UNIFORM: "□", Kind.RANDOM: "✕", Kind.SINGLE: "○", Kind.OTHER: "◇",
}  # fmt: skip


@dataclass(frozen=True)
class OptimismData:
    """Every policy complete on both splits, FP32 left out; ranges in points lost."""

    model: str
    metric: Metric
    search_images: int
    report_images: int
    points: tuple[Judged, ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def optimism_data(table: PolicyTable, kinds: Mapping[Policy, Kind]) -> OptimismData:
    """Both drops of every reported policy of the table; `kinds` names those that are not OTHER."""
    points = judged(table, kinds)
    return OptimismData(
        table.profile.model,
        table.metric,
        table.images,
        table.report_images,
        points,
        _range([point.search.value for point in points]),
        _range([end for point in points for end in (point.report.low, point.report.high)]),
    )


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min([0.0, *values]), max([0.0, *values])
    spare = 0.06 * max(high - low, 0.2)
    return low - spare, high + spare


def optimism_frame(data: OptimismData) -> pd.DataFrame:
    """The chart's data, a row a policy."""
    return pd.DataFrame(
        [
            {
                "model": data.model,
                "policy": point.policy.key,
                "kind": str(point.kind),
                "search_drop_points": point.search.value,
                "report_drop_points": point.report.value,
                "report_low_points": point.report.low,
                "report_high_points": point.report.high,
                "optimism_points": point.report.value - point.search.value,
                f"search_{data.metric.column}": point.search_top1,
                f"report_{data.metric.column}": point.report_top1,
                "search_images": data.search_images,
                "report_images": data.report_images,
            }
            for point in data.points
        ]
    )


def optimism_figure(data: OptimismData, look: Look) -> dict[str, Any]:
    """The figure as a Plotly dict: a mark a policy, and the line on which both splits agree."""
    kinds = [kind for kind in reversed(Kind) if any(point.kind is kind for point in data.points)]
    both = (max(data.x_range[0], data.y_range[0]), min(data.x_range[1], data.y_range[1]))
    flatters = style.heading(look, "above the line: search images flatter", yanchor="top", xshift=6, yshift=-4)
    line = {"color": look.palette.muted, "width": 1.2 * look.scale, "dash": "dot"}
    agree = {"type": "line", "x0": both[0], "y0": both[0], "x1": both[1], "y1": both[1], "line": line, "layer": "below"}
    return {
        "data": [_marks(data, kind, look) for kind in kinds],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            xaxis=style.axis(look, f"points lost, {data.search_images:,} search images", range=list(data.x_range)),
            yaxis=style.axis(look, f"points lost, {data.report_images:,} report images", range=list(data.y_range)),
            shapes=[agree],
            annotations=[_key(kinds, look), flatters],
        ),
    }


def _colour(kind: Kind, look: Look) -> str:
    return look.palette.accent if kind is Kind.CHOSEN else look.palette.muted


def _marks(data: OptimismData, kind: Kind, look: Look) -> dict[str, Any]:
    points, colour = [point for point in data.points if point.kind is kind], _colour(kind, look)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [point.search.value for point in points],
        "y": [point.report.value for point in points],
        "error_y": draw.intervals(look, [point.report for point in points], style.faded(look.palette.muted, 0.25)),
        "marker": {
            "color": colour,
            "size": 7 * look.scale,
            "symbol": SYMBOLS[kind],
            "line": {"width": (0 if kind is Kind.CHOSEN else 1.5) * look.scale, "color": colour},
        },
        "hovertext": [_hover(point, data.metric) for point in points],
        "hoverinfo": "text",
    }


def _hover(point: Judged, metric: Metric) -> str:
    return "<br>".join(
        (
            bit_counts(point.policy),
            f"search: {number(point.search.value, 2)} points lost ({span(point.search)}), "
            f"{metric.title} {number(point.search_top1, 2)} {metric.unit}",
            f"report: {number(point.report.value, 2)} points lost ({span(point.report)}), "
            f"{metric.title} {number(point.report_top1, 2)} {metric.unit}",
            str(point.kind),
        )
    )


def _key(kinds: list[Kind], look: Look) -> dict[str, Any]:
    """What the marks mean, in lines above the plot that are short enough for a phone."""
    parts = [f"<span style='color:{_colour(kind, look)}'>{GLYPHS[kind]}</span> {kind}" for kind in reversed(kinds)]
    text = "<br>".join("   ".join(parts[i : i + 3]) for i in range(0, len(parts), 3))
    return style.heading(look, text, yshift=4, align="left")
