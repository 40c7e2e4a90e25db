"""A frontier run: its points on the images that confirm, how well they were predicted, and what widths cost."""

from functools import partial

import pandas as pd
import streamlit as st

from aiq_core import fronts
from aiq_core.charts.bits import BitsData, bits_frame
from aiq_core.charts.bits_figure import bits_figure
from aiq_core.charts.costs import costs_figure, costs_frame
from aiq_core.charts.front import (
    FrontData,
    front_data,
    front_frame,
    predicted_words,
)
from aiq_core.charts.front_figure import front_figure, predicted_figure
from aiq_core.fronts import WITHIN, Point
from aiq_core.intensity import stored_bytes
from aiq_core.records import Run
from aiq_core.wording import bit_counts, duration, number, signed, span
from pages.common import known
from pages.common.charts import Click, card, chart
from pages.common.controls import View
from pages.search import stored
from pages.search.bars import policy_bits

TABLE_PX, ROW_PX = 292, 35


def draw(view: View, run: Run) -> None:
    """Everything of a run that has points; drawn again as it grows."""
    found = stored.points(run)
    choice = fronts.choose(found, WITHIN)
    _numbers(run, found, choice)
    point = _shown(run, found, choice)
    data = _data(run, found, point)
    place = next(place for place, step in enumerate(run.steps) if step.policy == point.policy)
    bits = policy_bits(run, point.policy, place, points_per_nat=data.points_per_nat)
    left, right = st.columns(2, gap="small")
    with left:
        _chart(view, run, data)
    with right:
        _bits_card(view, run, point, bits)
    left, right = st.columns(2, gap="small")
    with left:
        _table(run, found)
    with right:
        _predicted(view, run, data)
    if any(bar.costs for bar in bits.bars):
        name = f"{run.id}-costs"
        with card("Costs", "what each width costs by itself, on calibration images", partial(costs_frame, bits), name):
            alt = f"Nats that each width costs by itself, of {len(bits.bars)} layers and activation groups."
            chart(costs_figure(bits, view.look), f"costs-{run.id}", name, alt)


def _numbers(run: Run, found: tuple[Point, ...], choice: fronts.Choice) -> None:
    refined = sum(point.refined for point in found)
    ends = [signed(100 * (point.ratio - 1), 0) for point in (found[0], found[-1])]
    point = choice.point
    with st.container(horizontal=True, border=True, gap="small"):
        told = f"{refined} by refinement" if refined else None
        st.metric("Points", f"{len(found)}", told, delta_color="off", delta_arrow="off", width=120)
        st.metric(
            "AI over FP32’s",
            f"{ends[0]} to {ends[1]} %",
            f"{run.request.traffic}, batch 1",
            delta_color="off",
            delta_arrow="off",
            width=220,
        )
        st.metric(
            WITHIN.words().capitalize(),
            "–" if point is None else f"{signed(100 * (point.ratio - 1), 0)} %",
            "no point" if point is None or point.confirm is None else f"95 %: {span(point.confirm.drop)}",
            delta_color="off",
            delta_arrow="off",
            width=190,
            help=f"{choice.sentence[:1].upper()}{choice.sentence[1:]}. As measured; report images may lie beyond.",
        )
        st.metric(
            "Evaluations",
            f"{run.evaluations:,}",
            f"{run.evaluations_new:,} new",
            delta_color="off",
            delta_arrow="off",
            width=125,
        )
        st.metric("Time", duration(run.seconds), width=150, help="With what widths cost by themselves.")


def _shown(run: Run, found: tuple[Point, ...], choice: fronts.Choice) -> Point:
    """The point whose bits are shown: the one picked, else the budget's, else the last."""
    by_key = {point.policy.key: point for point in found}
    return by_key.get(st.session_state.get(_key(run), ""), choice.point or found[-1])


def _key(run: Run) -> str:
    return f"point-{run.id}"


def _pick(run: Run, key: str) -> None:
    st.session_state[_key(run)] = key


def _data(run: Run, found: tuple[Point, ...], point: Point) -> FrontData:
    request, images = run.request, fronts.confirming(run.request).count
    table = stored.confirm_table(request)
    return front_data(fronts.marks(found), images, fronts.judges(request), point.policy, table, request.traffic)


