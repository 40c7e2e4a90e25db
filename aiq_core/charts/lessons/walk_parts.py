"""What lesson 5's figure draws of one step: candidates, the bits after it, padlocks, the place on the losses."""

from collections.abc import Sequence
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.bits import FEW_LAYERS
from aiq_core.charts.bits_figure import bar_height
from aiq_core.charts.lessons.walk import Walk, WalkStep
from aiq_core.charts.style import Look
from aiq_core.records import Candidate, Outcome

MOST_ROWS = 24
"""Candidates shown: the best bounds; what is measured stands among them."""
FEWEST_ROWS = 6


def row_count(steps: Sequence[WalkStep]) -> int:
    """Rows that the plot keeps room for at every step."""
    return min(MOST_ROWS, max(FEWEST_ROWS, *(len(step.options) for step in steps)))


def rows_of(step: WalkStep) -> tuple[Candidate, ...]:
    """The options that are drawn, the best bound first."""
    return step.options[:MOST_ROWS]


def candidates(step: WalkStep, steps: Sequence[WalkStep], look: Look) -> list[dict[str, Any]]:
    """Ticks at the bounds, dots at measured losses, a star on the winner, a line down from the best loss."""
    palette, rows = look.palette, rows_of(step)
    pruned = [(-row, option) for row, option in enumerate(rows) if option.outcome is Outcome.PRUNED]
    asked = [(-row, option) for row, option in enumerate(rows) if option.outcome is not Outcome.PRUNED]
    finished = [(row, option) for row, option in asked if option.loss is not None and option.outcome is not Outcome.WON]
    stopped = [(row, option) for row, option in asked if option.loss is None]
    won = [(row, option) for row, option in asked if option.outcome is Outcome.WON]

    def trace(
        found: list[tuple[int, Candidate]], xs: list[float], symbol: str, size: float, colour: str
    ) -> dict[str, Any]:
        said = draw.hover(_hover(option) for _, option in found)
        return draw.dots(look, xs, [row for row, _ in found], symbol, size, colour, edge=1.8, **said)

    faint = style.faded(palette.muted, 0.45)
    return [
        trace(pruned, [option.bound for _, option in pruned], "line-ns-open", 8, faint),
        trace(asked, [option.bound for _, option in asked], "line-ns-open", 11, palette.text),
        trace(finished, [option.loss or 0.0 for _, option in finished], "circle", 8, palette.text),
        trace(stopped, [max(option.bound, step.loss) for _, option in stopped], "triangle-right-open", 8, palette.text),
        trace(won, [option.loss or 0.0 for _, option in won], "star", 14, palette.accent),
        draw.line(look, [step.loss, step.loss], [0.6, -row_count(steps)], palette.accent, 1.4, dash="dash"),
    ]


def _hover(option: Candidate) -> str:
    what = f"<b>{option.move.site.name}</b> to {wording.bits_name(option.move.bits)}"
    best = f"best loss possible {wording.number(option.bound, 4)}"
    if option.outcome is Outcome.PRUNED:
        return f"{what}<br>{best}: can't win, so not measured"
    if option.loss is None:
        return f"{what}<br>{best}<br>measured until it could not win any more"
    return f"{what}<br>{best}<br>measured loss {wording.number(option.loss, 4)}: {option.outcome}"


def bits(shown: Walk, step: WalkStep, look: Look) -> dict[str, Any]:
    """A bar a layer after the step; the layer it changed is outlined."""
    palette, widths = look.palette, step.policy.weight_bits
    changed = [step.layer == layer for layer in shown.layers]
    few = len(widths) <= FEW_LAYERS
    return {
        "type": "bar",
        "xaxis": "x2",
        "yaxis": "y2",
        "x": list(range(len(widths))),
        "y": [bar_height(bits) for bits in widths],
        "text": [str(bits) if few or hit else "" for bits, hit in zip(widths, changed, strict=True)],
        "textposition": "inside",
        "textangle": 0,
        "insidetextanchor": "start",
        "textfont": {"size": look.font_px * 0.82},
        "constraintext": "none",
        "hovertext": [f"{layer}: {wording.bits_name(bits)}" for layer, bits in zip(shown.layers, widths, strict=True)],
        "hoverinfo": "text",
        "marker": {
            "color": [palette.bits[bits] for bits in widths],
            "line": {
                "color": [palette.accent if hit else palette.background for hit in changed],
                "width": [3 * look.scale if hit else 0 for hit in changed],
            },
        },
    }


def padlocks(step: WalkStep, look: Look) -> list[dict[str, Any]]:
    """A shackle and a body over every layer that can't change any more."""
    at = [(place, bar_height(bits)) for place, bits in enumerate(step.policy.weight_bits) if step.frozen[place]]
    size = 1.0 if len(step.frozen) <= FEW_LAYERS else 0.6
    colour = look.palette.muted
    base: dict[str, Any] = {"xaxis": "x2", "yaxis": "y2", "hoverinfo": "skip", "cliponaxis": False}
    xs = [place for place, _ in at]
    shackles, bodies = [height + 0.52 for _, height in at], [height + 0.3 for _, height in at]
    return [
        draw.dots(look, xs, shackles, "circle-open", 6 * size, colour, edge=1.5, **base),
        draw.dots(look, xs, bodies, "square", 6.5 * size, colour, **base),
    ]


def now(step: WalkStep, look: Look) -> dict[str, Any]:
    """A ring on the loss after the step."""
    where: dict[str, Any] = {"xaxis": "x3", "yaxis": "y3", "hoverinfo": "skip"}
    return draw.dots(look, [step.evaluations], [step.loss], "circle-open", 13, look.palette.accent, edge=2.4, **where)
