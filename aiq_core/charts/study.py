"""The study of rounding: weight error of every method against the accuracy that it costs, all layers at one width."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import copysign, sqrt
from typing import Any

import pandas as pd

from aiq_core.charts import draw, labels, style
from aiq_core.charts.labels import Anchor
from aiq_core.charts.style import Look
from aiq_core.records import Granularity, Grid
from aiq_core.rounding import ROUNDINGS
from aiq_core.statistics import Comparison, Interval
from aiq_core.wording import number, span

HEIGHT_PX = 400
MARGIN_PX = {"l": 48, "r": 10, "t": 44, "b": 40}
NAMES = {"nearest": "nearest", "mse": "MSE", "gptq": "GPTQ"}
SYMBOLS = {"nearest": "circle", "mse": "diamond", "gptq": "star"}
BIAS = "_bias"


@dataclass(frozen=True, slots=True)
class Trial:
    """All layers of a network rounded one way to one width, against FP32; None where a split is not measured.

    `sqnr_db` is the mean of the layers' signal to quantization noise, `seconds` are of one `processor` for all layers.
    """

    rounding: str
    grid: Grid
    granularity: Granularity
    bits: int
    sqnr_db: float
    seconds: float
    processor: str
    search: Comparison | None
    report: Comparison | None

    @property
    def base(self) -> str:
        """The method without the correction of the bias."""
        return self.rounding.removesuffix(BIAS)

    @property
    def corrects(self) -> bool:
        """Whether the bias takes the mean error."""
        return ROUNDINGS[self.rounding].corrects

    @property
    def integers(self) -> str:
        """The grid's ends: `−7…7`."""
        most = 2 ** (self.bits - 1) - 1
        return f"{number(-most - (self.grid is Grid.FULL), 0)}…{most}"

    @property
    def method(self) -> str:
        """`MSE + bias`: where the bias takes the mean error that the method itself leaves."""
        return NAMES.get(self.base, self.base) + (" + bias" if self.rounding.endswith(BIAS) else "")

    @property
    def name(self) -> str:
        """The method, with its grid and granularity where they are not the usual ones."""
        grid = f" {self.integers}" if self.grid is Grid.FULL else ""
        return f"{self.method}{grid}{', tensor' if self.granularity is Granularity.TENSOR else ''}"

    @property
    def setting(self) -> tuple[str, Grid, Granularity]:
        """All but the width."""
        return self.rounding, self.grid, self.granularity


@dataclass(frozen=True, slots=True)
class Contest:
    """The smallest weight error and the best accuracy, of the reported trials of one width.

    Of equal errors `finest` is the most accurate; `agree` says that report images do not tell the two apart by more
    than their intervals.
    """

    finest: Trial
    best: Trial

    @property
    def agree(self) -> bool:
        """Whether the smallest weight error may be the best accuracy."""
        return lost(self.finest).low <= lost(self.best).high


def lost(trial: Trial) -> Interval:
    """Points lost on report images, of a reported trial."""
    assert trial.report is not None
    return trial.report.drop


def reported(trials: Iterable[Trial], bits: int) -> tuple[Trial, ...]:
    """Those of a width that report images judged."""
    return tuple(trial for trial in trials if trial.bits == bits and trial.report is not None)


def contest(trials: Iterable[Trial], bits: int) -> Contest | None:
    """None where fewer than three ways to round to that width are reported."""
    found = reported(trials, bits)
    if len(found) < 3:
        return None
    finest = max(found, key=lambda trial: (trial.sqnr_db, -lost(trial).value))
    return Contest(finest, min(found, key=lambda trial: lost(trial).value))


def pairs(trials: Iterable[Trial], bits: int) -> tuple[tuple[Trial, Trial], ...]:
    """(one scale a channel, one a tensor) of every method and grid that report images judged with both."""
    found = {trial.setting: trial for trial in reported(trials, bits)}
    return tuple(
        (trial, found[rounding, grid, Granularity.TENSOR])
        for (rounding, grid, granularity), trial in found.items()
        if granularity is Granularity.CHANNEL and (rounding, grid, Granularity.TENSOR) in found
    )


def study_frame(trials: Iterable[Trial]) -> pd.DataFrame:
    """A row a trial."""
    return pd.DataFrame(
        [
            {
                "rounding": trial.rounding,
                "grid": trial.integers,
                "one_scale_per": str(trial.granularity),
                "bits": trial.bits,
                "sqnr_db": trial.sqnr_db,
                **_figures("report", trial.report),
                **_figures("search", trial.search),
                "rounding_seconds": trial.seconds,
                "processor": trial.processor,
            }
            for trial in trials
        ]
    )


def _figures(split: str, found: Comparison | None) -> dict[str, Any]:
    drop, top1, images = (None, None, None) if found is None else (found.drop, found.after, found.images)
    ends = {"low": drop and drop.low, "high": drop and drop.high}
    return {
        f"{split}_top1_percent": top1 and top1.value,
        f"{split}_top1_low_percent": top1 and top1.low,
        f"{split}_top1_high_percent": top1 and top1.high,
        f"{split}_drop_points": drop and drop.value,
        **{f"{split}_drop_{end}_points": value for end, value in ends.items()},
        f"{split}_images": images,
    }


