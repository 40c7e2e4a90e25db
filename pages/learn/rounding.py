"""Lesson 3: scale, rounding and clipping."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from aiq_core.catalog import Model
from aiq_core.charts.lessons.feature_map import map_data, map_figure
from aiq_core.charts.lessons.rounding import (
    RANGES,
    RoundingData,
    lesson_layer,
    rounding_data,
    rounding_frame,
)
from aiq_core.charts.lessons.rounding_figure import error_figure, histogram_figure
from aiq_core.charts.study import Trial, contest
from aiq_core.records import Granularity
from aiq_core.rounding.grid import Grid, SquaredError, round_to_grid
from aiq_core.rounding.nearest import levels
from aiq_core.space import WEIGHTS
from aiq_core.wording import number, signed, significant
from pages.common import known
from pages.common.charts import Click, card, chart
from pages.common.controls import View
from pages.learn import address, frame, study
from pages.learn.address import Setting
from pages.learn.cut import ASKED_BITS, Question, curve
from pages.learn.frame import Answer, Notes

LESSON = 3
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
GRANULARITIES = ("channel", "tensor")
ZEROS = ("symmetric", "asymmetric")
BITS = Setting("bits", ASKED_BITS, int)
RANGE = Setting("range", 100, int)
PER = Setting("per", "channel")
ZERO = Setting("zero", "symmetric")
USUAL, ALL = "usual", "all"
LAYER = Setting("layer", USUAL)
SETTINGS = (BITS, RANGE, PER, ZERO, LAYER)
ASKED_GRID = (ASKED_BITS, Granularity.CHANNEL, True)
EXAMPLE = "learn:example"
PAYS = 0.995
"""Below so much of the error at the whole range, a cut is said to pay."""
TERMS = ("Quantization", "Bit-width", "Scale", "Clipping", "SQNR", "PTQ", "QAT")


@known.cached(60)
def _data(model: Model, layer: str, grid: Grid, index: int) -> RoundingData:
    errors = curve(model, layer, grid.bits, str(grid.granularity), grid.symmetric)
    return rounding_data(layer, model.folded_weights[layer], grid, errors, index)


def draw(view: View) -> None:
    profile = view.model.profile
    usual = lesson_layer({layer.name: layer.weights for layer in profile.quantizable})
    studied = study.trials_of(view.model)
    layers = [USUAL, *(name for name in profile.quantizable_names if name != usual)]
    if studied and address.is_revealed(LESSON):
        layers.append(ALL)
    asked_layer = address.value(LAYER, layers)
    whole = asked_layer == ALL
    layer = usual if asked_layer in (USUAL, ALL) else asked_layer
    per, zero = address.value(PER, GRANULARITIES), address.value(ZERO, ZEROS)
    bits, percent = address.value(BITS, WIDTHS), address.value(RANGE, RANGES)
    grid = Grid(bits, Granularity(per), percent / 100, zero == "symmetric")
    example = st.session_state.get(EXAMPLE)
    index = example[1] if example and example[0] == (view.model, layer) else 1
    data = _data(view.model, layer, grid, index)
    asked = Question(view.model, usual)
    answers = replies(asked)
    state = frame.asked(LESSON, answers)
    eight = curve(view.model, layer, 8, per, grid.symmetric)
    compared = contest(studied, bits) if whole else None
    said = study.message(compared, view.model, bits) if whole else message(data, eight, state.revealed)
    frame.message(said, _source(view), TERMS, WEIGHTS)
    left, right = frame.halves()
    with left:
        text = (
            f"{asked.layer} at {ASKED_BITS} bits: cut the range to {asked.cut} % of the largest weight. The "
            "squared error…"
        )
        frame.question(LESSON, text, answers, truth(asked), TERMS, before=lambda: _cut(asked.cut))
        if studied and state.revealed and not whole:
            st.button(
                "All layers: the best accuracy?",
                icon=":material/layers:",
                key="learn-all-layers",
                on_click=_look_at_all,
            )
        frame.notes(notes(view, asked, studied))
    with right:
        if whole:
            study.draw(view, studied, bits)
        else:
            _charts(view, data, grid, state, asked)
        _controls(usual, layers, whole)
    frame.formula(study.formula(compared) if whole else formula(data), TERMS)


def _cut(percent: int) -> None:
    """The answer opens on the cut it is about."""
    for setting, value in ((BITS, ASKED_BITS), (RANGE, percent), (PER, "channel"), (ZERO, "symmetric"), (LAYER, USUAL)):
        address.put(setting, value)


def _look_at_all() -> None:
    address.put(LAYER, ALL)
    address.put(BITS, ASKED_BITS)


def _source(view: View) -> str:
    return (
        f"Computed from {view.model.title}’s weights, batch norm folded in as evaluated; the map is of "
        "the first "
        "report image"
    )


def message(data: RoundingData, eight: tuple[SquaredError, ...], revealed: bool) -> str:
    """How coarse the grid is, and what that costs."""
    bits, grid = data.grid.bits, data.grid
    text = f":violet[{bits} bits leave {grid.levels} levels] in {data.layer}"
    if bits < 8:
        coarser = (Grid(8, grid.granularity, 1.0, grid.symmetric).levels - 1) / (grid.levels - 1)
        text += f": steps {number(coarser, 0 if coarser >= 9.5 else 1)} × coarser than at 8 bits, SQNR "
        text += f"{number(eight[-1].sqnr_db, 1)} → {number(data.whole.sqnr_db, 1)} dB"
    else:
        text += f": SQNR {number(data.whole.sqnr_db, 1)} dB"
    if grid.share < 1:
        percent = round(100 * grid.share)
        if not revealed:
            return f"{text}. Cut to {percent} %: guess first."
        change = "fits better" if data.ratio < 1 else "fits worse"
        text += f"; cut to {percent} % it {change}, {number(data.now.sqnr_db, 1)} dB"
    return f"{text}."


def replies(asked: Question) -> list[Answer]:
    """The options, with what is wrong about each. Where no cut pays, the first is right."""
    ratio, cut = asked.ratio(asked.cut), asked.cut
    clipped = f"{number(100 * asked.at(cut).clipped_share, 1)} % of the weights clip"
    finer = f"the rest get a step {100 - cut} % finer"
    turns = f"It turns: at 50 % it is {significant(asked.ratio(50))} ×."
    stays = Answer("stays: so few clip", "Few clip, but all are rounded, and every step got finer.", ghost=1.0)
    more = Answer("falls the more we cut", turns, ghost=0.5)
    if ratio < PAYS:
        falls = f"falls by {number(100 * (1 - ratio), 0)} %"
        return [
            Answer("rises: big weights matter most", f"Only {clipped}; {finer}.", ghost=1.4),
            stays,
            Answer("falls: the rest get a finer step", f"It {falls}: {clipped}; {finer}.", True, ratio),
            more,
        ]
    return [
        Answer("rises: big weights matter most", f"{clipped}: too many for so few weights a channel.", True, ratio),
        stays,
        Answer("falls: the step gets finer", f"Finer it gets, but {clipped}, which costs more.", ghost=0.7),
        more,
    ]


def truth(asked: Question) -> str:
    """What the reveal shows: the U, 8 bits, per tensor and asymmetric."""
    whole = asked.whole_curve[-1]
    tensor = asked.errors(ASKED_BITS, "tensor")[-1]
    shifted = asked.errors(ASKED_BITS, symmetric=False)[-1]
    return (
        f"**{signed(100 * (asked.ratio(asked.cut) - 1), 0)} %** at {asked.cut} %: a U. At 8 bits the same cut makes "
        "the error "
        f"**{significant(asked.ratio(asked.cut, 8))} ×**: rounding was tiny there already.\n"
        f"- One scale per tensor: {signed(tensor.sqnr_db - whole.sqnr_db, 1)} dB, as it must serve the widest "
        "channel.\n"
        f"- Asymmetric: {signed(shifted.sqnr_db - whole.sqnr_db, 1)} dB ({2**ASKED_BITS} levels on [min, max]), at "
        "the price of "
        "a zero point in every product. After a ReLU, symmetric wastes half of its levels."
    )


def _charts(view: View, data: RoundingData, grid: Grid, state: frame.Asked, asked: Question) -> None:
    table = rounding_frame(data)
    if not state.revealed:
        table = table[table["range_percent"] == 100]
    weights, error = st.columns(2, gap="small")
    with weights:
        alt = (
            f"Histogram of the weights of {data.layer} with {grid.levels} levels over {round(100 * grid.share)} % of "
            "the range."
        )

        def picked(click: Click) -> None:
            first = click.customdata[0] if click.customdata else -1
            if first >= 0:
                st.session_state[EXAMPLE] = ((view.model, data.layer), int(first))

        spec = histogram_figure(data, view.look)
        frame.figure(
            data.layer,
            f"{data.weights:,} weights; click :violet[▼]",
            spec,
            table,
            "weights",
            alt,
            on_click=picked,
        )
    with error:
        shown = (
            "opens with the answer"
            if not state.revealed
            else f"{significant(data.ratio)} × at {round(100 * grid.share)} %"
        )
        own = data.layer == asked.layer and (grid.bits, grid.granularity, grid.symmetric) == ASKED_GRID
        spec = error_figure(data, view.look, state.revealed, state.ghost if own else None, asked.cut if own else None)
        frame.figure("Error", shown, spec, table, "error", f"Squared error against the range of {data.layer}: {shown}.")
    _map(view, data, grid)


def _map(view: View, data: RoundingData, grid: Grid) -> None:
    read = view.model.layer_inputs.get(data.layer)
    if read is None:
        st.caption("No cached image of this layer, so no feature map.")
        return
    weight = view.model.folded_weights[data.layer]
    image = view.model.dataset.report.excerpt[0]
    found = map_data(weight, round_to_grid(weight, grid).weight, read, image)
    what = f"channel {found.channel}" if found.channel is not None else f"its {found.channels:,} outputs, a pixel each"
    hidden = grid.share < 1 and not address.is_revealed(LESSON)
    error = "" if hidden else f"; the whole layer is off by {number(100 * found.relative_error, 1)} % (RMS)"
    with card("On one image", f"{what} of {data.layer}, before ReLU{error}"):
        alt = f"Feature map of {data.layer} before and after rounding to {grid.bits} bits, and the difference{error}."
        chart(map_figure(found, view.look), "learn-map", "learn-map", alt)


def _controls(usual: str, layers: Sequence[str], whole: bool) -> None:
    bits, span, per, zero, layer = st.columns([0.18, 0.22, 0.19, 0.22, 0.19], gap="small")
    bits.select_slider("Bits", WIDTHS, key=address.key(BITS, WIDTHS))
    clipped = "What lies beyond is clipped to its end."
    key = address.key(RANGE, RANGES)
    span.select_slider("Range, % of max", RANGES, key=key, help=clipped, disabled=whole)
    frame.choice(per, "One scale per", PER, GRANULARITIES, wrap=False, disabled=whole)
    frame.choice(zero, "Grid", ZERO, ZEROS, wrap=False, disabled=whole)
    layer.selectbox(
        "Layer",
        layers,
        format_func=lambda name: {USUAL: usual, ALL: "all layers"}.get(name, name),
        key=address.key(LAYER, layers),
    )


def formula(data: RoundingData) -> str:
    """One weight's way through scale and rounding."""
    one, top = data.example, levels(data.grid.bits)
    share = data.grid.share
    cut = "" if share == 1 else f"{number(share, 2)} × "
    if not data.grid.symmetric:
        return (
            f"**s** = {cut}(max − min) / {2**data.grid.bits - 1} = {one.scale:.4f} · **z** = round(−{cut}min / s) = "
            f"{one.zero_point} · **q** = round({number(one.weight, 4)} / s) + z = {one.integer} · **ŵ** = (q − z) · "
            "s = "
            f"**{number(one.rounded, 4)}** · error {one.error:.4f}"
        )
    steps = one.weight / one.scale if one.scale else 0.0
    limit = one.scale / 2
    within = f"≤ s/2 = {limit:.4f}" if one.error <= limit * 1.0001 else f"> s/2 = {limit:.4f}: clipped"
    db, coarse = 20 * np.log10(127 / top), data.grid.bits
    coarser = "" if coarse == 8 else f" · 8 → {coarse} bits: 20·log₁₀(127/{top}) = {number(db, 1)} dB"
    return (
        f"**s** = {cut}{one.largest:.4f} / {top} = {one.scale:.4f} · **q** = round({number(one.weight, 4)} / s) = "
        f"round({number(steps, 2)}) = {number(one.integer, 0)} · **ŵ** = q · s = **{number(one.rounded, 4)}** · "
        f"error {one.error:.4f} "
        f"{within}{coarser}"
    )


