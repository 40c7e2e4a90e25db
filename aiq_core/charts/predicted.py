"""The chart of predicted against measured time: a mark a network as deployed, a colour and shape a predictor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from statistics import median
from typing import Any

import pandas as pd

from aiq_core.charts import draw, style
from aiq_core.charts.style import Look
from aiq_core.wording import number, seconds, signed

HEIGHT_PX = 416
MARGIN_PX = {"l": 62, "r": 14, "t": 58, "b": 42}
SPACE = 1.3
"""How far the axes reach beyond what is drawn, as a factor."""

SYMBOLS = ("circle", "square", "triangle-up", "diamond")
GLYPHS = ("●", "■", "▲", "◆")


@dataclass(frozen=True)
class Cell:
    """A network as it is deployed, and what a predictor says of it; times in seconds a batch.

    `mixed` says that some layers are in FP32 and others are not.
    """

    engine: str
    variant: str
    batch: int
    predictor: str
    predicted_s: float
    measured_s: float
    mixed: bool

    @property
    def error(self) -> float:
        """How far the prediction is off, relatively: 0.1 is a tenth too long."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True)
class PredictedData:
    """What is drawn: `names` are the predictors in their order, `near` the error that counts as near."""

    model: str
    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    near: float

    @property
    def x_range(self) -> tuple[float, float]:
        """The measured times' axis, in seconds."""
        return _range([cell.measured_s for cell in self.cells])

    @property
    def y_range(self) -> tuple[float, float]:
        """The predicted times' axis, in seconds."""
        return _range([cell.predicted_s for cell in self.cells])

    def median(self, name: str, mixed: bool) -> float | None:
        """The median of errors without their sign; None where there is none."""
        off = [abs(cell.error) for cell in self.cells if cell.predictor == name and cell.mixed is mixed]
        return median(off) if off else None


def _range(times: Sequence[float]) -> tuple[float, float]:
    return min(times) / SPACE, max(times) * SPACE


def predicted_data(model: str, names: Sequence[str], cells: Sequence[Cell], near: float) -> PredictedData:
    """The predictors among `names` that say something of a cell, in that order."""
    said = {cell.predictor for cell in cells}
    return PredictedData(model, tuple(name for name in names if name in said), tuple(cells), near)


def predicted_frame(data: PredictedData) -> pd.DataFrame:
    """The chart's data, a row a mark."""
    return pd.DataFrame(
        [
            {
                "model": data.model,
                "engine": cell.engine,
                "variant": cell.variant,
                "batch": cell.batch,
                "predictor": cell.predictor,
                "predicted_s": cell.predicted_s,
                "measured_s": cell.measured_s,
                "relative_error": cell.error,
                "mixed": cell.mixed,
            }
            for cell in data.cells
        ]
    )


def predicted_words(data: PredictedData) -> str:
    """The median error of each predictor, of networks of one type and of mixed ones."""
    parts = []
    for words, mixed in (("one type", False), ("FP32 and INT8 mixed", True)):
        found: Mapping[str, float | None] = {name: data.median(name, mixed) for name in data.names}
        told = ", ".join(f"{name} {100 * value:.0f} %" for name, value in found.items() if value is not None)
        if told:
            parts.append(f"{words}: {told}")
    return f"Median error, {'; '.join(parts)}."


def predicted_figure(data: PredictedData, look: Look) -> dict[str, Any]:
    """Filled marks have one type, open ones mix FP32 and INT8; between the dashes an error is near. Needs a cell."""
    ends = list(data.x_range)
    muted = look.palette.muted
    traces: list[dict[str, Any]] = [
        draw.line(look, ends, [end * (1 + off) for end in ends], muted, 1.0, dash="dash", name="near")
        for off in (-data.near, data.near)
    ]
    traces.append(draw.line(look, ends, ends, muted, 1.2, name="right"))
    for mixed in (True, False):
        traces += [_marks(data, place, mixed, look) for place in range(len(data.names))]
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            annotations=[_key(data, look)],
            xaxis=style.axis(look, "measured, a batch", **_log(data.x_range)),
            yaxis=style.axis(look, "predicted, a batch", **_log(data.y_range)),
        ),
    }


def _marks(data: PredictedData, place: int, mixed: bool, look: Look) -> dict[str, Any]:
    own = [cell for cell in data.cells if cell.predictor == data.names[place] and cell.mixed is mixed]
    symbol = SYMBOLS[place % len(SYMBOLS)] + ("-open" if mixed else "")
    return draw.dots(
        look,
        [cell.measured_s for cell in own],
        [cell.predicted_s for cell in own],
        symbol,
        7,
        _colour(place, look),
        edge=1.4 if mixed else 0,
        name=data.names[place],
        **draw.hover([_hover(cell) for cell in own]),
    )


def _hover(cell: Cell) -> str:
    off = f"{signed(100 * cell.error, 0)} %"
    return (
        f"<b>{cell.variant}</b>, {cell.engine}, batch {cell.batch}<br>"
        f"measured {seconds(cell.measured_s)}, predicted {seconds(cell.predicted_s)} ({off})<br>{cell.predictor}"
    )


def _colour(place: int, look: Look) -> str:
    palette = look.palette
    return (palette.muted, palette.paper, palette.memory, palette.accent)[place % 4]


def _log(ends: tuple[float, float]) -> dict[str, Any]:
    """A logarithmic axis with a tick a power of ten."""
    powers = range(int(log10(ends[0])) - 1, int(log10(ends[1])) + 2)
    places = [10.0**power for power in powers if ends[0] <= 10.0**power <= ends[1]]
    across = {"type": "log", "range": [log10(end) for end in ends]}
    return {**across, "tickvals": places, "ticktext": [seconds(place) for place in places]}


def _key(data: PredictedData, look: Look) -> dict[str, Any]:
    """What the marks mean, in lines above the plot."""
    parts = [
        f"<span style='color:{_colour(place, look)}'>{GLYPHS[place % len(GLYPHS)]}</span> {name}"
        for place, name in enumerate(data.names)
    ]
    told = f"filled: one type   open: mixed   ╌ {number(100 * data.near, 0)} % off"
    # Two a line: on a phone there is no room for more.
    lines = ["   ".join(parts[first : first + 2]) for first in range(0, len(parts), 2)]
    return style.heading(look, "<br>".join([*lines, told]), yshift=4, align="left")
