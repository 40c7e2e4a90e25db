"""What stands beside the views: pin, share, provenance, options and the table of the trade-off."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from aiq_core import __version__
from aiq_core.charts.pareto import PAPER_POINTS, describe, uniforms
from aiq_core.envelope import pareto
from aiq_core.records import EVALUATOR_VERSION, UNFUSED, ImageSet, SplitName
from aiq_core.wording import number, quantizer_words, span, threads, uniform_name
from pages.common import controls, known
from pages.common.charts import Click
from pages.common.controls import View
from pages.common.popovers import copied, link, popover
from pages.explore.shown import Shown

OVERLAYS = {"dominated": True, "paper": False}
"""What the trade-off may show besides the rest, and whether it does at first."""


def buttons(shown: Shown, text: str) -> None:
    """Pin, share and provenance, in the heading's line."""
    if shown.pinned is None:
        st.button(
            "Pin as A",
            icon=":material/push_pin:",
            on_click=_pin,
            args=(shown.chosen.policy.key,),
            type="tertiary",
            help="Keep this policy as A and go on moving: the views compare both.",
        )
    else:
        st.button("Unpin A", icon=":material/close:", on_click=_pin, args=(None,), type="tertiary")
    popover("Share", "share", partial(_share, text))
    popover("Provenance", "fact_check", partial(_provenance, shown))


def _share(text: str) -> None:
    copied("The sentence", text)
    copied("A link to this view", link())


def _pin(key: str | None) -> None:
    st.session_state[controls.PINNED] = key


def pick(key: str) -> None:
    """Shows a policy, whatever else decided."""
    st.session_state[controls.POLICY] = key
    st.session_state[controls.CLICKED] = True
    st.session_state["budget"] = controls.OFF


def point_clicked(click: Click) -> None:
    """A click on a policy's mark picks it; the paper's points are not policies of ours."""
    if isinstance(click.customdata, str):
        pick(click.customdata)


def overlays(asked: Mapping[str, str], held: Mapping[str, Any]) -> dict[str, bool]:
    """Which overlays are shown: as their toggles hold, which come later than the chart, or as a link asks."""
    return {
        name: bool(held[name]) if name in held else asked.get(name, str(usual)).lower() == "true"
        for name, usual in OVERLAYS.items()
    }


def trade_off_options(shown: Shown) -> None:
    """Overlays, and the same points as a table for keyboard and screen reader."""
    popover(
        "Table",
        "table_rows",
        partial(_table, shown),
        "popover-trade-off",
        always=partial(_overlays, shown.view),
    )


def _overlays(view: View) -> None:
    why = None
    if view.model.name not in PAPER_POINTS:
        why = f"The paper prints no point of {view.model.title}."
    elif view.traffic != UNFUSED:
        why = "The paper counts bytes unfused, so its points have no place on this axis."
    with st.container(horizontal=True):
        st.toggle("Dominated points", OVERLAYS["dominated"], key="dominated", bind="query-params")
        st.toggle(
            "The paper's points",
            OVERLAYS["paper"],
            key="paper",
            bind="query-params",
            disabled=why is not None,
            help=why,
        )


def _table(shown: Shown) -> None:
    table = shown.table
    front = pareto(table)
    named = dict.fromkeys(shown.path, "best at some alpha")
    for policy in shown.random:
        if (row := table.row(policy)) is not None:
            named[row] = "random layers"
    for policy, row in uniforms(table):
        named[row] = uniform_name(policy) or ""
    rows = [row for row in range(len(table.policies)) if row in named or front[row]]
    rows.sort(key=lambda row: -table.intensity[row])
    keys = [table.policies[row].key for row in rows]
    frame = pd.DataFrame(
        {
            "AI" if table.traffic == UNFUSED else f"AI, {table.traffic}": [
                round(float(table.intensity[row]), 3) for row in rows
            ],
            f"top-1 % ({table.judged_on})": [float(table.points[row]) for row in rows],
            "95 %": [span(table.search[row].after) for row in rows],
            f"report % ({table.report_images:,})": [
                None if (reported := table.report[row]) is None else reported.after.value for row in rows
            ],
            "kind": [named.get(row, "Pareto") for row in rows],
            "widths": [describe(table.policies[row]) for row in rows],
        }
    )

    def picked() -> None:
        selected = st.session_state["trade-off-table"]["selection"]["rows"]
        if selected:
            pick(keys[selected[0]])

    st.dataframe(
        frame, key="trade-off-table", hide_index=True, height=320, on_select=picked, selection_mode="single-row"
    )
    st.caption("Select a row to show its policy everywhere.")


def _provenance(shown: Shown) -> None:
    view, table, chosen = shown.view, shown.table, shown.chosen
    library = known.library()
    lines = {"policy": chosen.policy.key, "model": f"{view.model}, weights {view.model.hash}"}
    judged = ImageSet(SplitName.SEARCH, table.start + table.images, table.start)
    for images in (judged, ImageSet(SplitName.REPORT, table.report_images)):
        split = images.split
        found = library.evaluation(view.model, split, chosen.policy, table.quantizer)
        span = f"{images.count:,}" if not images.start else f"{images.start + 1:,} to {images.images:,}"
        lines[f"{split} images"] = f"{span}, data {view.model.dataset.split(split).hash}"
        if found is not None and found.is_complete(images.images, images.start):
            origin = found.origin
            lines[f"{split} measured"] = (
                f"{origin.source}, {origin.created_at[:10]}, {origin.cpu}, torch {origin.torch}, "
                f"{threads(origin.threads)}"
            )
    run, floor = known.reasons(view.model, chosen.policy.key, view.traffic, view.space), table.usual_goal.floor_score
    lines["first asked for by"] = "no run" if run is None else f"run {run.id} ({run.request.algorithm})"
    lines |= {
        "quantizer": f"{quantizer_words(table.quantizer, chosen.policy)}; batch norm folded first",
        "evaluator version": str(EVALUATOR_VERSION),
        "traffic model": f"{view.traffic}, batch 1 for AI, {number(view.batch, 0)} for the roofline",
        "floor": f"{floor:,} of {table.images:,} right ({100 * floor / table.images:.2f} %)",
        "policies known": f"{len(table.policies):,} complete on these search images",
        "app": __version__,
    }
    st.table(pd.DataFrame(lines.items(), columns=["what", "value"]).set_index("what"))
