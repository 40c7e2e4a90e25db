"""The search-cost benchmark: its plain reference agrees with the app's search, and it counts what runs."""

import pytest
import torch

from benchmarks._common import Meter, markdown
from benchmarks._plain import Unfolded
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
