"""Results without a browser: claims, what was judged twice, and the study of rounding."""

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.experiment import experiments
from aiq_core.library import open_library
from pages.results import content
from tests import bundled
from tests import experiments as by_hand
from tests.studies import save_study

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AppTest]:
    """Opens Results for a model, on a store of the test's own."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    st.cache_resource.clear()

    def run(model: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        test.query_params["model"] = model
        test.run()
        page = test.switch_page(str(ROOT / "pages" / "results" / "page.py")).run()
        assert not page.exception
        return page

    return run


def test_the_experiment_and_the_study_of_rounding_have_their_tables(
    nothing_shipped: None, results: Callable[[str], AppTest], tmp_path: Path
) -> None:
    save_study(tmp_path)
    by_hand.save(open_library(), bundled.model("resnet20"), {(Engine.ONNX_RUNTIME, 8): {"paper": 1.5}})
    page = results("resnet20")
    table, measured = (found.value for found in sorted(page.dataframe, key=lambda found: "Batch 8" in found.value))
    four = table[(table["Bits"] == "4") & (table["A scale a"] == "channel") & (table["Integers"] == "−7…7")]
    lost = dict(zip(four["Rounding"], four["Points lost (95 %)"], strict=True))
    # 500 and none of 10,000 report images
    assert lost["MSE"].startswith("5.00 (")
    assert lost["GPTQ"].startswith("0.00 (")
    assert list(measured["Batch 8"]) == ["500/s", "1.50 × (1.50 to 1.50)"]
    assert any("Measured on a CPU · 1 thread" in caption.value for caption in page.caption)
    assert any("Seconds: all layers, on one " in caption.value for caption in page.caption)


def test_the_throughput_experiment_by_hand(nothing_shipped: None) -> None:
    """500 and 250 images/s in a runtime and in PyTorch; what a table of kernels says of all is 1.1 × FP32's time."""
    library, model = open_library(), bundled.model("mobilenet_v2")
    cells = {"paper": 1.5, "random-0": 0.8, "random-1": 0.9, "random-2": 1.2, "int8": 2.0}
    wrong = {"paper": 3, "random-0": 1, "random-2": 2}
    by_hand.save(library, model, {(Engine.EAGER, 8): {}, (Engine.ONNX_RUNTIME, 8): cells}, wrong)
    library.store.measurements.save(by_hand.table(model, Engine.ONNX_RUNTIME, 8, 1.1).measurement)
    (found,) = experiments(library, model)
    table = content.experiment_table(found, content.OWN)
    rows = {(row["Engine"], row["Variant"]): row for _, row in table.iterrows()}
    assert next(iter(rows)) == ("PyTorch eager", "FP32")
    paper = rows["ONNX Runtime", "the paper’s 12 layers"]
    assert paper["Batch 8"] == "1.50 × (1.50 to 1.50)"
    assert paper["Points lost (95 %)"].startswith("3.00 (")
    assert paper["As simulated"] == "97.00 %"
    assert rows["ONNX Runtime", "FP32"]["Batch 8"] == "500/s"
    drawn = rows["ONNX Runtime", "12 random layers"]
    assert (drawn["Batch 8"], drawn["Points lost (95 %)"]) == ("0.90 × (0.80 to 1.20)", "1.00 (draws 0.00 to 2.00)")
    said = content.experiment_caption(found)
    assert said.startswith("Measured on a CPU · 1 thread · torch 2.9, onnxruntime 1.32 · 2026-01-02. Medians of 3 ")
    predicted = content.predicted(library, found)
    assert predicted is not None
    said = content.predicted_caption(found, predicted)
    # Off by 10 % for FP32 and 120 % for INT8, which took half; by 65, −12, −1 and 32 % for the mixed ones, which took
    # two thirds of FP32's time, 1.25 and 1.11 and 0.83 times it.
    assert "one type: table of kernels 65 %" in said
    assert "FP32 and INT8 mixed: table of kernels 22 %" in said
    # Twice the runtime's FP32, which is twice as fast as PyTorch's.
    assert list(content.experiment_table(found, content.EAGER)["Batch 8"])[-1] == "4.00 × (4.00 to 4.00)"
    assert list(content.experiment_table(found, content.RATE)["Batch 8"])[-1] == "1,000 (909 to 1,111)"


def test_a_model_without_a_study_says_what_makes_it(results: Callable[[str], AppTest]) -> None:
    page = results("digits_cnn")
    assert any("benchmarks.rounding" in info.value for info in page.info)
    assert any("made for MobileNetV2 and ResNet-20" in info.value for info in page.info)
    assert not page.dataframe
