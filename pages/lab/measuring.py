"""Accuracy on demand: one policy evaluated by a worker, watched until it ends. Nothing is evaluated twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from aiq_core import estimate, jobs
from aiq_core.catalog import Model
from aiq_core.errors import AiqError
from aiq_core.library import read_only, repeats
from aiq_core.records import Policy, Request, Run, RunStatus, SplitName
from aiq_core.search.baselines import MANUAL
from aiq_core.space import Space
from aiq_core.store.store import MEASURED
from aiq_core.wording import bit_counts, duration, quantizer_words
from pages.common import errors, known
from pages.common.controls import View
from pages.lab import policies, state
from pages.lab.accuracy import Measured, image_sets

POLL_S = 1.0
LABEL = "measured in the Lab"
JOB, SEEN = "lab_job", "lab_seen"


@dataclass(frozen=True)
class Plan:
    """What a measurement would ask for; `images` are search images, `report_images` as many as are here."""

    images: int
    report_images: int
    is_excerpt: bool


def plan(view: View) -> Plan:
    """The page's images, or those that ship with the app where the others are not here."""
    dataset = view.model.dataset
    images = min(view.images, dataset.available(SplitName.SEARCH))
    return Plan(images, dataset.available(SplitName.REPORT), images < view.images)


def request(view: View, policy: Policy) -> Request:
    quantizer, images = policies.how(view.model, policy, view.space), plan(view).images
    return Request(view.model.name, MANUAL.name, images=images, policies=(policy,), label=LABEL, quantizer=quantizer)


def start(view: View, policy: Policy) -> None:
    """Queues the evaluation, or the rest of one that was stopped."""
    asked, library = request(view, policy), known.library()
    with errors.kept():
        stopped = _stopped(asked)
        if stopped is not None:
            jobs.resume(library, stopped)
            st.session_state[JOB] = stopped
        else:
            st.session_state[JOB] = jobs.submit(library, asked).id


def _stopped(asked: Request) -> str | None:
    """An earlier run of the very same request that can go on."""
    library = known.library()
    same = repeats(library.store.runs(asked.model), asked, library.model(asked.model))
    return next((run.id for run in reversed(same) if run.status in jobs.RESUMABLE), None)


def unfinished(model: Model) -> list[Run]:
    """Queued and running evaluations of single policies of the model, oldest first; none where nothing may be run."""
    return [run for run in known.unfinished(model) if _is_single(run.request)]


def _is_single(asked: Request) -> bool:
    return asked.algorithm == MANUAL.name and len(asked.policies) == 1


def expected_s(runs: Sequence[Run], asked: Request, report_images: int) -> float | None:
    """Seconds that an evaluation takes here, as the newest single one of this model or, by FLOPs, of another did;
    else by the pace of searches. None where nothing was measured here yet.
    """
    timed = [run for run in runs if _is_single(run.request) and _is_timed(run)]
    own = [run for run in timed if run.request.model == asked.model]
    if timed:
        newest = max(own or timed, key=lambda run: run.created_at)
        share = _work(asked) / _work(newest.request)
        return estimate.START_UP_S + newest.seconds * share
    pace = estimate.rate(runs, asked.model, asked.images)
    return None if pace is None else estimate.START_UP_S + pace.seconds * (1 + report_images / asked.images)


def _is_timed(run: Run) -> bool:
    measured = run.origin is not None and run.origin.source == MEASURED
    return measured and run.status is RunStatus.DONE and run.evaluations_new > 0


def _work(asked: Request) -> float:
    """FLOPs of a request's search images; its report images are taken to go with them."""
    return asked.images * known.model(asked.model).profile.flops


def elapsed_s(run: Run, now: datetime) -> float:
    """Since it was asked for."""
    return max(0.0, (now - datetime.fromisoformat(run.created_at)).total_seconds())


def _asks(running: Request, asked: Request) -> bool:
    """Whether a run measures what is asked for: policies that are rounded alike have one key."""
    keys = ({each.quantizer.key(policy) for policy in each.policies} for each in (running, asked))
    return running.policies == asked.policies and next(keys) == next(keys)


def _finished() -> Sequence[Run]:
    """Finished runs of all models, without their steps."""
    return [run for model in known.library().models.values() for run in known.runs(model)]


