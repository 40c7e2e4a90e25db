"""The trade-off chart: who is drawn as what, on axes that hold still."""

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from aiq_core.charts.pareto import ParetoData, pareto_data, pareto_frame
from aiq_core.charts.pareto_figure import pareto_figure
from aiq_core.charts.style import Look
from aiq_core.envelope import PolicyTable
from aiq_core.intensity import traffic
from aiq_core.records import ModelProfile, Policy, SplitName
from tests import bundled
from tests.charts.conftest import IMAGES
from tests.tables import paired, table_of


@pytest.fixture
def data(table: PolicyTable) -> ParetoData:
    random = [Policy((32, 4, 32), (32,) * 4)]
    return pareto_data(table, [0, 1], random, shown=table.policies[1], pinned=table.policies[2], budget_points=1.0)


def test_every_policy_is_drawn_by_kind(data: ParetoData) -> None:
    assert [(even.bits, even.point.row) for even in data.uniform] == [(32, 0), (8, 1), (4, 2)]
    groups = data.path, data.random, data.others, data.dominated
    assert [[point.row for point in group] for group in groups] == [[0, 1], [4], [3, 5], []]


def test_what_another_policy_beats_is_dominated(table: PolicyTable) -> None:
    """8-4-4 bits beat 32-4-32 on both; nothing beats 4-32-32, which is nearly as good as FP32."""
    found = pareto_data(table, [0, 1], [], shown=None)
    assert [point.key for point in found.dominated] == [Policy((32, 4, 32), (32,) * 4).key]
    assert {point.key for point in found.others} == {Policy(bits, (32,) * 4).key for bits in ((4, 32, 32), (8, 4, 4))}


def test_the_budget_starts_below_fp32(data: ParetoData) -> None:
    assert data.budget_top1 == pytest.approx(100 * 900 / 1000 - 1.0)


def test_axes_do_not_depend_on_what_is_shown(data: ParetoData, table: PolicyTable) -> None:
    other = pareto_data(table, [0, 1], [], shown=None, dominated=False)
    assert (other.x_range, other.y_range) == (data.x_range, data.y_range)


def test_a_click_can_name_every_mark(data: ParetoData, table: PolicyTable) -> None:
    keys = {policy.key for policy in table.policies}
    named = [trace["customdata"] for trace in pareto_figure(data, Look())["data"] if "customdata" in trace]
    assert {key for group in named for key in group} == keys


def test_the_frame_has_intervals_and_its_image_set(data: ParetoData) -> None:
    frame = pareto_frame(data)
    assert (frame["low_percent"] < frame["search_top1_percent"]).all()
    assert set(frame["search_images"]) == {1000}


@pytest.fixture
def judged(table: PolicyTable) -> ParetoData:
    """The same on report images, where the last policy is not reported; runs end at all 8 bits and at the first."""
    runs = [("A", table.policies[1]), ("B", table.policies[0]), ("C", table.policies[-1])]
    policies = [Policy((32, 4, 32), (32,) * 4)]
    report = [paired(895, int(right) - 5, 2000) for right in table.score]
    known = replace(table, report_images=2000, report=(*report[:-1], None))
    return pareto_data(known, [0, 1], policies, shown=None, split=SplitName.REPORT, runs=runs)


def test_report_images_judge_and_do_not_choose(judged: ParetoData, table: PolicyTable) -> None:
    frame = pareto_frame(judged)
    assert set(frame["report_images"]) == {2000} and "search_top1_percent" not in frame
    ends = frame[frame["group"].str.startswith("run ")].set_index("group")["report_top1_percent"]
    # (898 - 5) and (900 - 5) of 2,000 right; C is not reported.
    assert ends.to_dict() == pytest.approx({"run A": 100 * 893 / 2000, "run B": 100 * 895 / 2000})
    assert table.policies[-1].key not in set(frame["policy"])
    assert set(frame["group"]) == {"run A", "run B", "best at some alpha", "uniform", "random", "others"}
    figure = pareto_figure(judged, Look())
    assert figure["layout"]["yaxis"]["title"]["text"] == "top-1 %, 2,000 report images"
    said = [note["text"] for note in figure["layout"]["annotations"]]
    assert {"<b>A</b>", "<b>B</b>"} <= set(said)
    assert not any("Pareto" in text or "dominated" in text for text in said)
    assert sum(shape["type"] == "circle" for shape in figure["layout"]["shapes"]) == 2


def test_policies_with_a_name_have_their_interval_where_images_judge(judged: ParetoData) -> None:
    (bars,) = [trace for trace in pareto_figure(judged, Look())["data"] if "error_y" in trace]
    named = {point.intensity for point in (*judged.path, *judged.random, *(point for _, point in judged.runs))}
    assert named <= set(bars["x"])


def test_plotly_accepts_the_figure(data: ParetoData, profile: ModelProfile) -> None:
    go.Figure(**pareto_figure(data, Look(dark=True, projector=True)))


def test_the_paper_s_points_are_labelled_and_not_clickable() -> None:
    profile = bundled.profile("resnet20")
    policies = (profile.uniform(32), profile.uniform(8))
    table = table_of(profile, policies, traffic(profile, policies).intensity.tolist(), [920, 919], 1000)
    figure = pareto_figure(pareto_data(table, [0, 1], [], shown=None, paper=True), Look())
    assert "paper, test images" in [note["text"] for note in figure["layout"]["annotations"]]
    (stars,) = [trace for trace in figure["data"] if trace["marker"].get("symbol") == "star"]
    assert "customdata" not in stars
    # The paper prints INT8 at 42.3022 by our counting of biases: ours must stand right above it.
    (int8,) = [t for t in figure["data"] if t.get("customdata") == [policies[1].key] and len(t["x"]) == 1]
    assert int8["x"] == pytest.approx([42.3022], abs=1e-4)
    assert min(stars["y"]) > figure["layout"]["yaxis"]["range"][0]


