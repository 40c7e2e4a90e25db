"""Claims of real runtimes and of predictions, from an experiment by hand."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from aiq_core.claims.evidence import Claim, Evidence
from aiq_core.claims.predictions import prediction_claims
from aiq_core.claims.throughput import our_throughput, paper_throughput
from aiq_core.deployment.engine import Engine
from aiq_core.deployment.experiment import Experiment, experiments
from aiq_core.deployment.rows import Row
from aiq_core.library import Library, open_library
from tests import bundled
from tests import experiments as by_hand

ORT, OPENVINO = Engine.ONNX_RUNTIME, Engine.OPENVINO
MOBILENET, RESNET = bundled.model("mobilenet_v2"), bundled.model("resnet20")
RANDOM = {f"random-{seed}": factor for seed, factor in enumerate((0.8, 0.9, 1.0, 1.1, 1.2))}


@pytest.fixture
def library(nothing_shipped: None) -> Library:
    return open_library()


def claimed(library: Library) -> Mapping[str, Claim]:
    evidence = Evidence(library)
    found = (*paper_throughput(evidence), *our_throughput(evidence), *prediction_claims(evidence))
    return {claim.id: claim for claim in found}


def test_each_ratio_is_held_against_its_own_goal(library: Library) -> None:
    wrong = {"int8": 2, "paper": 1}
    by_hand.save(library, MOBILENET, {(ORT, 128): {"paper": 1.0, "int8": 2.0}}, wrong)
    found = claimed(library)
    # PyTorch takes 4 ms an image, the runtime's FP32 2: the paper's layers at 1.0 × that are 2.0 × as fast as PyTorch.
    eager, own, lost = (found[f"paper-throughput-mobilenet_v2-onnxruntime-{part}"] for part in ("eager", "own", "drop"))
    assert (eager.measured, eager.holds) == (pytest.approx(2.0), True)
    assert (own.measured, own.holds) == (pytest.approx(1.0), False)
    assert (lost.measured, lost.holds) == (pytest.approx(1.0), True)  # 1 of 100 images
    assert "median of 3 rounds, 2.00 to 2.00; 500 images/s; a CPU · 1 thread · onnxruntime 1.32" in eager.note
    eager, own, lost = (found[f"throughput-mobilenet_v2-onnxruntime-{part}"] for part in ("eager", "own", "drop"))
    assert (eager.measured, eager.holds) == (pytest.approx(4.0), True)
    assert (own.measured, own.holds) == (pytest.approx(2.0), True)
    assert (lost.measured, lost.holds) == (pytest.approx(2.0), False)
    # In the other runtime nothing was timed.
    assert found["throughput-mobilenet_v2-openvino-own"].holds is None


@pytest.mark.parametrize(("flag", "least", "holds"), [("avx512_vnni", "5 ×", True), ("amx_int8", "10 ×", False)])
def test_a_cpu_with_tiles_is_asked_for_more(library: Library, flag: str, least: str, holds: bool) -> None:
    place = replace(by_hand.PLACE, flags=(flag,))
    by_hand.save(library, RESNET, {(OPENVINO, 32): {"paper": 1.0, "int8": 3.0}}, place=place)
    claim = claimed(library)["throughput-resnet20-openvino-eager"]
    assert (claim.measured, claim.holds) == (pytest.approx(6.0), holds)
    assert f"AMX: {least} is asked for" in claim.note


def test_chosen_layers_must_beat_each_draw(library: Library) -> None:
    cells = {"paper": 1.3, **RANDOM}
    by_hand.save(library, MOBILENET, {(ORT, 1): cells, (ORT, 128): {**cells, "random-4": 1.4}})
    by_hand.save(library, MOBILENET, {(OPENVINO, 1): {name: cells[name] for name in list(cells)[:-1]}})
    found = claimed(library)
    # 1.3 over the median of five, 1.0; over 0.8, 0.9, 1.0, 1.1, 1.4 as well, but not faster than the last.
    assert (found["random-onnxruntime-1"].measured, found["random-onnxruntime-1"].holds) == (pytest.approx(1.3), True)
    assert found["paper-random-onnxruntime-128"].measured == pytest.approx(1.3)
    assert found["paper-random-onnxruntime-128"].holds is False
    assert "0.80 to 1.40 × for 5 random draws" in found["paper-random-onnxruntime-128"].note
    assert found["random-openvino-1"].holds is None  # a draw is missing
    assert (found["chosen-least"].holds, found["random-most"].holds) == (False, False)  # 1.3 < 1.4, 1.2 > 1.1
    assert found["random-most"].measured == pytest.approx(1.2)


class Told(Evidence):
    """Knows of an experiment that no store has."""

    def __init__(self, library: Library, found: Experiment) -> None:
        super().__init__(library)
        self._experiments = {found.model.name: found}


def timed(name: str, factor: float, wrong: int) -> Row:
    variant = replace(by_hand.variants(Library(None, None), MOBILENET)["int8"], name=name)
    made = by_hand.deployed(MOBILENET, ORT, variant, wrong)
    plain = by_hand.deployed(MOBILENET, ORT, variant, 0)
    return Row(by_hand.timing(MOBILENET, ORT, variant, 32, factor), made, made.against(plain, MOBILENET), {})


@pytest.mark.parametrize(("factor", "wrong", "holds"), [(2.0, 3, (True, True)), (1.4, 4, (False, False))])
def test_a_search_for_time_is_faster_and_loses_no_more(factor: float, wrong: int, holds: tuple[bool, bool]) -> None:
    rows = timed("ours", 1.6, 3), timed("fastest", factor, wrong)
    evidence = Told(Library(None, None), Experiment(MOBILENET, "a CPU", 1, rows))
    found = {claim.id: claim for claim in our_throughput(evidence)}
    faster, cost = found["time-mobilenet_v2"], found["time-drop-mobilenet_v2"]
    assert faster.measured == pytest.approx(factor / 1.6)
    assert cost.measured == pytest.approx(wrong - 3)  # of 100 images
    assert (faster.holds, cost.holds) == holds
    assert found["time-resnet20"].holds is None


def test_predictions_are_judged_by_the_best_informed(library: Library) -> None:
    cells = {"int8": 2.0, "paper": 1.0, "random-0": 0.8, "random-1": 2.0}
    by_hand.save(library, MOBILENET, {(ORT, 8): cells, (ORT, 256): cells})
    assert claimed(library)["predicted-uniform"].holds is None  # of one network alone
    by_hand.save(library, RESNET, {(ORT, 8): {"paper": 1.0}})
    library.store.measurements.save(by_hand.table(RESNET, ORT, 8, 1.1).measurement)
    for batch in (8, 256):
        library.store.measurements.save(by_hand.table(MOBILENET, ORT, batch, 1.1).measurement)
    found = claimed(library)
    # Predicted 1.1 × FP32 for all: off by 10 % for FP32, twice, and 120 % for INT8, which took half.
    # Batch 256 is not judged.
    assert (found["predicted-uniform"].measured, found["predicted-uniform"].holds) == (pytest.approx(10), True)
    assert found["predicted-uniform"].note.startswith("3 points; table of kernels 10 %, table and borders 10 %; a CPU")
    assert found["predicted-uniform-near"].measured == pytest.approx(100 * 2 / 3)
    assert found["predicted-uniform-near"].holds is False
    # The mixed ones took 1, 1.25, 0.5 and 1 of FP32's time: off by 10, −12, 120 and 10 %.
    assert (found["predicted-mixed"].measured, found["predicted-mixed"].holds) == (pytest.approx(11), True)
    # None is predicted to be faster, and one of four is. All rounds tell two of them from FP32, that one too.
    assert found["predicted-signs"].measured == pytest.approx(75)
    assert found["predicted-signs"].holds is False
    assert "where all rounds agree, table and borders 1 of 2" in found["predicted-signs"].note
    assert found["predicted-layers"].holds is None


def test_the_machine_with_most_of_it_comes_first(library: Library) -> None:
    other, third = (replace(by_hand.PLACE, cpu=cpu) for cpu in ("another CPU", "a third"))
    by_hand.save(library, MOBILENET, {(ORT, 1): {"paper": 1.1}}, place=other)
    by_hand.save(library, MOBILENET, {(ORT, 1): {"paper": 1.2}, (OPENVINO, 8): {"int8": 1.3}})
    by_hand.save(library, MOBILENET, {(ORT, batch): {"int8": 1.3} for batch in (1, 8, 32)}, place=third)
    first, second = experiments(library, MOBILENET)  # the third never timed the paper's layers
    assert (first.cpu, second.cpu) == ("a CPU", "another CPU")
    assert first.batches == (1, 8)
    row = first.row(OPENVINO, "int8", 8)
    assert row is not None and row.timing.ratio_to_engine_fp32 is not None
    assert row.timing.ratio_to_engine_fp32.value == pytest.approx(1.3)
    assert experiments(library, bundled.model("digits_cnn")) == ()
