"""Lesson 5's figure: a step's candidates, the bits after it and the losses so far; it plays in the browser."""

from collections.abc import Sequence
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.bits_figure import bar_height
from aiq_core.charts.lessons import marks
from aiq_core.charts.lessons.walk import Walk, WalkStep
from aiq_core.charts.lessons.walk_parts import MOST_ROWS, bits, candidates, now, padlocks, row_count, rows_of
from aiq_core.charts.style import Look
from aiq_core.records import FP32_BITS, Outcome
from aiq_core.search.coordinate import COORDINATE
from aiq_core.search.greedy import GREEDY

HEIGHT_PX = 450
MARGIN_PX = {"l": 118, "r": 12, "t": 30, "b": 40}

FRAME_MS = 900
PLAYED = 60
"""Steps that one press of play shows at most: more would make the page heavy."""

LEFT, RIGHT = (0.0, 0.44), (0.54, 1.0)


def walk_figure(
    shown: Walk, step: int, look: Look, other: Walk | None = None, last: int | None = None
) -> dict[str, Any]:
    """`step` counts from 0; `other` is drawn in the losses only; steps from `last` on are not shown yet."""
    steps = shown.steps[:last]
    moving = _moving(shown, steps, step, look)
    fixed = _losses(shown, steps, look, bold=True)
    if other is not None:
        fixed += _losses(other, other.steps if last is None else other.sweep(1), look, bold=False)
    frames = [_frame(shown, steps, place, look) for place in range(step, min(len(steps), step + PLAYED))]
    both = [walk for walk in (shown, other) if walk is not None]
    losses = [loss for walk in both for loss in (walk.start_loss, *(each.loss for each in walk.steps))]
    most = max(walk.steps[-1].evaluations for walk in both if walk.steps)
    at = _moving_layout(shown, steps, step, look)
    losses_axis = style.axis(look, "◂ lower loss is better", domain=list(LEFT), nticks=4, tickangle=0)
    # A line of room for how many more there are.
    spare = 1.2 if any(len(step.options) > MOST_ROWS for step in steps) else 0.2
    rows = style.axis(look, "", showgrid=False, range=[-row_count(steps) - spare, 0.8])
    return {
        "data": [*moving, *fixed],
        "frames": frames,
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            bargap=0.22,
            updatemenus=[_player([frame["name"] for frame in frames], look)] if len(frames) > 1 else [],
            annotations=at["annotations"],
            xaxis={**losses_axis, **at["xaxis"]},
            yaxis={**rows, **at["yaxis"]},
            xaxis2=style.axis(
                look,
                "",
                anchor="y2",
                range=[-0.7, len(shown.layers) - 0.3],
                showgrid=False,
                domain=list(RIGHT),
                showticklabels=False,
            ),
            yaxis2=style.axis(
                look,
                "",
                domain=[0.5, 1.0],
                anchor="x2",
                range=[0, bar_height(FP32_BITS) * 1.3],
                tickvals=[bar_height(bits) for bits in (4, 8, 32)],
                ticktext=["4", "8", "32"],
            ),
            xaxis3=style.axis(look, "evaluations", domain=list(RIGHT), anchor="y3", range=[-0.02 * most, most * 1.04]),
            yaxis3=style.axis(look, "", domain=[0, 0.34], anchor="x3", range=_padded(losses), nticks=5),
        ),
    }


CHANGING = ("x", "y", "text", "customdata")
"""What a frame says of a trace; the browser keeps all else."""


def _frame(shown: Walk, steps: Sequence[WalkStep], place: int, look: Look) -> dict[str, Any]:
    """A step for the player. Bars keep their places but change their colours; marks keep their style."""
    moving = _moving(shown, steps, place, look)
    data = []
    for trace in moving:
        bar = trace["type"] == "bar"
        names = ("y", "text", "marker") if bar else CHANGING
        data.append({"type": trace["type"]} | {name: trace[name] for name in names if name in trace})
    return {
        "name": f"step {steps[place].index}",
        "data": data,
        "traces": list(range(len(moving))),
        "layout": _moving_layout(shown, steps, place, look),
    }


def _padded(values: Sequence[float], share: float = 0.1) -> list[float]:
    low, high = min(values), max(values)
    room = share * (high - low or 1e-3)
    return [low - room, high + room]


