"""A run's path through the trade-off, growing while it runs, and two overlaid. Pure: a data and a figure step."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from aiq_core.charts import labels
from aiq_core.charts.style import SYMBOLS, Look, axis, faded, layout, note
from aiq_core.intensity import intensity
from aiq_core.objective import FLOOR_POINTS
from aiq_core.records import FP32_BITS, UNFUSED, ModelProfile, Policy, Request, Run, Score, Step
from aiq_core.search.strategies import strategy
from aiq_core.statistics import Interval, wilson
from aiq_core.wording import move_words, number, per_byte, span, uniform_name

HEIGHT_PX = 292
MARGIN_PX = {"l": 46, "r": 10, "t": 8, "b": 38}


@dataclass(frozen=True, slots=True)
class Mark:
    """A measured policy: AI in FLOPs/byte, top-1 in percent on so many search images, and what it is."""

    intensity: float
    top1: float
    text: str
    images: int


@dataclass(frozen=True)
class Trail:
    """A run's policies in the order taken, and the candidates that lost. `joined` where they follow from each other."""

    name: str
    taken: tuple[Mark, ...]
    lost: tuple[Mark, ...]
    joined: bool


@dataclass(frozen=True)
class ProgressData:
    """Everything drawn, AI by the traffic model `traffic`. `references` are uniform policies by bits, where known.

    `images` says on which search images all stand: each run on those that it chose on.
    """

    images: str
    trails: tuple[Trail, ...]
    references: tuple[tuple[int, Mark], ...]
    floor_top1: float | None
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    traffic: str = UNFUSED


def progress_data(
    runs: Sequence[tuple[str, Run]], profile: ModelProfile, references: Mapping[Policy, Score], candidates: bool = True
) -> ProgressData:
    """Named runs of one model, counted as the first; `references` are scores of uniform policies, rounded alike."""
    first = runs[0][1].request
    counting = first.traffic, first.quantizer
    trails = tuple(_trail(name, run, candidates, profile, first, references) for name, run in runs)
    ordered = sorted(references.items(), key=lambda item: item[0].weight_bits + item[0].activation_bits, reverse=True)
    uniform = tuple(
        (
            policy.weight_bits[0],
            _mark(intensity(profile, policy, 1, *counting), right, first.chooses_on, uniform_name(policy) or ""),
        )
        for policy, right in ordered
    )
    floors = {
        100 * run.floor_score / run.request.chooses_on
        for _, run in runs
        if strategy(run.request.algorithm).searches and run.floor_score is not None
    }
    floor_top1 = floors.pop() if len(floors) == 1 else None
    counts = {run.request.chooses_on for _, run in runs}
    images = f"on {counts.pop():,} search images" if len(counts) == 1 else "where each chose"
    ranges = _ranges(profile, runs, trails, uniform, floor_top1)
    return ProgressData(images, trails, uniform, floor_top1, *ranges, traffic=first.traffic)


def _trail(
    name: str,
    run: Run,
    candidates: bool,
    profile: ModelProfile,
    first: Request,
    references: Mapping[Policy, Score],
) -> Trail:
    by, images, joined = first.traffic, run.request.chooses_on, strategy(run.request.algorithm).searches

    def value(policy: Policy) -> float:
        return intensity(profile, policy, 1, by, run.request.quantizer)

    same = run.request.traffic == by
    values = [step.intensity if same else value(step.policy) for step in run.steps]
    taken = [_mark(ai, step.score, images, _step_text(step)) for ai, step in zip(values, run.steps, strict=True)]
    start = run.request.start_policy(profile)
    alike = (run.request.quantizer, images) == (first.quantizer, first.chooses_on)
    score = run.baseline_score if start.is_fp32 else references.get(start) if alike else None
    if joined and score is not None:
        where = f"{uniform_name(start) or 'a policy'}, where it starts"
        taken.insert(0, _mark(value(start), score, images, where))
    lost = [
        _mark(c.intensity, c.score, images, f"step {step.index} tried {move_words(c.move)}")
        for step in (run.steps if candidates else ())
        for c in step.candidates
        if c.score is not None and c.move != step.move
    ]
    return Trail(name, tuple(taken), tuple(lost), joined)


