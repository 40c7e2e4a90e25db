"""What the stores hold, kept in memory until they change. Cached as they are: nobody may change them."""

import gc
from typing import TypeVar

import streamlit as st

from aiq_core import assets
from aiq_core.envelope import PolicyTable, Segment, envelope
from aiq_core.library import Library, first_asking, open_library
from aiq_core.objective import default_normaliser, floor_correct
from aiq_core.records import Policy, Run, RunStatus, SplitName

WIDTHS = (32, 8, 4)
ACCURACY_NORMALISER = 10.0


Value = TypeVar("Value")


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


@st.cache_resource(max_entries=12, show_spinner=False)
def _table(model: str, images: int, version: str) -> PolicyTable:
    return kept(library().table(model, images))


def table(model: str, images: int) -> PolicyTable:
    """Every policy known of a model on the first `images` search images."""
    return _table(model, images, library().table_version(model, images))


def is_known(model: str, images: int) -> bool:
    """Whether FP32 is measured, without which there is nothing to compare with."""
    fp32 = library().evaluation(model, SplitName.SEARCH, assets.profile(model).uniform(32))
    return fp32 is not None and fp32.is_complete(images)


@st.cache_resource(max_entries=12, show_spinner=False)
def _runs(model: str, version: str) -> tuple[Run, ...]:
    return kept(library().runs(model))


def runs(model: str) -> tuple[Run, ...]:
    """Finished runs of a model, without steps."""
    return tuple(run for run in _runs(model, library().finished_version()) if run.status is RunStatus.DONE)


@st.cache_resource(max_entries=200, show_spinner=False)
def run(run_id: str, version: str) -> Run:
    """A run with its steps."""
    return kept(library().run(run_id))


@st.cache_resource(max_entries=400, show_spinner=False)
def _reasons(model: str, policy_key: str, version: str) -> Run | None:
    # Over runs kept in memory: reading them again for each new policy took a third of a second.
    steps = (run(finished.id, version) for finished in runs(model))
    return first_asking(steps, Policy.from_key(policy_key), assets.profile(model))


def reasons(model: str, policy_key: str) -> Run | None:
    """The earliest run that asked for a policy, with its steps."""
    return _reasons(model, policy_key, library().finished_version())


def normaliser(model: str) -> float:
    return default_normaliser(assets.profile(model), WIDTHS)


def floor(known: PolicyTable) -> int:
    return floor_correct(None, known.baseline_correct, known.images)


@st.cache_resource(max_entries=12, show_spinner=False)
def _envelope(model: str, images: int, version: str) -> tuple[Segment, ...]:
    known = table(model, images)
    return envelope(known, normaliser(model), ACCURACY_NORMALISER, floor(known))


def path(model: str, images: int) -> tuple[Segment, ...]:
    """The policies best at some alpha, with their ranges of alpha."""
    return _envelope(model, images, library().table_version(model, images))


def image_counts(model: str) -> dict[str, int]:
    """What the page may work on: all search images, and the excerpt where that is fewer."""
    dataset = assets.card(model).dataset
    counts = {"all": assets.split_size(dataset, SplitName.SEARCH)}
    if assets.excerpt_size(dataset) < counts["all"]:
        counts[str(assets.excerpt_size(dataset))] = assets.excerpt_size(dataset)
    return counts
