"""Lab: one policy under the hand; every change is answered at once, accuracy when it is asked for."""

from functools import partial

import streamlit as st

from aiq_core.intensity import stored_bytes
from aiq_core.records import SplitName
from aiq_core.wording import bit_counts, join, size
from pages.common import controls, errors, known, machines
from pages.common.charts import Click, card, drawing_card, has_roofline
from pages.common.controls import View
from pages.common.popovers import popover
from pages.lab import ahead, drawings, editor, flips, measuring, numbers, policies, saving, state
from pages.lab.accuracy import Measured, measured
from pages.lab.history import History
from pages.lab.shown import START, Shown, offered, parts

AGAINST = "lab-before"


def main() -> None:
    view = controls.view()
    measuring.announcement(view.model)
    errors.say()
    history = state.history(view)
    shown = _shown(view, history)
    before = shown.before.policy
    library = known.library()
    found = {
        split: measured(library, view.model, split, view.images, shown.policy, before, view.space)
        for split in SplitName
    }
    if shown.space is not view.space:
        why = f"Its activations have bits, so it is shown and measured as one of {shown.space.title}."
        editor.offer_space(view, shown.policy, why, "policy")
    # Closer than elsewhere: five rows stand on one screen.
    with st.container(gap="xsmall"):
        _heading(shown, history, found)
        numbers.draw(view, before, shown.policy, found)
    is_measured = all(entry is not None for entry in found.values())
    drawing_card(
        drawings.bits(shown),
        on_click=_site_clicked,
        foresight=ahead.address(shown) if shown.is_editable else None,
        beneath=lambda: _controls(shown, is_measured),
    )
    left, right = st.columns(2, gap="small")
    with left:
        if has_roofline(view.machine):
            drawing_card(drawings.roofline(shown), partial(machines.machine_sources, view.machine))
    with right:
        if st.session_state.setdefault(state.PANEL, state.WEIGHTS) == state.FLIPS:
            flips.draw(view, found, partial(_panel_switch, "Weights" if shown.is_layer else "Activations"))
        else:
            _site_panel(shown)


def _shown(view: View, history: History) -> Shown:
    start, site = history.start, state.site(view.model.profile)
    if st.session_state.get(AGAINST) not in offered(view, start):
        st.session_state[AGAINST] = START
    return Shown(view, history.current.policy, start, st.session_state[AGAINST], site)


def _site_panel(shown: Shown) -> None:
    """A layer's weights, rounded; of an activation group what is known without images."""
    if shown.is_layer:
        lost, why = drawings.weights_lost(shown), drawings.why_more_than_half(shown)
        drawing_card(
            drawings.weights(shown), partial(_panel_switch, "Weights"), beneath=lambda: st.caption(lost, help=why)
        )
        return
    facts = drawings.group_facts(shown)
    name = f"{shown.view.model}-{shown.site.name}-activations"
    with card("Activations", shown.site.name, facts.reset_index, name, partial(_panel_switch, "Activations")):
        st.table(facts)


def _site_clicked(click: Click) -> None:
    """A click on a field of the bits chart picks its site."""
    sites = known.model(st.session_state["model"]).profile.sites
    if click.index is not None and click.index < len(sites):
        state.set_site(sites[click.index])


def _panel_switch(site_title: str) -> None:
    titles = {state.WEIGHTS: site_title, state.FLIPS: "Images"}
    st.segmented_control(
        "Right view",
        (state.WEIGHTS, state.FLIPS),
        key=state.PANEL,
        format_func=titles.__getitem__,
        required=True,
        label_visibility="collapsed",
    )


def _heading(shown: Shown, history: History, found: dict[SplitName, Measured | None]) -> None:
    view, policy, start = shown.view, shown.policy, shown.start
    opened, value, after = parts(shown)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown(f"#### {opened}:violet[{value}]{after}", width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            editor.undo_redo(view, history)
            popover("Start from", "flag", partial(editor.starts, view))
            popover("Several", "stacks", partial(editor.several, view, policy))
            saving.draw(view, policy, found)
    edits = policies.change(shown.profile, start.policy, policy)
    if shown.is_unedited:
        edits = "not edited yet, so beside FP32"
    noted = measuring.note(view, found.values(), shown.space)
    stored = f"{size(stored_bytes(shown.profile, policy, shown.quantizer))} as stored"
    st.caption(join([bit_counts(policy), stored, f"started from {start.text}", edits, noted]))


def _controls(shown: Shown, is_measured: bool) -> None:
    """What changes the policy, and what the views compare it with."""
    view, policy = shown.view, shown.policy
    choices = offered(view, shown.start)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        editor.site_and_bits(shown)
        st.selectbox(
            "Compare with",
            list(choices),
            key=AGAINST,
            format_func=lambda name: f"against {'the ' if name == START else ''}{choices[name].name}",
            label_visibility="collapsed",
            width=150,
            help=f"What the changes are against. The start is {shown.start.text}.",
        )
        measuring.button(view, policy, is_measured)
    measuring.watch(view, policy)


main()
