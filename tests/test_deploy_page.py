"""Deploy without a browser: its sentence and tables from measurements by hand, what starts a bench, and its absence."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core import tasks
from aiq_core.deployment.engine import Engine
from aiq_core.deployment.prediction import Predictor
from aiq_core.deployment.rows import Row
from aiq_core.deployment.variant import Variant, deployable, variants
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.library import Library, open_library
from aiq_core.records import Border, KernelTable, KernelTimes, Run, RunStatus, Task
from aiq_core.space import JOINT
from aiq_core.store import Store
from aiq_core.tasks.export import Format
from aiq_core.tasks.export import path as export_path
from aiq_core.tasks.fastest import request
from aiq_core.traffic.fused import kernels
from pages.deploy.sentence import sentence
from tests import deployed

ROOT = Path(__file__).resolve().parent.parent
MODEL = deployed.MODEL


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("aiq_core.jobs.ensure_worker", lambda library: None)
    monkeypatch.setattr("aiq_core.library.bundled_measurements", tuple)
    return open_library()


@pytest.fixture
def run(library: Library) -> Run:
    """The run that the page opens with."""
    return library.run(deployable(library, MODEL)[0].id)


@pytest.fixture
def app(library: Library) -> Iterator[Callable[..., AppTest]]:
    st.cache_resource.clear()

    def opened(**query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in {"model": MODEL.name, **query}.items():
            test.query_params[name] = value
        test.run()
        page = test.switch_page(str(ROOT / "pages" / "deploy" / "page.py")).run()
        assert not page.exception
        return page

    yield opened
    st.cache_resource.clear()


def heading(page: AppTest) -> str:
    return next(found.value for found in page.markdown if found.value.startswith("####"))


def said(page: AppTest) -> str:
    return " ".join(found.value for found in (*page.caption, *page.info, *page.warning, *page.markdown))


def button(page: AppTest, start: str) -> Any:
    return next(found for found in page.button if found.label.startswith(start))


def test_its_sentence_numbers_and_tables(app: Callable[..., AppTest], library: Library, run: Run) -> None:
    deployed.save(library, run, {"policy": 2.0, "int8": 1.5}, {"policy": 20})
    page = app(batch="8")
    # 20 of 500 images
    assert heading(page) == (
        "#### On this machine ONNX Runtime runs Digits CNN’s policy :violet[2.00 ×] as fast as FP32 at batch 8, "
        "4.00 points lost"
    )
    assert "Measured on a CPU · 1 thread · torch 2.9, onnxruntime 1.32 · 2026-01-02" in said(page)
    metrics = {found.label: found.value for found in page.metric}
    # 8 images in 20 ms; PyTorch takes 80.
    assert metrics["images/s"] == "400"
    assert (metrics["× its own FP32"], metrics["× PyTorch eager FP32"]) == ("2.00 ×", "4.00 ×")
    assert (metrics["points lost"], metrics["as simulated"]) == ("+4.00", "96.00 %")
    table, nodes = (found.value for found in page.dataframe)
    rows = {(row["Engine"], row["Variant"]): row for _, row in table.iterrows()}
    assert rows["ONNX Runtime", "the policy"]["Arithmetic"] == "real integer kernels"
    assert rows["ONNX Runtime", "all INT8"]["× its FP32"] == "1.50 × (1.50 to 1.50)"
    assert rows["ONNX Runtime", "FP32"]["× eager FP32"] == "2.00 × (2.00 to 2.00)"
    assert rows["PyTorch eager", "FP32"]["× its FP32"] == "–"
    assert list(nodes["Share of time, %"]) == [50.0, 25.0, 25.0]
    second = MODEL.profile.quantizable_names[2]
    assert f"1 of 2 layers that were to run on integers do; not {second}; reorders and transposes take 25.0 %" in said(
        page
    )


def test_what_ships_is_shown_with_its_machine_and_ones_own_first(
    app: Callable[..., AppTest], library: Library, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Library(Store(tmp_path / "elsewhere.sqlite"), library.bundled, library.catalogs)
    deployed.save(elsewhere, run, {"policy": 3.0}, place=replace(deployed.PLACE, cpu="another CPU"))
    shipped = tuple(elsewhere.store.measurements.all())
    monkeypatch.setattr("aiq_core.library.bundled_measurements", lambda: shipped)
    page = app(batch="8")
    assert heading(page).startswith("#### On another CPU ONNX Runtime runs Digits CNN’s policy :violet[3.00 ×]")
    button(page, "Measure here")
    deployed.save(library, run, {"policy": 2.0})
    page = page.run()
    assert heading(page).startswith("#### On this machine ONNX Runtime runs Digits CNN’s policy :violet[2.00 ×]")
    (box,) = (found for found in page.selectbox if found.label == "Measured on")
    assert box.options == ["this machine · a CPU", "another CPU"]
    page = box.set_value("another CPU").run()
    assert heading(page).startswith("#### On another CPU")


def test_another_batch_shows_the_nearest_and_says_so(app: Callable[..., AppTest], library: Library, run: Run) -> None:
    deployed.save(library, run, {"policy": 2.0})
    page = app(batch="32")
    assert "Batch 32 is not measured; showing 8 of 8." in said(page)
    assert "at batch 8" in heading(page)


def test_nothing_measured_says_what_would(app: Callable[..., AppTest], library: Library, run: Run) -> None:
    page = app()
    assert heading(page) == "#### What Digits CNN gains in ONNX Runtime is not measured yet"
    assert [found.value for found in page.code] == [f"python -m aiq_core bench {MODEL.name} --run {run.id}"]
    button(page, "Measure here").click().run()
    assert not page.exception
    (task,) = library.store.tasks.all()
    assert (task.kind, task.status) == ("bench", RunStatus.QUEUED)
    assert task.settings["run"] == run.id
    assert task.settings["batches"] == [1, 8, 32, 128]
    assert button(page, "Measure here").disabled
    button(page, "Cancel").click().run()
    assert library.store.tasks.get(task.id).status is RunStatus.CANCELLED
    button(page, "Resume").click().run()
    assert library.store.tasks.get(task.id).status is RunStatus.QUEUED


def test_why_it_failed_is_said(app: Callable[..., AppTest], library: Library) -> None:
    task = Task("one", "bench", {"model": MODEL.name}, RunStatus.FAILED, deployed.AT, message="no batch is given")
    library.store.tasks.add(task)
    assert "Measuring failed: no batch is given" in said(app())


def test_files_are_made_and_then_offered(app: Callable[..., AppTest], library: Library, run: Run) -> None:
    page = app()
    button(page, "Make the packed file").click().run()
    assert not page.exception
    (task,) = library.store.tasks.all("export")
    assert task.settings["format"] == "packed"
    ended = tasks.run(library, task)
    assert ended.status is RunStatus.DONE, ended
    policy = next(variant for variant in variants(library, MODEL, run) if variant.name == "policy")
    assert export_path(MODEL, policy, Format.PACKED).stat().st_size == ended.result["bytes"]
    page.run()
    assert any(found.label.startswith("packed, ") for found in page.get("download_button"))
    assert "packed storage: every weight at its own width, with scales and biases" in said(page)


def test_a_server_that_only_shows(
    app: Callable[..., AppTest], library: Library, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQ_READ_ONLY", "1")
    page = app()
    assert not any(found.label.startswith(("Measure", "Make")) for found in page.button)
    assert "it shows what was measured and measures nothing" in said(page)


def test_a_run_that_is_not_there(app: Callable[..., AppTest]) -> None:
    assert "unknown run 'nowhere'" in said(app(run="nowhere"))


def row(factor: float, wrong: int = 0, predicted: Mapping[str, float] | None = None, judged: bool = True) -> Row:
    variant = Variant("policy", "the policy", MODEL.profile.uniform(8, 8), JOINT.quantizer(MODEL.dataset))
    plain, made = (deployed.deployed(Engine.OPENVINO, variant, lost) for lost in (0, wrong))
    timed = deployed.timing(Engine.OPENVINO, variant, factor=factor)
    return Row(timed, made, made.against(plain, MODEL) if judged else None, dict(predicted or {}))


PREDICTED = {Predictor.ROOFLINE: 3.04, Predictor.TABLE: 1.9, Predictor.BORDERS: 1.7}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row(1.74, 10), ":violet[1.74 ×] as fast as FP32 at batch 8, 2.00 points lost"),
        (row(1.74), ":violet[1.74 ×] as fast as FP32 at batch 8, for no measurable loss of accuracy"),
        (row(0.7, judged=False), ":violet[0.70 ×] FP32’s speed at batch 8, its accuracy there not measured yet"),
        (row(1.0), "as fast as FP32 at batch 8, for no measurable loss of accuracy"),
        (
            row(1.74, 10, PREDICTED),
            ":violet[1.74 ×] as fast as FP32 at batch 8, 2.00 points lost; the roofline promised 3.0 ×; "
            "borders cost 0.2",
        ),
        (row(1.74, 10, {Predictor.BORDERS: 1.7}), ":violet[1.74 ×] as fast as FP32 at batch 8, 2.00 points lost"),
    ],
)
def test_one_sentence(found: Row, said: str) -> None:
    expected = f"On a CPU OpenVINO runs Digits CNN’s policy {said}"
    assert sentence("Digits CNN", found, Engine.OPENVINO, "a CPU") == expected


def test_what_predicts_is_measured_on_demand(app: Callable[..., AppTest], library: Library, run: Run) -> None:
    deployed.save(library, run, {"policy": 2.0})
    page = app(batch="8")
    button(page, "Predict it for ONNX Runtime, batch 8").click().run()
    assert not page.exception
    (task,) = library.store.tasks.all("kernels")
    assert task.settings == {"model": MODEL.name, "engine": "onnxruntime", "batch": 8, "threads": 1}
    assert "Measuring kernels: waiting for its turn" in " ".join(found.proto.text for found in page.get("progress"))


def test_a_search_for_time_is_started_and_told(app: Callable[..., AppTest], library: Library) -> None:
    page = app(batch="8")
    button(page, "Search for time in ONNX Runtime, batch 8").click().run()
    (task,) = library.store.tasks.all("fastest")
    assert task.settings == {"model": MODEL.name, "engine": "onnxruntime", "batch": 8, "threads": 1}
    # Its run, of a table by hand: FP32 takes what it takes, and INT8 of every kernel a tenth of it.
    made = kernel_table()
    library.store.measurements.save(made.measurement)
    ran = library.add_run(new_run(MODEL, request(library, MODEL.name, made, points=3, images=500)))
    execute(library, ran, Evaluators(1))
    told = said(app(batch="8"))
    assert "FP32's speed as predicted at batch 8 (onnxruntime 1, a CPU)" in told
    assert "the shortest time of" in told


def kernel_table() -> KernelTable:
    """Kernels of 10 µs in FP32 and 1 in INT8, but the first, which reads the image; nothing for borders."""
    names = {layer.name for layer in MODEL.profile.layers}
    found = kernels(MODEL.profile.graph)
    writes = {kernel.writes: place for place, kernel in enumerate(found)}
    made = tuple(
        KernelTimes(
            kernel.operations,
            tuple(name for step in kernel.operations if (name := str(MODEL.profile.graph[step].module)) in names),
            10e-6,
            1e-6 if place else None,
        )
        for place, kernel in enumerate(found)
    )
    borders = tuple(
        Border(writes[read], place, read, 0.0, 0.0, 0.0)
        for place, kernel in enumerate(found)
        for read in kernel.reads
        if read in writes
    )
    return KernelTable(MODEL.hash, "onnxruntime", "1", 8, 1, "a CPU", "2026-01-01T00:00:00", 1.0, made, borders)
