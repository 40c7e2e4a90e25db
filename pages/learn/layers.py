"""Lesson 4: why layers differ."""

from dataclasses import replace

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.charts.lessons.layers import ORDERS, LayersData, layers_data, layers_frame
from aiq_core.charts.lessons.layers_figure import layers_figure
from aiq_core.intensity import intensity, moved_bytes
from aiq_core.records import UNFUSED
from aiq_core.space import WEIGHTS
from aiq_core.wording import number, signed, span
from pages.common.controls import View
from pages.learn import address, frame, measured
from pages.learn.address import Setting
from pages.learn.frame import Answer, Notes

LESSON = 4
WIDTHS = (8, 4)
ASKED_BITS = 4
BITS = Setting("bits", ASKED_BITS, int)
ORDER = Setting("order", ORDERS[0])
SETTINGS = (BITS, ORDER)
TERMS = ("FLOP", "Arithmetic intensity (AI)", "Policy", "Confidence interval", "PTQ")
STRONG = 0.5
"""A rank correlation from which cost is said to follow size."""


def draw(view: View) -> None:
    model, table, excuse = measured.subject(view)
    bits, order = address.value(BITS, WIDTHS), address.value(ORDER, ORDERS)
    asked = layers_data(table, ASKED_BITS)
    data = asked if bits == ASKED_BITS else layers_data(table, bits)
    if asked is None or data is None:
        model, table, excuse = measured.instead(model, "has layers that were not measured alone")
        asked, data = layers_data(table, ASKED_BITS), layers_data(table, bits)
    assert asked is not None
    assert data is not None
    # At either width the question's layers are marked, and veiled: one width would tell of the other.
    data = replace(data, first=asked.first, second=asked.second, twins=asked.twins)
    answers = replies(asked)
    state = frame.asked(LESSON, answers)
    frame.message(message(data), _detail(data, model, excuse), TERMS, WEIGHTS)
    left, right = frame.halves()
    with left:
        frame.question(LESSON, question(asked), answers, truth(asked), TERMS, before=_sort)
        frame.notes(notes(data))
    with right:
        # The veil is on the question's layer, at every width: 8 bits would tell something too.
        spec = layers_figure(data, view.look, order, state.revealed, state.ghost if bits == ASKED_BITS else None)
        found = layers_frame(data)
        if not state.revealed:
            found = found[found["layer"] != data.second]
        alt = f"What each of {len(data.rows)} layers gains and costs alone at {bits} bits; the table has every number."
        title = f"Each layer alone at {bits} bits"
        frame.figure(
            title,
            f"{model.title}; ● ━ net loss with its 95 % interval, thin = may be no change",
            spec,
            found,
            "layers",
            alt,
        )
        _controls()
    frame.formula(formula(data, model), TERMS)


def _sort() -> None:
    """The answer shows the rows by size, a staircase and what is none, at the bits that were asked about."""
    address.put(ORDER, "size")
    address.put(BITS, ASKED_BITS)


def _detail(data: LayersData, model: Model, excuse: str) -> str:
    detail = f"Measured on {data.images:,} {data.split} images; gains computed ({UNFUSED}, batch 1)"
    profile = model.profile
    if left := len(profile.layers) - len(profile.quantizable):
        detail += f"; its {left} shortcut layers stay at FP32"
    return f"{excuse} {detail}".strip()


def _gains(rows: tuple) -> str:  # type: ignore[type-arg]
    gains = [row.gain_percent for row in rows]
    return f"+{number(min(gains), 1)} % to +{number(max(gains), 1)} %"


def message(data: LayersData) -> str:
    """Gain follows size; whether cost does is computed."""
    alike, rank = data.alike, data.rank_correlation
    if len(alike) > 1:
        text = (
            f"{len(alike)} of {len(data.rows)} layers do the same {alike[0].flops:,} FLOPs, yet {data.bits} bits on "
            "one alone gain "
        )
        text += (
            f":violet[{_gains(alike)} AI]"
            if _spread(alike)
            else f":violet[the same {_gains(alike).split(' to ')[0]} AI]"
        )
    else:
        text = f"{data.bits} bits on one of {len(data.rows)} layers alone gain :violet[{_gains(data.rows)} AI]"
    if rank is None:
        return f"{text}, and here no layer’s cost differs: {data.rows[0].flips} answers turn with each."
    if rank <= -STRONG:
        return (
            f"{text}; the cost does not grow with it: here small layers turn more answers (rank correlation "
            f"{number(rank, 2)})."
        )
    if rank >= STRONG:
        return (
            f"{text}; here the cost grows with size too (rank correlation {number(rank, 2)}), but only measuring told."
        )
    return f"{text}; the cost follows no such rule (rank correlation with size {number(rank, 2)})."


def _spread(rows: tuple) -> bool:  # type: ignore[type-arg]
    gains = [row.gain_percent for row in rows]
    return max(gains) - min(gains) > 0.05


