"""The section on weights alone: a linear layer timed with real kernels, where fewer bytes buy time and where not."""

import streamlit as st

from aiq_core import jobs, tasks
from aiq_core.charts.linear import engines, linear_frame, message, provenance, ridge_words
from aiq_core.charts.linear_figure import gain_figure
from aiq_core.charts.style import Look
from aiq_core.library import read_only
from aiq_core.linear import KERNELS, Linear
from aiq_core.records import Task
from aiq_core.wording import number
from pages.common import errors, known, linear
from pages.common.charts import card, chart
from pages.roofline.progress import progress

KIND, POLL_S = "linear", 0.5
SIZES = (1024, 2048, 4096, 8192)
SUBJECT, ENGINE, SIZE = "linear-subject", "linear-engine", "linear-size"
ABOUT = (
    "Times the layer with every kernel that is installed, one thread, at nine batches: under two minutes, best while "
    "nothing else runs. Every batch is kept as it is done."
)


def section(look: Look) -> None:
    """The sentence, the chart with its table, and the button that measures here."""
    found = linear.layers()
    with st.container(border=True, gap="small"):
        st.markdown("**Weights alone** :gray[a linear layer, where memory is what one waits for]")
        if found:
            names = {linear.name(each): each for each in found}
            chosen = names[_choose("Measured on", SUBJECT, tuple(names))]
            _shown(chosen, look)
        else:
            st.markdown("No linear layer is timed yet.")
        _measure()


def _choose(label: str, key: str, options: tuple[str, ...]) -> str:
    """One of the options; the first where there was no choice, or not among these."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0]
    if len(options) > 1:
        st.selectbox(label, options, key=key)
    return str(st.session_state[key])


def _shown(found: Linear, look: Look) -> None:
    offered = engines(found)
    if not offered:
        st.caption(f"{provenance(found)}. No kernel with narrow weights ran here.")
        _missing(found)
        return
    if st.session_state.get(ENGINE) not in offered:
        st.session_state[ENGINE] = offered[0]
    engine = str(st.session_state[ENGINE])
    key = next(
        key for key in found.narrow if KERNELS[key].engine == engine and KERNELS[key].bits == _fewest(found, engine)
    )
    said = message(found, key, "here" if linear.is_here(found) else f"on {found.cpu}")
    st.markdown(f"##### {said}.")
    st.segmented_control("Engine", offered, key=ENGINE, required=True, label_visibility="collapsed")
    gain = found.table[key, found.measured_batches[0]].gain
    alt = f"{engine}: what narrow weights gain over FP32 against the batch. {said}."
    name = f"linear-{found.subject}-{engine.lower().replace(' ', '-')}"
    with card(
        f"{found.rows} × {found.columns}",
        "× the same engine’s FP32",
        lambda: linear_frame(found),
        name,
    ):
        chart(gain_figure(found, engine, look), "linear-gain", name, alt)
    spread = f"{number(gain.low, 1)} to {number(gain.high, 1)} × over the rounds at batch {found.measured_batches[0]}"
    st.caption(f"{provenance(found)}. {spread.capitalize()}. Ridge: {ridge_words(found, key)}.")
    _missing(found)


def _fewest(found: Linear, engine: str) -> int:
    return min(KERNELS[key].bits for key in found.narrow if KERNELS[key].engine == engine)


def _missing(found: Linear) -> None:
    if found.missing:
        st.caption("Not timed: " + "; ".join(f"{KERNELS[key].name}: {why}" for key, why in found.missing.items()) + ".")


def _measure() -> None:
    """The button, and how far it is; nothing where nothing may be run."""
    if read_only():
        st.caption("Read-only server: nothing is measured here; `python -m aiq_core linear` does it on your machine.")
        return
    ran = _tasks()
    running = [task for task in ran if task.status in jobs.UNFINISHED]
    if running:
        st.fragment(progress, run_every=POLL_S)(KIND, "Timing", [task.id for task in running])
        return
    ended = ran[-1] if ran and ran[-1].status in jobs.RESUMABLE else None
    if ended is not None:
        st.warning(
            f"The last measurement is {ended.status}: {ended.message or 'its process died'}", icon=":material/info:"
        )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.session_state.setdefault(SIZE, 4096)
        st.selectbox("Size", SIZES, key=SIZE, format_func=lambda size: f"{size} × {size}", width=150)
        st.button("Time it here", key="linear-measure", icon=":material/speed:", on_click=_start, help=ABOUT)
        if ended is not None:
            st.button("Go on", key="linear-resume", type="tertiary", on_click=_resume, args=(ended.id,))


def _tasks() -> list[Task]:
    return known.library().store.tasks.all(KIND)


def _start() -> None:
    with errors.kept():
        size = int(st.session_state[SIZE])
        tasks.submit(known.library(), KIND, {"rows": size, "columns": size})


def _resume(task_id: str) -> None:
    with errors.kept():
        tasks.resume(known.library(), task_id)
