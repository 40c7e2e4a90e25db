"""Budgets beside points lost: what the costs of widths answer at once, measured or not."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from aiq_core import jobs
from aiq_core.errors import InfeasibleError
from aiq_core.frontier import Budget, Quantity, Solution, Solver
from aiq_core.library import read_only
from aiq_core.records import Policy, Request, SplitName
from aiq_core.search.baselines import MANUAL
from aiq_core.wording import join, nats, number, size, span
from pages.common import budgets, errors, fronts, known
from pages.common.controls import View
from pages.common.popovers import popover
from pages.explore import panels
from pages.explore.shown import Shown


def draw(shown: Shown) -> None:
    """The popover under the budget of points lost."""
    popover("Other budgets", "straighten", partial(_content, shown))


def _content(shown: Shown) -> None:
    view = shown.view
    solver = fronts.solver(view.model, view.space, view.traffic)
    if solver is None:
        st.caption("What widths cost by themselves is not measured yet; the whole frontier measures it.")
        return
    asked = budgets.fields("within", view.machine)
    if not asked:
        st.caption("The policy of least predicted cost within them is found at once.")
        return
    try:
        found = solver.solve(asked)
    except InfeasibleError as error:
        st.warning(str(error), icon=":material/block:")
        return
    st.markdown(words(solver, found, asked, shown.front.points_per_nat))
    _measured(shown, found.policy)


def words(solver: Solver, found: Solution, asked: Sequence[Budget], points_per_nat: float | None) -> str:
    """What the policy has of each, and what it is predicted to cost."""
    has = [Budget(Quantity.INTENSITY, solver.value(Quantity.INTENSITY, found.policy)).amount()]
    has.append(f"{size(solver.value(Quantity.STORED, found.policy))} stored")
    limited = [each for each in asked if each.quantity not in (Quantity.INTENSITY, Quantity.STORED)]
    has += [
        replace(each, limit=solver.value(each.quantity, found.policy, each.machine)).amount(solver.machines)
        for each in limited
    ]
    points = "" if points_per_nat is None else f", about {number(points_per_nat * found.cost, 1)} points"
    return f"**{has[0]}**, {join(has[1:])}; predicted to cost {nats(found.cost)}{points}"


def _measured(shown: Shown, policy: Policy) -> None:
    table = shown.table
    row = table.row(policy)
    if row is not None:
        drop = table.search[row].drop
        st.caption(f"Measured on {table.judged_on}: {number(drop.value, 2)} points lost ({span(drop)}).")
        st.button("Show it", key="within-show", on_click=panels.pick, args=(policy.key,), width="stretch")
        return
    if shown.view.policy == policy.key and known.unfinished(shown.view.model):
        st.caption("Predicted; being measured.")
        return
    st.caption("Predicted, not measured yet.")
    if not read_only():
        st.button(
            "Measure it",
            key="within-measure",
            icon=":material/play_arrow:",
            on_click=_measure,
            args=(shown.view, policy),
            width="stretch",
        )


def _measure(view: View, policy: Policy) -> None:
    """Queues its evaluation and asks for the policy, which is shown as soon as it is measured."""
    images = min(view.images, view.model.dataset.available(SplitName.SEARCH))
    how = view.space.quantizer(view.model.dataset)
    request = Request(
        view.model.name, MANUAL.name, images=images, quantizer=how, policies=(policy,), traffic=view.traffic
    )
    with errors.kept():
        st.session_state["job"] = jobs.submit(known.library(), request).id
        panels.pick(policy.key)
