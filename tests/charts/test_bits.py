"""The bits chart and the reasons on it, on hand-made runs."""

import textwrap
from collections import defaultdict
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go
import pytest

from aiq_core.charts.bits import BitsData, bits_data, bits_frame, hover
from aiq_core.charts.bits_figure import MARGIN_PX, Block, bits_figure, blocks, part_ticks, places
from aiq_core.charts.labels import GLYPH_EM
from aiq_core.charts.reasons import BY_HAND, LEFT_ALONE, Reason, reasons
from aiq_core.charts.style import FONT_PX, Look
from aiq_core.envelope import PolicyTable
from aiq_core.records import (
    Candidate,
    Granularity,
    Layer,
    LayerKind,
    ModelProfile,
    Move,
    Outcome,
    Policy,
    Quantizer,
    Request,
    Run,
    RunStatus,
    Site,
    SiteKind,
    Step,
)
from tests import bundled

NOTHING: defaultdict[Site, Reason] = defaultdict(lambda: Reason("", ""))


STEM = Site(SiteKind.WEIGHTS, "stem")


def weights(layer: str, bits: int) -> Move:
    return Move(Site(SiteKind.WEIGHTS, layer), bits)


def run(profile: ModelProfile) -> Run:
    """Greedy takes body.0.conv to 4 bits, then stem to 8, then keeps what it has."""
    first, second = profile.policy({"body.0.conv": 4}), profile.policy({"body.0.conv": 4, "stem": 8})
    steps = (
        Step(1, 1, weights("body.0.conv", 4), first, 12.0, 899, -0.5, "", (
            Candidate(weights("body.0.conv", 8), 11.0, -0.4, Outcome.LOST, 890, 895, -0.45),
            Candidate(weights("body.0.conv", 4), 12.0, -0.55, Outcome.WON, 880, 899, -0.5),
        )),
        Step(2, 1, weights("stem", 8), second, 13.0, 897, -0.6, "", (
            Candidate(weights("stem", 8), 13.0, -0.65, Outcome.WON, 880, 897, -0.6),
            Candidate(weights("stem", 4), 13.5, -0.7, Outcome.CANNOT_WIN, 895),
        )),
        Step(3, 1, None, second, 13.0, 897, -0.6, "", (
            Candidate(weights("body.1.conv", 8), 14.0, -0.61, Outcome.CANNOT_WIN, 896),
            Candidate(weights("body.1.conv", 4), 14.5, -0.55, Outcome.PRUNED),
        )),
    )  # fmt: skip
    request = Request("toy", "greedy", 0.9, images=1000)
    return Run(
        "id", request, "m", "s", "r", RunStatus.DONE, "2025-01-01", steps=steps, policy=second, baseline_score=900
    )


def of_weights(profile: ModelProfile, found: dict[Site, Reason]) -> list[Reason]:
    return [found[site] for site in profile.weight_sites]


def first_why(found: dict[Site, Reason]) -> str:
    return found[STEM].why


def test_why_and_why_not_come_from_the_steps(profile: ModelProfile) -> None:
    done = run(profile)
    assert done.policy is not None
    stem, body0, body1 = of_weights(profile, reasons(profile, done.policy, done, 2))
    assert stem.why == "step 2 took it to 8 bits: AI 12 → 13, 2 fewer right of 1,000"
    assert stem.why_not == "4 bits needed 895 right to win step 2 and had fewer"
    assert body0.why == "step 1 took it to 4 bits, 1 fewer right of 1,000"
    assert body0.why_not == "4 bits is the narrowest width on offer"
    assert body1.why == "FP32 after step 3: no move lowered the loss"
    assert body1.why_not == "8 bits needed 896 right to win step 3 and had fewer"


def test_a_candidate_that_lost_says_what_was_taken_instead(profile: ModelProfile) -> None:
    tried = profile.policy({"body.0.conv": 4, "body.1.conv": 8})
    done = run(profile)
    body1 = of_weights(profile, reasons(profile, tried, done, 2))[2]
    assert body1.why == "step 3 measured this width, and took nothing instead"
    assert body1.why_not == "8 bits needed 896 right to win step 3 and had fewer"


def test_a_pruned_move_is_explained_by_its_bound(profile: ModelProfile) -> None:
    done = run(profile)
    request = replace(done.request, widths=(32, 4))
    assert done.policy is not None
    body1 = of_weights(profile, reasons(profile, done.policy, replace(done, request=request), 2))[2]
    assert body1.why_not == "4 bits could not have won even with no accuracy lost (step 3)"


