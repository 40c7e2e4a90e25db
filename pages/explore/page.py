"""Explore: one policy of one model, its message, and four linked views."""

from functools import partial

import streamlit as st

from aiq_core import assets
from aiq_core.charts.bits import bits_data, bits_figure, bits_frame
from aiq_core.charts.pareto import pareto_data, pareto_frame
from aiq_core.charts.pareto_figure import pareto_figure
from aiq_core.charts.reasons import reasons
from aiq_core.charts.roofline import roofline_data, roofline_frame
from aiq_core.charts.roofline_figure import roofline_figure
from aiq_core.charts.wording import bit_counts, join, number
from aiq_core.envelope import PolicyTable
from aiq_core.errors import SettingError
from aiq_core.library import asked_step
from aiq_core.objective import exchange_rate
from aiq_core.records import Algorithm, Policy, Run
from pages.common import controls, known
from pages.common.charts import card, chart, has_roofline
from pages.common.controls import View
from pages.explore import numbers, panels, runs
from pages.explore.figures import Figures, figures
from pages.explore.selection import Decider, Selection, Wish, comparable, select
from pages.explore.sentence import Facts, sentence

MARK = "|"


def main() -> None:
    view = controls.view()
    runs.watch(view)
    if not known.is_known(view.model, view.images):
        runs.first(view)
        return
    table = known.table(view.model, view.images)
    finished = known.runs(view.model)
    algorithm = None if view.source == controls.BEST else Algorithm(view.source)
    wish = Wish(view.alpha, view.budget, view.policy, algorithm)
    chosen = select(table, wish, finished, known.normaliser(view.model), known.floor(table))
    pinned = _pinned(table, view)
    found = figures(table, chosen.policy, view.machine, view.batch)

    text = sentence(_facts(view, found), mark=MARK)
    _heading(view, table, chosen, found, text, pinned)
    for note in (chosen.note, runs.announcement(view)):
        if note:
            st.caption(f":material/info: {note}")
    numbers.draw(found, view)
    if pinned is not None:
        st.caption(numbers.against(table, view, chosen.policy, pinned))
    left, right = st.columns(2, gap="small")
    with left:
        _roofline(view, chosen.policy, pinned)
    with right:
        _trade_off(view, table, chosen, pinned, finished)
    _bits(view, table, chosen, pinned)
    _sidebar(view, table, finished, algorithm)


def _facts(view: View, found: Figures) -> Facts:
    return Facts(
        title=assets.card(view.model).title,
        gain_percent=found.gain_percent,
        drop=found.report_drop,
        search_drop=found.search_drop,
        search_images=view.images,
        machine=view.machine.name,
        speed_up=found.speed_up,
        memory_bound=found.memory_bound_before,
        layers=found.layers,
        batch=view.batch,
        batch_gain_percent=found.batch_gain_percent,
    )


def _pinned(table: PolicyTable, view: View) -> Policy | None:
    if view.pinned is None:
        return None
    try:
        policy = Policy.from_key(view.pinned)
    except SettingError as error:
        st.warning(f"The link's pinned policy was not used: {error}.")
        return None
    if table.row(policy) is None:
        st.warning(f"The link's pinned policy is not measured on {table.images:,} search images, so it was not pinned.")
        return None
    return policy


