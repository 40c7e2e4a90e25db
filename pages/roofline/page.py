"""Roofline: what a machine sustains, measured, entered or by its data sheet, and where each layer stands under it."""

from functools import partial

import streamlit as st

from aiq_core.charts.roofline import RooflineData
from aiq_core.hardware import Machine
from aiq_core.roof import Roof
from aiq_core.wording import join
from pages.common import controls, errors, known, machines
from pages.common.charts import card, drawing_card, has_roofline
from pages.common.controls import View
from pages.common.picked import Picked, beneath, pick
from pages.roofline import drawing, entering, linear, measuring
from pages.roofline.sentence import Facts, origin, ridge_words, sentence

BESIDE, NOTHING = "beside", "none"


def main() -> None:
    view = controls.view()
    errors.say()
    roofs = known.library().roofs
    roof = roofs.get(view.machine.key)
    other = None
    if not known.is_known(view.model, view.images, view.space):
        _nothing(view, roof)
    elif has_roofline(view.machine):
        other = _chart(pick(view), roof)
    left, right = st.columns([0.6, 0.4], gap="small")
    with left:
        _numbers(view.machine, roof, other)
    with right:
        measuring.draw(roofs)
        entering.draw()
    linear.section(view.look)


def _nothing(view: View, roof: Roof | None) -> None:
    """The layers as they are: where they stand needs no accuracy."""
    st.markdown(f"#### Nothing is measured yet for {view.model.title} on {view.images:,} search images")
    st.caption(
        "Its layers stand here in FP32; where fewer bits move them is drawn once Explore's first search is done."
    )
    st.page_link("pages/explore/page.py", label="To Explore", icon=":material/query_stats:")
    if has_roofline(view.machine):
        drawing_card(drawing.untouched(view, roof), partial(machines.machine_sources, view.machine))


def _numbers(machine: Machine, roof: Roof | None, other: Machine | None) -> None:
    frame = drawing.numbers(machine, roof, other)
    with card(machine.name, "its bandwidth and peak rates", frame.reset_index, f"{machine.key}-numbers"):
        st.table(frame)
        st.caption(origin(machine, roof))


def _chart(picked: Picked, roof: Roof | None) -> Machine | None:
    """The sentence and the chart; the machine whose roof stands beside, if any."""
    machine = picked.view.machine
    found = drawing.data(picked, machine)
    if picked.complaint:
        st.warning(picked.complaint)
    facts = _facts(picked, found)
    opened, gain, after = sentence(facts, "|").split("|")
    st.markdown(f"#### {opened}:violet[{gain}]{after}")
    options = {key: each for key, each in known.library().machines.items() if key != machine.key and each.runs_fp32}
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(join([ridge_words(facts), beneath(picked)]), width="content")
        other = _beside(options)
    if picked.chosen.note:
        st.caption(f":material/info: {picked.chosen.note}")
    drawing_card(drawing.roofline(picked, found, roof, other), partial(machines.machine_sources, machine))
    return other


def _beside(options: dict[str, Machine]) -> Machine | None:
    """The machine whose roof stands beside, dashed."""
    asked = st.query_params.get(BESIDE)
    if BESIDE not in st.session_state and asked not in (None, NOTHING, *options):
        st.warning(f"{BESIDE}={asked!r} is not offered. Showing no other roof.", icon=":material/link_off:")
    names = {NOTHING: "no roof beside it"} | {key: f"beside {each.name}" for key, each in options.items()}
    controls.select("Beside it", BESIDE, names, NOTHING, width=250, label_visibility="collapsed")
    return options.get(st.session_state[BESIDE])


def _facts(picked: Picked, found: RooflineData) -> Facts:
    before = sum(dot.before.seconds for dot in found.dots)
    kind = picked.view.machine.fp32_typed
    ceiling = next(ceiling for ceiling in found.ceilings if ceiling.number_type is kind)
    return Facts(
        machine=picked.view.machine.spoken,
        title=picked.view.model.title,
        before=found.before_name,
        batch=picked.view.batch,
        ridge=ceiling.ridge,
        memory_bound=sum(dot.before.memory_bound for dot in found.dots),
        layers=len(found.dots),
        speed_up=before / sum(dot.after.seconds for dot in found.dots),
    )


main()
