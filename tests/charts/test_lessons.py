"""The lessons' figures: numbers by hand, every model and state drawn, and answers veiled until they are revealed."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from numpy.typing import NDArray

from aiq_core import library
from aiq_core.charts.labels import Anchor, Box, Place, text_box
from aiq_core.charts.lessons import roofline_figure
from aiq_core.charts.lessons.batch import ASKED, BATCHES, BatchData, batch_frame, batch_model
from aiq_core.charts.lessons.batch_figure import bytes_figure, intensity_figure
from aiq_core.charts.lessons.feature_map import convolve, map_data, map_figure
from aiq_core.charts.lessons.layers import LayersData, layers_data, layers_frame
from aiq_core.charts.lessons.layers_figure import layers_figure, ordered
from aiq_core.charts.lessons.price import PriceData, price_data, price_frame
from aiq_core.charts.lessons.price_figure import equal_loss_line, price_figure
from aiq_core.charts.lessons.roofline import Change, roof_data, roof_frame
from aiq_core.charts.lessons.roofline_figure import roof_figure, time_figure
from aiq_core.charts.lessons.rounding import (
    RANGES,
    best_range,
    error_curve,
    lesson_layer,
    rounding_data,
    rounding_frame,
)
from aiq_core.charts.lessons.rounding_figure import error_figure, histogram_figure
from aiq_core.charts.lessons.speed import SpeedData, waiting
from aiq_core.charts.lessons.speed_figure import speed_figure, times_figure
from aiq_core.charts.lessons.walk import Walk, walk, walk_frame
from aiq_core.charts.lessons.walk_figure import PLAYED, walk_figure
from aiq_core.charts.style import Look
from aiq_core.envelope import envelope
from aiq_core.hardware import PRESETS
from aiq_core.records import SplitName
from aiq_core.rounding.grid import Grid, round_to_grid
from tests import bundled, layers

MEASURED = ("resnet20", "mobilenet_v2", "digits_cnn")
LOOKS = (Look(), Look(dark=True, projector=True))
A100 = PRESETS["a100-tf32"]


@pytest.fixture(scope="module")
def known() -> library.Library:
    return library.Library(None, library.open_library().bundled)


def drawn(figure: dict[str, Any]) -> go.Figure:
    """The figure as Plotly validates it, its frames too."""
    parts = {name: part for name, part in figure.items() if name != "frames"}
    checked = go.Figure(parts)
    for frame in figure.get("frames", ())[:3]:
        go.Frame(frame)
    return checked


def names(figure: dict[str, Any]) -> set[str]:
    return {trace.get("name", "") for trace in figure["data"]}


VEIL = "guess first"


# 1 The roofline


def test_the_roof_by_hand() -> None:
    data = roof_data(A100, bundled.profile("resnet20"), "ResNet-20")
    # 156 TFLOP/s over 1,555 GB/s
    assert data.ridge == pytest.approx(156e12 / 1555e9)
    assert data.model.intensity == pytest.approx(81_626_368 / 2_734_608)
    assert data.intensity_4_bits == pytest.approx(45.4634, abs=1e-4)
    assert data.memory_bound_layers == len(data.layers) == 22
    moving, computing = data.seconds(data.model.intensity)
    assert moving == pytest.approx(2_734_608 / 1555e9)
    assert computing == pytest.approx(81_626_368 / 156e12)


def test_only_bandwidth_speeds_up_a_kernel_left_of_the_ridge() -> None:
    data = roof_data(PRESETS["pi-5"], bundled.profile("resnet20"), "ResNet-20")
    x = data.ridge / 4
    assert data.asked.intensity == x
    assert data.attainable(x, Change.PEAK) == data.attainable(x)
    assert data.attainable(x, Change.BANDWIDTH) == 2 * data.attainable(x)
    assert data.attainable(100 * data.ridge, Change.PEAK) == 2 * data.attainable(100 * data.ridge)
    # The ridge is at 9.0: below it lie the linear layer (0.44) and both shortcuts (2.6 and 4.6).
    assert data.memory_bound_layers == 3


@pytest.mark.parametrize(("name", "look"), list(product(bundled.NAMES, LOOKS)))
def test_every_roof_is_drawn(name: str, look: Look) -> None:
    data = roof_data(A100, bundled.profile(name), name, 3.0)
    for change, revealed in product(Change, (False, True)):
        figure = roof_figure(data, look, change, revealed, 2.0)
        drawn(figure)
        assert (VEIL in names(figure)) is not revealed
        drawn(time_figure(data, look, change))
    assert len(roof_frame(data)) == len(data.layers) + 3


def name_boxes(figure: dict[str, Any], look: Look, width: float, names: set[str]) -> dict[str, Box]:
    """Where names stand on a plot `width` pixels wide."""
    layout, found = figure["layout"], {}
    height = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
    (left, right), (low, high) = layout["xaxis"]["range"], layout["yaxis"]["range"]
    for note in layout["annotations"]:
        if (text := note["text"].removeprefix("<b>").removesuffix("</b>")) in names:
            place = Place(*(note[name] for name in ("xanchor", "yanchor", "xshift", "yshift")))
            anchor = Anchor((note["x"] - left) / (right - left), (high - note["y"]) / (high - low), text)
            found[text] = text_box(anchor, place, width, height, look.font_px)
    return found


def lines(figure: dict[str, Any], width: float) -> NDArray[np.float64]:
    """Points a pixel apart or less along both roofs, as boxes without a size."""
    layout = figure["layout"]
    height = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
    (left, right), (low, high) = layout["xaxis"]["range"], layout["yaxis"]["range"]
    found = []
    for trace in figure["data"]:
        if trace.get("name") in ("roof", "before"):
            xs = (np.log10(trace["x"]) - left) / (right - left) * width
            ys = (high - np.log10(trace["y"])) / (high - low) * height
            dense = np.arange(xs[0], xs[-1], 0.5)
            found.append(np.column_stack([dense, np.interp(dense, xs, ys)]))
    return np.concatenate(found)


@pytest.mark.parametrize(("key", "look"), list(product(("t4", "a100-tf32", "pi-5"), LOOKS)))
def test_the_model_s_name_stands_clear_of_the_roofs_and_of_the_kernel_s(key: str, look: Look) -> None:
    """On a T4 the model stands at the ridge, and twice the FLOP/s leave the old roof right below it."""
    data = roof_data(PRESETS[key], bundled.profile("resnet20"), "ResNet-20", 1000 / 33)
    for change, width in product((Change.NONE, Change.PEAK), roofline_figure.PLOT_WIDTHS_PX[look.projector]):
        figure = roof_figure(data, look, change, True)
        boxes = name_boxes(figure, look, width, {"ResNet-20", "your kernel"})
        assert len(boxes) == 2
        assert boxes["ResNet-20"].overlap(np.array([boxes["your kernel"].edges])) == 0
        x, y = lines(figure, width).T
        box = boxes["ResNet-20"]
        assert not ((x > box.left) & (x < box.right) & (y > box.top + 2) & (y < box.bottom - 2)).any()


def test_the_question_s_name_goes_where_its_kernel_goes() -> None:
    data = roof_data(PRESETS["t4"], bundled.profile("resnet20"), "ResNet-20")
    for change in Change:
        (note,) = (
            note for note in roof_figure(data, Look(), change)["layout"]["annotations"] if "question" in note["text"]
        )
        assert 10 ** note["y"] == pytest.approx(data.attainable(data.asked.intensity, change))


# 2 Batch size


def test_batch_by_hand() -> None:
    model = batch_model(bundled.profile("mobilenet_v2"), "MobileNetV2")
    weights, moved, flops = 8_810_280, 1_102_632, 12_249_856
    assert (model.weight_bytes[32], model.activation_bytes, model.flops) == (weights, moved, flops)
    assert model.intensity(128) == pytest.approx(128 * flops / (weights + 128 * moved))
    assert model.limit == pytest.approx(flops / moved)
    assert model.balance == pytest.approx(weights / moved)
    # Batch 4 shares the weights as 8 bits shrink them; only the 10 biases differ.
    assert model.intensity(4) == pytest.approx(model.intensity(1, 8), rel=1e-4)
    assert model.intensity(8) == pytest.approx(model.intensity(1, 4), rel=1e-4)
    # 8-bit activations move a quarter, but for the 10 logits, which stay FP32.
    assert model.small_activation_bytes == (moved - 40) / 4 + 40
    assert model.w8a8(128) == pytest.approx(128 * flops / (model.weight_bytes[8] + 128 * model.small_activation_bytes))
    # 8 x 8 pixels use 72 + 1,152 weights of Digits CNN, 4 x 4 use 3,456 + 5,184, and 240 are linear.
    digits = batch_model(bundled.profile("digits_cnn"), "Digits CNN")
    assert digits.reuse == pytest.approx({64: 1224 / 10104, 16: 8640 / 10104, 1: 240 / 10104})


def test_w8a8_gains_at_every_batch_what_weights_alone_gain_at_none() -> None:
    model = batch_model(bundled.profile("resnet20"), "ResNet-20")
    alone = [100 * (model.intensity(batch, 4) / model.intensity(batch) - 1) for batch in (1, ASKED)]
    assert alone == pytest.approx([52.3, 0.4], abs=0.05)
    both = [model.w8a8(batch) / model.intensity(batch) for batch in BATCHES]
    # Four times less of nearly all: biases and logits stay FP32.
    assert min(both) > 3.95
    assert max(both) < 4


@pytest.mark.parametrize("name", bundled.NAMES)
def test_a_weight_is_reused_once_a_pixel(name: str) -> None:
    profile = bundled.profile(name)
    model = batch_model(profile, name)
    once = sum(layer.weights for layer in profile.layers if layer.macs == layer.weights)
    assert model.once == pytest.approx(once / sum(layer.weights for layer in profile.layers))


@pytest.mark.parametrize("look", LOOKS)
def test_the_batch_is_veiled_beyond_1(look: Look) -> None:
    models = tuple(batch_model(bundled.profile(name), name) for name in ("mobilenet_v2", "resnet20"))
    for batch, bits, revealed in product((1, ASKED), (32, 8, 4), (False, True)):
        data = BatchData(models, batch, bits, 100.0, "a machine")
        bars, curve = bytes_figure(data, look, revealed), intensity_figure(data, look, revealed, 40.0)
        drawn(bars)
        drawn(curve)
        assert (VEIL in names(bars)) is (batch > 1 and not revealed)
        assert (VEIL in names(curve)) is not revealed
        shown = [len(trace["x"]) for trace in curve["data"] if trace.get("name") == "mobilenet_v2"]
        assert max(shown) == (len(BATCHES) if revealed else 1)
        assert ("mobilenet_v2, W8A8" in names(curve)) is revealed
        w8a8 = [trace["y"] for trace in curve["data"] if "W8A8" in trace.get("name", "")]
        assert all(max(ys) < 10 ** curve["layout"]["yaxis"]["range"][1] for ys in w8a8)
    drawn(intensity_figure(BatchData(models, 1, 32, None, ""), look, True, None))
    assert len(batch_frame(data)) == 2 * 4 * len(BATCHES)


# 3 Rounding


@pytest.fixture(scope="module")
def weight() -> Any:
    return bundled.model("resnet20").folded_weights["layer3.1.conv2"]


def test_the_lesson_has_a_middle_one_of_the_largest_layers() -> None:
    sizes = {layer.name: layer.weights for layer in bundled.profile("resnet20").quantizable}
    assert lesson_layer(sizes) == "layer3.1.conv2"
    assert lesson_layer({"a": 1, "b": 3, "c": 3}) == "c"


def test_the_curve_is_a_u_at_4_bits_and_rises_with_the_cut_at_8(weight: Any) -> None:
    four, eight = (error_curve(weight, Grid(bits)) for bits in (4, 8))
    assert 60 < best_range(four) < 100
    assert best_range(eight) == 100
    assert four[0].total > four[RANGES.index(best_range(four))].total < four[-1].total
    assert four[-1].clipping == 0


def test_a_weights_way_is_told_with_its_numbers(weight: Any) -> None:
    data = rounding_data("layer3.1.conv2", weight, Grid(4))
    example, largest = data.example, float(np.abs(weight[0]).max())
    assert example.weight == pytest.approx(float(weight.ravel()[1]))
    assert example.scale == pytest.approx(largest / 7)
    assert example.integer == round(example.weight / example.scale)
    assert example.rounded == pytest.approx(example.integer * example.scale)
    assert example.error <= example.scale / 2
    assert data.counts.sum() == weight.size
    assert len(data.lines) == 15
    assert data.ratio == 1


@pytest.mark.parametrize("look", LOOKS)
def test_every_grid_is_drawn(weight: Any, look: Look) -> None:
    for bits, share, symmetric in product((2, 4, 8), (1.0, 0.75), (True, False)):
        data = rounding_data("layer3.1.conv2", weight, Grid(bits, share=share, symmetric=symmetric))
        drawn(histogram_figure(data, look))
        for revealed in (False, True):
            figure = error_figure(data, look, revealed, 0.7, 75)
            drawn(figure)
            assert (VEIL in names(figure)) is not revealed
        assert len(rounding_frame(data)) == len(RANGES)


@pytest.mark.parametrize("name", bundled.NAMES)
def test_cached_inputs_give_the_networks_own_maps(name: str) -> None:
    """The page's convolution, without torch, against torch's on the same image."""
    import torch

    from aiq_core.runtime.models import spec
    from aiq_core.runtime.weights import network_with
    from tests.folded import fold_batch_norm

    network = fold_batch_norm(network_with(spec(name), bundled.model(name).weights, name), bundled.profile(name))
    found: dict[str, Any] = {}
    for layer in bundled.profile(name).quantizable_names:
        network.get_submodule(layer).register_forward_hook(
            lambda _module, _read, out, layer=layer: found.__setitem__(layer, out[0].numpy().copy())
        )
    card = bundled.model(name).card
    image = bundled.model(name).dataset.report.images(10)[0]
    pixels = (image / np.float32(255) - np.array(card.mean)) / np.array(card.std)
    with torch.inference_mode():
        network(torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32)))
    weights = bundled.model(name).folded_weights
    assert set(found) == set(bundled.model(name).layer_inputs)
    for layer, out in found.items():
        mine = convolve(weights[layer], bundled.model(name).layer_inputs[layer])
        # Inputs are kept as float16: 2^-11 of each, summed over a window.
        np.testing.assert_allclose(mine.ravel(), out.ravel(), atol=0.02 * np.abs(out).max() + 1e-3)


@pytest.mark.parametrize("name", bundled.NAMES)
def test_every_layers_map_is_drawn(name: str) -> None:
    image = bundled.model(name).dataset.split("report").excerpt[0]
    for layer, weight in bundled.model(name).folded_weights.items():
        read = bundled.model(name).layer_inputs.get(layer)
        if read is not None:
            data = map_data(weight, round_to_grid(weight, Grid(4)).weight, read, image)
            assert 0 < data.relative_error < 2
    drawn(map_figure(data, Look()))


# 4 Layers


def layers_of(known: library.Library, name: str, bits: int) -> LayersData:
    images = bundled.model(name).dataset.split(SplitName.SEARCH).size
    found = layers_data(known.table(bundled.model(name), images), bits)
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "bits"), list(product(MEASURED, (8, 4))))
def test_each_layer_alone(known: library.Library, name: str, bits: int) -> None:
    data, profile = layers_of(known, name, bits), bundled.profile(name)
    for row, layer in zip(data.rows, profile.quantizable, strict=True):
        assert (row.layer, row.weights, row.flops) == (layer.name, layer.weights, 2 * layer.macs)
        assert row.drop.value == pytest.approx(100 * (row.lost - row.gained) / data.images)
        assert row.drop.low <= row.drop.value <= row.drop.high
    # Digits CNN's layers have 72, 1,152, 3,456, 5,184 and 240 weights: no two are alike.
    assert data.twins is (name != "digits_cnn")


def test_the_gain_by_hand(known: library.Library) -> None:
    data = layers_of(known, "resnet20", 4)
    # 36,864 weights of 32 bits become 4 bits: 3.5 bytes less each.
    assert data.of("layer3.0.conv2").gain == pytest.approx(
        81_626_368 / (2_734_608 - 36_864 * 3.5) - 81_626_368 / 2_734_608
    )
    assert len(data.alike) == 16
    assert data.twins


@pytest.mark.parametrize("name", MEASURED)
def test_the_second_layer_is_veiled(known: library.Library, name: str) -> None:
    data = layers_of(known, name, 4)
    for look, order, revealed in product(LOOKS, ("network", "size", "cost"), (False, True)):
        figure = layers_figure(data, look, order, revealed, 20.0)
        drawn(figure)
        assert (VEIL in names(figure)) is not revealed
        lost = next(trace for trace in figure["data"] if trace.get("name") == "lost")
        assert len(lost["x"]) == len(data.rows) - (not revealed)
    sizes = [row.weights for row in ordered(data, "size")]
    assert sizes == sorted(sizes, reverse=True)
    assert len(layers_frame(data)) == len(data.rows)


# 5 Searches


def walk_of(known: library.Library, name: str, algorithm: str) -> Walk:
    found = next(
        run
        for run in known.runs(bundled.model(name))
        if run.request.algorithm == algorithm and run.request.alpha == 0.9 and run.request.is_ordinary
    )
    return walk(known.run(found.id), bundled.profile(name), 0.0)


@pytest.mark.parametrize("name", MEASURED)
def test_a_walk_is_the_run(known: library.Library, name: str) -> None:
    found = walk_of(known, name, "greedy")
    run = known.run(found.run_id)
    assert found.steps[-1].evaluations == run.evaluations
    assert [step.layer for step in found.steps] == [
        None if step.move is None else step.move.site.name for step in run.steps
    ]
    first = found.steps[0]
    # Every layer to 8 or to 4 bits.
    assert len(first.options) == 2 * len(bundled.profile(name).quantizable)
    assert first.measured == {"resnet20": 3, "mobilenet_v2": 1, "digits_cnn": 1}[name]
    assert first.before == 32
    assert not found.changed_again
    for step in found.steps:
        assert step.frozen == tuple(bits != 32 for bits in step.policy.weight_bits)
        assert [option.bound for option in step.options] == sorted(option.bound for option in step.options)


def test_coordinate_descent_freezes_nothing(known: library.Library) -> None:
    found = walk_of(known, "resnet20", "coordinate")
    assert not any(any(step.frozen) for step in found.steps)
    assert len(found.sweep(1)) == 20
    assert len(walk_frame([found])) == len(found.steps)


@pytest.mark.parametrize(("name", "look"), list(product(MEASURED, LOOKS)))
def test_every_step_is_drawn_and_plays(known: library.Library, name: str, look: Look) -> None:
    found = walk_of(known, name, "greedy")
    for place in {0, len(found.steps) // 2, len(found.steps) - 1}:
        figure = walk_figure(found, place, look)
        drawn(figure)
        frames = figure["frames"]
        assert frames[0]["name"] == f"step {found.steps[place].index}"
        assert len(frames) == min(len(found.steps) - place, PLAYED)
        for frame in frames:
            assert len(frame["data"]) == len(frame["traces"])
            assert max(frame["traces"]) < len(figure["data"])


def test_stars_stand_at_the_lowest_loss(known: library.Library) -> None:
    found = walk_of(known, "resnet20", "greedy")
    for place, step in enumerate(found.steps):
        stars = [
            trace
            for trace in walk_figure(found, place, Look())["data"]
            if trace.get("marker", {}).get("symbol") == "star"
        ]
        losses = [option.loss for option in step.options if option.loss is not None]
        drawn_at = [x for star in stars for x in star["x"]]
        assert drawn_at == ([] if step.layer is None else [min(losses)])
        assert step.layer is None or min(losses) == pytest.approx(step.loss)


# 6 Alpha


def price_of(known: library.Library, name: str) -> PriceData:
    model = bundled.model(name)
    table = known.table(model, model.dataset.search.size)
    return price_data(table, envelope(table, table.usual_goal), table.usual_goal)


@pytest.mark.parametrize("name", MEASURED)
def test_no_alpha_picks_the_missed_policy_and_a_budget_does(known: library.Library, name: str) -> None:
    data = price_of(known, name)
    assert data.missed is not None
    for hundredth in range(101):
        alpha = hundredth / 100
        chosen = data.pick(alpha).policy
        assert chosen.row != data.missed.row
        assert data.loss(chosen, alpha) <= data.loss(data.missed, alpha) + 1e-12
    assert data.within(data.missed.correct) == data.missed
    assert data.picks[0].low == 0
    assert data.picks[-1].high == 1


def test_the_price_by_hand(known: library.Library) -> None:
    data = price_of(known, "resnet20")
    # (0.9 / 60.01) / (0.1 / 10)
    assert data.price(0.9) == pytest.approx((0.9 / data.goal.intensity_normaliser) / (0.1 / 10))
    assert data.price(0.9) == pytest.approx(1.5, abs=0.001)
    assert data.price(1) == float("inf")


@pytest.mark.parametrize(("name", "alpha"), list(product(MEASURED, (0.05, 0.5, 0.9, 0.98))))
def test_the_line_of_equal_loss_has_equal_loss(known: library.Library, name: str, alpha: float) -> None:
    data = price_of(known, name)
    chosen = data.pick(alpha).policy
    xs, ys = equal_loss_line(data, chosen, alpha)
    for x, y in zip(xs, ys, strict=True):
        lost = max(0.0, data.baseline.top1 - y)
        loss = -alpha * x / data.goal.intensity_normaliser + (1 - alpha) * lost / data.goal.accuracy_normaliser
        assert loss == pytest.approx(data.loss(chosen, alpha))


@pytest.mark.parametrize("name", MEASURED)
def test_what_a_budget_picks_is_within_the_axes(known: library.Library, name: str) -> None:
    data = price_of(known, name)
    for policy in data.front:
        chosen = data.within(policy.correct)
        axes = price_figure(replace(data, budgeted=chosen), Look(), 0.9, policy.correct)["layout"]
        assert axes["xaxis"]["range"][0] < chosen.intensity < axes["xaxis"]["range"][1]
        assert axes["yaxis"]["range"][0] < chosen.top1 < axes["yaxis"]["range"][1]


@pytest.mark.parametrize(("name", "look"), list(product(MEASURED, LOOKS)))
def test_every_alpha_is_drawn(known: library.Library, name: str, look: Look) -> None:
    data = price_of(known, name)
    for alpha, least, revealed in product((0.0, 0.9, 1.0), (None, data.front[0].correct), (False, True)):
        figure = price_figure(data, look, alpha, least, revealed, 0.5)
        drawn(figure)
        assert bool(figure["frames"]) is revealed
        # As many veils as other picks: the ruler shows the part that alpha stands in.
        veils = sum(trace.get("name") == VEIL for trace in figure["data"])
        assert veils == (0 if revealed else len(data.picks) - 1)
    assert len(price_frame(data)) >= len(data.picks)


# 7 Speed


@pytest.mark.parametrize("look", LOOKS)
def test_speed_is_veiled_beyond_the_first_batch(look: Look) -> None:
    found = layers.layer(ort_4=(5.0, 2.0, 1.0), ort_8=(3.0, 2.0, 1.2))
    for batch, revealed in product((1, 256), (False, True)):
        data = SpeedData(found, "ONNX Runtime", batch)
        gains, times = speed_figure(data, look, revealed, 0.5), times_figure(data, look, revealed)
        drawn(gains)
        drawn(times)
        assert (VEIL in names(gains)) is not revealed
        assert (VEIL in names(times)) is (batch > 1 and not revealed)
        shown = next(trace["x"] for trace in gains["data"] if trace.get("name") == "4 bits")
        assert shown == ([1, 16, 256] if revealed else [1])
        # The lowest guess stands in the plot.
        assert 10 ** gains["layout"]["yaxis"]["range"][0] < 0.5


def test_the_times_of_a_layer_by_hand() -> None:
    data = SpeedData(layers.layer(ort_4=(5.0, 2.0, 1.0), ort_8=(3.0, 2.0, 1.2)), "ONNX Runtime", 256)
    fp32 = data.times(256, data.fp32)
    # Under 16 GB/s and 160 GFLOP/s.
    assert fp32.moving == pytest.approx((4 * layers.SIZE + 256 * 2 * layers.ROWS * 4) / 16e9)
    assert fp32.computing == pytest.approx(2 * 256 * layers.SIZE / 160e9)
    assert data.times(256).measured == pytest.approx(fp32.computing)
    assert data.wider == "ort-8"
    assert data.bought(256) == 1


def test_layers_that_wait_for_bytes_are_counted() -> None:
    profile = bundled.profile("digits_cnn")
    every = waiting(profile, 1e9)
    assert every.count == every.layers == len(profile.layers)
    model = batch_model(profile, "Digits CNN")
    assert every.activation_share == pytest.approx(1 - model.weight_share)
    assert waiting(profile, 0.0).count == 0
    assert waiting(profile, 0.0).activation_share == 0
