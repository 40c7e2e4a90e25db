"""Lesson 6's figure: the hull, the line of equal loss that alpha tilts, and the ruler of what each alpha picks."""

from collections.abc import Sequence
from typing import Any

from aiq_core import wording
from aiq_core.charts import draw, style
from aiq_core.charts.lessons import marks
from aiq_core.charts.lessons.price import Known, PriceData
from aiq_core.charts.style import Look
from aiq_core.statistics import Interval

HEIGHT_PX = 452
MARGIN_PX = {"l": 50, "r": 14, "t": 30, "b": 36}
FRAMES = tuple(step / 50 for step in range(51))
FRAME_MS = 110
MOST_OUTSIDE = 2
PLOT, RULER = (0.27, 1.0), (0.0, 0.115)


def price_figure(
    data: PriceData,
    look: Look,
    alpha: float,
    least_correct: int | None = None,
    revealed: bool = False,
    guess: float | None = None,
) -> dict[str, Any]:
    """`least_correct` is a budget, which decides instead of alpha; `guess` an alpha, a ghost on the ruler."""
    (x_low, x_high), (y_low, y_high) = data.x_range, data.y_range
    moving = _moving(data, look, alpha, least_correct)
    traces = [*moving, *_fixed(data, look), *_ruler(data, look, alpha, revealed)]
    if guess is not None:
        traces.append(marks.ghost(look, guess, 0.5, "", xaxis="x2", yaxis="y2"))
    frames = [_frame(data, look, step) for step in FRAMES] if revealed else []
    names = [frame["name"] for frame in frames]
    return {
        "data": traces,
        "frames": frames,
        "layout": style.layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            annotations=_notes(data, look, alpha, least_correct, revealed),
            shapes=_budget(data, look, least_correct),
            updatemenus=[marks.player(look, PLOT[0] - 0.095, "▶ sweep", names, FRAME_MS)] if revealed else [],
            xaxis=style.axis(look, "FLOPs per byte", range=[x_low, x_high], anchor="y", nticks=8),
            yaxis=style.axis(look, f"top-1 %, {data.judged_on}", range=[y_low, y_high], domain=list(PLOT), nticks=7),
            xaxis2=style.axis(
                look, "alpha: which policy has the lowest loss", range=[0, 1], anchor="y2", showgrid=False, dtick=0.1
            ),
            yaxis2=style.axis(look, "", range=[0, 1.8], domain=list(RULER), showticklabels=False, showgrid=False),
        ),
    }


def _frame(data: PriceData, look: Look, alpha: float) -> dict[str, Any]:
    """The picture at an alpha, for the player."""
    moving = _moving(data, look, alpha, None)
    layout = {"annotations": _notes(data, look, alpha, None, revealed=True)}
    return {"name": f"{alpha:.2f}", "data": moving, "traces": list(range(len(moving))), "layout": layout}


def _moving(data: PriceData, look: Look, alpha: float, least_correct: int | None) -> list[dict[str, Any]]:
    """What alpha changes: the line of equal loss, the ring on the pick and the place on the ruler."""
    palette, chosen = look.palette, data.chosen(alpha, least_correct)
    xs, ys = equal_loss_line(data, chosen, alpha) if least_correct is None else ([], [])
    at = [alpha] if least_correct is None else []
    base: dict[str, Any] = {"hoverinfo": "skip", "cliponaxis": False}
    ruler = {**base, "xaxis": "x2", "yaxis": "y2"}
    return [
        draw.line(look, xs, ys, palette.accent, 2.0, dash="dash", name="equal loss"),
        draw.dots(look, [chosen.intensity], [chosen.top1], "circle-open", 20, palette.accent, edge=2.8, **base),
        draw.dots(look, at, [1.4], "triangle-down", 12, palette.accent, **ruler),
    ]


def equal_loss_line(data: PriceData, chosen: Known, alpha: float) -> tuple[list[float], list[float]]:
    """Where a policy would have the same loss as `chosen`: a slope of one price, upright above FP32's accuracy."""
    (x_low, x_high), (y_low, y_high) = data.x_range, data.y_range
    base, price = data.baseline.top1, data.price(alpha)
    if price == float("inf"):
        return [chosen.intensity] * 2, [y_low, y_high]
    if price == 0:
        level = base - data.drop(chosen)
        return [x_low, x_high], [level, level]
    # The AI at which FP32's accuracy would do: the corner.
    corner = chosen.intensity - data.drop(chosen) / price
    end = corner + (base - y_low) / price
    left = max(corner, x_low)
    xs = [corner, corner] if corner >= x_low else []
    ys = [y_high, base] if corner >= x_low else []
    if end > left:
        right = min(end, x_high)
        xs += [left, right]
        ys += [base - price * (left - corner), base - price * (right - corner)]
    return xs, ys


def _fixed(data: PriceData, look: Look) -> list[dict[str, Any]]:
    """Dominated policies faint, Pareto points behind the hull hollow, the hull as a line with letters."""
    palette = look.palette
    hull = [pick.policy for pick in data.picks]
    line = {"color": palette.text, "width": 1.8 * look.scale}
    letters = {"text": [f"<b>{pick.letter}</b>" for pick in data.picks], "textposition": "top right"}
    return [
        _points(data.dominated, data, look, "circle", 5, style.faded(palette.muted, 0.35)),
        _intervals([*hull, *data.behind], look),
        _points(data.behind, data, look, "diamond-open", 11, palette.text, edge=2),
        _points(hull, data, look, "circle", 9, palette.text)
        | {"mode": "lines+markers+text", "line": line, **letters, "textfont": {"size": look.font_px * 1.1}},
    ]


