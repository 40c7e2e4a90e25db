"""Explore: one policy of one model, its message, and four linked views."""

from functools import partial

import streamlit as st

from aiq_core.search.strategies import FRONTS
from aiq_core.wording import number
from pages.common import controls, known, machines
from pages.common.charts import drawing_card, has_roofline
from pages.common.picked import beneath
from pages.common.selection import comparable
from pages.explore import ahead, budgets, drawings, numbers, panels, runs
from pages.explore.shown import Shown, parts, show


def main() -> None:
    view = controls.view()
    runs.watch(view)
    if not known.is_known(view.model, view.images, view.space):
        runs.first(view)
        return
    shown = show(view)
    if shown.complaint:
        st.warning(shown.complaint)
    _heading(shown)
    for note in (shown.chosen.note, runs.announcement()):
        if note:
            st.caption(f":material/info: {note}")
    numbers.draw(shown.found, view)
    if shown.pinned is not None:
        st.caption(numbers.against(shown.table, view, shown.chosen.policy, shown.pinned))
    overlays = panels.overlays(st.query_params, {} if controls.is_return() else st.session_state)
    left, right = st.columns(2, gap="small")
    with left:
        if has_roofline(view.machine):
            drawing_card(
                drawings.roofline(shown),
                partial(machines.machine_sources, view.machine),
                foresight=ahead.address(shown, overlays),
            )
    with right:
        drawing_card(
            drawings.trade_off(shown, **overlays), partial(panels.trade_off_options, shown), panels.point_clicked
        )
    drawing_card(drawings.bits(shown))
    _sidebar(shown)


def _heading(shown: Shown) -> None:
    opened, gain, after = parts(shown)
    st.markdown(f"#### {opened}:violet[{gain}]{after}" if gain else f"#### {opened}")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(beneath(shown), width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            panels.buttons(shown, f"{opened}{gain}{after}")


def _sidebar(shown: Shown) -> None:
    view, algorithm = shown.view, shown.view.algorithm
    with controls.slot("alpha"):
        if view.alpha < 1:
            rate = view.space.rate(view.model.profile, view.alpha, view.traffic, shown.table.quantizer)
            st.caption(f"1 FLOP/byte is worth {number(rate, 2 if rate < 1 else 1)} points here")
        else:
            st.caption("only intensity counts, down to the accuracy floor")
    with controls.slot("search"):
        if algorithm in FRONTS and shown.front.policies:
            st.caption(f"{len(shown.front.policies)} points, marked in the trade-off")
        searched = {} if algorithm is None else comparable(shown.finished, algorithm, shown.table)
        if searched:
            st.caption("searched at alpha " + ", ".join(f"{alpha:g}" for alpha in searched))
        runs.offer(shown)
        runs.judge(shown)
    with controls.slot("budget"):
        budgets.draw(shown)


main()
