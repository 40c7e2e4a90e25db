"""Lesson 6: what alpha buys."""

from dataclasses import replace

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.charts.lessons.price import Known, Pick, PriceData, price_data, price_frame
from aiq_core.charts.lessons.price_figure import price_figure
from aiq_core.envelope import PolicyTable
from aiq_core.space import SPACES, WEIGHTS
from aiq_core.wording import join, number, significant
from pages.common import controls, fronts, known
from pages.common.controls import View
from pages.learn import address, frame, measured
from pages.learn.address import Setting
from pages.learn.frame import Answer, Notes

LESSON = 6
ALPHA = 0.9
MOST_NAMED = 3
"""Uniform policies that a message names."""


def _alpha(text: str) -> float:
    value = round(float(text), 2)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


PRICE = Setting("price", ALPHA, _alpha)
LEAST = Setting("least", None, int)
SETTINGS = (PRICE, LEAST)
TERMS = (
    "Alpha",
    "Loss",
    "Normalisers",
    "Accuracy floor",
    "Pareto front",
    "Convex hull",
    "Envelope",
    "Confidence interval",
    "Policy",
)


@known.cached(12)
def _data(model: Model, images: int, space: str, version: str) -> PriceData:
    table = known.table(model, images, space=SPACES[space])
    return price_data(table, known.path(model, images, space=table.space), table.usual_goal)


def data_of(model: Model, table: PolicyTable) -> PriceData:
    """The trade-off of a model's table, kept until the stores change."""
    version = known.library().table_version(model, table.images)
    return _data(model, table.start + table.images, table.space.name, version)


def _subject(view: View) -> tuple[Model, PolicyTable, PriceData, str]:
    """What has a Pareto point to ask about: the chosen model in the chosen space, else by weights, else the first."""
    model, table, excuse = measured.subject(view, view.space)
    data = data_of(model, table)
    lacks = "has no Pareto point off the hull"
    if data.missed is None and table.space is not WEIGHTS:
        model, table, _ = measured.subject(view)
        data, excuse = data_of(model, table), f"{model.title} {lacks} there, so this is {table.space.title}."
    if data.missed is None:
        model, table, excuse = measured.instead(model, lacks)
        data = data_of(model, table)
    return model, table, data, excuse


def draw(view: View) -> None:
    model, table, data, excuse = _subject(view)
    choices = (None, *(policy.correct for policy in data.front))
    alpha, least = address.value(PRICE), address.value(LEAST, choices)
    answers = replies(data)
    state = frame.asked(LESSON, answers)
    chosen = data.chosen(alpha, least)
    data = data if least is None else replace(data, budgeted=chosen)
    detail = _detail(data, model, excuse) + _of_front(model, table)
    frame.message(message(data, alpha, least, chosen), detail, TERMS, table.space)
    left, right = frame.halves()
    with left:
        frame.question(LESSON, question(data), answers, truth(data), TERMS)
        frame.notes(notes(data, state.revealed))
    with right:
        spec = price_figure(data, view.look, alpha, least, state.revealed, state.ghost)
        alt = (
            f"Top-1 against FLOPs per byte: {len(data.picks)} policies on the hull, {len(data.behind)} Pareto "
            f"points off it. {_words(alpha, least, data)}"
        )
        frame.figure(
            "Trade-off",
            f"● best at some alpha{', ◇ at none' if state.revealed else ''} ━ hull ╌ equal loss ┃ 95 % interval",
            spec,
            _frame(data, state.revealed),
            "price",
            alt,
            on_played=_played,
        )
        _controls(data, choices)
    frame.formula(formula(data, alpha) if least is None else budget_formula(data, least), TERMS)


def _frame(data: PriceData, revealed: bool):  # type: ignore[no-untyped-def]
    found = price_frame(data)
    return found if revealed else found.drop(columns=["alpha_from", "alpha_to"])


def _detail(data: PriceData, model: Model, excuse: str) -> str:
    detail = f"{data.policies:,} policies of {model.title} measured on {data.judged_on}; AI at batch 1"
    return f"{excuse} {detail}".strip()


