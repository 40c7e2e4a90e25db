"""What changes the policy: the layer or group at work, its bits, several at once, undo, redo and starts."""

import streamlit as st

from aiq_core.charts.style import width_name
from aiq_core.records import OFFERED_BITS, Policy, Run, Site
from aiq_core.space import JOINT, space_of
from aiq_core.wording import bits_name, uniform_name
from pages.common import known, names
from pages.common.controls import View
from pages.common.sites import site_list
from pages.lab import policies, state
from pages.lab.history import History
from pages.lab.shown import Shown

UNIFORM = ((32,), (8,), (4,), (8, 8), (6, 6), (4, 8))
"""Bits of weights, and of activations where these are not FP32, of the uniform policies to start from."""
UNDO, REDO = "lab-undo", "lab-redo"
STAY = "Weights only: activations stay FP32."
GROUP, GROUP_BITS, RUN_BOX, PASTED = "lab-group", "lab-group-bits", "lab-start-run", "lab-pasted"


def bits_label(site: Site) -> str:
    return f"Bits of {site}"


def site_and_bits(shown: Shown) -> None:
    """The site as a list, and its widths, a widget of each site's own as the list is."""
    site, policy = shown.site, shown.policy
    site_list(
        "Layer or activation group",
        state.SITE_BOX,
        shown.profile,
        policy,
        site,
        state.set_site,
        label_visibility="collapsed",
        width=215 if shown.is_layer else 225,
    )
    widths = f"{state.BITS}-{site}"
    st.session_state[widths] = shown.bits
    if not shown.is_editable:
        offer_space(shown.view, policy, STAY)
        return
    st.segmented_control(
        bits_label(site),
        OFFERED_BITS,
        key=widths,
        format_func=width_name,
        required=True,
        wrap=True,
        label_visibility="collapsed",
        on_change=_bits_chosen,
        args=(shown.view.model.name, site, widths),
    )


def _bits_chosen(model: str, site: Site, widget: str) -> None:
    # With undo or redo in the same message it is what the browser held before the answer to the last one.
    if not (st.session_state.get(UNDO) or st.session_state.get(REDO)):
        state.set_bits(model, (site,), st.session_state[widget], str(site))


def offer_space(view: View, policy: Policy, why: str, place: str = "bits") -> None:
    """Says in a sentence why another space is wanted, and shows the policy there at a click. `place` is the page's."""
    dataset = view.model.dataset
    if dataset.calibration_hash is None:
        st.caption(f"{why} {dataset.title} has no calibration images to set their ranges by.", width="content")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        st.caption(why, width="content")
        st.button(
            f"Switch to {JOINT.title}",
            key=f"lab-space-{place}",
            type="tertiary",
            icon=":material/swap_horiz:",
            on_click=state.switch_space,
            args=(policy, JOINT),
            help="Weights are then rounded by GPTQ, activations on static ranges, and accuracy is measured so.",
        )


def several(view: View, policy: Policy) -> None:
    """One width for many sites: a single edit, undone at once."""
    groups, space = policies.groups(view.model.profile), policies.space_of(policy, view.space)
    if not space.is_joint:
        of_layers = {*view.model.profile.weight_sites}
        groups = {name: sites for name, sites in groups.items() if of_layers.issuperset(sites)}
        offer_space(view, policy, STAY, "several")
    if st.session_state.get(GROUP) not in groups:
        st.session_state[GROUP] = next(iter(groups))
    name = st.selectbox("Layers or activations", list(groups), key=GROUP)
    st.caption(policies.counts(view.model.profile, policy, groups[name]))
    bits = st.segmented_control(
        "Bits", OFFERED_BITS, default=8, key=GROUP_BITS, format_func=width_name, required=True, wrap=True
    )
    st.button(
        f"Set {name} to {bits_name(bits or 8)}",
        key="lab-set-group",
        on_click=state.set_bits,
        args=(view.model.name, groups[name], bits, name),
        width="stretch",
    )


def undo_redo(view: View, history: History) -> None:
    for name, key, letter, verb, entry, act in (
        ("Undo", UNDO, "Z", "take", history.undone, state.undo),
        ("Redo", REDO, "Y", "bring", history.redone, state.redo),
    ):
        st.button(
            name,
            key=key,
            icon=f":material/{name.lower()}:",
            type="tertiary",
            disabled=entry is None,
            shortcut=f"Ctrl+{letter}",
            on_click=act,
            args=(view.model.name,),
            help=f"{verb.capitalize()}s back: {entry.text}" if entry else f"Nothing to {verb} back",
        )


def starts(view: View) -> None:
    """Where to begin: uniform widths, what Explore shows, a run's end, a link."""
    profile, model = view.model.profile, view.model.name
    with st.container(horizontal=True, gap="small"):
        for widths in UNIFORM:
            policy = profile.uniform(*widths)
            name = uniform_name(policy) or ""
            key = f"lab-start-{'-'.join(map(str, widths))}"
            st.button(name, key=key, on_click=state.start_from, args=(model, policy, name))
        found = state.default(view)
        label = found.text[0].upper() + found.text[1:]
        st.button(label, key="lab-start-best", on_click=state.start_from, args=(model, found.policy, found.text))
    runs = {run.id: run for run in known.runs(view.model) if run.policy is not None}
    st.selectbox(
        "The end of a run",
        list(runs),
        index=None,
        key=RUN_BOX,
        format_func=lambda run_id: f"{names.what(runs[run_id])} · {run_id}" if run_id in runs else run_id,
        placeholder="Choose a run",
        on_change=_run_chosen,
        args=(model, runs),
    )
    st.text_input(
        "A link, a policy key or JSON",
        key=PASTED,
        placeholder="…/lab?model=…&policy=w4x20 …",
        on_change=state.import_text,
        args=(model, PASTED),
    )


def _run_chosen(model: str, runs: dict[str, Run]) -> None:
    run = runs.get(st.session_state[RUN_BOX] or "")
    st.session_state[RUN_BOX] = None
    if run is not None and run.policy is not None:
        of_run = space_of(run.request, known.model(model).dataset)
        state.start_from(model, run.policy, f"the end of {names.what(run)} · {run.id}", of_run)