def button(view: View, policy: Policy, is_measured: bool) -> None:
    """Asks for the accuracy of the policy at work; nothing where it is known or may not be measured."""
    if not is_measured and read_only():
        st.caption("Read-only server: no accuracy is measured.", width="content")
    if is_measured or read_only() or any(_asks(run.request, request(view, policy)) for run in unfinished(view.model)):
        return
    if policy.has_activations and view.model.dataset.calibration_hash is None:
        st.caption("No calibration images: activations can't be measured here.", width="content")
        return
    asked = plan(view)
    where = f"{asked.images:,} search and {asked.report_images:,} report images"
    lack = " that ship with the app; `python -m aiq_core data` fetches the rest" if asked.is_excerpt else ""
    seconds = expected_s(_finished(), request(view, policy), asked.report_images)
    pace = "" if seconds is None else f" About {duration(seconds)} on this machine."
    st.button(
        "Measure accuracy",
        key="lab-measure",
        type="primary",
        icon=":material/play_arrow:",
        on_click=start,
        args=(view, policy),
        help=f"Evaluates this policy on {where}{lack}, in a process of its own.{pace} "
        f"Rounded: {quantizer_words(policies.how(view.model, policy, view.space), policy)}.",
    )


def watch(view: View, policy: Policy) -> None:
    """Progress of what is being measured, found again after a reload; the page follows when one ends."""
    running = unfinished(view.model)
    st.session_state[SEEN] = known.standings(running)
    if running:
        st.fragment(_progress, run_every=POLL_S)(view, policy)


def _progress(view: View, policy: Policy) -> None:
    library, running = known.library(), unfinished(view.model)
    if known.standings(running) != st.session_state.get(SEEN):
        st.rerun()
    try:
        jobs.ensure_worker(library)
    except AiqError as error:
        st.error(str(error), icon=":material/error:")
    for run in running:
        report = plan(view).report_images
        share, text = progress(run, policy, expected_s(_finished(), run.request, report), report)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.progress(share, text=text)
            st.button("Cancel", key=f"lab-cancel-{run.id}", on_click=jobs.cancel, args=(library, run.id))


def progress(
    run: Run, policy: Policy, expected: float | None, report_images: int, now: datetime | None = None
) -> tuple[float, str]:
    """How far an evaluation is, 0 to 1, and a line on it."""
    spent = elapsed_s(run, now or datetime.now(UTC))
    what = "this policy" if run.request.policies == (policy,) else bit_counts(run.request.policies[0])
    if run.status is RunStatus.QUEUED:
        return 0.0, f"Measuring {what}: waiting for a worker, {duration(spent)}"
    part = "report images" if run.steps else f"{run.request.images:,} search images"
    if run.steps and expected is None:
        # The search images are done: the report images take as long each.
        expected = estimate.START_UP_S + run.seconds * (1 + report_images / run.request.images)
    if expected is None:
        return 0.05, f"Measuring {what} on {part}: {duration(spent)} so far, no pace known here yet"
    left = max(1.0, expected - spent)
    return min(0.97, spent / expected), f"Measuring {what} on {part}: about {duration(left)} left"


def announcement(model: Model) -> None:
    """What became of the evaluation that this visitor asked for."""
    job = st.session_state.get(JOB)
    if job is None or read_only():
        return
    run = known.library().run(job)
    if run.status in jobs.UNFINISHED:
        return
    st.session_state.pop(JOB)
    if run.status is RunStatus.DONE:
        st.session_state[state.PANEL] = state.FLIPS
        new = "" if run.evaluations_new else "; it was known already"
        st.toast(f"Measured{new}.", icon=":material/check:")
    elif run.request.model == model.name:
        why = run.message or "its process died; what it evaluated is kept"
        st.warning(f"The measurement is {run.status}: {why}", icon=":material/info:")


def note(view: View, found: Iterable[Measured | None], space: Space) -> str:
    """Where figures stand on fewer images than the page works at."""
    told = [entry for entry in found if entry is not None]
    most = {entry: image_sets(view.model, entry.split, view.images, space)[0] for entry in told}
    fewer = [f"{entry.images:,} {entry.judges}" for entry in told if entry.on != most[entry]]
    if not fewer:
        return ""
    return f"measured on {' and '.join(fewer)} images only: those that ship with the app"