def _player(names: list[str], look: Look) -> dict[str, Any]:
    at_once = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    stop = {"label": "■ stop", "method": "animate", "args": [[None], at_once]}
    return marks.player(look, 0.4, "▶ play", names, FRAME_MS, stop)


def _moving(shown: Walk, steps: Sequence[WalkStep], place: int, look: Look) -> list[dict[str, Any]]:
    """What a step changes; as many traces at every step, so that frames fit."""
    step = steps[place]
    return [
        *candidates(step, steps, look),
        bits(shown, step, look),
        *padlocks(step, look),
        now(step, look),
    ]


def _previous_loss(shown: Walk, steps: Sequence[WalkStep], place: int) -> float:
    return steps[place - 1].loss if place else shown.start_loss


def _losses(shown: Walk, steps: Sequence[WalkStep], look: Look, bold: bool) -> list[dict[str, Any]]:
    """Loss against evaluations, with the name at its end."""
    xs, ys = [0, *(step.evaluations for step in steps)], [shown.start_loss, *(step.loss for step in steps)]
    colour = look.palette.text if bold else look.palette.muted
    name = shown.algorithm
    # Two ends often meet: each name on its own side of the line.
    side = "bottom left" if shown.algorithm == GREEDY.name else "top right"
    place = -1 if shown.algorithm == GREEDY.name else sum(x <= 0.2 * xs[-1] for x in xs) - 1
    line = draw.line(look, xs, ys, colour, 2.4 if bold else 1.4, dash="solid" if bold else "dash")
    label = {
        "type": "scatter",
        "mode": "text",
        "x": [xs[place]],
        "y": [ys[place]],
        "text": [name],
        "textposition": side,
        "textfont": {"size": look.font_px, "color": colour},
        "hoverinfo": "skip",
        "cliponaxis": False,
    }
    hover = "%{x} evaluations, loss %{y:.4f}" + f"<extra>{name}</extra>"
    line |= {"hoverinfo": None, "hovertemplate": hover}
    return [{**trace, "xaxis": "x3", "yaxis": "y3"} for trace in (line, label)]


def _moving_layout(shown: Walk, steps: Sequence[WalkStep], place: int, look: Look) -> dict[str, Any]:
    """Names and range of the candidates, which every step has of its own, and the step in words."""
    step, rows = steps[place], rows_of(steps[place])
    short = wording.short_names(shown.layers)
    losses = [option.loss for option in rows if option.loss is not None]
    bounds = [option.bound for option in rows]
    spread = [*bounds, *losses, step.loss, _previous_loss(shown, steps, place)]
    labels = [
        f"{short[option.move.site.name]} {style.GLYPHS[option.move.bits]}{option.move.bits}"
        + ("" if option.outcome is not Outcome.PRUNED else " ")
        for option in rows
    ]
    return {
        "annotations": _notes(shown, step, look),
        "xaxis": {"range": _padded(spread, 0.06)},
        "yaxis": {
            "tickvals": [-row for row in range(len(rows))],
            "ticktext": labels,
            "tickfont": {"size": look.font_px * 0.86, "color": look.palette.text},
        },
    }


def _notes(shown: Walk, step: WalkStep, look: Look) -> list[dict[str, Any]]:
    sweep = f", sweep {step.sweep}" if shown.algorithm == COORDINATE.name else ""
    kept = step.layer is None
    move = "kept what it had" if kept else f"{step.layer} → {wording.bits_name(step.bits or FP32_BITS)}"
    font = {"size": look.font_px, "color": look.palette.text}
    notes = [
        style.heading(look, f"<b>step {step.index}{sweep}: {move}</b>", yshift=6, font=font),
        style.heading(look, "loss", x=RIGHT[0], y=0.34, yshift=2),
    ]
    more = len(step.options) - MOST_ROWS
    if more > 0:
        text = f"… and {more} more with a worse bound"
        notes.append(style.heading(look, text, x=LEFT[1], y=0, xanchor="right", yshift=2, xshift=-4))
    ends = {"xref": "paper", "yref": "paper", "yanchor": "top", "yshift": -3}
    first, last = shown.layers[0], shown.layers[-1]
    notes.append(style.note(look, f"◂ {first}", RIGHT[0], 0.5, xanchor="left", **ends))
    notes.append(style.note(look, f"{last} ▸", RIGHT[1], 0.5, xanchor="right", **ends))
    return notes
