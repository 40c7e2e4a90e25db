"""The figure of a timed linear layer: gains as measured, what bytes promise and can buy, and the ridge."""

import plotly.graph_objects as go
import pytest

from aiq_core.charts.linear import engines, keys_of, linear_frame
from aiq_core.charts.linear_figure import gain_figure
from aiq_core.charts.style import Look
from tests.layers import layer

FOUND = layer(ort_4=(5.0, 2.0, 1.0), ort_8=(3.0, 2.0, 1.2), torch_bf16=(1.9, 2.0, 4.0))
NAME = "ONNX Runtime"


@pytest.mark.parametrize("look", [Look(), Look(dark=True, projector=True)])
@pytest.mark.parametrize("engine", [NAME, "PyTorch"])
@pytest.mark.parametrize("explained", [True, False])
def test_every_engine_is_drawn(look: Look, engine: str, explained: bool) -> None:
    figure = gain_figure(FOUND, engine, look, chosen=16, explained=explained)
    go.Figure(figure)
    names = [trace["name"] for trace in figure["data"]]
    assert sum("under the roof" in name for name in names) == (len(keys_of(FOUND, engine)) if explained else 0)
    texts = " ".join(note["text"] for note in figure["layout"]["annotations"])
    assert ("ridge 20" in texts) is explained


def test_marks_stand_at_what_was_measured_and_lines_at_what_was_promised() -> None:
    traces = {trace["name"]: trace for trace in gain_figure(FOUND, NAME, Look())["data"]}
    assert traces["4 bits"]["x"] == [1, 16, 256]
    assert traces["4 bits"]["y"] == [5.0, 2.0, 1.0]
    assert traces["4 bits"]["error_y"]["array"] == pytest.approx([0.5, 0.2, 0.1])
    assert traces["8 bits: bytes"]["y"][0] == FOUND.byte_ratio("ort-8", 1)
    assert traces["8 bits: bytes under the roof"]["y"][-1] == 1


def test_engines_go_by_their_fastest_fewest_bits() -> None:
    assert engines(FOUND) == (NAME, "PyTorch")
    assert keys_of(FOUND, NAME) == ("ort-4", "ort-8")
    assert len(linear_frame(FOUND)) == len(FOUND.timings) + len(FOUND.missing)
