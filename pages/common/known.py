"""What the stores hold, kept in memory until they change. Cached as they are: nobody may change them."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import streamlit as st

from aiq_core import exchange, jobs
from aiq_core.catalog import Model
from aiq_core.envelope import PolicyTable, Segment, envelope
from aiq_core.errors import AiqError
from aiq_core.intensity import traffic
from aiq_core.library import Library, first_asking, open_library, read_only
from aiq_core.records import UNFUSED, ModelProfile, Policy, Run, RunStatus, SplitName
from aiq_core.space import SPACES, WEIGHTS, Space

Value = TypeVar("Value")
Function = TypeVar("Function", bound=Callable[..., Any])


def kept(value: Value) -> Value:
    """The value, taken out of the garbage collector's rounds with everything that is alive now.

    Streamlit collects garbage after every run of a script, and so would walk through all that is imported and cached.
    """
    gc.collect()
    gc.freeze()
    return value


@st.cache_resource(show_spinner=False)
def library() -> Library:
    return kept(open_library())


def model(name: str) -> Model:
    """The model of that name. Raises UnknownNameError."""
    return library().model(name)


def cached(max_entries: int, ttl: float | None = None) -> Callable[[Function], Function]:
    """Keeps a function's results, `ttl` seconds at most, told apart by its arguments: a model by name and contents."""
    by_hash: dict[str | type[Any], Callable[[Any], Any]] = {
        Model: lambda model: (model.name, model.identity),
        ModelProfile: hash,
    }
    return st.cache_resource(  # type: ignore[return-value]
        max_entries=max_entries, ttl=ttl, show_spinner=False, hash_funcs=by_hash
    )


@cached(24)
def _table(model: Model, images: int, by: str, space: str, version: str) -> PolicyTable:
    if by == UNFUSED:
        return kept(library().table_in(SPACES[space], model, images))
    # The same policies and accuracies, counted anew.
    usual = table(model, images, space=SPACES[space])
    counted = traffic(usual.profile, usual.policies, by=by, quantizer=usual.quantizer)
    return kept(replace(usual, intensity=counted.intensity, traffic=by))


def table(model: Model, images: int, by: str = UNFUSED, space: Space = WEIGHTS) -> PolicyTable:
    """Every policy of a space known of a model on the first `images` search images, AI by a traffic model."""
    return _table(model, images, by, space.name, library().table_version(model, images - space.choosing(images)))


def is_known(model: Model, images: int, space: Space = WEIGHTS) -> bool:
    """Whether FP32 is measured on what judges, without which there is nothing to compare with."""
    fp32 = library().evaluation(model, SplitName.SEARCH, model.profile.uniform(32))
    return fp32 is not None and fp32.is_complete(images, space.choosing(images))


@cached(12)
def _runs(model: Model, version: str) -> tuple[Run, ...]:
    return kept(library().runs(model))


def runs(model: Model) -> tuple[Run, ...]:
    """Finished runs of a model, without steps."""
    return tuple(run for run in _runs(model, library().finished_version()) if run.status is RunStatus.DONE)


@cached(200)
def run(run_id: str, version: str) -> Run:
    """A run with its steps."""
    return kept(library().run(run_id))


@cached(400)
def _reasons(model: Model, policy_key: str, by: str, space: str, version: str) -> Run | None:
    # Over runs kept in memory: reading them again for each new policy took a third of a second.
    steps = (run(finished.id, version) for finished in sorted(runs(model), key=lambda run: run.request.traffic != by))
    return first_asking(steps, Policy.from_key(policy_key), model.profile, SPACES[space].quantizer(model.dataset))


def reasons(model: Model, policy_key: str, by: str = UNFUSED, space: Space = WEIGHTS) -> Run | None:
    """The earliest run that asked for a policy in a space, with its steps; one by this traffic model before others."""
    return _reasons(model, policy_key, by, space.name, library().finished_version())


@cached(24)
def _envelope(model: Model, images: int, by: str, space: str, version: str) -> tuple[Segment, ...]:
    known = table(model, images, by, SPACES[space])
    return envelope(known, known.usual_goal)


def path(model: Model, images: int, by: str = UNFUSED, space: Space = WEIGHTS) -> tuple[Segment, ...]:
    """The policies of a space that are best at some alpha, with their ranges of alpha, AI by a traffic model."""
    version = library().table_version(model, images - space.choosing(images))
    return _envelope(model, images, by, space.name, version)


def unfinished(model: Model | None = None) -> list[Run]:
    """Queued and running runs, of a model or all, oldest first, with the steps they have; none where none may run."""
    if read_only():
        return []
    store = library().store
    runs = [store.run(run_id) for run_id in store.with_status(*jobs.UNFINISHED)]
    return [run for run in runs if model is None or run.request.model == model.name]


def standings(runs: Sequence[Run]) -> tuple[tuple[str, str], ...]:
    """What changes when a run begins or ends."""
    return tuple((run.id, str(run.status)) for run in runs)


def exported(run_id: str) -> bytes:
    """A run as JSON that another machine can import."""
    try:
        return exchange.export_run(library(), run_id).encode()
    except AiqError as error:  # a download has no other place to say it
        return f"not exported: {error}".encode()


def image_counts(model: Model) -> dict[str, int]:
    """What the page may work on: all search images, and the excerpt where that is fewer."""
    search = model.dataset.search
    counts = {"all": search.size}
    if search.shipped < search.size:
        counts[str(search.shipped)] = search.shipped
    return counts
