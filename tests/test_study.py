"""The study of rounding as it is stored: a trial a line of assets/rounding.csv, accuracies of the stores beside it."""

import pytest

from aiq_core.library import Library, open_library
from aiq_core.records import Granularity, Grid
from aiq_core.rounding import ROUNDINGS
from aiq_core.study import read_figures, trials
from tests import bundled


@pytest.fixture(scope="module")
def known() -> Library:
    return Library(None, open_library().bundled)


def test_what_is_measured_is_of_networks_and_methods_that_there_are() -> None:
    figures = read_figures()
    assert {"resnet20", "mobilenet_v2"} <= {name for name, *_ in figures} <= set(bundled.NAMES)
    assert {how for _, how, *_ in figures} <= set(ROUNDINGS)


def test_a_trial_has_the_accuracy_of_its_own_rounding(known: Library) -> None:
    key = ("resnet20", "nearest", "narrow", "channel", "4")
    other = ("resnet20", "nearest", "full", "tensor", "5")
    figures = {key: ("16.73", "0.02", "a CPU"), other: ("11.00", "0.03", "a CPU")}
    nearest, unmeasured = trials(known, bundled.model("resnet20"), figures)
    assert (nearest.sqnr_db, nearest.seconds, nearest.bits) == (16.73, 0.02, 4)
    # 10,000 report images, 9,225 of them right at FP32: the bundled uniform run.
    assert nearest.report is not None
    assert nearest.report.before.value == pytest.approx(92.25)
    assert nearest.report.drop.value == pytest.approx(1.37)
    assert (unmeasured.grid, unmeasured.granularity) == (Grid.FULL, Granularity.TENSOR)
    assert unmeasured.report is None
    assert trials(known, bundled.model("mobilenet_v2"), figures) == ()


def test_bits_gained_are_error_lost() -> None:
    """Each bit of a method halves its steps: about 6 dB, wherever two widths are."""
    of = {
        int(bits): float(sqnr) for (name, *how, bits), (sqnr, *_) in read_figures().items()
        if name == "resnet20" and how == ["nearest", "narrow", "channel"]
    }  # fmt: skip
    assert of[8] - of[4] == pytest.approx(25.2, abs=0.5)  # 20·log10(127 / 7)
