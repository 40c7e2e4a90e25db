"""The Search page without a browser: drafts, estimates, filters, comparisons, and what bad input says."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core import documents, estimate, exchange, library, wording
from aiq_core.charts.style import Look
from aiq_core.deck.facts import method
from aiq_core.errors import AiqError, InfeasibleError, SettingError
from aiq_core.execute import new_run
from aiq_core.intensity import intensity
from aiq_core.manual import parse_policies
from aiq_core.records import (
    Candidate,
    Move,
    Origin,
    Outcome,
    Quantizer,
    Request,
    Run,
    RunStatus,
    Site,
    SiteKind,
    Step,
)
from aiq_core.space import JOINT, WEIGHTS
from aiq_core.statistics import paired
from aiq_core.store import Store
from pages.common import names
from pages.search import differences, draft, heading, moves, rows
from pages.search.draft import Draft, Kind
from pages.search.figures import progress_data, progress_figure, progress_frame
from pages.search.rows import Filters
from tests import bundled

ROOT = Path(__file__).resolve().parent.parent
DIGITS = bundled.profile("digits_cnn")
KNOWN = library.Library(None, None)
HERE = Origin("this CPU", "2.9", 2, 500, "2026-01-01T00:00:00", "measured")


def run_of(status: RunStatus = RunStatus.DONE, origin: Origin | None = HERE, **request: Any) -> Run:
    """A run of digits_cnn as the store would hold it."""
    asked = Request(**{"model": "digits_cnn", "algorithm": "greedy", "alpha": 0.5, "images": 500, **request})
    return replace(new_run(bundled.model(asked.model), asked), status=status, origin=origin)


@pytest.fixture(scope="module")
def shipped() -> dict[float, Run]:
    """The bundled greedy runs of digits_cnn with the usual settings, by alpha."""
    known = library.open_library()
    greedy = [run for run in known.runs(bundled.model("digits_cnn")) if run.request.algorithm == "greedy"]
    runs = [run for run in greedy if run.request.quantizer == Quantizer()]
    return {run.request.alpha or 0.0: known.run(run.id) for run in runs}


# Drafts


def test_a_search_draft_is_one_request() -> None:
    (request,) = draft.requests(
        Draft(bundled.model("digits_cnn"), 500, alpha=0.3, widths=(4, 8, 32), max_evaluations=7), None
    )
    assert (request.alpha, request.widths, request.max_evaluations) == (0.3, (32, 8, 4), 7)


def test_a_plain_draft_is_the_bundled_request(shipped: dict[float, Run]) -> None:
    (request,) = draft.requests(Draft(bundled.model("digits_cnn"), 500, alpha=0.9), None)
    assert request.digest == shipped[0.9].id


def test_a_sweep_has_round_alphas() -> None:
    assert draft.sweep_alphas(0, 1, 0.1) == tuple(tenth / 10 for tenth in range(11))
    assert draft.sweep_alphas(0.25, 0.3, 0.1) == (0.25,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"alpha": -0.1}, "choose a number from 0"),
        ({"alpha": 1.5}, "choose a number from 0"),
        ({"max_evaluations": 0}, "max_evaluations=0"),
        ({"max_minutes": 0.0}, "max_minutes=0"),
        ({"excluded": DIGITS.quantizable_names}, "nothing is left to choose"),
        ({"widths": (32,)}, "leave nothing to choose"),
        ({"floor_percent": 99.99}, "above FP32"),
        ({"intensity_normaliser": 0.0}, "choose a number above 0"),
        ({"images": 505}, "digits has 500; choose at most that"),
        ({"kind": Kind.SWEEP, "alphas": ()}, "at least one alpha"),
        ({"label": "x" * 61}, "at most 60"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(AiqError, match=words):
        draft.requests(replace(Draft(bundled.model("digits_cnn"), 500), **changes), baseline=488)


def test_a_floor_at_fp32_is_allowed_and_above_it_not() -> None:
    at = Draft(bundled.model("digits_cnn"), 500, floor_percent=97.6)  # 488 of 500
    assert draft.requests(at, 488)
    with pytest.raises(InfeasibleError, match=r"above FP32's 97.60 %"):
        draft.requests(replace(at, floor_percent=97.8), 488)


def test_policies_are_read_in_order_and_once() -> None:
    text = '[{"linear": 4}, {"policy": {"block1.conv": 8}}, {"linear": 4}]'
    found = parse_policies(text, DIGITS)
    assert [DIGITS.named_bits(policy)["linear"] for policy in found] == [4, 32]
    assert DIGITS.named_bits(found[1])["block1.conv"] == 8


def test_policies_of_both_kinds_are_read_in_every_form_that_the_app_writes(shipped: dict[float, Run]) -> None:
    both = DIGITS.policy({"linear": 4}, {"image": 8})
    forms = (
        {"weights": {"linear": 4}, "activations": {"image": 8}},
        documents.policy_document(DIGITS, both) | {"intensity": 1.0},
        both.key,
        {"format": "aiq-explorer run", "run": {"policy": both.key}},
    )
    for form in forms:
        assert parse_policies(json.dumps(form), DIGITS) == (both,), form
    assert parse_policies('{"activations": {"image": 8}}', DIGITS) == (DIGITS.policy({}, {"image": 8}),)
    exported = exchange.export_run(library.open_library(), shipped[0.9].id)
    assert parse_policies(exported, DIGITS) == (shipped[0.9].policy,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"weights": {"linear": 4}, "activations": {"linear": 8}}', "'linear' is no activation group of digits_cnn"),
        ('{"weights": {"linear": 4}, "activations": {"image": 9}}', "bits=9 is not offered for activations of image"),
        ('{"weights": {"linear": 4}, "activations": {"image": "8"}}', "bits='8' for image in policy 1"),
        ('{"weights": {"linear": 4}, "activations": 8}', "not an object"),
        ('{"weights": {}, "activations": {}}', "not an object"),
        ('"w4x4 a32x6"', "gives bits to 4 layers"),
        ("", "paste a policy"),
        ('{"linear": 4', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "0 policies"),
        ("4", "not an object"),
        ("{}", "not an object"),
        ('{"linear": "4"}', "not a whole number"),
        ('{"linear": true}', "not a whole number"),
        ('{"linear": NaN}', "not a whole number"),
        ('{"linear": 9}', "bits=9 is not offered for linear"),
        ('{"elsewhere": 8}', "not quantizable"),
    ],
)
def test_bad_policies_say_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        parse_policies(text, DIGITS)


def test_an_unfinished_export_is_recognised() -> None:
    assert draft.unfinished_import(b'{"run": {"status": "running"}}') is RunStatus.RUNNING
    assert draft.unfinished_import(b'{"run": {"status": "done"}}') is None
    assert draft.unfinished_import(b"nonsense") is None


JOINT_DRAFT = Draft(bundled.model("digits_cnn"), 500, space=JOINT)


def test_a_plain_joint_draft_is_the_space_s_request() -> None:
    (request,) = draft.requests(replace(JOINT_DRAFT, alpha=0.3), None)
    how = JOINT.quantizer(bundled.dataset("digits"))
    assert request == JOINT.request("digits_cnn", how, DIGITS, "greedy", 0.3, 500)
    assert (request.choose_images, request.start) == (250, DIGITS.uniform(8, 8))


def test_a_joint_draft_holds_widths_of_each_kind_a_start_and_a_rounding() -> None:
    changed = replace(JOINT_DRAFT, widths=(4, 8), activation_widths=(6, 8), start="fp32", rounding="mse")
    (request,) = draft.requests(changed, None)
    assert (request.widths, request.activation_widths, request.start) == ((8, 4), (8, 6), None)
    assert (request.quantizer.rounding, request.quantizer.calibration) == ("mse", None)
    assert request.quantizer.activations is not None
    (even,) = draft.requests(replace(JOINT_DRAFT, kind=Kind.UNIFORM, bits=4, activation_bits=8), None)
    assert (even.policies, even.label) == ((DIGITS.uniform(4, 8),), "W4A8, gptq")


def test_a_joint_floor_is_of_the_images_that_choose() -> None:
    at = replace(JOINT_DRAFT, floor_percent=97.6)  # 244 of 250
    assert draft.requests(at, 244)
    with pytest.raises(InfeasibleError, match="on these 250 images"):
        draft.requests(replace(at, floor_percent=98.0), 244)


def test_policies_of_both_kinds_are_measured_in_their_space() -> None:
    listed = replace(JOINT_DRAFT, kind=Kind.POLICIES, text='{"weights": {}, "activations": {"image": 8}}')
    (request,) = draft.requests(listed, None)
    assert request.quantizer == JOINT.quantizer(bundled.dataset("digits"))
    with pytest.raises(SettingError, match="choose bits for weights and activations"):
        draft.requests(replace(listed, space=WEIGHTS), None)


# Estimates


def test_no_rate_before_anything_was_computed_here() -> None:
    elsewhere = replace(run_of(origin=replace(HERE, source="bundled")), evaluations_new=5, seconds=10)
    idle = replace(run_of(), evaluations_new=0, seconds=10)
    assert estimate.rate([elsewhere, idle], "digits_cnn", 500) is None
    assert "no rate yet" in estimate.sentence(estimate.estimate(KNOWN, [run_of().request], [elsewhere, idle]))


def test_the_rate_is_seconds_per_new_evaluation_of_as_many_images() -> None:
    first = replace(run_of(), evaluations_new=6, seconds=12)
    second = replace(run_of(images=250, alpha=0.1), evaluations_new=4, seconds=2)
    found = estimate.rate([first, second], "digits_cnn", 500)
    assert found is not None
    assert found.seconds == pytest.approx((12 + 2 * 500 / 250) / (6 + 4))
    assert estimate.rate([first], "resnet20", 5000) is None


def test_most_evaluations_of_greedy() -> None:
    request = run_of().request
    assert estimate.most_evaluations(KNOWN, request) == 2 * (5 + 4 + 3 + 2 + 1)  # widths below FP32 x layers left
    assert estimate.most_evaluations(KNOWN, replace(request, excluded=("linear",))) == 2 * (4 + 3 + 2 + 1)
    assert estimate.most_evaluations(KNOWN, replace(request, max_evaluations=7)) == 7
    assert estimate.most_evaluations(KNOWN, replace(request, algorithm="coordinate")) is None


def test_an_estimate_scales_the_nearest_run_and_counts_the_budget() -> None:
    near = replace(run_of(alpha=0.6), evaluations=12, evaluations_new=12, seconds=24)
    far = replace(run_of(alpha=0.0), evaluations=3)
    request = replace(run_of(alpha=0.7).request, widths=(32, 8, 6, 4))
    found = estimate.estimate(KNOWN, [request], [near, far])
    assert found.likely == 18  # three widths below FP32 instead of two
    assert found.likely_s == pytest.approx(18 * 2.0)
    assert "greedy at alpha 0.6 asked for 12" in estimate.sentence(found)
    limited = estimate.estimate(KNOWN, [replace(request, max_minutes=0.1)], [near, far])
    assert limited.likely_s == pytest.approx(6)


def joint_run(**changes: Any) -> Run:
    """A run of the joint space, on 250 images of 500."""
    (request,) = draft.requests(JOINT_DRAFT, None)
    return replace(new_run(bundled.model("digits_cnn"), request), status=RunStatus.DONE, origin=HERE, **changes)


def test_the_rate_counts_the_images_that_a_joint_search_chooses_on() -> None:
    found = estimate.rate([joint_run(evaluations_new=5, seconds=10)], "digits_cnn", 500)
    assert found is not None
    assert found.seconds == 10 / 5 * 500 / 250
    # Where both kinds are known, the one that is asked for tells: GPTQ takes most of a joint one's time.
    weights, joint = replace(run_of(), evaluations_new=10, seconds=1), joint_run(evaluations_new=5, seconds=10)
    (request,) = draft.requests(JOINT_DRAFT, None)
    paces = [estimate.estimate(KNOWN, [each], [weights, joint]).rate for each in (run_of().request, request)]
    assert [pace.seconds for pace in paces if pace is not None] == [1 / 10, 10 / 5]


def test_an_estimate_of_a_joint_search_is_of_one_before() -> None:
    weights = replace(run_of(alpha=0.9), evaluations=3)
    joint = joint_run(evaluations=40)
    (request,) = draft.requests(replace(JOINT_DRAFT, alpha=0.8), None)
    assert estimate.estimate(KNOWN, [request], [weights, joint]).likely == 40
    assert estimate.estimate(KNOWN, [replace(run_of().request, alpha=0.8)], [weights, joint]).likely == 3


def test_an_estimate_of_the_same_request_is_what_it_asked_for() -> None:
    done = replace(run_of(), evaluations=9)
    assert estimate.estimate(KNOWN, [done.request], [done]).likely == 9


def test_an_estimate_of_listed_policies_counts_them() -> None:
    policies = parse_policies('[{"linear": 4}, {"linear": 8}]', DIGITS)
    request = Request("digits_cnn", "manual", images=500, policies=policies)
    assert estimate.sentence(estimate.estimate(KNOWN, [request], [])).startswith("2 evaluations.")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (42, "42 s"), (240, "4 min"), (3600, "1 h"), (4800, "1 h 20 min"), (float("inf"), "unknown")],
)
def test_durations(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_progress_by_the_budget_used_up_most() -> None:
    run = replace(run_of(RunStatus.RUNNING, max_evaluations=10, max_minutes=1), evaluations=5, seconds=45)
    assert names.share(run) == pytest.approx(45 / 60)
    assert names.left(run) == "at most 15 s left by its budget"


# History


def test_filters() -> None:
    runs = [
        replace(run_of(alpha=0.1), id="a", created_at="2026-01-01"),
        replace(run_of(RunStatus.CANCELLED, alpha=0.2, label="my name"), id="b", created_at="2026-01-02"),
        replace(run_of(origin=replace(HERE, source="imported")), id="c", created_at="2026-01-03"),
        replace(run_of(algorithm="coordinate"), id="d", created_at="2026-01-04", archived=True),
        replace(run_of(RunStatus.QUEUED, origin=None), id="e", created_at="2026-01-05"),
    ]

    def ids(**filters: Any) -> str:
        return "".join(run.id for run in rows.matching(runs, Filters(**filters)))

    assert ids() == "ecba"
    assert ids(archived=True) == "d"
    assert ids(model="resnet20") == ""
    assert ids(statuses=("cancelled", "queued")) == "eb"
    assert ids(origins=("imported",)) == "c"
    assert ids(origins=("not started",)) == "e"
    assert ids(text="MY name") == "b"
    assert ids(text="alpha 0.1") == "a"
    assert ids(algorithms=("coordinate",), archived=True) == "d"


def test_an_imported_run_names_its_machine() -> None:
    run = run_of(origin=replace(HERE, source="imported", cpu="elsewhere"))
    assert names.origin(run) == "imported from elsewhere"
    frame = rows.frame([rows.Row(run, 10.0, 450)])
    assert frame.loc[0, "origin"] == "imported from elsewhere"
    assert frame.loc[0, "top-1 %"] == 90.0


# Moves and figures


def test_every_candidate_is_listed_with_its_fate(shipped: dict[float, Run]) -> None:
    run = shipped[0.9]
    step = max(run.steps, key=lambda step: len({c.outcome for c in step.candidates}))
    frame = moves.candidates_frame(step, run)
    assert len(frame) == len(step.candidates)
    assert set(frame["outcome"]) == {str(c.outcome) for c in step.candidates}
    pruned = frame[frame["outcome"] == str(Outcome.PRUNED)]
    assert (pruned["why"] == moves.PRUNED_WHY).all()
    assert len(moves.moves_frame(run)) == len(run.steps)


def test_moves_of_activations_never_read_like_a_layer_s() -> None:
    """block1.conv names a layer and the group that it writes."""
    layer, group = (Move(Site(kind, "block1.conv"), 6) for kind in SiteKind)
    first, second = DIGITS.moved(DIGITS.uniform(8, 8), layer), DIGITS.moved(DIGITS.uniform(8, 8), layer, group)
    steps = (
        Step(1, 1, layer, first, 12.0, 490, -0.5, "block1.conv to 6 bits: loss -0.5", ()),
        Step(2, 1, group, second, 13.0, 489, -0.6, "activations of block1.conv to 6 bits: loss -0.6", (
            Candidate(group, 13.0, -0.65, Outcome.WON, 480, 489, -0.6),
        )),
    )  # fmt: skip
    request = Request("digits_cnn", "greedy", 0.9, images=500, activation_widths=(32, 8, 6), start=DIGITS.uniform(8, 8))
    run = Run("0123456789", request, "m", "s", "r", RunStatus.DONE, "2025-01-01", steps=steps, policy=second)
    assert [moves.step_name(step, run) for step in steps] == [
        *("1: block1.conv to 6 bits", "2: activations of block1.conv to 6 bits")
    ]
    frame = moves.moves_frame(run)
    assert list(frame["move"]) == ["activations of block1.conv → 6 bits", "block1.conv → 6 bits"]
    assert list(frame["why"]) == ["loss -0.6", "loss -0.5"]
    assert list(moves.candidates_frame(steps[1], run)["move"]) == ["activations of block1.conv → 6 bits"]
    listed = moves.policies_frame(run)
    assert list(listed["activations of block1.conv"]) == ["8 bits", "6 bits"]
    assert list(listed["block1.conv"]) == ["6 bits", "6 bits"]
    assert names.what(run) == "greedy at alpha 0.9, activations too"
    assert {"of activations FP32, 8, 6", "from W8A8"} <= set(heading.settings(run))
    (trail,) = progress_data([("this run", run)], DIGITS, {}).trails
    assert [mark.text for mark in trail.taken][-1] == "step 2: activations of block1.conv to 6 bits"


def test_a_path_starts_at_fp32_and_follows_the_steps(shipped: dict[float, Run]) -> None:
    run = shipped[0.9]
    data = progress_data([("this run", run)], DIGITS, {DIGITS.uniform(32): 488, DIGITS.uniform(8): 488})
    (trail,) = data.trails
    assert len(trail.taken) == len(run.steps) + 1
    assert trail.taken[0].top1 == pytest.approx(100 * (run.baseline_score or 0) / 500)
    assert [mark.intensity for mark in trail.taken[1:]] == [step.intensity for step in run.steps]
    half = progress_data([("this run", replace(run, steps=run.steps[:1]))], DIGITS, {})
    assert half.x_range == data.x_range  # the picture does not jump while it grows
    assert len(progress_frame(data)) == len(trail.taken) + len(trail.lost)


def test_a_joint_run_stands_on_the_images_that_it_chose_on() -> None:
    group, start = Site(SiteKind.ACTIVATIONS, "image"), DIGITS.uniform(8, 8)
    move = Move(group, 6)
    won = Candidate(move, 40.0, -0.65, Outcome.WON, 240, 245, -0.6)
    step = Step(1, 1, move, DIGITS.moved(start, move), 40.0, 245, -0.6, "activations of image to 6 bits: ...", (won,))
    run = joint_run(steps=(step,), policy=step.policy, baseline_score=244, floor_score=240)
    assert moves.moves_frame(run).loc[0, "top-1 %"] == 98.0  # 245 of 250
    assert moves.candidates_frame(step, run).loc[0, "top-1 %"] == 98.0
    assert rows.frame([rows.Row(run, 40.0, 245)]).loc[0, "top-1 %"] == 98.0
    data = progress_data([("this run", run)], DIGITS, {DIGITS.uniform(32): 244, start: 243})
    (trail,) = data.trails
    assert [mark.top1 for mark in trail.taken] == [97.2, 98.0]
    assert trail.taken[0].text == "W8A8, where it starts"
    assert (data.floor_top1, data.images) == (96.0, "on 250 search images")
    assert data.x_range[1] > intensity(DIGITS, DIGITS.uniform(3, 4))
    said = heading.settings(run)
    assert said[:2] == ["weights and activations", "250 search images choose, 250 confirm"]
    assert {"floor 96.00 %", "weights rounded by gptq", "ranges by mse"} <= set(said)
    query = names.explore_query(run)
    assert query is not None and query["space"] == "joint"


def test_a_path_above_fp32_stays_in_the_picture() -> None:
    step = Step(1, 1, None, DIGITS.uniform(4, 8), 40.0, 250, -0.6, "kept", ())
    data = progress_data([("this run", joint_run(steps=(step,), baseline_score=240))], DIGITS, {})
    assert data.y_range[1] > 100  # all of 250 right, FP32 240


def test_two_paths_are_overlaid(shipped: dict[float, Run]) -> None:
    data = progress_data([("A", shipped[0.9]), ("B", shipped[0.1])], DIGITS, {})
    figure = progress_figure(data, Look())
    assert {"A", "B"} <= {trace["name"] for trace in figure["data"]}


def test_paths_are_on_the_first_ones_axis(shipped: dict[float, Run]) -> None:
    fused = replace(shipped[0.9], request=replace(shipped[0.9].request, traffic="fused"))
    data = progress_data([("A", fused), ("B", shipped[0.9])], DIGITS, {DIGITS.uniform(32): 488}, candidates=False)
    assert (data.traffic, set(progress_frame(data)["traffic"])) == ("fused", {"fused"})
    # A's steps stand as it stored them, B's are counted anew.
    last = shipped[0.9].steps[-1]
    assert data.trails[0].taken[-1].intensity == last.intensity
    assert data.trails[1].taken[-1].intensity == intensity(DIGITS, last.policy, by="fused")
    assert data.references[0][1].intensity == intensity(DIGITS, DIGITS.uniform(32), by="fused")
    assert progress_figure(data, Look())["layout"]["xaxis"]["title"]["text"] == "FLOPs per byte, fused"


# Comparisons


def test_differences_of_two_policies() -> None:
    first, second = DIGITS.policy({"linear": 8}), DIGITS.policy({"linear": 4, "block1.conv": 8})
    frame = differences.sites(DIGITS, first, second)
    assert list(frame["where"]) == ["block1.conv", "linear"]
    weights = {layer.name: layer.weights for layer in DIGITS.quantizable}
    assert list(frame["B − A (bytes)"]) == [weights["block1.conv"] * (8 - 32) / 8, weights["linear"] * (4 - 8) / 8]


def test_differences_of_activations_stand_where_they_are_in_the_network() -> None:
    first, second = DIGITS.uniform(8), DIGITS.policy(dict.fromkeys(DIGITS.quantizable_names[1:], 8), {"image": 4})
    frame = differences.sites(DIGITS, first, second)
    assert list(frame["where"]) == ["activations of image", DIGITS.quantizable_names[0]]
    assert list(frame["B"]) == ["4 bits", "FP32"]
    # A pixel a byte: digits are 8 x 8.
    assert frame["B − A (bytes)"][0] == 8 * 8 * (4 - 32) / 8


def test_the_verdict_is_paired() -> None:
    before = np.array([True] * 90 + [False] * 10)
    after = np.array([True] * 80 + [False] * 18 + [True] * 2)
    found = paired(before, after)
    assert (found.lost, found.gained) == (10, 2)
    assert found.drop.value == pytest.approx(8.0)
    assert found.p == pytest.approx(0.03857, abs=1e-5)  # 2 * (C(12,0) + C(12,1) + C(12,2)) / 2^12 = 158 / 4096
    text = differences.sentence(found, "search")
    assert "B has 8.00 points fewer" in text
    assert " to " in text
    assert "±" not in text
    assert "exactly the same ones" in differences.sentence(paired(before, before), "search")


def test_runs_on_other_ground_are_not_compared() -> None:
    policy = DIGITS.uniform(8)
    first = replace(run_of(), policy=policy)
    for other, words in (
        (first, "itself"),
        (replace(run_of(images=250), id="x", policy=policy), "250"),
        (replace(run_of(alpha=0.1), policy=None), "no policy"),
    ):
        with pytest.raises(SettingError, match=words):
            differences.comparable(first, other)
    differences.comparable(first, replace(run_of(alpha=0.1), policy=policy))


def test_settings_that_differ() -> None:
    frame = differences.settings(run_of(), run_of(alpha=0.1, excluded=("linear",)))
    assert list(frame["setting"]) == ["alpha", "excluded"]
    assert list(frame["B"]) == ["0.1", "linear"]


def test_another_rounding_is_said_wherever_a_run_is() -> None:
    run = run_of(quantizer=Quantizer("mse"))
    assert "weights rounded by mse" in heading.settings(run)
    assert method(run).endswith(", rounded by mse") and "rounded" not in method(run_of())


def test_another_traffic_model_is_said_wherever_a_run_is() -> None:
    run = replace(run_of(traffic="fused"), policy=DIGITS.uniform(8))
    assert "fused traffic" in heading.settings(run)
    assert method(run).endswith(", fused traffic") and names.what(run).endswith(", fused traffic")
    assert "traffic" not in method(run_of()) + names.what(run_of())
    query = names.explore_query(run)
    assert query is not None and (query["traffic"], query["space"]) == ("fused", "weights")
    assert list(differences.settings(run, run_of())["setting"]) == ["traffic model"]


# The page itself


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Opens the Search page on a store of the test's own; no worker is ever started."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("aiq_core.jobs.ensure_worker", lambda library: None)
    st.cache_resource.clear()
    st.cache_data.clear()

    def run(**query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in {"space": "weights", **query}.items():
            test.query_params[name.rstrip("_")] = value
        # AppTest opens the first page; the app's own navigation leads to this one.
        test.run()
        return test.switch_page(str(ROOT / "pages" / "search" / "page.py")).run()

    yield run
    st.cache_resource.clear()
    st.cache_data.clear()


def started(folder: Path) -> list[Run]:
    return Store(folder / "store.sqlite").runs()


def button(test: AppTest, key: str) -> Any:
    return next(element for element in test.button if element.key == key)


def test_a_search_is_queued_and_shown(app: Callable[..., AppTest], tmp_path: Path) -> None:
    page = app(model="digits_cnn", alpha="0.33")
    assert not page.exception
    assert "no rate yet" in " ".join(caption.value for caption in page.sidebar.caption)
    button(page, "start").click().run()
    assert not page.exception
    (run,) = started(tmp_path)
    assert (run.request.alpha, run.status) == (0.33, RunStatus.QUEUED)
    assert any("greedy at alpha 0.33" in element.value for element in page.markdown)
    button(page, f"cancel-{run.id}").click().run()
    assert started(tmp_path)[0].status is RunStatus.CANCELLED
    button(page, f"archive-{run.id}").click().run()
    assert started(tmp_path)[0].archived


def test_a_search_is_by_the_traffic_model_chosen(app: Callable[..., AppTest], tmp_path: Path) -> None:
    page = app(model="digits_cnn")
    page.selectbox(key="job-kind").set_value("search").run()
    page.selectbox(key="job-traffic").set_value("fused").run()
    button(page, "start").click().run()
    assert not page.exception
    (run,) = started(tmp_path)
    assert run.request.traffic == "fused"
    assert any("greedy at alpha 0.9, fused traffic" in element.value for element in page.markdown)


def test_a_joint_search_is_asked_for_as_the_space_asks(app: Callable[..., AppTest], tmp_path: Path) -> None:
    page = app(model="digits_cnn", alpha="0.33", space="joint")
    assert not page.exception
    said = " ".join(caption.value for caption in page.sidebar.caption)
    assert "Chooses on the first 250 search images, confirms on 250 others; 500 report images judge." in said
    button(page, "start").click().run()
    assert not page.exception
    (run,) = started(tmp_path)
    how = JOINT.quantizer(bundled.dataset("digits"))
    assert run.request == JOINT.request("digits_cnn", how, DIGITS, "greedy", 0.33, 500)
    assert any("250 search images choose, 250 confirm" in element.value for element in page.markdown)
    page.selectbox(key="job-start-joint").set_value("w6a6").run()
    page.selectbox(key="job-kind").set_value("uniform").run()
    page.selectbox(key="job-bits").set_value(5).run()
    page.selectbox(key="job-activation-bits").set_value(7).run()
    assert not page.exception
    button(page, "start").click().run()
    assert {run.request.label for run in started(tmp_path)} == {None, "W5A7, gptq"}


def test_a_run_that_ships_with_the_app_is_not_run_again(app: Callable[..., AppTest]) -> None:
    page = app(model="digits_cnn")
    page.selectbox(key="job-kind").set_value("search").run()
    assert any("ships with the app" in info.value for info in page.sidebar.info)
    assert button(page, "start").disabled


@pytest.mark.parametrize("alpha", ["nan", "-1", "1.5", "inf", "much"])
def test_a_bad_alpha_in_the_link_is_said(app: Callable[..., AppTest], alpha: str, tmp_path: Path) -> None:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    test.query_params["alpha"] = alpha
    test.run()
    assert any("is not offered" in warning.value for warning in test.warning)
    assert started(tmp_path) == []


def test_bad_fields_disable_the_start(app: Callable[..., AppTest], tmp_path: Path) -> None:
    page = app(model="digits_cnn", alpha="0.33")
    page.sidebar.multiselect(key="job-excluded-digits_cnn").set_value(list(DIGITS.quantizable_names)).run()
    assert any("nothing is left to choose" in error.value for error in page.error)
    assert button(page, "start").disabled
    page.sidebar.multiselect(key="job-excluded-digits_cnn").set_value([]).run()
    page.sidebar.number_input(key="job-floor-digits_cnn").set_value(99.9).run()
    assert any("above FP32" in error.value for error in page.error)
    page.sidebar.number_input(key="job-floor-digits_cnn").set_value(None).run()
    page.sidebar.number_input(key="job-evaluations").set_value(0).run()
    assert any("max_evaluations=0" in error.value for error in page.error)
    assert started(tmp_path) == []


def test_a_full_queue_is_said(app: Callable[..., AppTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_MAX_QUEUE", "1")
    page = app(model="digits_cnn", alpha="0.33")
    button(page, "start").click().run()
    page.sidebar.slider(key="alpha").set_value(0.44).run()
    button(page, "start").click().run()
    assert any("takes at most 1" in error.value for error in page.error)
    assert len(started(tmp_path)) == 1


def test_a_server_limit_is_a_budget(
    app: Callable[..., AppTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQ_MAX_MINUTES", "3")
    page = app(model="digits_cnn", alpha="0.33")
    button(page, "start").click().run()
    assert started(tmp_path)[0].request.max_minutes == 3


def test_a_read_only_server_only_shows(
    app: Callable[..., AppTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQ_READ_ONLY", "1")
    page = app(model="digits_cnn")
    assert not page.exception
    assert not page.error
    keys = {element.key for element in page.button}
    assert not any(key and key.startswith(("start", "cancel", "resume", "archive")) for key in keys)
    assert any("greedy at alpha" in element.value for element in page.markdown)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_says_why_and_again_when_it_fails_again(app: Callable[..., AppTest], tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    failed = run_of(RunStatus.FAILED, alpha=0.33)
    run = store.add_run(replace(failed, message="`ValueError: first`", traceback="Traceback: first"))
    page = app(model="digits_cnn")
    page.query_params["run"] = run.id
    assert [error.value for error in page.run().error] == ["`ValueError: first`"]
    assert [code.value for code in page.code] == ["Traceback: first"]
    # Nothing else has ended meanwhile, so nothing that is cached by what ended is new.
    store.save_run(replace(run, message="lower the floor", traceback=""))
    assert [error.value for error in page.run().error] == ["lower the floor"]
    assert list(page.code) == []


def test_an_unknown_run_in_the_link_is_said(app: Callable[..., AppTest]) -> None:
    page = app(model="digits_cnn")
    page.query_params["run"] = "nowhere"
    page.run()
    assert any("unknown run 'nowhere'" in warning.value for warning in page.warning)


def test_two_runs_are_compared_by_link(app: Callable[..., AppTest], shipped: dict[float, Run]) -> None:
    page = app(model="digits_cnn")
    page.query_params["run"], page.query_params["with"] = shipped[0.9].id, shipped[0.1].id
    page.run()
    assert not page.exception
    text = " ".join(element.value for element in page.markdown)
    assert "two runs compared" in text
    assert "search images" in text


# Exchange, as the page does it


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[: len(text) // 2], "truncated"),
        (lambda text: '{"some": "json"}', "not a run exported"),
        (lambda text: text.replace('"seconds":', '"seconds":1', 1), "changed after its export"),
        (lambda text: text.replace('"status":"done"', '"status":"running"', 1), "was running when it was exported"),
    ],
)
def test_a_bad_import_says_so_and_writes_nothing(
    spoil: Callable[[str], str], words: str, tmp_path: Path, shipped: dict[float, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.common import errors
    from pages.search import exchange_panel, stored

    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    st.cache_resource.clear()
    content = spoil(exchange.export_run(library.open_library(), shipped[0.9].id)).encode()
    state: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", state)
    stored.attempt(exchange_panel._import, content, "file.json")
    assert words in state[errors.ERROR]
    assert started(tmp_path) == []
    assert Store(tmp_path / "store.sqlite").evaluations() == []
    st.cache_resource.clear()


def test_an_import_is_shown_with_its_origin(
    tmp_path: Path, shipped: dict[float, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    known = library.open_library()
    document = json.loads(exchange.export_run(known, shipped[0.9].id))
    run = exchange.import_run(known, json.dumps(document).encode(), "file.json")
    shown = library.open_library().run(run.id)
    assert shown.id != shipped[0.9].id
    assert names.origin(shown).startswith("imported from ")
    assert names.is_own(shown)
    assert estimate.rate([shown], "digits_cnn", 500) is None