def _chart(view: View, run: Run, data: FrontData) -> None:
    def clicked(click: Click) -> None:
        if isinstance(click.customdata, str):
            _pick(run, click.customdata)

    name = f"{run.id}-front"
    with card("Front", "click a point to see its bits", partial(front_frame, data), name):
        if not data.marks:
            st.caption("No point is measured on these images here.")
            return
        alt = f"Points lost against FLOPs per byte: {len(data.marks)} points of run {run.id}; the table has all."
        chart(front_figure(data, view.look), f"front-{run.id}", name, alt, clicked)


def _bits_card(view: View, run: Run, point: Point, data: BitsData) -> None:
    title = f"{signed(100 * (point.ratio - 1), 0)} %, AI {number(point.intensity, 1)}"
    with card(data.title, title, partial(bits_frame, data), f"{run.id}-bits"):
        chart(bits_figure(data, view.look), f"bits-{run.id}", f"{run.id}-bits", f"{data.title}: {data.spoken}")
        reason = next(step.reason for step in run.steps if step.policy == point.policy)
        st.caption(f"{bit_counts(point.policy)}. {reason[:1].upper()}{reason[1:]}.")


def table_frame(run: Run, found: tuple[Point, ...]) -> pd.DataFrame:
    """A row a point, the highest AI first, as the steps reasoned."""
    profile = known.model(run.request.model).profile
    reasons = {step.policy: (step.index, step.reason) for step in run.steps}
    rows = []
    for point in reversed(found):
        index, reason = reasons[point.policy]
        confirm, report = point.confirm, point.report
        rows.append(
            {
                "point": index,
                "gain %": 100 * (point.ratio - 1),
                "AI": point.intensity,
                "lost": None if confirm is None else confirm.drop.value,
                "95 %": "" if confirm is None else span(confirm.drop),
                "report lost": None if report is None else report.drop.value,
                "MB stored": stored_bytes(profile, point.policy, run.request.quantizer) / 1e6,
                "nats": point.cost,
                "beaten": point.beaten,
                "why": reason,
                "policy": point.policy.key,
            }
        )
    return pd.DataFrame(rows)


def _table(run: Run, found: tuple[Point, ...]) -> None:
    frame = table_frame(run, found)

    def picked() -> None:
        rows = st.session_state[f"points-{run.id}"]["selection"]["rows"]
        if rows and rows[0] < len(frame):
            _pick(run, frame.loc[rows[0], "policy"])

    with card("Points", "highest AI first; tick one to see its bits", lambda: frame, f"{run.id}-points"):
        st.dataframe(
            frame,
            key=f"points-{run.id}",
            hide_index=True,
            height=min(TABLE_PX, ROW_PX * (len(frame) + 1) + 2),
            placeholder="–",
            on_select=picked,
            selection_mode="single-row",
            alt=f"{len(frame)} points of run {run.id}",
            column_config={
                "point": st.column_config.NumberColumn(width=45),
                "gain %": st.column_config.NumberColumn(format="%+.0f", width=58),
                "AI": st.column_config.NumberColumn(format="%.1f", width=55),
                "lost": st.column_config.NumberColumn(
                    format="%.2f", width=50, help="Points lost against FP32 on the images that confirm."
                ),
                "95 %": st.column_config.TextColumn(width=105),
                "report lost": st.column_config.NumberColumn(format="%.2f", width=85),
                "MB stored": st.column_config.NumberColumn(format="%.3f", width=80),
                "nats": st.column_config.NumberColumn(format="%.4f", width=65, help="Predicted cost."),
                "beaten": st.column_config.CheckboxColumn(
                    width=60, help="Another point has more AI and more right on the images that confirm."
                ),
                "why": st.column_config.TextColumn(width=330),
            },
        )


def _predicted(view: View, run: Run, data: FrontData) -> None:
    name = f"{run.id}-predicted"
    with card("Predicted against measured", "a mark a point", partial(front_frame, data), name):
        if all(mark.cost is None for mark in data.marks):
            gone = "What widths cost by themselves is not known here any longer; another front measures it again."
            st.caption(gone if run.request.measure else "These policies were drawn: nothing predicted what they cost.")
            return
        alt = f"Points lost against predicted cost. {predicted_words(data)}"
        chart(predicted_figure(data, view.look), f"predicted-{run.id}", name, alt)
        st.caption(predicted_words(data))
