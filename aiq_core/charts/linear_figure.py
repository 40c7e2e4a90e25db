"""The figure of a timed linear layer: what narrow weights gain against the batch, and what their bytes promised."""

from collections.abc import Sequence
from math import log10
from typing import Any

from aiq_core.charts import draw, style
from aiq_core.charts.linear import keys_of
from aiq_core.charts.roofline_figure import zones
from aiq_core.charts.style import Look
from aiq_core.linear import KERNELS, Linear, Timing
from aiq_core.statistics import Interval
from aiq_core.wording import number, seconds

HEIGHT_PX = 360
MARGIN_PX = {"l": 44, "r": 14, "t": 24, "b": 40}
SPACE = 1.25
"""How far the batches' axis reaches beyond the first and the last, as a factor."""
TICKS = (0.5, 1, 2, 3, 4, 6, 8, 12, 16)
PROMISED, BOUGHT = "bytes", "bytes under the roof"


def gain_figure(
    found: Linear,
    engine: str,
    look: Look,
    batches: Sequence[int] | None = None,
    chosen: int | None = None,
    height_px: float = HEIGHT_PX,
    explained: bool = True,
) -> dict[str, Any]:
    """Measured gains of an engine's kernels at `batches`, all by default, with their rounds' spread; `chosen` is large.

    Dashed is what the bytes promise; dotted, where it is `explained`, what they can buy under the measured roof:
    nothing beyond the ridge.
    """
    keys = keys_of(found, engine)
    shown = found.measured_batches if batches is None else tuple(batches)
    ends = x_range(found)
    low, high = y_range(found, engine)
    edge = min(max(found.ridge_batch(keys[0]), ends[0]), ends[1])
    traces = [draw.line(look, list(ends), [1.0, 1.0], look.palette.muted, 1.2, name="FP32")]
    for key in keys:
        traces += _promise(found, key, look)[: 2 if explained else 1]
    for key in reversed(keys):
        traces += _measured(found, key, look, shown, chosen)
    ticks = found.measured_batches
    across = {"type": "log", "range": [log10(x) for x in ends], "tickvals": list(ticks)}
    up = {"type": "log", "range": [log10(low), log10(high)], "tickvals": list(TICKS)}
    return {
        "data": traces,
        "layout": style.layout(
            look,
            height_px,
            MARGIN_PX,
            shapes=zones(look, ends, edge) if explained else [],
            annotations=[
                _key(keys, look, explained),
                *(_notes(found, keys[0], look) if explained else []),
                *_names(found, keys, look),
            ],
            xaxis=style.axis(look, "rows of the input at once (batch)", **across, ticktext=[f"{x:,}" for x in ticks]),
            yaxis=style.axis(look, "× as fast as FP32", **up, ticktext=[f"{tick:g}" for tick in TICKS]),
        ),
    }


def x_range(found: Linear) -> tuple[float, float]:
    """The batches' axis."""
    return found.measured_batches[0] / SPACE, found.measured_batches[-1] * SPACE


def y_range(found: Linear, engine: str) -> tuple[float, float]:
    """The gains' axis: every promise and every round of the engine, and somewhat below FP32."""
    keys, first = keys_of(found, engine), found.measured_batches[0]
    gains = [each.gain for each in found.timings if each.kernel in keys]
    top = max([gain.value for gain in gains] + [found.byte_ratio(key, first) for key in keys])
    return min([0.8, *(0.9 * gain.value for gain in gains)]), 1.35 * top


def colour(key: str, look: Look) -> str:
    """That of the weights' width; BF16 has none of its own."""
    return look.palette.bits.get(KERNELS[key].bits, look.palette.muted)


def symbol(key: str) -> str:
    """The mark of the weights' width."""
    return style.SYMBOLS.get(KERNELS[key].bits, "circle")


def _promise(found: Linear, key: str, look: Look) -> list[dict[str, Any]]:
    """The bytes' promise, and what is left of it under the roof, drawn densely: it bends at the ridges."""
    first, last = found.measured_batches[0], found.measured_batches[-1]
    steps = 256
    xs = [first * (last / first) ** (step / steps) for step in range(steps + 1)]
    faint, name = style.faded(colour(key, look), 0.7), KERNELS[key].width
    promised = [found.byte_ratio(key, x) for x in xs]
    bought = [found.byte_gain(key, x) for x in xs]
    return [
        draw.line(look, xs, promised, faint, 1.4, dash="dash", name=f"{name}: {PROMISED}"),
        draw.line(look, xs, bought, faint, 1.0, dash="dot", name=f"{name}: {BOUGHT}"),
    ]


