"""The section on weights alone: bundled or own layers, the button, its progress, and servers that measure nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core.library import open_library
from aiq_core.linear import LINEAR
from aiq_core.records import RunStatus, Task
from aiq_core.store import Store
from tests.layers import layer

SCRIPT = """
from aiq_core.charts.style import Look
from pages.common import errors
from pages.roofline import linear
errors.say()
linear.section(Look())
"""


@pytest.fixture
def section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], AppTest]:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("aiq_core.jobs.ensure_worker", lambda library: None)
    st.cache_resource.clear()

    def run() -> AppTest:
        return healthy(AppTest.from_string(SCRIPT, default_timeout=60).run())

    return run


def healthy(test: AppTest) -> AppTest:
    assert not test.exception
    assert not test.error
    return test


def words(test: AppTest) -> str:
    return "\n".join(element.value for kind in (test.markdown, test.caption, test.warning) for element in kind)


def test_what_ships_is_of_a_named_machine(section: Callable[[], AppTest]) -> None:
    (shipped,) = (each for each in open_library().measurements(LINEAR) if each.threads == 1)
    said = words(section())
    assert f"as fast as FP32 on {shipped.cpu}; the bytes promised 7.5 ×" in said
    assert f"Measured {shipped.created_at[:10]} on {shipped.cpu}, 1 thread" in said


def test_what_was_timed_here_comes_first(section: Callable[[], AppTest], tmp_path: Path) -> None:
    found = layer(ort_4=(5.0, 2.0, 1.0), torch_8=(3.0, 2.0, 1.6))
    Store(tmp_path / "store.sqlite").measurements.save(found.measurement)
    page = section()
    assert "At batch 1, 4-bit weights run 5.0 × as fast as FP32 here; the bytes promised 7.5 ×" in words(page)
    assert "Not timed: OpenVINO, 4 bits: OpenVINO is not installed." in words(page)
    assert page.selectbox(key="linear-subject").options[0] == "4096 × 4096, this machine, 1 thread"
    page.button_group(key="linear-engine").set_value("PyTorch")
    healthy(page.run())
    assert "8-bit weights run 3.0 × as fast as FP32 here" in words(page)


def test_the_button_queues_a_layer_of_the_size_chosen(section: Callable[[], AppTest], tmp_path: Path) -> None:
    page = section()
    page.selectbox(key="linear-size").set_value(1024)
    page.button(key="linear-measure").click()
    healthy(page.run())
    store = Store(tmp_path / "store.sqlite")
    (task,) = store.tasks.all("linear")
    assert (task.status, task.settings) == (RunStatus.QUEUED, {"rows": 1024, "columns": 1024})
    page.button(key=f"cancel-{task.id}").click()
    healthy(page.run())
    assert store.tasks.get(task.id).status is RunStatus.CANCELLED


def test_what_was_stopped_goes_on(section: Callable[[], AppTest], tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.tasks.add(Task("one", "linear", {}, RunStatus.INTERRUPTED, "2026-01-01T00:00:00"))
    page = section()
    assert "The last measurement is interrupted: its process died" in words(page)
    page.button(key="linear-resume").click()
    healthy(page.run())
    assert store.tasks.get("one").status is RunStatus.QUEUED


def test_a_read_only_server_measures_nothing(section: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_READ_ONLY", "1")
    page = section()
    assert "Read-only server: nothing is measured here" in words(page)
    assert not page.button


def test_nothing_is_timed_yet(section: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiq_core.library.bundled_measurements", tuple)
    page = section()
    assert "No linear layer is timed yet." in words(page)
    assert page.button(key="linear-measure")
