"""Lesson 7's figures: the gain against the batch, veiled beyond the first, and where a call's time goes."""

from math import log10, sqrt
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.lessons import marks
from aiq_core.charts.lessons.speed import SpeedData, Times
from aiq_core.charts.linear_figure import colour, gain_figure, symbol, x_range, y_range
from aiq_core.charts.style import Look
from aiq_core.linear import KERNELS

HEIGHT_PX = 410
LOWEST = 0.4
"""Where the axis of gains begins: below the lowest guess on offer."""
VEIL = 1.3
"""How far right of the first batch the veil begins, as a factor."""


def speed_figure(data: SpeedData, look: Look, revealed: bool, guess: float | None) -> dict[str, Any]:
    """Gains against the batch; beyond the first they are veiled until revealed. `guess` is of the batch asked about."""
    found, first = data.found, data.batches[0]
    shown = data.batches if revealed else (first,)
    figure = gain_figure(found, data.engine, look, shown, data.batch, HEIGHT_PX, explained=revealed)
    low, high = min(LOWEST, y_range(found, data.engine)[0]), y_range(found, data.engine)[1]
    figure["layout"]["yaxis"]["range"] = [log10(low), log10(high)]
    if not revealed:
        end = x_range(found)[1]
        # Under the rest: what the bytes promise is no secret.
        figure["data"].insert(0, marks.veil(look, (first * VEIL, end), (low, high)))
        middle = [log10(sqrt(first * VEIL * end)), log10(sqrt(low * high))]
        figure["layout"]["annotations"].append(marks.question_mark(look, *middle))
    if guess is not None:
        figure["data"].append(marks.ghost(look, data.asked, guess, f"your guess {wording.number(guess, 1)} ×"))
        # The name of a guess at the last batch would leave the plot.
        figure["data"][-1]["textposition"] = "top left"
    return figure


def times_figure(data: SpeedData, look: Look, revealed: bool) -> dict[str, Any]:
    """Of FP32 and of the fewest bits, seconds to move bytes and to compute under the roof, with what was measured.

    The longer one is lit, as it sets the time. Beyond the first batch the narrow weights are veiled until revealed.
    """
    names = ("FP32", KERNELS[data.key].width)
    times = (data.times(data.batch, data.fp32), data.times(data.batch))
    veiled = not revealed and data.batch != data.batches[0]
    top = max(max(each.moving, each.computing, each.measured) for each in times) * 1.25
    traces = [_bars(names, times, look, moving) for moving in (True, False)]
    for place, (key, each) in enumerate(zip((data.fp32, data.key), times, strict=True)):
        said = draw.hover([f"{KERNELS[key].name}, measured: {wording.seconds(each.measured)}"])
        mark = draw.dots(look, [place], [each.measured], symbol(key), 11, colour(key, look), edge=2.2, **said)
        traces.append({**mark, "name": "measured"})
    above = {"yanchor": "bottom", "yshift": 9 * look.scale, "bgcolor": style.faded(look.palette.background, 0.8)}
    notes = [
        style.note(look, f"<b>{wording.seconds(each.measured)}</b>", place, each.measured, **above)
        for place, each in enumerate(times)
    ]
    if veiled:
        traces = [*traces[:2], traces[2], marks.veil(look, (0.5, 1.5), (0, top))]
        notes = [notes[0], marks.question_mark(look, 1, top / 2)]
    return {
        "data": traces,
        "layout": style.layout(
            look,
            HEIGHT_PX,
            {"l": 8, "r": 8, "t": 24, "b": 40},
            barmode="group",
            bargap=0.25,
            annotations=[*notes, style.heading(look, "○◆ measured", yshift=4)],
            xaxis=style.axis(
                look, "▮ bytes  ▨ compute", showgrid=False, tickvals=[0, 1], ticktext=list(names), range=[-0.5, 1.5]
            ),
            yaxis=style.axis(look, "", range=[0, top], showticklabels=False),
        ),
    }


def _bars(names: tuple[str, ...], times: tuple[Times, ...], look: Look, moving: bool) -> dict[str, Any]:
    """A bar a width: moving bytes, or computing; the longer of both is filled whole."""
    own = look.palette.memory if moving else look.palette.compute
    values = [each.moving if moving else each.computing for each in times]
    lit = [(each.moving >= each.computing) is moving for each in times]
    what = "moving bytes" if moving else "computing in FP32"
    return {
        "type": "bar",
        "name": what,
        "x": list(range(len(names))),
        "y": values,
        "marker": {
            "color": [own if on else style.faded(own, 0.3) for on in lit],
            "line": {"color": own, "width": 1.4 * look.scale},
            "pattern": {"shape": "" if moving else "/", "solidity": 0.2, "fillmode": "overlay", "fgopacity": 0.5},
        },
        **draw.hover(
            f"{name}, {what} under the measured roof: {wording.seconds(value)}"
            for name, value in zip(names, values, strict=True)
        ),
    }
