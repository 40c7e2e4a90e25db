"""What Deploy shows of a view: the run, its variants, and what is measured of them on one machine."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.nodes import Nodes
from aiq_core.deployment.rows import Row, batch_of, chosen_variants, kept_timings, nodes, own_cpus, rows, variant_key_of
from aiq_core.deployment.variant import Variant, deployable, variants
from aiq_core.errors import UnknownNameError
from aiq_core.records import Measurement, Run
from pages.common import controls, known, names
from pages.common.controls import View

RUN, RUNTIME, CPU, THREADS = "run", "runtime", "on", "threads"
"""In the address."""

LEADING = ("policy-int8", "policy", "int8")
"""Of which variant the page speaks: of the first of these that there is."""


@dataclass(frozen=True)
class Shown:
    """What is shown: `rows` at the batch `batch`, of the machine `cpu` with `threads`; empty where nothing is measured.

    `own` says that the user's own machine measured it. `batches` are those that are measured there.
    """

    view: View
    run: Run | None
    engine: Engine
    cpu: str | None
    threads: int
    own: bool
    batch: int
    batches: tuple[int, ...]
    variants: tuple[Variant, ...]
    rows: tuple[Row, ...]

    def row(self, engine: Engine, name: str) -> Row | None:
        """The row of a variant by its name."""
        return next((row for row in self.rows if (row.engine, row.variant.name) == (engine, name)), None)

    @property
    def lead(self) -> Row | None:
        """The row that the page speaks of: the policy in the chosen runtime, as integers where that is offered."""
        offered = {variant.name for variant in self.variants}
        name = next((each for each in LEADING if each in offered), None)
        return None if name is None else self.row(self.engine, name)

    def nodes(self) -> dict[str, Nodes]:
        """Title of a variant -> where its time goes in the chosen runtime, where that is known."""
        own = [row for row in self.rows if row.engine is self.engine]
        found = nodes(known.library(), own)
        return {row.variant.title: found[row.timing.subject] for row in own if row.timing.subject in found}


def show(view: View) -> Shown:
    """Draws the page's controls in the sidebar and reads what they ask for."""
    model, library = view.model, known.library()
    with controls.slot("form"):
        run = _run(model)
        runtime = _choose("Runtime", RUNTIME, {str(engine): engine.words for engine in RUNTIMES})
        kept = kept_timings(library, model)
        own, cpus = _machines(kept)
        cpu = None
        if cpus:
            labels = {each: f"this machine · {each}" if each in own else each for each in cpus}
            cpu = _choose("Measured on", CPU, labels) if len(cpus) > 1 else cpus[0]
        threads = int(_choose("Threads", THREADS, {str(count): str(count) for count in _threads(kept, cpu)}))
    found = chosen_variants(library, model, run) or _variants(model, run)
    keys = {variant.key for variant in found}
    there = (each for each in kept if (each.cpu, each.threads) == (cpu, threads))
    batches = tuple(sorted({batch_of(each) for each in there if variant_key_of(each) in keys}))
    batch = min(batches, key=lambda each: (abs(each - view.batch), each), default=view.batch)
    return Shown(
        view=view,
        run=run,
        engine=Engine(runtime),
        cpu=cpu,
        threads=threads,
        own=cpu in own,
        batch=batch,
        batches=batches,
        variants=found,
        rows=() if cpu is None else tuple(rows(library, model, found, cpu, threads, [batch])),
    )


@known.cached(12)
def _deployable(model: Model, version: str) -> tuple[Run, ...]:
    return deployable(known.library(), model)


def _variants(model: Model, run: Run | None) -> tuple[Variant, ...]:
    return _plain(model, None if run is None else run.id, known.library().finished_version())


@known.cached(24)
def _plain(model: Model, run_id: str | None, version: str) -> tuple[Variant, ...]:
    run = None if run_id is None else known.library().run(run_id)
    return variants(known.library(), model, run)


def _run(model: Model) -> Run | None:
    """The run whose policy is deployed: the address's, else the one that stands for the model."""
    runs = {run.id: run for run in _deployable(model, known.library().finished_version())}
    if not runs:
        st.caption("No finished run of this model: only FP32 and all INT8 are deployed.")
        return None
    asked = st.query_params.get(RUN)
    if asked is not None and asked not in runs:
        before = st.session_state.get(f"deploy-{RUN}-model")
        # Where another model was chosen, its run is none of this one's, and that needs no word.
        if before in (None, model.name):
            st.warning(f"{UnknownNameError('run', asked[:40], list(runs)[:6])}. Showing the first.")
        controls.put(RUN, None)
    st.session_state[f"deploy-{RUN}-model"] = model.name
    titles = {run.id: f"{names.what(run)} · {run.id}" for run in runs.values()}
    help_text = "Its policy is what is deployed; of a front, the point that half a point of accuracy leaves."
    return runs[_choose("Policy of", RUN, titles, help_text)]


def _choose(label: str, name: str, options: dict[str, str], help_text: str | None = None) -> str:
    """A selectbox whose address holds the option's key; the first is what opens."""
    key, default = f"deploy-{name}", next(iter(options))
    if key not in st.session_state or controls.is_return():
        asked = st.query_params.get(name, default)
        st.session_state[key] = asked if asked in options else default
    elif st.session_state[key] not in options:
        st.session_state[key] = default
    value = st.selectbox(label, list(options), format_func=lambda each: options[each], key=key, help=help_text)
    controls.put(name, None if value == default else value)
    return value


def _machines(kept: Sequence[Measurement]) -> tuple[set[str], list[str]]:
    """The CPUs that the user's own store has measured on, and all that a model was measured on, own ones first."""
    own = own_cpus(known.library())
    return own, sorted(dict.fromkeys(each.cpu for each in reversed(kept)), key=lambda cpu: cpu not in own)


def _threads(kept: Sequence[Measurement], cpu: str | None) -> Sequence[int]:
    """One, all of this machine, and what was measured on a CPU; what was measured comes first."""
    measured = {each.threads for each in kept if each.cpu == cpu}
    offered = sorted({1, os.cpu_count() or 1, *measured})
    return sorted(offered, key=lambda count: count not in measured)
