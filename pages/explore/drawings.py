"""Explore's three charts with what stands in their cards, kept in memory: nobody may change them."""

from collections.abc import Mapping
from functools import partial

import streamlit as st

from aiq_core.charts.bits import BitsData, bits_data, bits_frame
from aiq_core.charts.bits_figure import bits_figure
from aiq_core.charts.pareto import Point, describe, pareto_data, pareto_frame
from aiq_core.charts.pareto_figure import pareto_figure
from aiq_core.charts.reasons import reasons
from aiq_core.charts.roofline import roofline_data, roofline_frame
from aiq_core.charts.roofline_figure import roofline_figure
from aiq_core.envelope import best
from aiq_core.library import asked_step
from aiq_core.records import DEFAULT_WIDTHS, UNFUSED, SplitName
from aiq_core.search.strategies import strategy
from aiq_core.space import JOINT, WEIGHTS
from aiq_core.wording import differences, per_byte, site_names
from pages.common import controls, fronts, known
from pages.common.charts import Drawing
from pages.common.controls import View
from pages.explore import panels
from pages.explore.shown import Shown

_kept = st.cache_resource(
    max_entries=200,
    show_spinner=False,
    hash_funcs={Shown: lambda shown: shown.charted},
)


def all_drawings(shown: Shown, query: Mapping[str, str]) -> list[Drawing]:
    """The three as the page of an address draws them where nothing was clicked."""
    return [roofline(shown), trade_off(shown, **panels.overlays(query, {})), bits(shown)]


@_kept
def roofline(shown: Shown) -> Drawing:
    """From FP32, or the pinned policy A, to the policy shown; for a machine that has a roofline here."""
    view, profile = shown.view, shown.table.profile
    before, name = shown.before
    data = roofline_data(
        view.machine,
        profile,
        before,
        shown.chosen.policy,
        view.batch,
        DEFAULT_WIDTHS,
        controls.BATCHES,
        name,
        view.traffic,
        shown.table.quantizer,
        view.space.is_joint,
    )
    alt = (
        f"Roofline of {view.machine.name} with {len(data.dots)} layers of {view.model} at batch {view.batch}; "
        f"{data.memory_bound} are memory-bound with this policy{_counted(view)}."
    )
    subtitle = f"layers, {name} → now, by predicted time{_counted(view)}"
    figure = roofline_figure(data, view.look)
    return Drawing(
        "roofline",
        f"{view.model}-roofline{_file(view)}",
        "Roofline",
        subtitle,
        alt,
        figure,
        partial(roofline_frame, data),
    )


@_kept
def trade_off(shown: Shown, dominated: bool, paper: bool) -> Drawing:
    """Every policy known, with a ring around the one shown."""
    view = shown.view
    data = pareto_data(
        shown.table,
        shown.path,
        shown.random,
        shown.chosen.policy,
        shown.pinned,
        view.budget,
        dominated=dominated,
        paper=paper,
        random_name=RANDOM_NAMES[view.space.name],
        beside=_beside(shown),
        members=shown.members,
        members_name="" if view.algorithm is None else strategy(view.algorithm).noun,
    )
    against, counted = per_byte(view.traffic), _counted(view)
    alt = f"Top-1 against {against} for {len(shown.table.policies)} measured policies; the table has them too."
    # Shorter where the traffic model stands beside it: the buttons are to stay in the same line.
    subtitle = f"click a point to see its policy{counted}" if counted else "click a point to see its policy everywhere"
    figure = pareto_figure(data, view.look)
    return Drawing(
        "pareto",
        f"{view.model}-trade-off{_file(view)}",
        "Trade-off",
        subtitle,
        alt,
        figure,
        partial(pareto_frame, data),
    )


RANDOM_NAMES = {
    WEIGHTS.name: "random layers, as many at each width as greedy at alpha 0.9",
    JOINT.name: "random sites, as many at each width as greedy at alpha 0.5",
}


def _beside(shown: Shown) -> list[tuple[str, Point]]:
    """What the paper's setting, weights only, reaches on the same images: where it began."""
    view, table = shown.view, shown.table
    if view.space is WEIGHTS or not known.is_known(view.model, view.images, WEIGHTS):
        return []
    weights = known.table(view.model, view.images, view.traffic, WEIGHTS)
    row = best(weights, controls.DEFAULT_ALPHA, weights.usual_goal)
    fp32, end, policy = table.policies[table.baseline], table.start + table.images, weights.policies[row]
    cells = known.library().paired(view.model, SplitName.SEARCH, end, fp32, policy, start=table.start)
    if cells is None:
        return []
    top1, value = cells.after, float(weights.intensity[row])
    return [(WEIGHTS.title, Point(-1, policy.key, describe(policy), value, top1.value, top1.low, top1.high))]


@_kept
def bits(shown: Shown) -> Drawing:
    """The layers' widths, with the reasons of the run that asked for the policy first."""
    model, profile, policy = shown.view.model, shown.table.profile, shown.chosen.policy
    run = known.reasons(model, policy.key, shown.view.traffic, shown.view.space)
    position = None if run is None else asked_step(run, policy, profile)
    why = reasons(profile, policy, run, position, shown.view.traffic)
    origin = "" if run is None else run.id
    data = bits_data(
        profile,
        policy,
        why,
        shown.table,
        shown.pinned,
        origin,
        groups=shown.view.space.is_joint,
        costs=fronts.costs(model, shown.view.space),
        points_per_nat=shown.front.points_per_nat,
    )
    where = "above: weights, below: activations" if data.has_groups else "network order"
    what = "site" if data.has_groups else "layer"
    subtitle = f"{where}; hover for why each {what} has its width" if shown.pinned is None else _difference(shown, data)
    alt = f"{data.title}: {data.spoken}"
    figure = bits_figure(data, shown.view.look)
    subtitle += _counted(shown.view)
    return Drawing(
        "bits", f"{model}-bits{_file(shown.view)}", data.title, subtitle, alt, figure, partial(bits_frame, data)
    )


def _counted(view: View) -> str:
    """What a title says of the traffic model: nothing where it is the usual one, the paper's."""
    return "" if view.traffic == UNFUSED else f"; {view.traffic}"


def _file(view: View) -> str:
    """The end of a file's name, likewise."""
    return "" if view.traffic == UNFUSED else f"-{view.traffic}"


def _difference(shown: Shown, data: BitsData) -> str:
    """How the policy shown, B, differs from the pinned one."""
    changed = data.changed
    if shown.pinned is None or not changed:
        return "B is A"
    more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
    counts, short = differences(shown.pinned, shown.chosen.policy), site_names(shown.table.profile.sites)
    return f"B differs from A in {counts}: {', '.join(short[str(bar.site)] for bar in changed[:4])}{more}"