def test_a_reason_names_another_traffic_model_than_the_readers(profile: ModelProfile) -> None:
    done = run(profile)
    fused = replace(done, request=replace(done.request, traffic="fused"))
    assert done.policy is not None
    why = reasons(profile, done.policy, fused, 2)[STEM].why
    assert why == "step 2 took it to 8 bits: AI 12 → 13 (fused), 2 fewer right of 1,000"
    assert reasons(profile, done.policy, fused, 2, "fused") == reasons(profile, done.policy, done, 2)


def test_excluded_and_fixed_layers_say_so(profile: ModelProfile) -> None:
    done = run(profile)
    request = replace(done.request, excluded=("body.1.conv",), fixed={"stem": 8})
    assert done.policy is not None
    stem, _, body1 = of_weights(profile, reasons(profile, done.policy, replace(done, request=request), 2))
    assert stem.why == "held at 8 bits from the start"
    assert body1.why == "excluded from the search, so it stays FP32"


def test_policies_that_nobody_chose_say_so(profile: ModelProfile) -> None:
    assert "uniform" in first_why(reasons(profile, profile.uniform(4), None, None))
    assert first_why(reasons(profile, profile.policy({"stem": 4}), None, None)) == BY_HAND
    assert "starts" in first_why(reasons(profile, profile.uniform(32), None, None))
    drawn = replace(run(profile), request=Request("toy", "random", images=1000))
    assert "random" in first_why(reasons(profile, profile.policy({"stem": 4}), drawn, 0))


def test_bars_carry_weight_and_sensitivity(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, Policy((8, 4, 32), (32,) * 4), NOTHING, table)
    stem, body0, body1 = data.bars
    assert (stem.size_bytes, body0.size_bytes, body1.size_bytes) == (100 * 1, 800 * 0.5, 800 * 4)
    # 2 and 10 output channels, a float32 scale each where the weights are quantized; no norm, so no folded biases.
    assert [bar.stored_bytes for bar in data.bars] == [100 + 2 * 4, 400 + 10 * 4, 3200]
    assert list(bits_frame(data)["stored_bytes"]) == [108, 440, 3200]
    by_tensor = Quantizer(granularity=Granularity.TENSOR)
    one_scale = bits_data(profile, Policy((8, 4, 32), (32,) * 4), NOTHING, table, quantizer=by_tensor)
    assert [bar.stored_bytes for bar in one_scale.bars] == [100 + 4, 400 + 4, 3200]
    ((bits, lost),) = stem.alone  # (4, 32, 32) is in the table, (8, 32, 32) is not
    assert bits == 4
    assert lost.value == pytest.approx(100 * (900 - 899) / 1000)
    assert lost.low < 0.1 < lost.high
    assert body1.alone == ()


def test_hover_says_what_is_not_measured(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, profile.uniform(8), defaultdict(lambda: Reason("because", "else")), table)
    hover = bits_figure(data, Look())["data"][0]["customdata"]
    assert "alone at 4 bits: 0.10 points lost" in hover[0]
    assert "within noise" in hover[0]
    assert "cost alone: not measured" in hover[2]
    assert "Why 8 bits: because" in hover[0]
    assert "Why not the next: else" in hover[0]


def test_a_pinned_policy_marks_what_changed(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, Policy((8, 4, 32), (32,) * 4), NOTHING, table, pinned=profile.uniform(4))
    assert [bar.site.name for bar in data.changed] == ["stem", "body.1.conv"]
    widths = bits_figure(data, Look())["data"][0]["marker"]["line"]["width"]
    assert [width > 0 for width in widths] == [True, False, True]
    assert list(bits_frame(data)["pinned_bits"]) == [4, 4, 4]


def test_few_layers_are_named_each_and_many_by_block() -> None:
    names = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2", "linear"]
    parts, ticks = blocks(names)
    assert [(part.name, part.first, part.last) for part in parts] == [("layer1", 1, 2), ("layer2", 3, 4)]
    assert ticks == ("conv1", "0.conv1", "0.conv2", "0.conv1", "0.conv2", "linear")
    many = [f"features.{block}.conv.{index}" for block in range(17) for index in range(3)] + ["classifier.1"]
    parts, ticks = blocks(many)
    assert ticks is None
    assert [part.name for part in parts] == [*map(str, range(17)), "classifier"]


def test_every_bar_is_visible(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, Policy((2, 3, 32), (32,) * 4), NOTHING, table)
    heights = bits_figure(data, Look())["data"][0]["y"]
    assert heights == sorted(heights)
    assert heights[0] > 0


def test_plotly_accepts_the_figure(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, profile.uniform(4), NOTHING, table, pinned=profile.uniform(8))
    go.Figure(**bits_figure(data, Look(dark=True, projector=True)))


# Activations


GROUP_A = Site(SiteKind.ACTIVATIONS, "a")


