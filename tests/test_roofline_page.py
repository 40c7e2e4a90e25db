"""The Roofline page without a browser: a preset's, a measured and an entered machine's roof, and how they come."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from aiq_core import entered, jobs
from aiq_core.hardware import NumberType
from aiq_core.library import Library, open_library
from aiq_core.records import RunStatus, Task
from aiq_core.roof import Bandwidth, Roof, Spread, processor
from pages.common import controls, known
from pages.explore.shown import show

ROOT = Path(__file__).resolve().parent.parent


def spread(value: float) -> Spread:
    return Spread(value, 0.9 * value, 1.1 * value)


def roof(threads: int = 1) -> Roof:
    rates = 8e10, 8e10, 1e10, 1e10
    curve = tuple(Bandwidth(2**20 * 2**place, "sum", spread(rate)) for place, rate in enumerate(rates))
    peaks = {NumberType.FP32: spread(1e11), NumberType.INT8: spread(8e11)}
    return Roof(f"{processor()} (AVX2)", threads, curve, peaks, ("avx2",), {"torch": "2"}, "2026-01-01T00:00:00", 6.0)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The one that the pages open, with a store of its own; no measurement is bundled."""
    monkeypatch.setattr("aiq_core.library.bundled_measurements", tuple)
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    known.library.clear()  # type: ignore[attr-defined]
    yield known.library()
    known.library.clear()  # type: ignore[attr-defined]