def _of_front(model: Model, table: PolicyTable) -> str:
    """How many of the policies a frontier found, where one did."""
    found = len(fronts.front(model, table.start + table.images, table.traffic, table.space).policies)
    return f"; {found} of them a frontier’s, found without search labels" if found else ""


def _place(policy: Known) -> str:
    return f"({number(policy.intensity, 2)}, {number(policy.top1, 2)} %)"


def _words(alpha: float, least: int | None, data: PriceData) -> str:
    what = f"Alpha {alpha:.2f}" if least is None else "The budget"
    return f"{what} picks {_place(data.chosen(alpha, least))}."


def _points(price: float) -> str:
    """A price to two digits: 1.5, 0.071, 5."""
    return significant(price) if price >= 1 else f"{price:.2g}"


def message(data: PriceData, alpha: float, least: int | None, chosen: Known) -> str:
    """What a FLOP/byte may cost, and what that picks."""
    if least is not None:
        level = number(100 * least / data.images, 2)
        return (
            f"With at least {level} % right, the highest intensity is :violet[{chosen.name}] {_place(chosen)}; alpha "
            "has no say."
        )
    price = data.price(alpha)
    if price == float("inf"):
        text = "At alpha 1 accuracy is worth nothing above the floor"
    else:
        plural = "point" if _points(price) == "1" else "points"
        text = f"At alpha {alpha:g} one FLOP/byte may cost :violet[{_points(price)} {plural}]"
    rivals = {name: policy for name, policy in data.uniform.items() if policy.row != data.baseline.row}
    beaten = [name for name, policy in rivals.items() if data.loss(chosen, alpha) < data.loss(policy, alpha)]
    text += f": {data.pick(alpha).letter} {_place(chosen)}"
    text += "".join(f", {name}," for name, policy in data.uniform.items() if policy.row == chosen.row)
    if not beaten:
        return f"{text} has the lowest loss."
    if len(beaten) <= MOST_NAMED:
        return f"{text} beats {' and '.join(beaten)}."
    return f"{text} beats {len(beaten)} of {len(rivals)} uniform policies."


def _missed(data: PriceData) -> Known:
    assert data.missed is not None
    return data.missed


def question(data: PriceData) -> str:
    """Which alpha picks S?"""
    missed = _missed(data)
    return f"S {_place(missed)}: no policy is as good on both axes and better on one. Which alpha picks it?"


def _above_fp32(data: PriceData) -> bool:
    return _missed(data).correct >= data.baseline.correct


def replies(data: PriceData) -> list[Answer]:
    """The options, with what is wrong about each."""
    middle = data.pick(0.5)
    picked = f"0.5 picks {middle.letter} {_place(middle.policy)}"
    why = (
        "Its accuracy lies above FP32’s, where more earns nothing: another has a higher AI at no counted loss."
        if _above_fp32(data)
        else "It lies behind the line between two hull points: one of them is always cheaper."
    )
    return [
        Answer("Some alpha, finely tuned", "A straight line that tilts touches hull points only."),
        Answer(
            "None: so it is dominated",
            "Dominated means that another is at least as good on both axes and better on one. None is.",
        ),
        Answer("0.5: it lies between", f"Alpha is a price, not a place: {picked}.", ghost=0.5),
        Answer("None: only a budget reaches it", why, True),
    ]


def truth(data: PriceData) -> str:
    """What the reveal shows: the line jumps over S, the budget lands on it."""
    missed = _missed(data)
    left = max((p for p in data.picks if p.policy.intensity < missed.intensity), key=lambda p: p.high, default=None)
    right = min((p for p in data.picks if p.policy.intensity > missed.intensity), key=lambda p: p.low, default=None)
    if left is not None and right is not None:
        jump = f"sweep alpha and the line jumps from {left.letter} to {right.letter} at {number(right.low, 3)}, over S"
    else:
        side = (right or left or data.picks[0]).letter
        jump = f"sweep alpha and the line never gets to S: {side} always costs less"
    return (
        f"**None.** ▶ in the chart: {jump}. Set the budget to {number(missed.top1, 2)} % and it lands on S: a price "
        "reaches "
        f"{len(data.picks)} of the {len(data.front)} Pareto points, a budget all of them."
    )


