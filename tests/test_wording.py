"""Numbers as people read them."""

import pytest

from aiq_core import wording
from aiq_core.hardware import NumberType
from aiq_core.records import Move, Policy, Quantizer, Ranges, Site, SiteKind
from aiq_core.statistics import Interval


def test_numbers_have_a_real_minus_and_no_negative_zero() -> None:
    assert wording.number(-1234.5, 1) == "−1,234.5"
    assert wording.number(-0.004, 2) == "0.00"
    assert wording.signed(0.5, 1) == "+0.5"
    assert wording.signed(-0.5, 1) == "−0.5"
    assert wording.signed(0.0, 1) == "0.0"


def test_intervals_read_a_to_b() -> None:
    assert wording.span(Interval(0.5, -0.123, 1.1)) == "−0.12 to 1.10"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4375, "0.44"), (9.04, "9.04"), (29.849, "29.8"), (156.0, "156"), (1248.0, "1,248"), (2.0, "2")],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert wording.significant(value) == text


def test_rates_name_their_unit() -> None:
    assert wording.rate(156e12, NumberType.TF32) == "156 TFLOP/s"
    assert wording.rate(624e12, NumberType.INT8) == "624 TOP/s"
    assert wording.rate(0.96e9, NumberType.FP32) == "960 MFLOP/s"
    assert wording.prefixed_rate(1248e12) == "1,248T"
    assert [wording.short_rate(10.0**power) for power in (9, 13, 15)] == ["1G", "10T", "1P"]


def test_sizes_and_times() -> None:
    assert wording.size(1_806_708) == "1.81 MB"
    assert wording.size(157_000) == "157 kB"
    assert wording.size(512) == "512 B"
    assert wording.seconds(1.2e-6) == "1.2 µs"
    assert wording.seconds(2e-9) == "2 ns"


def test_bit_counts() -> None:
    assert (
        wording.bit_counts(Policy((4,) * 12 + (8,) * 6 + (32,) * 2, (32,))) == "12 layers at 4 bits, 6 at 8, 2 at FP32"
    )
    assert wording.bit_counts(Policy((4, 8, 8), (32,))) == "1 layer at 4 bits, 2 at 8"
    assert wording.bit_counts(Policy((32,) * 20, (32,))) == "all 20 layers at FP32"


def test_bit_counts_of_both_kinds() -> None:
    assert (
        wording.bit_counts(Policy((4, 8, 8), (8,) * 3))
        == "1 layer at 4 bits, 2 at 8; all 3 activation groups at 8 bits"
    )
    mixed = Policy((4,) * 20, (6, 8, 8, 32))
    assert wording.bit_counts(mixed) == "all 20 layers at 4 bits; 1 activation group at 6 bits, 2 at 8, 1 at FP32"


@pytest.mark.parametrize(
    ("weights", "activations", "name"),
    [
        ((32, 32), (32,), "FP32"),
        ((8, 8), (32,), "INT8"),
        ((8, 8), (8,), "W8A8"),
        ((4, 4), (6, 6), "W4A6"),
        ((32, 32), (8,), "W32A8"),
        ((4, 8), (8,), None),
        ((4, 4), (8, 6), None),
    ],
)
def test_uniform_policies_go_by_the_field_s_names(
    weights: tuple[int, ...], activations: tuple[int, ...], name: str | None
) -> None:
    assert wording.uniform_name(Policy(weights, activations)) == name


def test_a_move_of_activations_never_reads_like_a_layer_s() -> None:
    layer, group = (Move(Site(kind, "conv1"), 6) for kind in SiteKind)
    assert wording.move_words(layer) == "conv1 to 6 bits"
    assert wording.move_words(group) == "activations of conv1 to 6 bits"


def test_differences_count_each_kind() -> None:
    before = Policy((4, 8, 8), (8, 8))
    assert wording.differences(before, before) == ""
    assert wording.differences(before, Policy((8, 4, 8), (8, 8))) == "2 layers"
    assert wording.differences(before, Policy((8, 8, 8), (8, 6))) == "1 layer and 1 activation group"


def test_a_range_of_widths() -> None:
    ranges = [wording.width_range(widths) for widths in ((4, 4), (3, 6, 4), (8, 32), (32,))]
    assert ranges == ["4 bits", "3 to 6 bits", "8 bits to FP32", "FP32"]


def test_rounding_is_told_of_what_a_policy_rounds() -> None:
    assert wording.quantizer_words(Quantizer(), Policy((4,), (32,))) == "weights only, symmetric, per channel, nearest"
    ranged = Quantizer(activations=Ranges("mse", "abc"))
    both = "weights symmetric, per channel, nearest; activations per tensor, ranges by mse"
    assert wording.quantizer_words(ranged, Policy((4,), (8,))) == both


def test_layers_that_coincide_share_a_label() -> None:
    def together(*names: str) -> str:
        return wording.together(names, wording.clipped(names, 24))

    assert together("layer1.0.conv1") == "layer1.0.conv1"
    assert together("layer3.0.conv2", "layer3.1.conv1") == "layer3 × 2"
    assert together("conv1", "linear", "shortcut") == "conv1 + 2"
    assert together("0.output.dense", "1.output.dense") == "output.dense × 2"
    assert together("0.conv.0", "1.norm.0") == "0.conv.0 + 1"  # a number alone says nothing


def test_first_parts_that_all_share_are_dropped() -> None:
    names = [f"features.{index}.conv" for index in range(18)] + ["classifier.1"]
    short = wording.without_shared_head(names)
    assert short["features.17.conv"] == "17.conv"
    assert short["classifier.1"] == "classifier.1"
    assert wording.without_shared_head(["layer1.a", "layer2.a"])["layer1.a"] == "layer1.a"
    deep = [f"bert.encoder.layer.{index}.dense" for index in range(12)]
    assert [*wording.without_shared_head(deep).values()] == [f"{index}.dense" for index in range(12)]
    assert wording.without_shared_head(["a.b"]) == {"a.b": "b"}


def test_long_names_are_cut_in_the_middle_and_stay_different() -> None:
    whole = "letters of a name that are too many for a chart"
    assert wording.clipped([whole, "conv1"], 12) == {whole: "lette… chart", "conv1": "conv1"}
    apart = [f"{'a' * 70}{place:03d}{'z' * 77}" for place in range(199)]
    assert wording.clipped(apart, 12)[apart[17]] == "…aaaaaa017…"
    far = [f"{'a' * 50}{first}{'-' * 50}{last}{'z' * 50}" for first in "xy" for last in "xy"]
    assert [*wording.clipped(far, 12).values()] == [f"aa…zzz #{place}" for place in (1, 2, 3, 4)]
    for names in (apart, far, [*far, "conv1", whole]):
        cut = wording.clipped(names, 12)
        assert len({*cut.values()}) == len(names)
        assert max(map(len, cut.values())) <= 12
    sites = [Site(SiteKind.WEIGHTS, apart[0]), Site(SiteKind.ACTIVATIONS, apart[0])]
    assert [*wording.site_names(sites).values()] == [
        "aaaaaaaaaaa…zzzzzzzzzzzz",
        "activations of aaaaaaaaaaa…zzzzzzzzzzzz",
    ]


def test_a_whole_name_is_wrapped_under_the_pointer() -> None:
    assert wording.wrapped("n" * 150) == "<br>".join(["n" * 44, "n" * 44, "n" * 44, "n" * 18])
    assert wording.wrapped("layer1.0.conv1") == "layer1.0.conv1"