def test_another_traffic_model_is_named_and_the_papers_points_left_out() -> None:
    profile = bundled.profile("resnet20")
    policies = (profile.uniform(32), profile.uniform(8))
    values = traffic(profile, policies, by="fused").intensity.tolist()
    table = replace(table_of(profile, policies, values, [920, 919], 1000), traffic="fused")
    data = pareto_data(table, [0, 1], [], shown=None, paper=True)
    assert data.paper == ()
    assert pareto_figure(data, Look())["layout"]["xaxis"]["title"]["text"] == "FLOPs per byte, fused"
    assert set(pareto_frame(data)["traffic"]) == {"fused"}
    usual = replace(table, traffic="unfused")
    figure = pareto_figure(pareto_data(usual, [0, 1], [], shown=None), Look())
    assert figure["layout"]["xaxis"]["title"]["text"] == "FLOPs per byte"


def test_marks_that_matter_win_a_click_over_dominated_ones(data: ParetoData) -> None:
    beaten = replace(data, dominated=data.others, others=())
    first, *later = [trace["customdata"] for trace in pareto_figure(beaten, Look())["data"] if "customdata" in trace]
    assert first == [point.key for point in data.others] != []
    assert {point.key for point in data.path} <= {key for keys in later for key in keys}


def test_a_ring_moves_without_the_marks(data: ParetoData) -> None:
    one, other = (pareto_figure(replace(data, shown=point), Look()) for point in (data.path[0], data.path[-1]))
    assert one["data"] == other["data"]
    assert one["layout"]["shapes"] != other["layout"]["shapes"]


def test_a_policy_that_is_not_drawn_otherwise_can_be_hovered(data: ParetoData) -> None:
    alone = replace(data.path[0], key="w2x3+a32x4")
    last = pareto_figure(replace(data, shown=alone), Look())["data"][-1]
    assert last["customdata"] == [alone.key]


# Activations


@pytest.fixture
def joint(profile: ModelProfile) -> ParetoData:
    widths = ((32, 32), (8, 32), (8, 8), (4, 8), (4, 6), (4, 4), (2, 4))
    policies = [*(profile.uniform(*pair) for pair in widths), Policy((4, 8, 8), (8, 6, 8, 6))]
    right = [900, 899, 898, 890, 885, 850, 700, 893]
    table = table_of(profile, policies, traffic(profile, policies).intensity.tolist(), right, IMAGES)
    return pareto_data(table, [0], [], shown=None)


def test_uniform_policies_of_both_kinds_go_by_their_names(joint: ParetoData) -> None:
    assert [(even.name, even.point.row) for even in joint.uniform] == [
        *(("FP32", 0), ("INT8", 1), ("W8A8", 2), ("W4A8", 3), ("W4A6", 4), ("W4A4", 5), ("W2A4", 6))
    ]
    said = [note["text"] for note in pareto_figure(joint, Look())["layout"]["annotations"]]
    assert {"FP32", "INT8", "W8A8", "W4A8", "W4A6"} <= {*said}
    # 85 and 70 % are under the axis, which ends 3.8 points under FP32's 90 %: named at its edge, above each other.
    fallen = [note for note in pareto_figure(joint, Look())["layout"]["annotations"] if note["text"].startswith("↓ W")]
    assert [note["text"] for note in fallen] == ["↓ W2A4: 70.0 %", "↓ W4A4: 85.0 %"]
    assert fallen[1]["yshift"] - fallen[0]["yshift"] > Look().font_px


def test_a_uniform_mark_is_filled_as_its_weights_and_rimmed_as_its_activations(joint: ParetoData) -> None:
    look = Look()
    marks = {trace["customdata"][0]: trace["marker"] for trace in pareto_figure(joint, look)["data"] if "text" in trace}
    marker = marks["w4x3 a8x4"]
    assert marker["color"] == look.palette.bits[4] and marker["line"]["color"] == look.palette.bits[8]
    assert "line" not in marks["w8x3 a32x4"]
    assert marker["symbol"] == "diamond"


def test_a_hover_and_the_frame_tell_both_kinds(joint: ParetoData) -> None:
    said = {key: text for trace in pareto_figure(joint, Look())["data"] if "text" in trace
            for key, text in zip(trace["customdata"], trace["text"], strict=True)}  # fmt: skip
    mixed = "w4.8x2 a8.6.8.6"
    assert said[mixed].startswith("1 layer at 4 bits, 2 at 8<br>2 activation groups at 6 bits, 2 at 8<br>AI ")
    assert said["w4x3 a8x4"].startswith("W4A8: all 3 layers at 4 bits<br>all 4 activation groups at 8 bits<br>")
    frame = pareto_frame(joint).set_index("policy")
    assert frame.loc[mixed, "layers"] == "4 bits × 1, 8 bits × 2"
    assert frame.loc[mixed, "activations"] == "6 bits × 2, 8 bits × 2"
    go.Figure(**pareto_figure(joint, Look(dark=True, projector=True)))