def _controls(data: PriceData, choices: tuple[int | None, ...]) -> None:
    alpha, least, space = st.columns([0.38, 0.38, 0.24], gap="medium")
    alpha.slider(
        controls.ALPHA, 0.0, 1.0, step=0.01, key=address.key(PRICE), on_change=_alpha_moved,
        help="The price of accuracy. Touching it switches the budget off.",
    )  # fmt: skip
    least.select_slider(
        "Accuracy budget: at least",
        choices,
        key=address.key(LEAST, choices),
        format_func=lambda count: "off" if count is None else f"{number(100 * count / data.images, 2)} %",
        help="Takes the highest intensity that keeps so many images right; alpha is ignored then.",
    )
    with space:
        frame.space_box()


def _played(alpha: str) -> None:
    """The player stopped at an alpha: the rest of the screen follows it there."""
    address.put(PRICE, float(alpha))
    _alpha_moved()


def _alpha_moved() -> None:
    address.put(LEAST, None)


def formula(data: PriceData, alpha: float) -> str:
    """The price, and each step along the hull: bought or refused."""
    price = data.price(alpha)
    norm, points = number(data.goal.intensity_normaliser, 2), f"{data.goal.accuracy_normaliser:g}"
    head = (
        "**price** = ∞ at alpha 1"
        if price == float("inf")
        else f"**price** = ({alpha:g}/{norm}) / ({1 - alpha:.2g}/{points}) = **{_points(price)}** points per FLOP/byte"
    )
    return join(
        [head, *(_step(data, one, other, price) for one, other in zip(data.picks, data.picks[1:], strict=False))]
    )


def budget_formula(data: PriceData, least: int) -> str:
    """What a budget computes, and whether any price would have come to the same."""
    chosen = data.within(least)
    level = number(100 * least / data.images, 2)
    kept = [policy for policy in data.front if policy.correct >= least]
    pick = next((pick for pick in data.picks if pick.policy.row == chosen.row), None)
    also = (
        "no alpha picks it"
        if pick is None
        else f"alphas from {number(pick.low, 2)} to {number(pick.high, 2)} pick it too: it is {pick.letter}"
    )
    return join(
        [
            f"**budget** right ≥ {least:,}/{data.images:,} = {level} % leaves {len(kept)} of {len(data.front)} Pareto "
            f"points · **max AI** = **{number(chosen.intensity, 2)}** FLOPs/byte",
            also,
        ]
    )


def _step(data: PriceData, one: Pick, other: Pick, price: float) -> str:
    cost = data.drop(other.policy) - data.drop(one.policy)
    gain = other.policy.intensity - one.policy.intensity
    rate = cost / gain
    verdict = "bought" if rate <= price else "refused"
    digits = 2 if gain >= 0.095 else 3
    return f"{one.letter} → {other.letter}: {number(cost, 2)}/{number(gain, digits)} = {_points(rate)}, {verdict}"


def notes(data: PriceData, revealed: bool) -> Notes:
    """Try this, and the teacher's note."""
    widest = max(data.picks, key=lambda pick: pick.high - pick.low)
    missed = _missed(data)
    near = min((pick.policy for pick in data.picks), key=lambda p: abs(p.intensity - missed.intensity))
    more = missed.correct - near.correct
    share = number(100 * (widest.high - widest.low), 0)
    last = data.picks[-1]
    find = f"Find where {last.letter} takes over" + (
        f" ({number(last.low, 3)})" if revealed and len(data.picks) > 1 else ""
    )
    return Notes(
        f"{find}. How much of the ruler is one policy?",
        f"({widest.letter} has {share} % of it: even alphas don’t give even policies.)",
        "S lies close to a hull point. Would you present it as better?",
        f"S has {abs(more):,} {'image' if abs(more) == 1 else 'images'} {'more' if more >= 0 else 'fewer'} right "
        "than its neighbour "
        f"{_place(near)}, of {data.images:,}; its own interval is {number(missed.low, 2)} to "
        f"{number(missed.high, 2)} %. New images "
        "decide such a difference, not these.",
    )
