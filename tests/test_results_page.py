"""Results without a browser: claims, what was judged twice, and the study of rounding."""

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

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


def test_the_study_of_rounding_is_a_chart_and_a_table(results: Callable[[str], AppTest], tmp_path: Path) -> None:
    save_study(tmp_path)
    page = results("resnet20")
    (table,) = (found.value for found in page.dataframe)
    four = table[(table["Bits"] == "4") & (table["A scale a"] == "channel") & (table["Integers"] == "−7…7")]
    lost = dict(zip(four["Rounding"], four["Points lost (95 %)"], strict=True))
    # 500 and none of 10,000 report images
    assert lost["MSE"].startswith("5.00 (")
    assert lost["GPTQ"].startswith("0.00 (")
    assert any("Seconds: all layers, on one " in caption.value for caption in page.caption)


def test_a_model_without_a_study_says_what_makes_it(results: Callable[[str], AppTest]) -> None:
    page = results("digits_cnn")
    assert any("benchmarks.rounding" in info.value for info in page.info)
    assert not page.dataframe