def question(data: LayersData) -> str:
    """The question, for twins or, where no two layers are alike, for the largest."""
    first = data.of(data.first)
    turned = f"{first.flips:,} of {data.images:,} answers"
    if data.twins:
        return (
            f"Twins {data.first} and {data.second}: same shape, same FLOPs, same gain. Alone at {data.bits} bits, "
            "the first turns "
            f"{turned} from right to wrong or back. The second?"
        )
    return (
        f"No two layers are alike here. {data.first} alone at {data.bits} bits turns {turned} from right to wrong or "
        "back. "
        f"{data.second} is the largest: {number(data.of(data.second).weights / first.weights, 1)} × as many weights. "
        "It turns?"
    )


def replies(data: LayersData) -> list[Answer]:
    """The options, in rising order; those too near to the truth or to each other are left out."""
    first, second = data.of(data.first), data.of(data.second)
    names = [row.layer for row in data.rows]
    later = names.index(data.second) > names.index(data.first)
    where = "nearer the output" if later else "nearer the image"
    truth = second.flips
    wrong = [
        (0, "none: " + ("it is safe" if data.twins else "large layers have slack"),
         f"Few isn’t none: {second.lost} lost, {second.gained} gained."),
        (first.flips, "as many", "Same shape and bytes; other weights, another role." if data.twins
         else "Each layer has weights and a role of its own."),
    ]  # fmt: skip
    if data.twins:
        wrong.append((2 * first.flips, where, "Depth isn’t fragility."))
    else:
        share = round(first.flips * second.weights / first.weights)
        wrong.append((share, "in proportion to its weights", "Size sets the gain, not the cost."))
    right = f"{second.lost} lost, {second.gained} gained: nobody could have known without measuring."
    options = [(truth, "", right, True)]
    for value, why, reply in wrong:
        if all(abs(value - other) > max(2, 0.25 * max(value, other)) for other, *_ in options):
            options.append((value, why, reply, False))
    options.sort(key=lambda option: option[0])
    return [Answer(_option(value, why), reply, right, float(value)) for value, why, reply, right in options]


def _option(value: int, why: str) -> str:
    about = f"{'About ' if value >= 10 else ''}{value:,}"
    return f"{about}, {why}" if why else about


def truth(data: LayersData) -> str:
    """What the reveal shows."""
    first, second = data.of(data.first), data.of(data.second)
    rank = data.rank_correlation
    text = (
        f"**{second.flips:,}**, against {first.flips:,}. Sort the rows by size: the left becomes a staircase, the "
        "right stays "
        "ragged."
    )
    if rank is not None:
        text += f" Rank correlation of size with turned answers: {number(rank, 2)} (0 = unrelated, ±1 = perfect order)."
    net = [row.lost - row.gained for row in (first, second)]
    text += (
        " Turned answers say how much a layer disturbs the network; accuracy counts lost less gained, and there the "
        f"two come to {net[0]} and {net[1]} answers."
    )
    return text + " The pair was chosen on search images; these are " + (
        "report images, which had no part in that." if data.split == "report" else "the same search images."
    )  # fmt: skip


def _controls() -> None:
    bits, order = st.columns([0.3, 0.7], gap="medium")
    frame.choice(bits, "Bits", BITS, WIDTHS, format_func={8: "■ 8", 4: "◆ 4"}.__getitem__)
    late = "By cost only once the answer is shown: it would tell the veiled layer’s place."
    frame.choice(order, "Order", ORDER, ORDERS, help=late)


def formula(data: LayersData, model: Model) -> str:
    """The gain and the drop of the first layer with their numbers in."""
    profile, one = model.profile, data.of(data.first)
    fp32 = profile.uniform(32)
    saved = 4 - data.bits / 8
    before = intensity(profile, fp32)
    drop = one.drop
    return (
        f"{one.layer}: **ΔAI** = {profile.flops:,} / ({moved_bytes(profile, fp32):,.0f} − {one.weights:,} × "
        f"{saved:g}) − "
        f"{number(before, 2)} = **{signed(one.gain, 2)}** · **drop** = (lost − gained) / n = ({one.lost} − "
        f"{one.gained}) / "
        f"{data.images:,} = **{number(drop.value, 2)}** points, 95 % {span(drop)}"
    )


def notes(data: LayersData) -> Notes:
    """Try this, and the teacher's note."""
    improved = [row for row in data.improved if row.layer != data.second]
    if improved:
        best = min(improved, key=lambda row: row.drop.value)
        example = f"({best.layer}: {number(best.drop.value, 2)} points, {span(best.drop)}.)"
    else:
        best = min((row for row in data.rows if row.layer != data.second), key=lambda row: row.drop.value)
        example = f"(Nearest: {best.layer}, {number(best.drop.value, 2)} points, {span(best.drop)}: holds 0.)"
    lucky = number(0.05 * len(data.rows), 1)
    return Notes(
        "Find a layer that “improves”. Believe it?",
        example,
        f"{len(data.rows)} intervals at 95 %: how many miss 0 by luck alone?",
        f"About {lucky}. Here {len(data.beyond_noise)} miss it, and no interval says which of them by luck. So don’t "
        "rank layers whose intervals overlap.",
    )
