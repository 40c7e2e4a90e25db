"""The throughput chart: how fast each variant of a network runs in each engine, measured beside predicted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from aiq_core.charts import draw, style
from aiq_core.charts.style import Look
from aiq_core.roof import Spread
from aiq_core.statistics import Interval
from aiq_core.wording import number

ROW_PX, FRAME_PX = 60, 84
KEY_PX = 16
"""Of a second line of the key, for more than two engines: on a phone a line has room for two."""
MARGIN_PX = {"l": 128, "r": 16, "t": 34, "b": 40}
NEAR = 0.035
"""Of the axis: less apart, two digits would stand on each other on a phone."""

SYMBOLS = ("square", "triangle-up", "circle", "diamond")
GLYPHS = ("■", "▲", "●", "◆")
APART, BESIDE = 0.2, 0.22
"""Of a row: between two engines in it, and between a mark and what was predicted of it."""


@dataclass(frozen=True)
class Bar:
    """A variant in an engine: images/s and the ratio to FP32 in the same engine, None where that was not measured.

    `predicted` are ratios by what predicts them; `says` is what stands under the pointer. `rank` is the engine's, which
    gives it its colour and shape.
    """

    engine: str
    variant: str
    images_per_s: Spread
    ratio: Spread | None
    says: str
    predicted: Mapping[str, float] = field(default_factory=dict)
    rank: int = 0


def throughput_frame(bars: Sequence[Bar]) -> pd.DataFrame:
    """The chart's data, a row a bar."""
    return pd.DataFrame(
        [
            {
                "engine": bar.engine,
                "variant": bar.variant,
                **_ends("images_per_s", bar.images_per_s),
                **_ends("ratio_to_engine_fp32", bar.ratio),
                **{f"predicted_{name}": value for name, value in bar.predicted.items()},
            }
            for bar in bars
        ]
    )


def _ends(name: str, found: Spread | None) -> dict[str, float | None]:
    ends = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{end}": None if found is None else getattr(found, part) for end, part in ends.items()}


def predictors(bars: Iterable[Bar]) -> tuple[str, ...]:
    """What predicts any of these, in its own order."""
    return tuple(dict.fromkeys(name for bar in bars for name in bar.predicted))


def throughput_figure(bars: Sequence[Bar], look: Look, absolute: bool = False) -> dict[str, Any]:
    """A row a variant, a mark an engine with the span of its rounds; `absolute` shows images/s, else × FP32.

    A digit stands where a predictor says, above its row's first engine or below the others: the first of `predictors`
    is 1. Needs a bar.
    """
    shown = [bar for bar in bars if absolute or bar.ratio is not None]
    variants = list(dict.fromkeys(bar.variant for bar in shown))
    engines = dict(sorted({bar.engine: bar.rank for bar in shown}.items(), key=lambda each: each[1]))
    most, names = _most(shown, absolute), predictors(bars)
    data: list[dict[str, Any]] = []
    for place, (engine, rank) in enumerate(engines.items()):
        own = [bar for bar in shown if bar.engine == engine]
        heights = [_height(variants, bar.variant, place, len(engines)) for bar in own]
        data.append(_marks(own, heights, rank, look, absolute))
        if not absolute:
            data += _predictions(own, heights, place == 0, _colour(rank, look), look, names, NEAR * most)
    title = "images a second" if absolute else "× FP32 in the same runtime"
    return {
        "data": data,
        "layout": style.layout(
            look,
            FRAME_PX + KEY_PX * (len(engines) > 2) + ROW_PX * len(variants),
            MARGIN_PX | {"t": MARGIN_PX["t"] + KEY_PX * (len(engines) > 2)},
            annotations=[_key(engines, look)],
            shapes=[] if absolute else [_even(look)],
            xaxis=style.axis(look, title, range=[0, 1.06 * most]),
            yaxis=style.axis(
                look,
                "",
                range=[-0.6, len(variants) - 0.4],
                tickvals=list(range(len(variants))),
                ticktext=[name.replace(", ", ",<br>") for name in variants[::-1]],
                showgrid=False,
            ),
        ),
    }