def _step_text(step: Step) -> str:
    return f"step {step.index}" if step.move is None else f"step {step.index}: {move_words(step.move)}"


def _mark(value: float, correct: Score, images: int, text: str) -> Mark:
    return Mark(value, 100 * correct / images, text, images)


def _ranges(
    profile: ModelProfile,
    runs: Sequence[tuple[str, Run]],
    trails: Sequence[Trail],
    uniform: Sequence[tuple[int, Mark]],
    floor_top1: float | None,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """From FP32 to every layer at the lowest width on offer; from the floor to a little above FP32. Fixed for a run."""
    # A front ends long before every site stands at its lowest width.
    searched = [run.request for _, run in runs if run.request.points is None]
    offered = [(request.widths, request.activation_widths) for request in searched] or [((FP32_BITS,), (FP32_BITS,))]
    narrowest = profile.uniform(*(min(min(widths) for widths in kind) for kind in zip(*offered, strict=True)))
    listed = [mark for trail in trails if not trail.joined for mark in trail.taken]
    counting = runs[0][1].request.traffic, runs[0][1].request.quantizer
    low, lowest_high = (intensity(profile, policy, 1, *counting) for policy in (profile.uniform(32), narrowest))
    high = max([lowest_high, *(mark.intensity for mark in listed)])
    baselines = [100 * run.baseline_score / run.request.chooses_on for _, run in runs if run.baseline_score is not None]
    baselines += [mark.top1 for bits, mark in uniform if bits == 32]
    top = max(baselines, default=100.0)
    bottom = min([top - FLOOR_POINTS, floor_top1 if floor_top1 is not None else top, *(mark.top1 for mark in listed)])
    room = 0.06 * (top - bottom)
    # Few images let a policy be right on many more than FP32.
    highest = max((mark.top1 for trail in trails for mark in trail.taken), default=top)
    above = max(top + 6 * room, highest + 2 * room)
    return (low - 0.05 * (high - low), high + 0.07 * (high - low)), (bottom - 2 * room, above)


def progress_frame(data: ProgressData) -> pd.DataFrame:
    """The chart's data, a row a policy."""
    rows = [
        {
            "run": trail.name,
            "group": group,
            "what": mark.text,
            "traffic": data.traffic,
            "flops_per_byte": mark.intensity,
            "search_top1_percent": mark.top1,
            "search_images": mark.images,
        }
        for trail in data.trails
        for group, marks in (("taken", trail.taken), ("lost", trail.lost))
        for mark in marks
    ]
    return pd.DataFrame(rows)


def progress_figure(data: ProgressData, look: Look) -> dict[str, Any]:
    """The figure as a Plotly dict."""
    palette = look.palette
    traces = []
    # The second, thinner, over the first: where they coincide both can be seen.
    for trail, colour, width in zip(data.trails, (palette.accent, palette.text), (3.2, 1.4), strict=False):
        traces.append(_lost(trail, data, look))
        traces.append(_taken(trail, data, look, colour, width if len(data.trails) > 1 else 1.6))
        traces.append(_end(trail, data, look, colour))
    traces += [_reference(bits, mark, data, look) for bits, mark in data.references]
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": layout(
            look,
            HEIGHT_PX,
            MARGIN_PX,
            xaxis=axis(look, per_byte(data.traffic), range=list(data.x_range)),
            yaxis=axis(look, f"top-1 % {data.images}", range=list(data.y_range)),
            showlegend=len(data.trails) > 1 or any(trail.lost for trail in data.trails),
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
            shapes=_floor_line(data, look),
            annotations=[*_reference_notes(data, look), *_floor_note(data, look)],
        ),
    }


def _points(marks: Sequence[Mark], data: ProgressData, name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [mark.intensity for mark in marks],
        "y": [mark.top1 for mark in marks],
        "hovertext": [_hover(mark) for mark in marks],
        "hoverinfo": "text",
        **more,
    }


