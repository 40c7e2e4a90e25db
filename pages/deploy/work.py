"""What measures here and writes files: tasks in a process of their own, with progress, cancel and resume."""

import streamlit as st

from aiq_core import jobs, tasks
from aiq_core.deployment.engine import Engine, installed
from aiq_core.deployment.prediction import Predictor
from aiq_core.deployment.timing import TIMING
from aiq_core.library import read_only
from aiq_core.records import RunStatus, Task
from aiq_core.tasks.bench import BATCHES, Wanted
from pages.common import errors, known, names
from pages.deploy.shown import Shown

POLL_S = 1.0
KINDS = {
    "bench": "Measuring",
    "kernels": "Measuring kernels",
    "fastest": "Searching for time",
    "export": "Writing a file",
}
SEEN, WHOLE = "deploy-seen", "deploy-whole"
TAKES = (
    "Measuring takes one to three minutes, of large networks longer: every engine and variant in nine rounds side by "
    "side at each batch, then all report images through each. Leave the machine alone meanwhile; what is measured is "
    "kept batch by batch."
)


def button(shown: Shown) -> None:
    """Starts measuring here; on a read-only server it says that none can."""
    if read_only():
        st.caption("This server is read-only: it shows what was measured and measures nothing.")
        return
    if installed(Engine.EAGER) is None:
        st.caption("This install only shows what was measured; `make app` installs what measures.")
        return
    st.button(
        "Measure again here" if shown.own and shown.rows else "Measure here",
        icon=":material/speed:",
        type="secondary" if shown.own and shown.rows else "primary",
        on_click=_measure,
        args=(shown,),
        disabled=any(task.kind == "bench" and task.status in jobs.UNFINISHED for task in tasks_of(shown)),
        help=TAKES,
    )


def _measure(shown: Shown) -> None:
    run = None if shown.run is None else shown.run.id
    batches = tuple(sorted({*BATCHES, shown.view.batch}))
    start("bench", Wanted(shown.view.model.name, run, batches, shown.threads).to_json())


def predict_button(shown: Shown) -> None:
    """Measures what predictions need in the chosen runtime at the batch, where that is not known of this machine."""
    lead = shown.lead
    if read_only() or lead is None or not shown.own or Predictor.BORDERS in lead.predicted:
        return
    settings: dict[str, object] = {
        "model": shown.view.model.name,
        "engine": str(shown.engine),
        "batch": shown.batch,
        "threads": shown.threads,
    }
    st.button(
        f"Predict it for {shown.engine.words}, batch {shown.batch}",
        icon=":material/insights:",
        on_click=start,
        args=("kernels", settings),
        disabled=any(task.kind == "kernels" and task.status in jobs.UNFINISHED for task in tasks_of(shown)),
        help="Measures this machine’s roof where it is not known, and then every kernel of this model alone, and what "
        "changes of type between them cost: about half a minute. The roofline and better models then predict each "
        "variant, beside what was measured.",
    )


def start(kind: str, settings: dict[str, object]) -> None:
    """Queues a task, or keeps the reason why that failed for the page to say."""
    with errors.kept():
        tasks.submit(known.library(), kind, settings)


def progress(shown: Shown) -> None:
    """The tasks of this model that run, wait or ended early, read from the store while one is unfinished."""
    if read_only():
        return
    with errors.kept():
        jobs.reap(known.library())
    found = tasks_of(shown)
    st.session_state[SEEN] = _standings(found)
    busy = any(task.status in jobs.UNFINISHED for task in found)
    st.fragment(_fragment, run_every=POLL_S if busy else None)(shown)


def _fragment(shown: Shown) -> None:
    found = tasks_of(shown)
    if any(task.status in jobs.UNFINISHED for task in found):
        with errors.kept():
            jobs.ensure_worker(known.library())
    if st.session_state.pop(WHOLE, False) or _standings(found) != st.session_state.get(SEEN):
        st.rerun()
    for task in found:
        _draw(task)


def _draw(task: Task) -> None:
    what = KINDS[task.kind]
    if task.status in jobs.UNFINISHED:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            said = task.said or ("waiting for its turn" if task.status is RunStatus.QUEUED else "starting")
            st.progress(task.share, text=f"{what}: {said}")
            st.button("Cancel", key=f"cancel-{task.id}", type="tertiary", on_click=_cancel, args=(task.id,))
    elif task.status in jobs.RESUMABLE:
        why = task.message or "its process died; what was measured is kept"
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"{names.STATUS_ICONS[task.status]} {what} {task.status}: {why}", width="stretch")
            st.button("Resume", key=f"resume-{task.id}", on_click=_resume, args=(task.id,))


def _cancel(task_id: str) -> None:
    with errors.kept():
        tasks.cancel(known.library(), task_id)
    st.session_state[WHOLE] = True


def _resume(task_id: str) -> None:
    with errors.kept():
        tasks.resume(known.library(), task_id)
    st.session_state[WHOLE] = True


def tasks_of(shown: Shown) -> list[Task]:
    """The latest task of each kind of this model; one that ended early stays until another is started."""
    if read_only():
        return []
    every = [task for task in known.library().store.tasks.all() if task.kind in KINDS]
    own = [task for task in every if task.settings.get("model") == shown.view.model.name]
    return list({task.kind: task for task in own}.values())


def _standings(found: list[Task]) -> tuple[object, ...]:
    """What changes when a task begins or ends, and when another batch is kept."""
    kept = len(known.library().store.measurements.all(TIMING))
    return kept, *((task.id, str(task.status)) for task in found)