def notes(view: View, asked: Question, studied: tuple[Trial, ...]) -> Notes:
    """Try this, and the teacher's note."""
    channel = asked.whole_curve[-1].sqnr_db
    tensor = asked.errors(ASKED_BITS, "tensor")[-1].sqnr_db
    a_bit = asked.errors(ASKED_BITS + 1)[-1].sqnr_db - channel
    cost = _all_at_4_bits(view)
    return Notes(
        "How many bits is one scale per channel worth here?",
        f"It wins {number(channel - tensor, 1)} dB; one more bit, from "
        f"{ASKED_BITS} to {ASKED_BITS + 1}, wins {number(a_bit, 1)} dB: {number((channel - tensor) / a_bit, 1)} bits.",
        "Is the smallest weight error the best accuracy?",
        f"Not by itself: the network answers, not the weights. {study.answer(studied, ASKED_BITS) or cost}Is that the "
        "best 4 bits can do? (No: better rounding, such as GPTQ, or training with rounding inside, QAT, gives much of "
        "it back. The room’s ideas first; then choose all layers under the charts.)",
    )


def _all_at_4_bits(view: View) -> str:
    if not known.is_known(view.model, view.images):
        return ""
    table = known.table(view.model, view.images)
    row = table.row(table.profile.uniform(ASKED_BITS))
    reported = None if row is None else table.report[row]
    if reported is None:
        return ""
    points = number(reported.drop.value, 2)
    return f"All weights at 4 bits by this rounding cost {points} points on {table.report_images:,} report images. "