def _hover(mark: Mark) -> str:
    interval: Interval = wilson(round(mark.top1 * mark.images / 100), mark.images)
    return f"{mark.text}<br>AI {number(mark.intensity, 2)} · top-1 {number(mark.top1, 2)} % ({span(interval)})"


def _lost(trail: Trail, data: ProgressData, look: Look) -> dict[str, Any]:
    marker = {"color": faded(look.palette.muted, 0.45), "size": 5 * look.scale, "symbol": "circle"}
    several = len(data.trails) > 1
    name = f"tried by {trail.name}, lost" if several else "tried, lost"
    return _points(trail.lost, data, name, marker=marker)


def _taken(trail: Trail, data: ProgressData, look: Look, colour: str, width: float) -> dict[str, Any]:
    marker = {"color": colour, "size": (4.5 + width) * look.scale, "symbol": "circle"}
    mode = "lines+markers" if trail.joined else "markers"
    line = {"color": colour, "width": width * look.scale}
    return _points(trail.taken, data, trail.name, mode=mode, line=line, marker=marker)


def _end(trail: Trail, data: ProgressData, look: Look, colour: str) -> dict[str, Any]:
    line = {"width": 2.6 * look.scale, "color": colour}
    marker = {"symbol": "circle-open", "size": 16 * look.scale, "color": colour, "line": line}
    return _points(trail.taken[-1:] if trail.joined else (), data, "now", marker=marker, showlegend=False)


def _reference(bits: int, mark: Mark, data: ProgressData, look: Look) -> dict[str, Any]:
    colour = look.palette.bits[bits]
    marker = {"color": colour, "size": 9 * look.scale, "symbol": SYMBOLS[bits], "line": {"width": 1.6, "color": colour}}
    return _points([mark], data, mark.text, marker=marker, showlegend=False)


def _reference_notes(data: ProgressData, look: Look) -> list[dict[str, Any]]:
    """Names of the uniform policies, clear of each other and of the paths."""
    low, high = data.y_range
    named = [(bits, mark) for bits, mark in data.references if low <= mark.top1 <= high]
    anchors = [_anchor(mark, data, mark.text, 7 * look.scale) for _, mark in named]
    obstacles = [_anchor(mark, data, "", 4 * look.scale) for trail in data.trails for mark in trail.taken]
    height = (HEIGHT_PX - MARGIN_PX["t"] - MARGIN_PX["b"]) * look.scale
    places = labels.place_labels(anchors, obstacles, height, look.font_px, labels.PLOT_WIDTHS_PX)
    return [
        note(
            look,
            mark.text,
            mark.intensity,
            mark.top1,
            **asdict(place),
            font={"size": look.font_px * 0.95, "color": look.palette.bits[bits]},
        )
        for (bits, mark), place in zip(named, places, strict=True)
    ]


def _anchor(mark: Mark, data: ProgressData, text: str, radius_px: float) -> labels.Anchor:
    (x_low, x_high), (y_low, y_high) = data.x_range, data.y_range
    across, down = (mark.intensity - x_low) / (x_high - x_low), (y_high - mark.top1) / (y_high - y_low)
    return labels.Anchor(across, down, text, radius_px)


def _floor_line(data: ProgressData, look: Look) -> list[dict[str, Any]]:
    if data.floor_top1 is None:
        return []
    line = {"color": look.palette.muted, "width": look.scale, "dash": "dot"}
    ends = {"x0": 0, "x1": 1, "y0": data.floor_top1, "y1": data.floor_top1}
    return [{"type": "line", "xref": "paper", **ends, "line": line, "layer": "below"}]


def _floor_note(data: ProgressData, look: Look) -> list[dict[str, Any]]:
    if data.floor_top1 is None:
        return []
    return [note(look, "accuracy floor", 0.99, data.floor_top1, xref="paper", xanchor="right", yanchor="bottom")]
