"""What the pages and the library say of a user's own model once something was measured of it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core.catalog import ASSETS, Catalog, data_dir
from aiq_core.deck.build import build, default_run
from aiq_core.deck.text import plain
from aiq_core.errors import DataError, ExchangeError
from aiq_core.estimate import START_UP_S, estimate, sentence
from aiq_core.exchange import export_run, import_run
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.hardware import DEFAULT_MACHINE, PRESETS
from aiq_core.library import Library, open_library
from aiq_core.records import Quantizer, Request, Run, SplitName
from aiq_core.search.baselines import UNIFORM, uniform
from aiq_core.space import JOINT, WEIGHTS
from aiq_core.store import Store
from aiq_core.tasks import add as adding
from aiq_core.wording import duration
from pages.common import controls, known, names
from tests.test_models_page import ROOT, own, words

PACE_S = 0.002
MADE = {"network": "code/digits.py:build", "seconds_an_image": PACE_S}
MEASURED = 40
"""Search images, of the 500 that there are."""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """With an own model, `mine`, of which nothing is measured."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AIQ_CACHE_DIR", str(tmp_path / "cache"))
    st.cache_resource.clear()
    own(**MADE)
    shutil.copytree(ROOT / "tests" / "own" / "networks", data_dir() / "catalog" / "models" / "mine" / "code")
    yield open_library()
    st.cache_resource.clear()


def measured(library: Library, images: int = MEASURED) -> Run:
    """FP32 and all weights at 8 bits on so many search images, and on all report images."""
    model = library.model("mine")
    request = Request(model.name, UNIFORM.name, images=images, policies=uniform(model.profile, 8, 32))
    return execute(library, library.add_run(new_run(model, request)), Evaluators(1))


def drawn(library: Library) -> Run:
    """A front of three policies that were drawn, on 20 search images."""
    model = library.model("mine")
    front = WEIGHTS.front_request(model.name, Quantizer(), model.profile, 20, 3)
    asked = replace(front, algorithm="random_search", seed=0, measure=None)
    return execute(library, library.add_run(new_run(model, asked)), Evaluators(1))


def front_s(library: Library) -> float:
    """What a front of 20 points on 500 images takes: 6 widths of weights and 5 of activations by themselves first."""
    model = library.model("mine")
    tries = 5 * 6 + len(model.profile.activation_groups) * 5
    costs = 0.6 * tries * model.dataset.split("calibration").size
    # Output channels and the weights of each: 36 grids, a FLOP a pair of weights, and a factor of k³.
    layers = ((8, 9), (16, 72), (24, 144), (24, 216), (10, 24))
    rounding = 6 * sum(36 * out * k**2 + k**3 for out, k in layers) / 1.5e10
    return START_UP_S + 1.5 * PACE_S * (20 * 500 + costs) + rounding


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


def test_the_first_search_and_front_are_foreseen_from_the_dry_run(library: Library) -> None:
    model = library.model("mine")
    greedy = WEIGHTS.request(model.name, Quantizer(), model.profile, "greedy", 0.9, 500)
    found = estimate(library, [greedy], [])
    # 2 widths below FP32 x 5 layers, and one layer less from step to step: 30 plain evaluations, a quarter of them.
    assert (found.most, found.likely) == (2 * (5 + 4 + 3 + 2 + 1), 8)
    assert found.likely_s == pytest.approx(START_UP_S + 8 * 0.4 * 500 * PACE_S)
    assert "s per new evaluation here after 6.0 s, foreseen from FP32's pace in the dry run" in sentence(found)
    front = JOINT.front_request(model.name, JOINT.quantizer(model.dataset), model.profile, 500)
    found = estimate(library, [front], [])
    assert found.likely_s == pytest.approx(front_s(library))
    # What is known of a bundled one is not its pace here.
    assert estimate(library, [replace(greedy, model="digits_cnn")], []).rate is None


