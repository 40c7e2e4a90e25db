"""What the pages and the library say of a user's own model once something was measured of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from aiq_core.catalog import data_dir
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.library import Library, open_library
from aiq_core.records import Request, Run, SplitName
from aiq_core.search.baselines import UNIFORM, uniform
from pages.common import controls, known, names
from tests.test_models_page import ROOT, own

MEASURED = 40
"""Search images, of the 500 that there are."""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """With an own model, `mine`, of which nothing is measured."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    st.cache_resource.clear()
    own(network="code/digits.py:build")
    shutil.copytree(ROOT / "tests" / "own" / "networks", data_dir() / "catalog" / "models" / "mine" / "code")
    yield open_library()
    st.cache_resource.clear()


def measured(library: Library, images: int = MEASURED) -> Run:
    """FP32 and all weights at 8 bits on so many search images, and on all report images."""
    model = library.model("mine")
    request = Request(model.name, UNIFORM.name, images=images, policies=uniform(model.profile, 8, 32))
    return execute(library, library.add_run(new_run(model, request)), Evaluators(1))


def test_a_page_opens_on_the_images_that_were_measured(library: Library) -> None:
    assert controls.asked({"model": "mine"}, dark=False).images == 500
    run = measured(library)
    view = controls.asked({"model": "mine", "space": "weights"}, dark=False)
    assert view.images == MEASURED
    assert known.image_counts(view.model) == {"all": 500, "40": MEASURED}
    assert known.is_known(view.model, view.images, view.space)
    # The address of what a page opens on does without it, that of all images does not.
    assert names.explore_query(run) == {"model": "mine", "space": "weights", "policy": run.request.policies[0].key}
    assert controls.asked(controls.query(view) | {"images": "all"}, dark=False).images == 500
    # Report images judge whatever search images chose: all of them are here.
    table = known.table(view.model, view.images)
    assert table.report_images == view.model.dataset.split(SplitName.REPORT).size == 500
    assert all(table.report)