def joint(profile: ModelProfile) -> Run:
    """From W8A8: the stem goes to 4 bits, then what it writes to 6."""
    start, first = profile.uniform(8, 8), profile.moved(profile.uniform(8, 8), weights("stem", 4))
    second = profile.moved(first, Move(GROUP_A, 6))
    steps = (
        Step(1, 1, weights("stem", 4), first, 20.0, 895, -0.5, "", (
            Candidate(Move(GROUP_A, 6), 19.0, -0.4, Outcome.LOST, 880, 890, -0.45),
            Candidate(weights("stem", 4), 20.0, -0.55, Outcome.WON, 880, 895, -0.5),
        )),
        Step(2, 1, Move(GROUP_A, 6), second, 22.0, 893, -0.6, "", (
            Candidate(Move(GROUP_A, 6), 22.0, -0.65, Outcome.WON, 880, 893, -0.6),
            Candidate(Move(GROUP_A, 4), 23.5, -0.7, Outcome.CANNOT_WIN, 885),
            Candidate(weights("body.0.conv", 4), 21.0, -0.55, Outcome.PRUNED),
        )),
    )  # fmt: skip
    request = Request("toy", "greedy", 0.9, images=1000, activation_widths=(32, 8, 6, 4), start=start)
    return Run(
        "id", request, "m", "s", "r", RunStatus.DONE, "2025-01-01", steps=steps, policy=second, baseline_score=900
    )


def test_a_group_s_reasons_come_from_its_own_moves(profile: ModelProfile) -> None:
    run = joint(profile)
    assert run.policy is not None
    found = reasons(profile, run.policy, run, 1)
    assert found[GROUP_A].why == "step 2 took it to 6 bits: AI 20 → 22, 2 fewer right of 1,000"
    assert found[GROUP_A].why_not == "4 bits needed 885 right to win step 2 and had fewer"
    # The search began at W8A8, whose score is not FP32's.
    assert found[STEM].why == "step 1 took it to 4 bits"
    body = found[Site(SiteKind.WEIGHTS, "body.0.conv")]
    assert body.why == "8 bits after step 2: that step took activations of a to 6 bits"
    assert body.why_not == "4 bits could not have won even with no accuracy lost (step 2)"
    assert found[Site(SiteKind.ACTIVATIONS, "image")].why == "8 bits: the search has not moved it"


def test_activations_that_no_run_may_move_say_so(profile: ModelProfile) -> None:
    done = run(profile)
    assert done.policy is not None
    assert reasons(profile, done.policy, done, 2)[GROUP_A].why == LEFT_ALONE
    assert reasons(profile, profile.uniform(8), None, None)[GROUP_A].why == LEFT_ALONE
    assert "W8A8" in reasons(profile, profile.uniform(8, 8), None, None)[GROUP_A].why


def test_an_excluded_layer_leaves_the_group_of_its_name_alone() -> None:
    profile = bundled.profile("resnet20")
    group = Site(SiteKind.ACTIVATIONS, "conv1")
    step = Step(1, 1, Move(group, 8), profile.policy({}, {"conv1": 8}), 30.0, 900, -0.5, "")
    request = Request("resnet20", "greedy", 0.9, images=1000, excluded=("conv1",), activation_widths=(32, 8))
    run = Run("id", request, "m", "s", "r", RunStatus.DONE, "2025-01-01", steps=(step,), policy=step.policy)
    found = reasons(profile, step.policy, run, 0)
    assert found[Site(SiteKind.WEIGHTS, "conv1")].why.startswith("excluded")
    assert found[group].why.startswith("step 1 took it to 8 bits")


def test_groups_are_drawn_only_where_they_tell_something(profile: ModelProfile, table: PolicyTable) -> None:
    def drawn(policy: Policy, pinned: Policy | None = None, groups: bool = False) -> bool:
        return bits_data(profile, policy, NOTHING, table, pinned, groups=groups).has_groups

    assert not drawn(profile.uniform(4))
    assert drawn(profile.uniform(4, 8))
    assert drawn(profile.uniform(4), pinned=profile.uniform(4, 8))
    assert drawn(profile.uniform(4), groups=True)


def both(profile: ModelProfile, pinned: Policy | None = None) -> BitsData:
    policy = profile.policy({"stem": 4, "body.0.conv": 8}, {"image": 8, "a": 6, "c": 4})
    return bits_data(profile, policy, defaultdict(lambda: Reason("because", "else")), None, pinned)


def test_a_group_hangs_below_the_layer_that_writes_it(profile: ModelProfile) -> None:
    """The image, which no layer writes, has a column of its own before the first."""
    data = both(profile)
    assert [column.name for column in data.columns] == ["image", "stem", "body.0.conv", "body.1.conv"]
    above, below = bits_figure(data, Look())["data"]
    assert (above["x"], above["text"]) == ([1, 2, 3], ["4", "8", "32"])
    assert (below["x"], below["text"]) == ([0, 1, 2, 3], ["8", "6", "32", "4"])
    assert min(above["y"]) > 0 > max(below["y"])