def _heading(
    view: View, table: PolicyTable, chosen: Selection, found: Figures, text: str, pinned: Policy | None
) -> None:
    # The sentence marks the gain on both sides with one text; the second mark closes the colour.
    opened, _, rest = text.partition(MARK)
    inside, _, after = rest.partition(MARK)
    st.markdown(f"#### {opened}:violet[{inside}]{after}" if rest else f"#### {text}")
    request = None if chosen.run is None else chosen.run.request
    why = {
        Decider.ALPHA: f"best found at alpha {view.alpha:.2f}",
        Decider.BUDGET: f"highest AI within {view.budget or 0:.1f} points on search images",
        Decider.POLICY: "the policy you picked",
        Decider.RUN: "" if request is None else f"{request.algorithm} at alpha {request.alpha:g}",
    }[chosen.decider]
    known_policies = f"{len(table.policies):,} policies measured on {table.images:,} search images"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(join([bit_counts(chosen.policy), why, known_policies]), width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            panels.buttons(view, table, chosen, found, text.replace(MARK, ""), pinned)


def _roofline(view: View, policy: Policy, pinned: Policy | None) -> None:
    if not has_roofline(view.machine):
        return
    profile = assets.profile(view.model)
    before, name = (profile.uniform(32), "FP32") if pinned is None else (pinned, "A")
    data = roofline_data(view.machine, profile, before, policy, view.batch, known.WIDTHS, controls.BATCHES, name)
    title = f"layers, {name} → now, by predicted time"
    sources = partial(panels.machine_sources, view.machine)
    with card("Roofline", title, partial(roofline_frame, data), f"{view.model}-roofline", extra=sources):
        chart(roofline_figure(data, view.look), "roofline", f"{view.model}-roofline", _roofline_alt(view, data))


def _roofline_alt(view: View, data) -> str:  # type: ignore[no-untyped-def]
    return (
        f"Roofline of {view.machine.name} with {len(data.dots)} layers of {view.model} at batch {view.batch}; "
        f"{data.memory_bound} are memory-bound with this policy."
    )


def _trade_off(
    view: View, table: PolicyTable, chosen: Selection, pinned: Policy | None, finished: tuple[Run, ...]
) -> None:
    random = [run.policy for run in finished if run.request.algorithm is Algorithm.RANDOM and run.policy is not None]
    rows = [segment.row for segment in known.path(view.model, view.images)]
    clicked = st.session_state.get(controls.CLICKED)
    # A click leaves the figure as it is, and Plotly marks the point itself: a new figure would lose the reader's zoom.
    ring = st.session_state.get("ring", chosen.policy) if clicked else chosen.policy
    st.session_state["ring"] = ring
    data = pareto_data(
        table,
        rows,
        random,
        ring,
        pinned,
        view.budget,
        dominated=panels.overlay("dominated"),
        paper=panels.overlay("paper"),
        random_name="random layers, as many at each width as greedy at alpha 0.9",
    )
    with card(
        "Trade-off",
        "click a point to see its policy everywhere",
        partial(pareto_frame, data),
        f"{view.model}-trade-off",
        extra=lambda: panels.trade_off_options(view, table, rows, random),
    ):
        chart(
            pareto_figure(data, view.look),
            "pareto",
            f"{view.model}-trade-off",
            f"Top-1 against FLOPs per byte for {len(table.policies)} measured policies; the table has them too.",
            on_click=panels.point_clicked,
        )


def _bits(view: View, table: PolicyTable, chosen: Selection, pinned: Policy | None) -> None:
    profile = assets.profile(view.model)
    run = known.reasons(view.model, chosen.policy.key)
    position = None if run is None else asked_step(run, chosen.policy, profile)
    why = reasons(profile, chosen.policy, run, position)
    data = bits_data(profile, chosen.policy, why, table, pinned, origin="" if run is None else run.id)
    changed = data.changed
    title = "network order; hover for why each layer has its width"
    if pinned is not None:
        names = ", ".join(bar.layer for bar in changed[:4]) + (
            f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        )
        title = f"B differs from A in {len(changed)} layers: {names}" if changed else "B is A"
    with card("Bits per layer", title, partial(bits_frame, data), f"{view.model}-bits"):
        alt = ", ".join(f"{bar.layer} {bar.bits}" for bar in data.bars)
        chart(bits_figure(data, view.look), "bits", f"{view.model}-bits", f"Bits per layer: {alt}")


def _sidebar(view: View, table: PolicyTable, finished: tuple[Run, ...], algorithm: Algorithm | None) -> None:
    with controls.slot("alpha"):
        if view.alpha < 1:
            rate = exchange_rate(view.alpha, known.normaliser(view.model), known.ACCURACY_NORMALISER)
            st.caption(f"1 FLOP/byte is worth {number(rate, 2 if rate < 1 else 1)} points here")
        else:
            st.caption("only intensity counts, down to the accuracy floor")
    with controls.slot("search"):
        searched = {} if algorithm is None else comparable(finished, algorithm, table.images)
        if searched:
            st.caption("searched at alpha " + ", ".join(f"{alpha:g}" for alpha in searched))
        runs.offer(
            view, algorithm or Algorithm.GREEDY, comparable(finished, algorithm or Algorithm.GREEDY, table.images)
        )


main()