def study_figure(
    trials: Sequence[Trial], bits: int, look: Look, widths: Sequence[float] = labels.PLOT_WIDTHS_PX
) -> dict[str, Any]:
    """Points lost on report images against the error of the weights; a line joins a method with its correction.

    `widths` are those of the plot, in pixels, that labels must suit. Needs a reported trial of that width.
    """
    found = reported(trials, bits)
    xs = [trial.sqnr_db for trial in found]
    room = 0.12 * max(max(xs) - min(xs), 1.0)
    across = (min(xs) - room, max(xs) + room)
    heights = [_root(end) for trial in found for end in (lost(trial).low, lost(trial).high)]
    up = (min(0.0, *heights) - 0.1 * max(heights), 1.12 * max(heights))
    return {
        "data": [*_corrections(found, look), *(_mark(trial, look) for trial in found)],
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            annotations=[*_key(look), *_names(found, across, up, look, widths)],
            xaxis=style.axis(look, "SQNR of the weights, dB ▸ smaller error", range=list(across)),
            yaxis=style.axis(look, "points lost (√ scale)", range=list(up), **_ticks(up)),
        ),
    }


def _root(points: float) -> float:
    """The square root keeps small losses apart beside large ones; a gain lies below 0."""
    return copysign(sqrt(abs(points)), points)


def _ticks(up: tuple[float, float]) -> dict[str, Any]:
    points = [value for value in (0, 0.5, 1, 2, 5, 10, 20, 40, 80) if _root(value) <= up[1]]
    apart = 0.06 * (up[1] - up[0])
    kept = [value for place, value in enumerate(points) if not place or _root(value) - _root(points[place - 1]) > apart]
    return {"tickvals": [_root(value) for value in kept], "ticktext": [f"{value:g}" for value in kept]}


def _colour(trial: Trial, look: Look) -> str:
    return look.palette.accent if trial.corrects else look.palette.muted


def _mark(trial: Trial, look: Look) -> dict[str, Any]:
    drop, colour = lost(trial), _colour(trial, look)
    symbol = SYMBOLS.get(trial.base, "square") + ("-open" if trial.granularity is Granularity.TENSOR else "")
    ends = draw.intervals(look, [Interval(*map(_root, (drop.value, drop.low, drop.high)))], style.faded(colour, 0.6))
    text = (
        f"<b>{trial.name}</b>, {trial.integers}, one scale a {trial.granularity}<br>"
        f"SQNR {number(trial.sqnr_db, 2)} dB<br>{number(drop.value, 2)} points lost ({span(drop)})"
    )
    where = {"error_y": ends, **draw.hover([text])}
    size = 12 if symbol.startswith("star") else 10
    return draw.dots(look, [trial.sqnr_db], [_root(drop.value)], symbol, size, colour, edge=1.6, **where)


def _corrections(found: Sequence[Trial], look: Look) -> list[dict[str, Any]]:
    """From a method to the same with its mean error taken by the bias: the weights, and so their error, are equal."""
    by_setting = {trial.setting: trial for trial in found}
    lines = []
    for trial in found:
        other = by_setting.get((trial.rounding + BIAS, trial.grid, trial.granularity))
        if other is not None:
            ys = [_root(lost(each).value) for each in (trial, other)]
            xs = [trial.sqnr_db, other.sqnr_db]
            lines.append(draw.line(look, xs, ys, look.palette.accent, 1.2, dash="dot", name="corrected"))
    return lines


def _names(
    found: Sequence[Trial], across: tuple[float, float], up: tuple[float, float], look: Look, widths: Sequence[float]
) -> list[dict[str, Any]]:
    """Each mark's name, where it touches no other."""
    anchors = [
        Anchor(
            (trial.sqnr_db - across[0]) / (across[1] - across[0]),
            (up[1] - _root(lost(trial).value)) / (up[1] - up[0]),
            trial.name,
        )
        for trial in found
    ]
    height = (HEIGHT_PX - MARGIN_PX["t"] - MARGIN_PX["b"]) * look.scale
    places = labels.place_labels(anchors, [], height, look.font_px, widths)
    return [
        style.note(
            look,
            trial.name,
            trial.sqnr_db,
            _root(lost(trial).value),
            xanchor=place.xanchor,
            yanchor=place.yanchor,
            xshift=place.xshift,
            yshift=place.yshift,
            font={"size": look.font_px, "color": _colour(trial, look)},
        )
        for trial, place in zip(found, places, strict=True)
    ]


def _key(look: Look) -> list[dict[str, Any]]:
    parts = (
        f"<span style='color:{look.palette.accent}'>●</span> mean error taken by the bias",
        "filled: one scale a channel   open: a tensor",
    )
    return [style.heading(look, "<br>".join(parts), yshift=4, align="left")]
