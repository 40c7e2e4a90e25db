"""The roofline chart: dots by hand, axes that never jump, labels and zones that are there."""

from itertools import pairwise
from math import log10

import plotly.graph_objects as go
import pytest

from aiq_core.charts.roofline import RooflineData, roofline_data, roofline_frame
from aiq_core.charts.roofline_figure import LABELLED, roofline_figure
from aiq_core.charts.style import Look
from aiq_core.charts.thumbnail import roofline_thumbnail
from aiq_core.errors import SettingError
from aiq_core.hardware import PRESETS
from aiq_core.records import Granularity, Layer, LayerKind, ModelProfile, Policy, Quantizer
from tests import bundled

WIDTHS, BATCHES = (32, 8, 4), (1, 2, 4, 8, 16, 32, 64, 128)
A100 = "a100-tf32"


def data(profile: ModelProfile, after: Policy, key: str = A100, batch: int = 1) -> RooflineData:
    return roofline_data(PRESETS[key], profile, profile.uniform(32), after, batch, WIDTHS, BATCHES)


def test_a_dot_holds_what_the_traffic_model_says(profile: ModelProfile) -> None:
    dot = data(profile, profile.policy({"stem": 4})).dots[0]
    assert dot.layer == "stem"
    assert dot.before.intensity == 2 * 5000 / (100 * 4 + (50 + 100) * 4)
    assert dot.after.intensity == 2 * 5000 / (100 * 0.5 + (50 + 100) * 4)
    assert dot.after.rate == pytest.approx(dot.after.intensity * 1555e9)  # left of the ridge: bandwidth sets the rate
    assert dot.after.memory_bound


def test_a_dot_is_by_the_traffic_model_that_the_axis_names(profile: ModelProfile) -> None:
    after = profile.policy({"stem": 4})
    fixed = (PRESETS[A100], profile, profile.uniform(32), after, 1, WIDTHS, BATCHES)
    by_channel = roofline_data(*fixed, by="as-stored")
    by_tensor = roofline_data(*fixed, by="as-stored", quantizer=Quantizer(granularity=Granularity.TENSOR))
    assert by_channel.dots[0].after.intensity == 2 * 5000 / (100 * 0.5 + 2 * 4 + (50 + 100) * 4)
    assert by_tensor.dots[0].after.intensity == 2 * 5000 / (100 * 0.5 + 4 + (50 + 100) * 4)
    assert roofline_figure(by_channel, Look())["layout"]["xaxis"]["title"]["text"] == "FLOPs per byte, as-stored"
    assert set(roofline_frame(by_channel)["traffic"]) == {"as-stored"}


def test_shares_are_of_the_time(profile: ModelProfile) -> None:
    """All three wait for memory: 1,000, 4,000 and 4,000 bytes at FP32, 650, 1,200 and 1,200 at 4 bits."""
    dots = data(profile, profile.uniform(4)).dots
    assert [dot.before.share for dot in dots] == pytest.approx([1 / 9, 4 / 9, 4 / 9])
    assert [dot.after.share for dot in dots] == pytest.approx([650 / 3050, 1200 / 3050, 1200 / 3050])


def test_layers_that_coincide_become_one_spot(profile: ModelProfile) -> None:
    spots = data(profile, profile.uniform(8)).spots
    assert {spot.names for spot in spots} == {("stem",), ("body.0.conv", "body.1.conv")}
    assert sum(spot.share for spot in spots) == pytest.approx(1)
    apart = data(profile, profile.policy({"body.0.conv": 8})).spots
    assert len(apart) == 3


def test_axes_hold_for_every_policy_and_batch(profile: ModelProfile) -> None:
    ranges = {
        (view.x_range, view.y_range)
        for bits in WIDTHS
        for batch in BATCHES
        for view in [data(profile, profile.uniform(bits), batch=batch)]
    }
    ((x_range, y_range),) = ranges
    for bits in WIDTHS:
        for batch in BATCHES:
            for dot in data(profile, profile.uniform(bits), batch=batch).dots:
                assert x_range[0] < dot.after.intensity < x_range[1]
                assert y_range[0] < dot.after.rate < y_range[1]


