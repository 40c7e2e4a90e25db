"""Keeping a policy: as a run, as a link, as JSON."""

import json
from functools import partial

import streamlit as st

from aiq_core import documents, manual
from aiq_core.catalog import Model
from aiq_core.intensity import intensity, moved_bytes, stored_bytes, weight_bytes
from aiq_core.library import read_only
from aiq_core.records import UNFUSED, Policy, SplitName
from aiq_core.space import WEIGHTS, Space
from aiq_core.wording import quantizer_words
from pages.common import errors, known
from pages.common.controls import View
from pages.common.popovers import copied, link, popover
from pages.lab import measuring, policies
from pages.lab.accuracy import Measured

LABEL, SAVED_RUN = "lab-label", "lab_saved"


def draw(view: View, policy: Policy, found: dict[SplitName, Measured | None]) -> None:
    """Save, share and export, each in the heading's line."""
    with st.popover("Save", icon=":material/save:", type="tertiary"):
        st.caption(f"Rounded: {quantizer_words(policies.how(view.model, policy, view.space), policy)}.")
        _save(view, policy)
        _export(view, policy, found)
    popover("Share", "share", partial(_share, policy))


def _share(policy: Policy) -> None:
    # The address says no policy where the page shows the best found.
    copied("A link to this policy", link(policy=policy.key))
    copied("Its key", policy.key)


def _save(view: View, policy: Policy) -> None:
    if read_only():
        st.caption("This server is read-only: nothing can be saved here. The link and the JSON hold the policy.")
        return
    st.text_input("Name", key=LABEL, max_chars=manual.LABEL_LENGTH, placeholder="such as: stem kept wide")
    st.button(
        "Save as a run",
        key="lab-save",
        icon=":material/save:",
        on_click=_keep,
        args=(view, policy),
        width="stretch",
        help="Keeps these bits in the history on Search, where they can be compared and exported.",
    )


def _keep(view: View, policy: Policy) -> None:
    images, label = measuring.plan(view).images, st.session_state.get(LABEL, "")
    with errors.kept():
        run = manual.save_manual(
            known.library(), view.model, policy, images, label, policies.how(view.model, policy, view.space)
        )
        st.session_state[SAVED_RUN] = run.id
        st.session_state[LABEL] = ""
        named = f" ({run.request.label})" if run.request.label else ""
        st.session_state[errors.NOTE] = f"Saved as run {run.id}{named}."


def _export(view: View, policy: Policy, found: dict[SplitName, Measured | None]) -> None:
    st.download_button(
        "Policy (JSON)",
        lambda: json.dumps(policy_document(view.model, policy, found, view.space), indent=1).encode(),
        f"{view.model}-policy.json",
        "application/json",
        key="lab-export-policy",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
        help="Bits by layer and group with every figure known; Search, the command line and “Start from” read it.",
    )
    saved = st.session_state.get(SAVED_RUN)
    if saved is not None and not read_only():
        st.download_button(
            f"Run {saved} (JSON)",
            partial(known.exported, saved),
            f"{saved}.json",
            "application/json",
            key="lab-export-run",
            icon=":material/download:",
            on_click="ignore",
            width="stretch",
            help="The saved run and what its policy predicts, for another machine to import on Search.",
        )


def policy_document(
    model: Model, policy: Policy, found: dict[SplitName, Measured | None], space: Space = WEIGHTS
) -> dict[str, object]:
    """A policy with how it is rounded and its figures; null where it is not measured."""
    profile, quantizer = model.profile, policies.how(model, policy, space)
    fp32 = profile.uniform(32)
    value = intensity(profile, policy)
    document: dict[str, object] = {
        "model": model.name,
        "model_hash": model.hash,
        **documents.policy_document(profile, policy),
        "space": policies.space_of(policy, space).name,
        "quantizer": quantizer.to_json(),
        "traffic": UNFUSED,
        "intensity": value,
        "intensity_gain_percent": 100 * (value / intensity(profile, fp32) - 1),
        "weight_bytes": weight_bytes(profile, policy),
        "stored_bytes": stored_bytes(profile, policy, quantizer),
        "moved_bytes": moved_bytes(profile, policy),
    }
    for split, entry in found.items():
        name = split if entry is None else entry.judges
        document |= {
            f"{name}_images": None if entry is None else entry.images,
            f"{name}_top1_percent": None if entry is None else entry.top1.value,
            f"{name}_top1_interval": None if entry is None else [entry.top1.low, entry.top1.high],
        }
    return document
