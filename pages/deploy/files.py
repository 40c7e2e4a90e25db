"""A policy as a file: an ONNX model that runs, or packed storage; made by a task, then offered."""

import streamlit as st

from aiq_core.deployment.variant import Variant
from aiq_core.library import read_only
from aiq_core.records import FP32_BITS
from aiq_core.tasks import export
from aiq_core.tasks.export import Format
from aiq_core.wording import size
from pages.common import known
from pages.common.charts import card
from pages.deploy import work
from pages.deploy.shown import LEADING, Shown

TITLES = {Format.ONNX: "ONNX", Format.PACKED: "packed"}


def draw(shown: Shown) -> None:
    """The files of a variant: a button that makes each, or, where it was made, the file."""
    offered = {variant.name: variant for variant in shown.variants if not variant.policy.is_fp32}
    if not offered:
        return
    with card("Files", "a policy to take along"):
        names = sorted(offered, key=lambda name: LEADING.index(name) if name in LEADING else len(LEADING))
        chosen = st.selectbox(
            "Variant", names, format_func=lambda name: offered[name].title, key="deploy-file", width=320
        )
        with st.container(gap="small"):
            for form in Format:
                _row(shown, offered[chosen], form)


def _row(shown: Shown, variant: Variant, form: Format) -> None:
    path = export.path(shown.view.model, variant, form)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if path.exists():
            st.download_button(
                f"{TITLES[form]}, {size(path.stat().st_size)}",
                path.read_bytes,
                path.name,
                icon=":material/download:",
                on_click="ignore",
                key=f"file-{form}",
            )
        elif read_only():
            st.caption(f"{TITLES[form]}: this server is read-only and writes no files")
        else:
            settings = export.settings(shown.view.model, variant, form)
            st.button(
                f"Make the {TITLES[form]} file",
                icon=":material/build:",
                on_click=work.start,
                args=("export", settings),
                key=f"make-{form}",
            )
        st.caption(_said(shown, variant, form) or _label(variant, form), width="stretch")


def _label(variant: Variant, form: Format) -> str:
    if form is Format.PACKED:
        return "packed storage: every weight at its own width; nothing runs it as it is"
    if variant.policy.has_activations:
        return "real integer kernels where a runtime has them; checked here against the simulation"
    narrow = any(bits != FP32_BITS for bits in variant.policy.weight_bits)
    return "FP32 arithmetic on rounded weights: the simulation, as any runtime runs it" if narrow else "FP32"


def _said(shown: Shown, variant: Variant, form: Format) -> str:
    """What was found when the file was made."""
    if read_only():
        return ""
    wanted = export.settings(shown.view.model, variant, form)
    made = [task for task in known.library().store.tasks.all("export") if dict(task.settings) == wanted]
    return "; ".join(made[-1].result.get("said", ())) if made else ""