def test_an_empty_page_says_what_filling_it_takes_and_when_it_is_filled(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiq_core.jobs.ensure_worker", lambda library: None)
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    test.query_params["model"] = "mine"
    (button,) = test.run().main.button
    assert button.label == f"Whole frontier, about {duration(front_s(library))}"
    assert "CIFAR" not in button.help
    button.click().run()
    assert not test.exception
    assert [element.label for element in test.main.button] == ["Cancel"]
    assert "#### Mine is being measured" in words(test)


def test_a_run_goes_to_where_the_same_network_was_added(library: Library, tmp_path: Path) -> None:
    run = measured(library, 10)
    exported = export_run(library, run.id).encode()
    catalogs = {"none": "", "same": "mine", "renamed": "theirs"}
    found = {}
    for where, name in catalogs.items():
        folder = tmp_path / where
        if name:
            own(name, folder=folder)
        found[where] = Library(Store(folder / "store.sqlite"), None, (Catalog(folder),))
    (taken,) = [import_run(found["same"], exported)]
    table = found["same"].shown(found["same"].model("mine"), SplitName.SEARCH, run.request.policies[0], 10)
    assert taken.id == run.id
    assert table is not None
    with pytest.raises(ExchangeError, match="is of 'mine', and there is no model of that name; `add` the same network"):
        import_run(found["none"], exported)
    with pytest.raises(ExchangeError, match="though the same network is here as 'theirs'"):
        import_run(found["renamed"], exported)
    assert not found["renamed"].runs()
    other = tmp_path / "other"
    shutil.copytree(ASSETS / "data" / "cifar10", other / "data" / "mine")
    shutil.copytree(ASSETS / "models" / "resnet20", other / "models" / "mine")
    card = other / "models" / "mine" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"name": "mine", "dataset": "mine"}))
    with pytest.raises(ExchangeError, match="was made with other weights or data"):
        import_run(Library(Store(other / "store.sqlite"), None, (Catalog(other),)), exported)


def test_slides_call_an_own_model_and_its_images_by_their_titles(library: Library) -> None:
    model = library.model("mine")
    run = drawn(library)
    # A front is what a deck shows where nothing else was run, though it ends in no one policy.
    assert run.policy is None
    assert default_run(library, model) == replace(run, steps=())
    deck = build(library, [run.id], PRESETS[DEFAULT_MACHINE])
    table = deck.slides[-1].table
    assert table is not None
    rows = {plain(what): plain(value) for what, value in table.rows}
    assert rows["model"].startswith("Mine, weights ")
    assert rows["search images"].startswith(f"{model.dataset.title}, 20 (")


def test_runs_are_known_while_their_network_is_here_as_it_was(library: Library) -> None:
    run = measured(library, 10)
    seen = {library.version()}
    for other, is_here in (({"model_hash": "0" * 16}, False), ({}, True)):
        adding.remove(library, "mine")
        assert run.id not in [each.id for each in library.runs()]
        with pytest.raises(DataError, match="called 'mine' that are not here as they were; `add` the same ones"):
            library.run(run.id)
        seen.add(library.version())
        own(**MADE, **other)
        assert (run.id in [each.id for each in library.runs(library.model("mine"))]) is is_here
        seen.add(library.version())
    assert library.run(run.id).model_hash == run.model_hash
    # Without it, with another one, and with it, so that no page keeps what it read of the former.
    assert len(seen) == 3


def test_what_search_images_chose_is_judged_by_a_button(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiq_core.jobs.ensure_worker", lambda library: None)
    front = drawn(library)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.query_params.update({"model": "mine", "space": "weights", "from": "random_search"})
    page.run()
    assert "(on 20 search images, not reported yet)" in words(page)
    (judge,) = [button for button in page.button if button.label == "Judge on 500 report images"]
    judge.click().run()
    assert not page.exception
    (asked,) = [run for run in library.runs(library.model("mine")) if run.request.algorithm == "manual"]
    assert {step.policy for step in library.run(front.id).steps} <= set(asked.request.policies)
    execute(library, asked, Evaluators(1))
    page.run()
    assert "not reported yet" not in words(page)
    assert judge.label not in [button.label for button in page.button]
