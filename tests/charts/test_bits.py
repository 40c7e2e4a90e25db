"""The bits chart and the reasons on it, on hand-made runs."""

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from aiq_core.charts.bits import bits_data, bits_figure, bits_frame, blocks
from aiq_core.charts.reasons import BY_HAND, Reason, reasons
from aiq_core.charts.style import Look
from aiq_core.envelope import PolicyTable
from aiq_core.records import (
    Candidate,
    ModelProfile,
    Move,
    Outcome,
    Policy,
    Request,
    Run,
    RunStatus,
    Site,
    SiteKind,
    Step,
)

NOTHING = Reason("", "")


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


def test_why_and_why_not_come_from_the_steps(profile: ModelProfile) -> None:
    done = run(profile)
    assert done.policy is not None
    stem, body0, body1 = reasons(profile, done.policy, done, 2)
    assert stem.why == "step 2 took it to 8 bits: AI 12 → 13, 2 fewer right of 1,000"
    assert stem.why_not == "4 bits needed 895 right to win step 2 and had fewer"
    assert body0.why == "step 1 took it to 4 bits, 1 fewer right of 1,000"
    assert body0.why_not == "4 bits is the narrowest width on offer"
    assert body1.why == "FP32 after step 3: no move lowered the loss"
    assert body1.why_not == "8 bits needed 896 right to win step 3 and had fewer"


def test_a_candidate_that_lost_says_what_was_taken_instead(profile: ModelProfile) -> None:
    tried = profile.policy({"body.0.conv": 4, "body.1.conv": 8})
    done = run(profile)
    body1 = reasons(profile, tried, done, 2)[2]
    assert body1.why == "step 3 measured this width, and took nothing instead"
    assert body1.why_not == "8 bits needed 896 right to win step 3 and had fewer"


def test_a_pruned_move_is_explained_by_its_bound(profile: ModelProfile) -> None:
    done = run(profile)
    request = replace(done.request, widths=(32, 4))
    assert done.policy is not None
    body1 = reasons(profile, done.policy, replace(done, request=request), 2)[2]
    assert body1.why_not == "4 bits could not have won even with no accuracy lost (step 3)"


def test_excluded_and_fixed_layers_say_so(profile: ModelProfile) -> None:
    done = run(profile)
    request = replace(done.request, excluded=("body.1.conv",), fixed={"stem": 8})
    assert done.policy is not None
    stem, _, body1 = reasons(profile, done.policy, replace(done, request=request), 2)
    assert stem.why == "held at 8 bits from the start"
    assert body1.why == "excluded from the search, so it stays FP32"


def test_policies_that_nobody_chose_say_so(profile: ModelProfile) -> None:
    assert "uniform" in reasons(profile, profile.uniform(4), None, None)[0].why
    assert reasons(profile, profile.policy({"stem": 4}), None, None)[0].why == BY_HAND
    assert "starts" in reasons(profile, profile.uniform(32), None, None)[0].why
    drawn = replace(run(profile), request=Request("toy", "random", images=1000))
    assert "random" in reasons(profile, profile.policy({"stem": 4}), drawn, 0)[0].why


def test_bars_carry_weight_and_sensitivity(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, Policy((8, 4, 32), (32,) * 4), (NOTHING,) * 3, table)
    stem, body0, body1 = data.bars
    assert (stem.weight_bytes, body0.weight_bytes, body1.weight_bytes) == (100 * 1, 800 * 0.5, 800 * 4)
    ((bits, lost),) = stem.alone  # (4, 32, 32) is in the table, (8, 32, 32) is not
    assert bits == 4
    assert lost.value == pytest.approx(100 * (900 - 899) / 1000)
    assert lost.low < 0.1 < lost.high
    assert body1.alone == ()


def test_hover_says_what_is_not_measured(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, profile.uniform(8), (Reason("because", "else"),) * 3, table)
    hover = bits_figure(data, Look())["data"][0]["customdata"]
    assert "alone at 4 bits: 0.10 points lost" in hover[0]
    assert "within noise" in hover[0]
    assert "cost alone: not measured" in hover[2]
    assert "Why 8 bits: because" in hover[0]
    assert "Why not the next: else" in hover[0]


def test_a_pinned_policy_marks_what_changed(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, Policy((8, 4, 32), (32,) * 4), (NOTHING,) * 3, table, pinned=profile.uniform(4))
    assert [bar.layer for bar in data.changed] == ["stem", "body.1.conv"]
    widths = bits_figure(data, Look())["data"][0]["marker"]["line"]["width"]
    assert [width > 0 for width in widths] == [True, False, True]
    assert list(bits_frame(data)["pinned_weight_bits"]) == [4, 4, 4]


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
    data = bits_data(profile, Policy((2, 3, 32), (32,) * 4), (NOTHING,) * 3, table)
    heights = bits_figure(data, Look())["data"][0]["y"]
    assert heights == sorted(heights)
    assert heights[0] > 0


def test_plotly_accepts_the_figure(profile: ModelProfile, table: PolicyTable) -> None:
    data = bits_data(profile, profile.uniform(4), (NOTHING,) * 3, table, pinned=profile.uniform(8))
    go.Figure(**bits_figure(data, Look(dark=True, projector=True)))