def _points(
    policies: Sequence[Known], data: PriceData, look: Look, symbol: str, size: float, colour: str, edge: float = 0
) -> dict[str, Any]:
    said = [
        f"{p.name}<br>{wording.number(p.intensity, 2)} FLOPs/byte, {wording.number(p.top1, 2)} % "
        f"({p.correct:,} of {data.images:,})"
        for p in policies
    ]
    xs, ys = [p.intensity for p in policies], [p.top1 for p in policies]
    return draw.dots(look, xs, ys, symbol, size, colour, edge, **draw.hover(said))


def _intervals(policies: list[Known], look: Look) -> dict[str, Any]:
    spans = [Interval(p.top1, p.low, p.high) for p in policies]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [p.intensity for p in policies],
        "y": [p.top1 for p in policies],
        "marker": {"size": 1, "color": look.palette.muted},
        "error_y": draw.intervals(look, spans, style.faded(look.palette.muted, 0.4)),
        "hoverinfo": "skip",
    }


def _ruler(data: PriceData, look: Look, alpha: float, revealed: bool) -> list[dict[str, Any]]:
    """A part for each pick, the stronger the higher its AI; before the reveal only the part that alpha stands in."""
    shown, axes = data.pick(alpha), {"xaxis": "x2", "yaxis": "y2"}
    traces = []
    for place, pick in enumerate(data.picks):
        ends = (pick.low, pick.high)
        if not revealed and pick is not shown:
            traces.append(marks.veil(look, ends, (0, 1), **axes))
            continue
        colour = style.faded(look.palette.accent, 0.25 + 0.6 * place / max(len(data.picks) - 1, 1))
        alphas = f"{pick.letter}: alpha {pick.low:.3f} to {pick.high:.3f}<br>{pick.policy.name}"
        line = {"width": look.scale, "color": look.palette.background}
        fill = {"fillcolor": colour, "fillpattern": {"shape": ""}, "line": line, "hoveron": "fills"}
        traces.append(
            {**marks.veil(look, ends, (0, 1), **axes), **fill, "name": pick.letter, "text": alphas, "hoverinfo": "text"}
        )
    wide = [pick for pick in data.picks if pick.high - pick.low > 0.03]
    letters = {
        "type": "scatter",
        "mode": "text",
        "x": [(pick.low + pick.high) / 2 for pick in wide],
        "y": [0.5] * len(wide),
        "text": [f"<b>{pick.letter if revealed or pick is shown else '?'}</b>" for pick in wide],
        "textfont": {"size": look.font_px * 1.1, "color": look.palette.text},
        "hoverinfo": "skip",
    }
    return [*traces, {**letters, **axes}]


def _budget(data: PriceData, look: Look, least_correct: int | None) -> list[dict[str, Any]]:
    """A line at FP32's accuracy, and one at the budget's."""
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    base, faint = data.baseline.top1, {"color": look.palette.muted, "width": look.scale, "dash": "dot"}
    lines = [{**across, "y0": base, "y1": base, "line": faint}]
    if least_correct is not None:
        level = 100 * least_correct / data.images
        strong = {"color": look.palette.accent, "width": 1.8 * look.scale, "dash": "dot"}
        lines.append({**across, "y0": level, "y1": level, "line": strong})
    return lines


def _notes(
    data: PriceData, look: Look, alpha: float, least_correct: int | None, revealed: bool
) -> list[dict[str, Any]]:
    """What decides, above; FP32's accuracy and what lies outside of the plot, below; and the name of S."""
    palette = look.palette
    accent = {"size": look.font_px, "color": palette.accent}
    notes = [style.heading(look, _head(data, alpha, least_correct), yshift=5, font=accent)]
    lines = [_outside(data), f"┄ FP32’s accuracy, {wording.number(data.baseline.top1, 2)} %: more earns nothing"]
    for place, line in enumerate(filter(None, lines)):
        notes.append(style.heading(look, line, y=PLOT[0], xshift=5, yshift=4 + 1.6 * place * look.font_px))
    if data.missed is not None:
        beside = {"xanchor": "right", "yanchor": "top", "xshift": -8 * look.scale, "yshift": -2}
        font = {"size": look.font_px * 1.15, "color": palette.text}
        text = "<b>S</b>" if revealed else "<b>S ?</b>"
        notes.append(style.note(look, text, data.missed.intensity, data.missed.top1, font=font, **beside))
    return notes


def _head(data: PriceData, alpha: float, least_correct: int | None) -> str:
    if least_correct is not None:
        level = wording.number(100 * least_correct / data.images, 2)
        return f"<b>at least {level} %</b>: the highest AI above the dotted line"
    price = data.price(alpha)
    points = wording.significant(price) if 0.01 <= price < float("inf") else "0"
    worth = "nothing but intensity counts" if price == float("inf") else f"{points} points a FLOP/byte"
    return f"<b>alpha {alpha:.2f}: {worth}</b>, picks {data.pick(alpha).letter}"


def _outside(data: PriceData) -> str:
    """The first few uniform policies that lie outside of the plot."""
    (x_low, x_high), (y_low, _) = data.x_range, data.y_range
    outside = [
        f"{'◂' if p.intensity < x_low else '▾'} {name} {wording.number(p.intensity, 1)}, {wording.number(p.top1, 1)} %"
        for name, p in data.uniform.items()
        if not x_low <= p.intensity <= x_high or p.top1 < y_low
    ]
    return "   ".join(outside[:MOST_OUTSIDE])