def test_the_ridge_divides_the_zones(profile: ModelProfile) -> None:
    view = data(profile, profile.uniform(4))
    assert view.roof.ridge == pytest.approx(156e12 / 1555e9)
    assert view.memory_bound == 3
    figure = roofline_figure(view, Look())
    memory, compute, ridge, *labels = figure["layout"]["shapes"]
    assert memory["x1"] == compute["x0"] == ridge["x0"] == view.roof.ridge
    texts = [shape["label"]["text"] for shape in labels]
    assert {"memory-bound", "compute-bound", "ridge 100"} <= set(texts)
    assert "<b>TF32 156T</b>" in texts
    assert {"INT4 1,248T", "INT8 624T", "FP16 312T", "FP32 19.5T"} <= set(texts)


def test_a_machine_without_fp32_gives_no_chart(profile: ModelProfile) -> None:
    with pytest.raises(SettingError, match="can't run FP32 activations"):
        data(profile, profile.uniform(4), "coral-usb")


def test_a_frame_has_a_row_a_layer(profile: ModelProfile) -> None:
    frame = roofline_frame(data(profile, profile.uniform(8)))
    assert list(frame["layer"]) == ["stem", "body.0.conv", "body.1.conv"]
    assert list(frame["after_weight_bits"]) == [8, 8, 8]
    assert frame["after_share_of_predicted_time"].sum() == pytest.approx(1)


@pytest.mark.parametrize("key", [key for key, value in PRESETS.items() if value.runs_fp32])
@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v2", "digits_cnn"])
def test_layer_labels_stack_without_overlap_on_every_machine(name: str, key: str) -> None:
    profile = bundled.profile(name)
    figure = roofline_figure(data(profile, profile.uniform(4), key), Look())
    y_low, y_high = figure["layout"]["yaxis"]["range"]
    plot = figure["layout"]["height"] - figure["layout"]["margin"]["t"] - figure["layout"]["margin"]["b"]
    (named,) = [trace for trace in figure["data"] if trace["mode"] == "text"]
    assert 1 <= len(named["text"]) <= LABELLED
    for side in ("middle left", "middle right"):
        heights = sorted(
            (log10(y) - y_low) / (y_high - y_low) * plot
            for y, position in zip(named["y"], named["textposition"], strict=True)
            if position == side
        )
        assert all(0 <= height <= plot for height in heights)
        assert all(upper - lower >= named["textfont"]["size"] for lower, upper in pairwise(heights))


def test_arrows_join_before_to_after_and_leave_still_layers_alone(profile: ModelProfile) -> None:
    view = data(profile, profile.policy({"body.0.conv": 4}))
    figure = roofline_figure(view, Look())
    (arrows,) = [trace for trace in figure["data"] if trace.get("marker", {}).get("symbol") == "arrow"]
    (dot,) = [dot for dot in view.dots if dot.layer == "body.0.conv"]
    assert arrows["x"] == [dot.before.intensity, dot.after.intensity, None]
    assert arrows["y"] == [dot.before.rate, dot.after.rate, None]
    # The head alone is drawn, at the end.
    assert [size > 0 for size in arrows["marker"]["size"]] == [False, True, False]


def test_a_projector_enlarges_type_and_marks(profile: ModelProfile) -> None:
    view = data(profile, profile.uniform(4))
    plain, large = roofline_figure(view, Look()), roofline_figure(view, Look(projector=True))
    assert large["layout"]["font"]["size"] == 1.5 * plain["layout"]["font"]["size"]
    assert large["data"][-1]["marker"]["size"] == [1.5 * size for size in plain["data"][-1]["marker"]["size"]]


def test_plotly_accepts_the_figure(profile: ModelProfile) -> None:
    go.Figure(**roofline_figure(data(profile, profile.uniform(4)), Look(dark=True, projector=True)))


# Activations