@pytest.fixture
def app(library: Library) -> Callable[..., AppTest]:
    """Runs the page at an address."""

    def run(**query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in query.items():
            test.query_params[name] = value
        test.run()
        return healthy(test.switch_page(str(ROOT / "pages" / "roofline" / "page.py")).run())

    return run


def healthy(test: AppTest) -> AppTest:
    assert not test.exception
    assert not test.error
    return test


def heading(test: AppTest) -> str:
    return next(element.value for element in test.markdown if element.value.startswith("#### "))


def words(test: AppTest) -> str:
    return "\n".join(element.value for element in (*test.markdown, *test.caption, *test.warning, *test.success))


def numbers(test: AppTest) -> Any:
    return test.table[0].value


def test_it_opens_on_a_data_sheet_and_says_what_to_do_next(app: Callable[..., AppTest]) -> None:
    test = app()
    assert heading(test).startswith("#### On A100 (TF32), all 22 layers of ResNet-20 wait for bytes in FP32, so")
    assert "Nothing is measured on this machine yet." in words(test)
    assert test.button(key="measure").label == "Measure this machine"
    assert numbers(test).loc["INT8", "rate"] == "624 TOP/s"


def test_a_measured_machine_has_its_levels_and_spread(library: Library, app: Callable[..., AppTest]) -> None:
    library.store.measurements.save(roof().measurement)
    test = app(machine=roof().key, model="digits_cnn")
    assert heading(test).startswith("#### On this machine, 1 thread, ")
    shown = numbers(test)
    assert list(shown.index) == ["cache 1, up to 2.1 MB", "memory, at 8.39 MB", "FP32", "INT8"]
    assert list(shown.loc["memory, at 8.39 MB"]) == ["10 GB/s", "9 GB/s", "11 GB/s"]
    assert test.button(key="measure").label == "Measure again"
    healthy(test.selectbox(key="beside").set_value("pi-5").run())
    # 1e11 of the Pi's 4 · 2.4e9 · 16.
    assert numbers(test).loc["FP32", "share of it"] == "65 %"
    assert test.query_params["beside"] == "pi-5"


def test_a_machine_just_measured_is_offered_at_once(library: Library, app: Callable[..., AppTest]) -> None:
    test = app()
    assert roof().key not in test.selectbox(key="machine").options
    # By another process, as the worker does.
    open_library().store.measurements.save(roof().measurement)
    healthy(test.run())
    healthy(test.button(key=f"show-{roof().key}").click().run())
    assert test.selectbox(key="machine").value == roof().key
    assert "On this machine, 1 thread" in heading(test)


def test_charts_follow_a_machine_that_is_measured_again(library: Library) -> None:
    asked = {"machine": roof().key, "model": "digits_cnn"}
    library.store.measurements.save(roof().measurement)
    first = show(controls.asked(asked, dark=False)).charted
    assert show(controls.asked(asked, dark=False)).charted == first
    again = replace(roof(), created_at="2026-01-02T00:00:00", peaks={NumberType.FP32: spread(2e11)})
    library.store.measurements.save(again.measurement)
    assert show(controls.asked(asked, dark=False)).charted != first


def test_a_machine_is_entered_shown_and_removed_once_confirmed(library: Library, app: Callable[..., AppTest]) -> None:
    test = app()
    test.session_state["enter-machine-0"] = True
    healthy(test.run())
    test.text_input(key="enter-name").set_value("My Laptop")
    test.number_input(key="enter-bandwidth").set_value(50.0)
    test.number_input(key="enter-FP32").set_value(200.0)
    (submit,) = (button for button in test.button if button.label == "Enter it")
    healthy(submit.click().run())
    assert library.machine("my-laptop") == entered.machine("my-laptop", "My Laptop", 50e9, {"FP32": 200e9})
    assert test.selectbox(key="machine").value == "my-laptop"
    assert "My Laptop is entered and shown" in words(test)
    assert list(numbers(test)["rate"]) == ["50 GB/s", "200 GFLOP/s"]
    test.session_state["remove-my-laptop"] = True
    healthy(test.run())
    assert "Remove **My Laptop**?" in words(test)
    healthy(test.button(key="removed-my-laptop").click().run())
    assert "my-laptop" not in library.machines
    assert test.selectbox(key="machine").value == "a100-tf32"


def test_what_cannot_be_entered_says_why(app: Callable[..., AppTest]) -> None:
    test = app()
    test.session_state["enter-machine-0"] = True
    healthy(test.run())
    test.text_input(key="enter-name").set_value("My Laptop")
    test.number_input(key="enter-FP32").set_value(200.0)
    (submit,) = (button for button in test.button if button.label == "Enter it")
    submit.click().run()
    assert [error.value for error in test.error] == [
        "bandwidth=0 is not a number above 0; give it in bytes/s or operations/s"
    ]


def test_the_button_measures_and_can_be_cancelled(library: Library, app: Callable[..., AppTest]) -> None:
    test = app()
    healthy(test.button(key="measure").click().run())
    (task,) = library.store.tasks.all("measure")
    healthy(test.button(key=f"cancel-{task.id}").click().run())
    end = time.monotonic() + 60
    while library.store.tasks.get(task.id).status in jobs.UNFINISHED and time.monotonic() < end:
        time.sleep(0.1)
    assert library.store.tasks.get(task.id).status is RunStatus.CANCELLED
    assert "The last measurement is cancelled: " in words(healthy(test.run()))


def test_what_went_wrong_is_said_after_a_reload_too(library: Library, app: Callable[..., AppTest]) -> None:
    failed = Task("one", "measure", {}, RunStatus.FAILED, "2026-01-01", message="this machine's clock stood still")
    library.store.tasks.add(failed)
    assert "The last measurement is failed: this machine's clock stood still" in words(app())


def test_a_machine_without_fp32_says_why_and_still_has_its_numbers(app: Callable[..., AppTest]) -> None:
    test = app(machine="coral-usb")
    assert any("only computes in integers" in info.value for info in test.info)
    assert numbers(test).loc["INT8", "rate"] == "4 TOP/s"


def test_a_machine_that_is_gone_leaves_the_default_and_a_word(app: Callable[..., AppTest]) -> None:
    test = app(machine="gone-1t")
    assert "On A100 (TF32)" in heading(test)


def test_a_read_only_server_says_why_it_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, app: Callable[..., AppTest]
) -> None:
    monkeypatch.setenv("AIQ_READ_ONLY", "1")
    known.library.clear()  # type: ignore[attr-defined]
    test = app()
    assert "This server is read-only (AIQ_READ_ONLY is set)" in words(test)
    assert "On A100 (TF32)" in heading(test)
    assert not [button for button in test.button if button.key == "measure"]
