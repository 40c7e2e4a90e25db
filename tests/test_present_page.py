"""Present without a browser: the run it opens on, what a link restores, and what a bad link says."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core import library
from aiq_core.deck.build import default_run
from aiq_core.records import Run, RunStatus
from aiq_core.store import Store
from tests import bundled

ROOT = Path(__file__).resolve().parent.parent


def usual(model: str) -> Run:
    run = default_run(library.open_library(), bundled.model(model))
    assert run is not None
    return run


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Opens Present at an address, on a store of the test's own: app(run="a,b")."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    st.cache_resource.clear()

    def run(**query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in query.items():
            test.query_params[name] = value
        # AppTest opens the first page; the app's own navigation leads to this one.
        test.run()
        opened = test.switch_page(str(ROOT / "pages" / "present" / "page.py")).run()
        assert not opened.exception
        assert not opened.error
        return opened

    yield run
    st.cache_resource.clear()


def chosen(test: AppTest) -> list[str]:
    return list(test.multiselect(key="present-runs").value)


def shown(test: AppTest) -> list[Any]:
    """The frame, where there is one."""
    return [element for element in test.get("bidi_component") if "aiq_deck" in element.proto.component_name]


def warnings(test: AppTest) -> str:
    return " ".join(element.value for element in test.warning)


@pytest.mark.parametrize("model", ["resnet20", "mobilenet_v2", "digits_cnn"])
def test_it_opens_on_the_models_greedy_run(app: Callable[..., AppTest], model: str) -> None:
    test = app(model=model)
    assert chosen(test) == [usual(model).id]
    assert len(shown(test)) == 1
    assert not test.warning


@pytest.mark.parametrize("model", bundled.NAMES)
def test_every_model_has_slides_or_says_what_to_do(app: Callable[..., AppTest], model: str) -> None:
    test = app(model=model)
    assert shown(test) or any("Nothing chosen to present" in element.value for element in test.markdown)


def test_a_link_restores_runs_and_machine(app: Callable[..., AppTest]) -> None:
    ids = [usual("mobilenet_v2").id, usual("resnet20").id]
    test = app(run=",".join(ids), machine="pi-5")
    assert chosen(test) == ids
    assert not test.warning
    assert "Raspberry Pi 5" in str(shown(test)[0].proto)


def test_another_model_brings_its_own_run(app: Callable[..., AppTest]) -> None:
    test = app(run=usual("mobilenet_v2").id)
    test.selectbox(key="model").set_value("digits_cnn").run()
    assert not test.exception
    assert chosen(test) == [usual("digits_cnn").id]


def test_runs_are_chosen_by_hand(app: Callable[..., AppTest]) -> None:
    test = app()
    test.multiselect(key="present-runs").set_value([usual("resnet20").id, usual("digits_cnn").id]).run()
    assert not test.exception
    assert "2 runs compared" in str(shown(test)[0].proto)


def test_what_is_better_than_the_run_is_said_with_a_link(app: Callable[..., AppTest]) -> None:
    runs = library.open_library().runs(bundled.model("resnet20"))
    paper = next(r for r in runs if r.request.is_ordinary and r.request.alpha == 0.9)
    (said,) = (e.value for e in app(run=paper.id, machine="t4").markdown if "Better at" in e.value)
    assert said.startswith(":small[Better at alpha 0.9: 45.17 FLOPs per byte")
    link = re.search(r"\[See it on Explore\]\(\./\?(.*)\)", said)
    assert link is not None
    best = next(r for r in runs if r.request.algorithm == "coordinate" and r.request.alpha == 0.9)
    assert best.policy is not None
    asked = {
        "model": "resnet20",
        "policy": best.policy.key,
        "space": "weights",
        "alpha": "0.90",
        "from": "best",
        "machine": "t4",
    }
    assert dict(parse_qsl(link[1])) == asked
    assert not any("Better at" in element.value for element in app(run=best.id).markdown)


def test_no_run_is_said(app: Callable[..., AppTest]) -> None:
    test = app()
    test.multiselect(key="present-runs").set_value([]).run()
    assert not test.exception
    assert not shown(test)
    assert any("Nothing chosen to present" in element.value for element in test.markdown)


def test_a_bad_link_names_value_and_remedy(app: Callable[..., AppTest]) -> None:
    test = app(run="nosuch")
    assert "unknown run 'nosuch'" in warnings(test)
    assert "import its file" in warnings(test)
    assert chosen(test) == [usual("resnet20").id]
    test = app(slide="99")
    assert "slide='99' is not there; this deck has 10" in warnings(test)
    assert shown(test)
    many = [run.id for run in library.open_library().runs(bundled.model("resnet20")) if run.policy is not None][:8]
    test = app(run=",".join(many))
    assert "names 8 runs, a deck takes 6" in warnings(test)
    assert chosen(test) == many[:6]


def test_a_run_without_a_policy_is_refused_kindly(app: Callable[..., AppTest], tmp_path: Path) -> None:
    run = replace(library.open_library().run(usual("digits_cnn").id), id="0123456789")
    Store(tmp_path / "store.sqlite").add_run(replace(run, policy=None, status=RunStatus.CANCELLED))
    test = app(run="0123456789")
    assert "is cancelled and has no policy yet" in warnings(test)
    assert "0123456789" not in chosen(test)
    runs = library.open_library().runs(bundled.model("resnet20"))
    single = next(run.id for run in runs if run.request.algorithm == "single_layer")
    assert "measured single layers and chose no policy" in warnings(app(run=single))


def test_a_read_only_server_presents(app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_READ_ONLY", "1")
    assert shown(app())