def test_a_dot_holds_both_widths_and_the_wider_one_s_arithmetic(profile: ModelProfile) -> None:
    view = data(profile, profile.policy({"stem": 4, "body.0.conv": 4}, {"image": 8, "a": 4}))
    stem, body0, body1 = (dot.after for dot in view.dots)
    assert [(state.bits, state.input_bits, str(state.number_type)) for state in (stem, body0, body1)] == [
        *((4, 8, "INT8"), (4, 4, "INT4")),
        (32, 32, "TF32"),
    ]
    # 100 weights at 4 bits, 50 elements read at 8, 100 written at 4.
    assert stem.intensity == 2 * 5000 / (100 * 4 / 8 + 50 * 8 / 8 + 100 * 4 / 8)
    assert view.roof.number_type == "INT4" and view.is_joint
    frame = roofline_frame(view)
    assert list(frame["after_input_bits"]) == [8, 4, 32]
    assert list(frame["after_number_type"]) == ["INT8", "INT4", "TF32"]


def test_a_dot_s_hover_names_both_kinds(profile: ModelProfile) -> None:
    view = data(profile, profile.policy({"stem": 4}, {"image": 8}))
    said = {text.partition("</b>")[0]: text for text in roofline_figure(view, Look())["data"][-1]["customdata"]}
    assert "weights FP32 → 4 bits<br>reads FP32 → 8 bits<br>computes in INT8, the wider of both" in said["<b>stem"]
    # Layers that read FP32 before and after are told as where all activations are FP32.
    assert "reads" not in said["<b>body.0.conv, body.1.conv"]


def test_a_mark_s_rim_is_what_the_layer_reads(profile: ModelProfile) -> None:
    look = Look()
    view = data(profile, profile.policy({"stem": 4, "body.0.conv": 4}, {"image": 8}))
    marker = roofline_figure(view, look)["data"][-1]["marker"]
    rims = dict(zip((spot.names[0] for spot in view.spots), marker["line"]["color"], strict=True))
    assert rims["stem"] == look.palette.bits[8]
    assert rims["body.0.conv"] == look.palette.background
    assert "rim: input" in roofline_figure(view, look)["layout"]["shapes"][-1]["label"]["text"]
    alone = roofline_figure(data(profile, profile.uniform(4)), look)
    assert "rim" not in alone["layout"]["shapes"][-1]["label"]["text"]


def test_layers_that_only_write_fewer_bits_move_too(profile: ModelProfile) -> None:
    view = data(profile, profile.policy({}, {"c": 8}))
    (spot,) = [spot for spot in view.spots if spot.is_moved]
    assert spot.names == ("body.1.conv",)


def test_axes_hold_for_every_policy_with_quantized_activations(profile: ModelProfile) -> None:
    policies = [profile.uniform(*widths) for widths in ((8, 8), (4, 8), (3, 6), (2, 2))]
    views = [data(profile, policy, batch=batch) for policy in policies for batch in BATCHES]
    assert len({view.x_range for view in views}) == 1
    assert all(view.x_range[0] < dot.after.intensity < view.x_range[1] for view in views for dot in view.dots)


def test_axes_of_a_joint_space_hold_for_fp32_too(profile: ModelProfile) -> None:
    fp32, w8a8 = profile.uniform(32), profile.uniform(8, 8)
    where = PRESETS[A100], profile, fp32
    views = [roofline_data(*where, after, 1, WIDTHS, BATCHES, joint=True) for after in (fp32, profile.uniform(4), w8a8)]
    assert len({(view.x_range, view.y_range) for view in views}) == 1
    assert views[0].x_range != data(profile, fp32).x_range


def test_plotly_accepts_a_joint_figure(profile: ModelProfile) -> None:
    go.Figure(**roofline_figure(data(profile, profile.uniform(4, 8)), Look(dark=True, projector=True)))


def test_a_network_of_one_layer_has_one_dot() -> None:
    # 2 x 1,000,000 FLOPs over 4 x (20,000 weights + 4,000 read + 1,000 written) bytes: 20 FLOPs per byte.
    layer = Layer("conv", LayerKind.CONV2D, 1_000_000, 20_000, 0, 4_000, 1_000, 1, True, "image", "a")
    one = ModelProfile("one", (layer,), ("image", "a"))
    found = data(one, one.uniform(32))
    (dot,) = found.dots
    assert (dot.layer, dot.before.intensity, found.memory_bound) == ("conv", 20, 1)  # the ridge is at 156e12 / 1555e9
    assert len(found.spots) == 1
    assert go.Figure(roofline_figure(found, Look())).data
    assert roofline_thumbnail(found, Look()).count("<circle") == 1
