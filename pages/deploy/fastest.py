"""The search for time on this machine: started here, and what it found beside what AI chose."""

import streamlit as st

from aiq_core import jobs
from aiq_core.deployment.engine import Engine, installed
from aiq_core.fronts import WITHIN, choose, points
from aiq_core.library import read_only
from aiq_core.records import Run, RunStatus
from aiq_core.wording import number
from pages.common import known
from pages.common.charts import card
from pages.deploy import work
from pages.deploy.shown import RUN, Shown

KIND = "fastest"


def draw(shown: Shown) -> None:
    """The panel: what the latest search for time of this model found, and a button that starts one here."""
    with card("The fastest policy", "which layers to run in INT8, chosen by measured kernels and not by AI"):
        st.caption(
            "Every kernel of this network is timed in the chosen runtime, and what changes of type between them cost; "
            "a linear program then finds the policy of least cost at each time. Widths below 8 bits save bytes and no "
            "time here, for runtimes multiply eight bits."
        )
        found = _latest(shown)
        if found is not None:
            st.markdown(_told(found))
            st.link_button("Deploy it", f"?{RUN}={found.id}&model={shown.view.model}", icon=":material/rocket_launch:")
        _start(shown)


def _latest(shown: Shown) -> Run | None:
    """The latest finished search for time of the model."""
    runs = (run for run in known.library().runs(shown.view.model) if run.request.table is not None)
    finished = [run for run in runs if run.status is RunStatus.DONE and run.model_hash == shown.view.model.hash]
    return known.library().run(finished[-1].id) if finished else None


def _told(run: Run) -> str:
    library = known.library()
    table = library.kernel_table(str(run.request.table))
    profile = library.model(run.request.model).profile
    found = points(library, run, imported=True)
    choice = choose(found, WITHIN)
    chosen = choice.point or choice.nearest
    if chosen is None or chosen.seconds is None:
        return f"Run {run.id} has no measured point yet."
    plain = table.seconds_an_image(profile, profile.uniform(32))
    ratio, runs = number(plain / chosen.seconds, 2), sum(table.in_int8(profile, chosen.policy))
    return (
        f"Of {len(found)} points, **{ratio} ×** FP32's speed as predicted at batch {table.batch} "
        f"({table.engine} {table.version}, {table.cpu}): {runs} of {len(table.kernels)} kernels in INT8; "
        f"{choice.sentence}."
    )


def _start(shown: Shown) -> None:
    if read_only() or installed(Engine.EAGER) is None:
        return
    settings: dict[str, object] = {
        "model": shown.view.model.name,
        "engine": str(shown.engine),
        "batch": shown.batch,
        "threads": shown.threads,
    }
    st.button(
        f"Search for time in {shown.engine.words}, batch {shown.batch}",
        icon=":material/timer:",
        on_click=work.start,
        args=(KIND, settings),
        disabled=any(task.kind == KIND and task.status in jobs.UNFINISHED for task in work.tasks_of(shown)),
        help="Measures the kernels where they are not known (about half a minute), then searches; the run appears on "
        "Search.",
    )
