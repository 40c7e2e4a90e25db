"""The server's first answer: what it says is what the page will say, and what it cannot say costs nothing."""

import gzip
import json
import re
import urllib.error
import urllib.request
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.variant import Variant
from aiq_core.library import bundled_measurements
from pages.common import controls, known
from pages.explore.ahead import foresight
from pages.explore.shown import parts, show
from pages.instant import answer as first
from tests import deployed

ROOT = Path(__file__).resolve().parent.parent
PLAIN = first.STREAMLIT_PAGE.read_text(encoding="utf-8")


def texts(html: str, pattern: str) -> list[str]:
    """What a reader sees of each match's group."""
    return [unescape(re.sub("<[^>]*>", "", found)).strip() for found in re.findall(pattern, html, re.DOTALL)]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"model": "mobilenet_v2", "alpha": "0.5", "machine": "pi-5"},
        {"model": "digits_cnn", "from": "greedy", "batch": "128"},
        {"budget": "0.5", "images": "all", "paper": "true", "projector": "true"},
        {"traffic": "fused", "paper": "true"},
    ],
    ids=str,
)
def test_it_says_what_the_page_says(query: dict[str, str]) -> None:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    html, _ = first.answer("", query), page.run()
    heading = next(element.value for element in page.markdown if element.value.startswith("#### "))
    assert texts(html, "<h4>(.*?)</h4>") == [re.sub(r":violet\[(.*?)\]", r"\1", heading.removeprefix("#### "))]
    assert texts(html, '<p class="beneath">(.*?)</p>')[0] in [caption.value for caption in page.caption]
    numbers = texts(html, "<strong>(.*?)</strong>")
    assert numbers == [metric.value for metric in page.metric]
    assert len(numbers) == 6


@pytest.mark.parametrize("own", [True, False], ids=["this machine", "another"])
def test_what_was_measured_is_said_by_all_three_alike(
    own: bool, nothing_shipped: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the page, before it, and foreseen; with the machine's name where that is not this one."""
    query = {"model": "digits_cnn", "batch": "8", "alpha": "0.5"}
    shown = show(controls.asked(query, dark=False))
    before = parts(shown)
    variant = Variant("policy", "the policy", shown.chosen.policy, shown.table.quantizer)
    # The runtime with more images a second is told: 2.5 × the same FP32.
    kept = [
        deployed.timing(engine, variant, factor=factor).measurement
        for engine, factor in ((Engine.ONNX_RUNTIME, 2.0), (Engine.OPENVINO, 2.5))
    ]
    if own:
        for each in kept:
            known.library().store.measurements.save(each)
    else:
        (tmp_path / "none.json").write_text(json.dumps([vars(each) for each in kept]))
        bundled_measurements.cache_clear()
        st.cache_resource.clear()
    after = parts(show(controls.asked(query, dark=False)))
    where = "here" if own else "on a CPU"
    assert "".join(after) == f"{''.join(before)}; measured 2.50 × as fast as FP32 in OpenVINO {where}"
    assert texts(first.answer("", query), "<h4>(.*?)</h4>") == ["".join(after)]
    found = foresight(query)
    assert found["shown"][found["at"][50]]["sentence"] == after
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    heading = next(element.value for element in page.run().markdown if element.value.startswith("#### "))
    assert heading == f"#### {after[0]}:violet[{after[1]}]{after[2]}"
    assert parts(show(controls.asked(query | {"batch": "1"}, dark=False)))[2].count("measured") == 0


def charts(html: str) -> dict[str, list[dict[str, Any]]]:
    """What chart.js is given, by theme."""
    found: dict[str, list[dict[str, Any]]] = json.loads(re.search(r"const charts = (\{.*?\})\[document", html)[1])  # type: ignore[index]
    return found


def test_both_themes_have_their_charts() -> None:
    found = charts(first.answer("", {}))
    assert [chart["key"] for chart in found["light"]] == [chart["key"] for chart in found["dark"]]
    assert [chart["key"] for chart in found["light"]] == ["roofline"]
    for light, dark in zip(found["light"], found["dark"], strict=True):
        assert light["alt"] == dark["alt"]
        assert light["traces"] != dark["traces"]


@pytest.mark.parametrize(
    "query",
    [
        {"model": "<script>alert(1)</script>"},
        {"alpha": "2"},
        {"pin": "[32]"},
        {"policy": "no policy"},
        {"machine": "coral-usb"},
    ],
    ids=str,
)
def test_what_has_other_parts_than_usual_says_what_it_is_for(query: dict[str, str]) -> None:
    html = first.answer("", query)
    assert texts(html, "<h4>(.*?)</h4>") == [first.PURPOSES[""]]
    assert charts(html) == {"light": [], "dark": []}
    assert "alert(1)" not in html


def test_every_page_says_what_it_is_for() -> None:
    addresses = {path.parent.name for path in (ROOT / "pages").glob("*/page.py")} - {"explore"}
    assert set(first.PURPOSES) == {"", *addresses}
    for address in addresses:
        html = first.answer(address, {})
        assert texts(html, "<h4>(.*?)</h4>") == [first.PURPOSES[address]]
        assert first.PURPOSES[address].lower().startswith(address)


def test_an_embedded_page_looks_otherwise() -> None:
    assert first.answer("", {"embed": "true"}) == PLAIN


def test_a_fault_leaves_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError

    assert first.answer("", {}) != PLAIN
    monkeypatch.setattr(first.explore_ahead, "show", fault)
    assert first.answer("", {}) == PLAIN


def test_plotly_comes_packed_and_only_once(app_server: str) -> None:
    file = first.PLOTLY.read_bytes()
    for encoding in ("gzip", "identity"):
        request = urllib.request.Request(f"{app_server}/app/static/{first.PLOTLY.name}")
        request.add_header("Accept-Encoding", encoding)
        with urllib.request.urlopen(request) as got:
            body, headers = got.read(), got.headers
        assert headers.get("Content-Encoding", "identity") == encoding
        assert (gzip.decompress(body) if encoding == "gzip" else body) == file
        request.add_header("If-None-Match", headers["ETag"])
        with pytest.raises(urllib.error.HTTPError, match="304"):
            urllib.request.urlopen(request)


def test_the_server_answers_with_it(app_server: str) -> None:
    with urllib.request.urlopen(f"{app_server}/?alpha=0.5") as got:
        assert charts(got.read().decode())["light"] == charts(first.answer("", {"alpha": "0.5"}))["light"]