def test_a_shared_group_hangs_below_its_first_writer_only() -> None:
    profile = bundled.profile("resnet20")
    data = bits_data(profile, profile.uniform(4, 8), NOTHING, None)
    groups = [column.name for column in data.columns if column.group is not None]
    # conv1's group is joined by adds with what layer1.*.conv2 write; nothing writes the image and the pooled vector.
    assert groups[:3] == ["image", "conv1", "layer1.0.conv1"]
    assert "layer1.0.conv2" not in groups and "pooled" in groups
    assert len(groups) == 14 and len(data.columns) == 20 + 2


@pytest.mark.parametrize("model", bundled.NAMES)
def test_every_site_is_drawn_once(model: str) -> None:
    profile = bundled.profile(model)
    data = bits_data(profile, profile.uniform(4, 8), NOTHING, None)
    assert [bar.site for bar in data.bars] == list(profile.sites)
    assert {bar.site for bar, _ in places(data)} == set(profile.sites)
    assert [bar.is_weights for bar, _ in places(data)] == sorted((bar.is_weights for bar in data.bars), reverse=True)


def test_a_group_s_hover_says_who_uses_it_and_why(profile: ModelProfile) -> None:
    below = bits_figure(both(profile, pinned=profile.uniform(4, 8)), Look())["data"][1]
    hover = below["customdata"][1]
    # 100 elements at 6 bits.
    assert hover.startswith("<b>activations of a</b> 6 bits<br>100 elements a tensor, 75 B<br>written by stem<br>")
    assert "read by body.0.conv" in hover and "A has 8 bits here" in hover
    assert "Why 6 bits: because" in hover and "Why not the next: else" in hover
    assert "written by no layer" in below["customdata"][0]


def test_the_frame_tells_the_kinds_apart(profile: ModelProfile) -> None:
    frame = bits_frame(both(profile)).set_index(["kind", "name"])
    assert frame.loc[("weights", "stem"), "bits"] == 4
    assert frame.loc[("activations", "a"), "bits"] == 6
    assert frame.loc[("activations", "a"), "bytes"] == 100 * 6 / 8
    assert frame.loc[("activations", "c"), "written_by"] == "body.1.conv"


def test_a_pinned_line_hangs_too_and_leaves_the_number_free(profile: ModelProfile) -> None:
    figure = bits_figure(both(profile, pinned=profile.uniform(4, 8)), Look(dark=True, projector=True))
    below = figure["data"][1]
    # a: 6 bits where A has 8, whose line would cross the number; c: 4 bits, one unit away; b: FP32, wider than A's.
    assert below["textposition"] == ["outside", "inside", "outside", "inside"]
    (edges,) = [shape for shape in figure["layout"]["shapes"] if "H" in shape["path"]]
    assert ",-2.5H" in edges["path"]
    go.Figure(**figure)


def test_long_names_leave_the_bars_their_room() -> None:
    names = [f"{'a' * 70}{place:03d}{'z' * 77}" for place in range(200)]
    layers = [Layer(name, LayerKind.LINEAR, 10, 10, 0, 5, 2, 1, True, "image", None) for name in names]

    def figure(count: int) -> dict[str, Any]:
        network = ModelProfile("long", tuple(layers[:count]), ("image",))
        policy = network.uniform(4)
        data = bits_data(network, policy, dict.fromkeys(network.sites, Reason("", "")), None)
        assert f"<b>{'<br>'.join(textwrap.wrap(names[0], 44))}</b> 4 bits" in hover(data.bars[0], data)
        return bits_figure(data, Look())

    few, many = figure(20), figure(200)
    assert few["layout"]["xaxis"]["ticktext"] == [f"…aaaaa{place:03d}…" for place in range(20)]
    # Upright, a name of 12 letters is 74 px high: more than half of the plot is left.
    left = few["layout"]["height"] - MARGIN_PX["t"] - 12 * GLYPH_EM * FONT_PX
    assert left > few["layout"]["height"] / 2
    assert many["layout"]["xaxis"]["ticktext"] == []


def test_parts_turn_their_names_where_a_phone_has_no_room() -> None:
    parts = (Block("stage_of_long", 0, 9), Block("…age_two…", 10, 19))
    # 265 px hold 41 letters of Inter, and each part's half 20.
    assert part_ticks(parts, 20)["tickangle"] == 0
    assert "tickangle" not in part_ticks(parts, 40)
    assert part_ticks((Block("17", 0, 1),), 60)["tickangle"] == 0
    many = [Block(str(place), 2 * place, 2 * place + 1) for place in range(80)]
    assert part_ticks(many, 160)["ticktext"] == [str(place) for place in range(0, 80, 4)]