def _marks(bars: Sequence[Bar], heights: Sequence[float], rank: int, look: Look, absolute: bool) -> dict[str, Any]:
    """What was measured in an engine."""
    spans, colour = [_span(bar, absolute) for bar in bars], _colour(rank, look)
    return draw.dots(
        look,
        [span.value for span in spans],
        heights,
        SYMBOLS[rank % len(SYMBOLS)],
        10,
        colour,
        name=bars[0].engine,
        error_x=draw.intervals(look, spans, style.faded(colour, 0.7), 2.4),
        **draw.hover([bar.says for bar in bars]),
    )


def _colour(rank: int, look: Look) -> str:
    palette = look.palette
    return (palette.muted, palette.paper, palette.accent, palette.memory)[rank % 4]


def _height(variants: Sequence[str], variant: str, place: int, engines: int) -> float:
    """The first variant on top; engines a little apart, the first of them above."""
    return len(variants) - 1 - variants.index(variant) + APART * ((engines - 1) / 2 - place)


def _span(bar: Bar, absolute: bool) -> Interval:
    found = bar.images_per_s if absolute or bar.ratio is None else bar.ratio
    return Interval(found.value, found.low, found.high)


def _predictions(
    bars: Sequence[Bar], heights: Sequence[float], up: bool, colour: str, look: Look, names: Sequence[str], near: float
) -> list[dict[str, Any]]:
    """Digits above or below what was measured; those less than `near` apart stand together."""
    xs, ys, texts, says = [], [], [], []
    for bar, height in zip(bars, heights, strict=True):
        for group in _together(bar.predicted, near):
            xs.append(sum(value for _, value in group) / len(group))
            ys.append(height + (BESIDE if up else -BESIDE))
            digits = sorted(names.index(name) + 1 for name, _ in group)
            texts.append(f"<b>{'·'.join(map(str, digits))}</b>")
            lines = [f"{name}: {number(value, 2)} ×" for name, value in group]
            says.append("<br>".join([f"{bar.engine}, {bar.variant}, predicted", *lines]))
    if not xs:
        return []
    font = {"size": look.font_px, "color": colour}
    marks = {"mode": "text", "text": texts, "textfont": font, "cliponaxis": False}
    return [{"type": "scatter", "x": xs, "y": ys, "name": "predicted", **marks, **draw.hover(says)}]


def _together(predicted: Mapping[str, float], near: float) -> list[list[tuple[str, float]]]:
    groups: list[list[tuple[str, float]]] = []
    for name, value in sorted(predicted.items(), key=lambda each: each[1]):
        if groups and value - groups[-1][-1][1] < near:
            groups[-1].append((name, value))
        else:
            groups.append([(name, value)])
    return groups


def _most(bars: Sequence[Bar], absolute: bool) -> float:
    """The largest value that is drawn."""
    predicted = [] if absolute else [value for bar in bars for value in bar.predicted.values()]
    return max([_span(bar, absolute).high for bar in bars] + predicted)


def _even(look: Look) -> dict[str, Any]:
    """The line at which nothing is gained."""
    line = {"color": look.palette.muted, "width": 1.2 * look.scale, "dash": "dot"}
    return {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _key(engines: Mapping[str, int], look: Look) -> dict[str, Any]:
    parts = [
        f"<span style='color:{_colour(rank, look)}'>{GLYPHS[rank % len(GLYPHS)]}</span> {engine}"
        for engine, rank in engines.items()
    ]
    lines = ["   ".join(parts[start : start + 2]) for start in range(0, len(parts), 2)]
    return style.heading(look, "<br>".join(lines), yshift=6, x=0, xshift=-110 * look.scale, align="left")
