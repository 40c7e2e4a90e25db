"""The sentence on Explore: every part of it, from numbers to words."""

from dataclasses import replace

import pytest

from aiq_core.roof import Spread
from aiq_core.statistics import Interval
from pages.explore.sentence import Facts, Timed, sentence

FACTS = Facts(
    title="ResNet-20",
    gain_percent=51.4,
    drop=Interval(0.52, 0.21, 0.83),
    search_drop=Interval(0.3, 0.1, 0.5),
    judged_on="2,000 search images",
    judges="search",
    machine="A100 (TF32)",
    speed_up=1.514,
    memory_bound=22,
    layers=22,
    batch=1,
    batch_gain_percent=51.4,
)


def test_the_message_of_the_first_screen() -> None:
    assert sentence(FACTS) == (
        "ResNet-20 does 51 % more work per byte for 0.5 points of accuracy, a predicted 1.51 × faster on A100 (TF32)"
    )


def test_no_faster_where_layers_are_compute_bound() -> None:
    facts = replace(FACTS, machine="Raspberry Pi 5", speed_up=1.0, memory_bound=0)
    assert sentence(facts).endswith(", no faster on Raspberry Pi 5: compute-bound already")


def test_a_speed_up_that_rounds_to_one_is_none() -> None:
    assert "no faster" in sentence(replace(FACTS, speed_up=1.0049, memory_bound=0))
    assert "a predicted 1.01 × faster" in sentence(replace(FACTS, speed_up=1.0051))


def test_another_batch_says_what_the_bits_are_worth_there() -> None:
    facts = replace(FACTS, batch=128, batch_gain_percent=0.41)
    assert sentence(facts).endswith(", at batch 128 the same bits raise AI by 0.4 %")
    assert "51 % more work per byte" in sentence(facts)  # what it does stays at batch 1
    both = replace(FACTS, gain_percent=295.5, batch=128, batch_gain_percent=299.6)
    assert sentence(both).endswith(", at batch 128 the same bits still raise AI by 299.6 %")


def test_a_machine_without_the_arithmetic_makes_no_promise() -> None:
    text = sentence(replace(FACTS, machine="Coral Edge TPU (USB)", speed_up=None))
    assert "can't run" in text
    assert "FP32 activations" in text
    assert "predicted" not in text


@pytest.mark.parametrize(
    ("timed", "words"),
    [
        (Timed("ONNX Runtime", Spread(1.9, 1.8, 2.0), None), "measured 1.90 × as fast as FP32 in ONNX Runtime here"),
        (Timed("OpenVINO", Spread(0.7, 0.6, 0.8), None), "measured 0.70 × FP32’s speed in OpenVINO here"),
        (Timed("OpenVINO", Spread(1.1, 0.9, 1.2), None), "measured as fast as FP32 in OpenVINO here"),
        (
            Timed("ONNX Runtime", Spread(1.9, 1.8, 2.0), "a CPU", 2),
            "measured 1.90 × as fast as FP32 in ONNX Runtime on a CPU, 2 threads",
        ),
    ],
)
def test_what_was_measured_stands_beside_what_is_predicted(timed: Timed, words: str) -> None:
    assert sentence(replace(FACTS, timed=timed)) == f"{sentence(FACTS)}; {words}"
    assert sentence(replace(FACTS, timed=timed, batch=8)).endswith(f"raise AI by 51.4 %; {words}")


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        (Interval(0.1, -0.1, 0.3), "no measurable loss of accuracy"),
        (Interval(-0.1, -0.3, 0.1), "no measurable loss of accuracy"),
        (Interval(-0.4, -0.7, -0.1), "0.4 points more accuracy"),
        (Interval(1.0, 0.7, 1.3), "1.0 point"),
        (None, "for 0.3 points of accuracy (on 2,000 search images, not reported yet)"),
    ],
)
def test_accuracy_is_claimed_only_as_far_as_its_interval_allows(drop: Interval | None, words: str) -> None:
    assert words in sentence(replace(FACTS, drop=drop))


def test_fp32_has_a_sentence_of_its_own() -> None:
    text = sentence(replace(FACTS, gain_percent=0.0, drop=Interval(0.0, 0.0, 0.0), speed_up=1.0))
    assert "FP32" in text
    assert "more work" not in text


def test_the_gain_can_be_marked() -> None:
    assert "**51 % more work per byte**" in sentence(FACTS, mark="**")


def test_small_gains_keep_a_decimal() -> None:
    assert "5.0 % more work" in sentence(replace(FACTS, gain_percent=4.96))
