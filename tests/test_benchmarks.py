"""Benchmarks: the plain reference agrees with the app's search, work is counted, small spaces are exhausted."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aiq_core.claims.evidence import Evidence
from aiq_core.intensity import intensity
from aiq_core.library import Library
from aiq_core.records import Candidate, ImageSet, Move, Outcome, Run, RunStatus, Site, SiteKind, SplitName, Step
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.space import JOINT
from benchmarks import _common, joint_cost
from benchmarks._common import Meter, markdown
from benchmarks._exhaustive import Exhausted, Small
from benchmarks._gaps import covered, strategies
from benchmarks._plain import Unfolded
from benchmarks._sides import Bench as SideBench
from benchmarks.frontier import TABLE, reached, row
from benchmarks.search_cost import Bench, agreement, ladder, plain_candidates, tables
from tests import bundled


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(bundled.model("digits_cnn"), 500, threads=1, chunk=125, steps=None)


def test_ladder_takes_the_same_moves_with_ever_less_work(bench: Bench) -> None:
    costs = ladder(bench, alpha=0.9, plain_steps=None)
    assert len({cost.moves for cost in costs}) == 1
    plain, reference, pruned, stopped, shared = costs
    assert plain.evaluations == plain_candidates(5, len(plain.moves))  # digits_cnn has 5 layers
    assert plain.equivalents == pytest.approx(plain.evaluations)
    assert reference.equivalents == pytest.approx(plain.evaluations)
    assert pruned.equivalents == pytest.approx(pruned.evaluations)
    assert reference.equivalents > pruned.equivalents >= stopped.equivalents >= shared.equivalents
    assert "4 of the 4 rungs" in agreement(costs)
    assert tables(costs).count("\n") == 1 + len(costs)


@pytest.mark.thorough
def test_stopping_the_plain_rungs_early_changes_their_seconds_only(bench: Bench) -> None:
    whole, early = ladder(bench, 0.9, None), ladder(bench, 0.9, 2)
    for full, short in zip(whole[:2], early[:2], strict=True):
        assert short.extrapolated
        assert short.evaluations == full.evaluations
        assert short.equivalents == pytest.approx(full.equivalents)
        assert short.moves == full.moves[:2]


def test_sweep_costs_less_than_its_parts(bench: Bench) -> None:
    total, spent = bench.sweep()
    assert len(spent) == 21
    assert sum(spent.values()) < total.equivalents < total.evaluations


def test_meter_counts_the_profiles_flops() -> None:
    network = Unfolded(bundled.model("digits_cnn"), 500)
    right = network.right(bundled.profile("digits_cnn").uniform(32))
    assert 2 * network.meter.macs == 500 * bundled.profile("digits_cnn").flops
    assert network.meter.image_layers == 500 * len(bundled.profile("digits_cnn").layers)
    assert right > 450


def test_meter_knows_depthwise_layers() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False))
    meter = Meter().watch([module])
    module(torch.zeros(2, 8, 4, 4))
    (cost,) = meter.layers.values()
    assert cost.macs == 2 * 8 * 4 * 4 * 3 * 3  # images · channels · H · W · k · k
    assert cost.kind == "depthwise convolution"
    meter.forget()
    assert meter.macs == 0


def test_markdown_aligns_numbers_right() -> None:
    assert markdown(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_a_joint_search_is_held_against_every_candidate_of_its_steps() -> None:
    model = bundled.model("resnet20")
    request = JOINT.request(model.name, JOINT.quantizer(model.dataset), model.profile, "greedy", 0.5, 5000)
    move = Move(Site(SiteKind.WEIGHTS, "conv1"), 6)
    step = Step(1, 1, move, model.profile.uniform(8, 8), 118.0, 4600, -0.1, "")
    steps = tuple(replace(step, candidates=(Candidate(move, 118.0, -0.1, Outcome.LOST),) * count) for count in (30, 8))
    run = Run("id", request, "", "", "", RunStatus.DONE, "now", steps=steps, policy=steps[-1].policy)
    run = replace(run, evaluations=10, evaluations_new=7, seconds=3.2)
    found = joint_cost.row(Evidence(Library(None, None)), run)
    # 20 layers and 14 groups; 30 + 8 candidates, FP32 and the start; W8A8 moves a quarter of nearly all bytes.
    assert found == ("ResNet-20, greedy", "34", "0.5", "2", "40", "10", "25 %", "7", "3", "+296 %")


def test_a_section_takes_the_place_of_an_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_common, "COSTS", tmp_path / "page.md")
    for title, line in (("Both", "old"), ("5,000 search images", "b"), ("1,000 search images", "a"), ("Both", "new")):
        _common.write_section(title, [line])
    said = (tmp_path / "page.md").read_text()
    assert [line for line in said.splitlines() if line.startswith("## ")] == [
        "## 1,000 search images", "## 5,000 search images", "## Both",
    ]  # fmt: skip
    assert "new" in said
    assert "old" not in said


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Exhausted:
    """The linear layer and the one before at two widths each, on 100 images."""
    model = bundled.model("digits_cnn")
    small = Small("two", model, model.profile.weight_sites[-2:], (8, 2), (8,))
    return Exhausted(small, ImageSet(SplitName.SEARCH, 100), tmp_path_factory.mktemp("ground"), threads=1)


def test_an_exhausted_space_has_what_each_of_its_policies_has_right(ground: Exhausted, tmp_path: Path) -> None:
    small, model = ground.small, ground.small.model
    policies = list(small.policies())
    assert [policy.weight_bits[-2:] for policy in policies] == [(8, 8), (8, 2), (2, 8), (2, 2)]
    assert [small.place(policy) for policy in policies] == [0, 1, 2, 3]
    assert {policy.weight_bits[:-2] + policy.activation_bits for policy in policies} == {(8,) * 9}
    evaluator = TorchEvaluator(model, ground.images, small.quantizer, threads=1)
    labels = model.dataset.search.labels
    for place, policy in enumerate(policies):
        outcomes = model.metric.blank(len(labels))
        list(evaluator.chunks(policy, None, outcomes))
        assert ground.scores[place] == np.count_nonzero((outcomes == labels)[:100])
    fp32 = intensity(model.profile, model.profile.uniform(32))
    assert small.ratios.tolist() == [intensity(model.profile, policy) / fp32 for policy in policies]
    again = Exhausted(small, ground.images, tmp_path, threads=1)
    assert again.scores.tolist() == ground.scores.tolist()


def test_strategies_are_answered_from_the_table_and_cover_no_more_than_the_best(ground: Exhausted) -> None:
    ratios, drops = ground.small.ratios, ground.drops
    most = covered(ratios, drops, range(4))
    for name, asked, found in strategies(ground, seeds=2):
        assert asked >= 1
        for places in found:
            assert 0 <= covered(ratios, drops, places) <= most, name
    # What draws often enough has seen all four.
    assert covered(ratios, drops, found[0]) == most


def test_what_a_side_forwards_is_counted_in_images(tmp_path: Path) -> None:
    bench = SideBench(bundled.model("digits_cnn"), 500, tmp_path, threads=1)
    side = bench.drawn("random_search", 0, 3)
    # FP32, the start, and two drawn, on 250 images each; what confirms them is not counted.
    assert (side.asked, side.evaluations, side.calibration) == (3, 4.0, 0.0)
    assert bench.drawn("random_search", 0, 3).runs == side.runs
    lost = bench.confirmed(side)
    assert lost.shape == (len(side.policies), 250)
    found = reached(bench, side)
    assert found.confirm.low <= found.confirm.value <= found.confirm.high
    assert found.picked <= len(side.policies)
    assert row(found, found)[:2] == ("random_search, seed 0", "3")


def test_the_table_that_ships_has_a_row_a_model_strategy_and_seed() -> None:
    rows = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))
    assert {each["model"] for each in rows} == {"resnet20", "mobilenet_v2"}
    assert len({(each["model"], each["strategy"], each["seed"]) for each in rows}) == len(rows)
    for each in rows:
        for name in ("confirm", "report"):
            low, value, high = (float(each[f"{name}_area{end}"]) for end in ("_low", "", "_high"))
            assert 0 <= low <= value <= high