def _measured(found: Linear, key: str, look: Look, shown: Sequence[int], chosen: int | None) -> list[dict[str, Any]]:
    """A line with a mark a batch, each with the spread of its rounds, and a large mark at the chosen batch."""
    at = [found.table[key, batch] for batch in shown if (key, batch) in found.table]
    spans = [Interval(each.gain.value, each.gain.low, each.gain.high) for each in at]
    own = colour(key, look)
    said = draw.hover(_hover(found, each) for each in at)
    xs, ys = [each.batch for each in at], [each.gain.value for each in at]
    line: dict[str, Any] = {
        "mode": "lines+markers",
        "name": KERNELS[key].width,
        "line": {"color": own, "width": 2.4 * look.scale},
        "error_y": draw.intervals(look, spans, own),
    }
    traces = [draw.dots(look, xs, ys, symbol(key), 7, own, **{**said, **line})]
    if chosen in xs:
        place = xs.index(chosen)
        traces.append(draw.dots(look, [chosen], [ys[place]], symbol(key), 11, own, edge=2, name="", hoverinfo="skip"))
    return traces


def _hover(found: Linear, each: Timing) -> str:
    gain = each.gain
    return (
        f"<b>{KERNELS[each.kernel].name}</b>, batch {each.batch:,}: {seconds(each.seconds.value)}<br>"
        f"{number(gain.value, 2)} × FP32, rounds {number(gain.low, 2)} to {number(gain.high, 2)}<br>"
        f"{number(found.byte_ratio(each.kernel, each.batch), 2)} × fewer bytes"
    )


def _key(keys: Sequence[str], look: Look, explained: bool) -> dict[str, Any]:
    """What lines and marks mean, in a line above the plot."""
    glyphs = (
        f"<span style='color:{colour(key, look)}'>{style.GLYPHS.get(KERNELS[key].bits, '●')}</span> "
        f"{KERNELS[key].width}"
        for key in keys
    )
    lines = "╌ bytes promise" + (" ┈ buy" if explained else "")
    return style.heading(look, f"{'  '.join(glyphs)}   {lines}", yshift=4)


def _notes(found: Linear, key: str, look: Look) -> list[dict[str, Any]]:
    """The names of both zones, and the ridge's batch where it is on the axis."""
    palette, size = look.palette, look.font_px
    paper, low = {"yref": "paper", "yanchor": "bottom"}, x_range(found)[0]
    edge, last = found.ridge_batch(key), x_range(found)[1]
    memory = {"size": size, "color": palette.memory}
    compute = {"size": size, "color": palette.compute}
    notes = [
        style.note(
            look, "◧ FP32 waits for bytes", log10(low), 0, **paper, xanchor="left", xshift=5, yshift=4, font=memory
        )
    ]
    if edge < last:
        notes.append(
            style.note(
                look, f"ridge {number(edge, 0)}", log10(edge), 1, yref="paper", yanchor="top", xanchor="left", xshift=4
            )
        )
        notes.append(
            style.note(
                look, "it computes ◨", log10(last), 0, **paper, xanchor="right", xshift=-5, yshift=4, font=compute
            )
        )
    return notes


def _names(found: Linear, keys: Sequence[str], look: Look) -> list[dict[str, Any]]:
    """What bytes promise at the last batch, under the end of each line of integers."""
    last = found.measured_batches[-1]
    return [
        style.note(
            look,
            f"bytes ÷ {number(found.byte_ratio(key, last), 1)}",
            log10(last),
            log10(found.byte_ratio(key, last)),
            xanchor="right",
            yanchor="top",
            yshift=-2,
            bgcolor=style.faded(look.palette.background, 0.6),
            font={"size": look.font_px * 0.95, "color": colour(key, look)},
        )
        for key in keys
        if KERNELS[key].bits < 16
    ]
