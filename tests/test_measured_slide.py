"""The slide of what was measured: its title from measurements by hand, and none where nothing was measured."""

import json
from dataclasses import replace

import pytest

from aiq_core.deck import html
from aiq_core.deck.build import build
from aiq_core.deck.slide import Slide
from aiq_core.deck.text import plain
from aiq_core.deployment.engine import Engine
from aiq_core.deployment.variant import deployable
from aiq_core.hardware import PRESETS
from aiq_core.library import Library, open_library
from aiq_core.records import Run
from tests import bundled, deployed
from tests import experiments as by_hand

MOBILENET = bundled.model("mobilenet_v2")


@pytest.fixture
def library(nothing_shipped: None) -> Library:
    return open_library()


@pytest.fixture
def run(library: Library) -> Run:
    return library.run(deployable(library, deployed.MODEL)[0].id)


def slides(library: Library, run_id: str) -> list[Slide]:
    return [slide for slide in build(library, [run_id], PRESETS["a100-tf32"]).slides if slide.key == "measured"]


def test_nothing_measured_has_no_slide(library: Library, run: Run) -> None:
    assert slides(library, run.id) == []


def test_a_timed_policy_is_told_with_its_machine(library: Library, run: Run) -> None:
    deployed.save(library, run, {"policy": 2.0, "int8": 1.5}, {"policy": 20})
    deployed.save(library, run, {"policy": 3.0}, {"policy": 20}, place=replace(deployed.PLACE, threads=2))
    (slide,) = slides(library, run.id)
    # Of one thread: 20 of 500 images, 8 images in 20 ms.
    assert plain(slide.title) == "ONNX Runtime runs it 2.00 × as fast as FP32, 4.00 points lost"
    assert slide.kicker.endswith("a CPU, batch 8")
    assert plain(slide.notes[0]) == "Measured on a CPU · 1 thread · torch 2.9, onnxruntime 1.32 · 2026-01-02."
    numbers = {number.label: (plain(number.value), plain(number.note)) for number in slide.numbers}
    assert numbers["Images/s, batch 8"] == ("400", "rounds 364 to 444; FP32: 200")
    assert numbers["× PyTorch eager FP32"] == ("4.00 ×", "rounds 4.00 to 4.00")
    assert numbers["Points lost there"][0] == "4.00"
    assert slide.figure is not None
    assert {row["variant"] for row in slide.figure.rows} == {"FP32", "the policy", "all INT8"}
    assert "the policy in ONNX Runtime 2.00 ×; all INT8 in ONNX Runtime 1.50 ×" in slide.figure.alt
    made = build(library, [run.id], PRESETS["a100-tf32"])
    written = next(each for each in json.loads(html.to_json(made))["slides"] if each["key"] == "measured")
    assert written["title"] == plain(slide.title)
    assert written["rows"][0]["ratio_to_engine_fp32"] is not None
    assert "2.00\N{NO-BREAK SPACE}× as fast as FP32" in html.page(made, plotly="")


def test_another_policy_shows_the_experiment_of_its_model(library: Library) -> None:
    cells = {"paper": 1.2, "random-0": 0.9, "int8": 1.8}
    for batch in (8, 1):
        by_hand.save(library, MOBILENET, {(Engine.ONNX_RUNTIME, batch): cells, (Engine.OPENVINO, batch): {"int8": 1.7}})
    greedy = next(run for run in library.runs(MOBILENET) if run.request.algorithm == "greedy")
    (slide,) = slides(library, greedy.id)
    assert plain(slide.title) == (
        "ONNX Runtime runs MobileNetV2 (all INT8) 1.80 × as fast as FP32, for no measurable loss of accuracy"
    )
    assert "not timed" in plain(slide.lead)
    assert slide.kicker.endswith("a CPU, batch 1")
    assert slide.figure is not None
    assert not any("random" in row["variant"] for row in slide.figure.rows)
