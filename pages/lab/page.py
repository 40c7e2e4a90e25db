"""Lab: one policy under the hand; every change is answered at once, accuracy when it is asked for."""

import streamlit as st

from aiq_core import assets
from aiq_core.charts.wording import bit_counts, join, number, signed
from aiq_core.errors import SettingError
from aiq_core.intensity import intensity
from aiq_core.records import Policy, SplitName
from pages.common import controls, known
from pages.common.controls import View
from pages.lab import editor, flips, measuring, numbers, policies, saving, state, views
from pages.lab.accuracy import Measured, measured
from pages.lab.history import History

BEFORE = "lab-before"
START, FP32, PINNED = "start", "fp32", "pinned"
PANELS = {state.WEIGHTS: "Weights", state.FLIPS: "Images"}


def main() -> None:
    view = controls.view()
    measuring.announcement(view.model)
    _messages()
    history = state.history(view)
    layer = state.layer(assets.profile(view.model))
    policy = history.current.policy
    before, before_name = _before(view, history)
    library = known.library()
    found = {split: measured(library, view.model, split, view.images, policy, before) for split in SplitName}
    is_measured = all(entry is not None for entry in found.values())
    # Closer than elsewhere: five rows stand on one screen.
    with st.container(gap="xsmall"):
        _heading(view, history, found)
        numbers.draw(view, before, policy, found)
    former = history.start.policy if st.session_state[BEFORE] == START else before
    views.bits(view, history.start, former, policy, layer, lambda: _controls(view, history, layer, is_measured))
    left, right = st.columns(2, gap="small")
    with left:
        views.roofline(view, before, before_name, policy, layer)
    with right:
        if st.session_state.setdefault(state.PANEL, state.WEIGHTS) == state.FLIPS:
            flips.draw(view, found, _panel_switch)
        else:
            views.weights(view, policy, layer, _panel_switch)


def _panel_switch() -> None:
    st.segmented_control(
        "Right view",
        (state.WEIGHTS, state.FLIPS),
        key=state.PANEL,
        format_func=PANELS.__getitem__,
        required=True,
        label_visibility="collapsed",
    )


def _messages() -> None:
    if error := st.session_state.pop(state.ERROR, None):
        st.error(error, icon=":material/error:")
    if note := st.session_state.pop(state.NOTE, None):
        st.success(note, icon=":material/check:")


def _heading(view: View, history: History, found: dict[SplitName, Measured | None]) -> None:
    profile, policy = assets.profile(view.model), history.current.policy
    value, fp32 = intensity(profile, policy), intensity(profile, profile.uniform(32))
    title = assets.card(view.model).title
    gain = 100 * (value / fp32 - 1)
    said = "" if policy.is_fp32 else f", {signed(gain, 1 if abs(gain) < 99.95 else 0)} % on FP32"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown(f"#### {title}: :violet[{number(value, 2)} FLOPs per byte]{said}", width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            editor.undo_redo(view, history)
            editor.starts(view)
            editor.several(view, policy)
            saving.draw(view, policy, found)
    edits = policies.change(profile, history.start.policy, policy)
    if _is_unedited(history):
        edits = "not edited yet, so beside FP32"
    counted = {split: None if entry is None else entry.images for split, entry in found.items()}
    noted = measuring.note(view, counted)
    st.caption(join([bit_counts(policy), f"started from {history.start.text}", edits, noted]))


def _before(view: View, history: History) -> tuple[Policy, str]:
    """The policy that deltas are against, and its short name: the start, FP32, or Explore's pinned one.

    A start that was not edited yet stands against FP32: against itself there is nothing to see.
    """
    offered = _offered(view, history)
    if st.session_state.get(BEFORE) not in offered:
        st.session_state[BEFORE] = START
    chosen = st.session_state[BEFORE]
    return offered[FP32] if chosen == START and _is_unedited(history) else offered[chosen]


def _is_unedited(history: History) -> bool:
    return history.current.policy == history.start.policy


def _offered(view: View, history: History) -> dict[str, tuple[Policy, str]]:
    offered = {START: (history.start.policy, "start"), FP32: (assets.profile(view.model).uniform(32), "FP32")}
    if view.pinned is not None and (pinned := _pinned(view)) is not None:
        offered[PINNED] = (pinned, "A")
    return offered


def _pinned(view: View) -> Policy | None:
    try:
        return policies.read_key(view.pinned or "", assets.profile(view.model))
    except SettingError:
        return None


def _controls(view: View, history: History, layer: int, is_measured: bool) -> None:
    """What changes the policy, and what the views compare it with."""
    offered = _offered(view, history)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        editor.layer_and_bits(view, history.current.policy, layer)
        st.selectbox(
            "Compare with",
            list(offered),
            key=BEFORE,
            format_func=lambda name: f"against {'the ' if name == START else ''}{offered[name][1]}",
            label_visibility="collapsed",
            width=150,
            help=f"What the changes are against. The start is {history.start.text}.",
        )
        measuring.button(view, history.current.policy, is_measured)
    measuring.watch(view, history.current.policy)


main()
