"""Claims are recomputed from stored evaluations, and say what they need to."""

import json
import math
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from aiq_core.charts.aggressive import aggressive_data, aggressive_figure, aggressive_frame
from aiq_core.charts.optimism import Kind, optimism_data, optimism_figure, optimism_frame
from aiq_core.charts.style import Look
from aiq_core.claims import claims, document, figure, is_paper
from aiq_core.claims.evidence import Evidence, correlation, gain
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.records import Evaluation, Granularity, Origin, SplitName
from aiq_core.space import JOINT
from aiq_core.store import Store
from pages.results import content
from tests import bundled
from tests.tables import table_of, trial

KEYS = {"id", "statement", "paper", "measured", "unit", "interval", "holds", "run", "note"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled results as they are now: `make results` may publish new ones meanwhile."""
    return Path(shutil.copyfile(BUNDLED_RESULTS, tmp_path_factory.mktemp("claims") / "results.sqlite"))


@pytest.fixture(scope="module")
def library(results: Path) -> Library:
    return Library(None, Store(results, immutable=True))


def test_claims_are_complete_records(library: Library) -> None:
    found = claims(library)
    assert len({claim.id for claim in found}) == len(found)
    for claim in found:
        assert set(document(claim)) == KEYS
        assert json.loads(json.dumps(document(claim)))["holds"] is claim.holds
        assert (claim.measured is None) == (claim.holds is None), claim.id
        assert claim.note, claim.id
        assert claim.measured is None or math.isfinite(claim.measured)
        if claim.interval is not None and claim.measured is not None:
            assert claim.interval.low <= claim.measured <= claim.interval.high


def test_what_is_not_measured_says_so() -> None:
    missing = {claim.id: claim for claim in claims(Library(None, None)) if claim.holds is None}
    throughput = missing["paper-throughput-mobilenet_v2-onnxruntime-eager"]
    assert throughput.paper == pytest.approx(2320.6 / 1396.5)
    assert throughput.note.startswith("not measured yet")
    assert figure(throughput, throughput.measured) == "–"


def test_an_empty_library_measures_only_what_is_computed(library: Library) -> None:
    by_id = {claim.id: claim for claim in claims(Library(None, None))}
    assert by_id["resnet20-gain"].holds is None
    assert by_id["paper-gain"].holds is None
    assert by_id["paper-ai-moves"].holds is True
    assert by_id["batch-1-resnet20"].measured == pytest.approx(52.3, abs=0.05)  # paper.md, recomputed
    assert by_id["paper-throughput-by-traffic"].measured == pytest.approx(1.037, abs=0.0005)
    assert set(by_id) == {claim.id for claim in claims(library)}


@pytest.mark.thorough
def test_figures_follow_the_stored_predictions(library: Library, results: Path, tmp_path: Path) -> None:
    """A hundred report images more that only the quantized policy gets wrong raise the measured drop by a point."""
    evidence = Evidence(library)
    policy = evidence.choice("resnet20", 50)
    assert policy is not None
    before = {claim.id: claim for claim in claims(library)}["resnet20-drop-measured"]
    stored = library.evaluation(bundled.model("resnet20"), SplitName.REPORT, policy)
    fp32 = library.evaluation(bundled.model("resnet20"), SplitName.REPORT, bundled.profile("resnet20").uniform(32))
    assert stored is not None
    assert fp32 is not None
    labels = bundled.dataset("cifar10").split(SplitName.REPORT).labels
    both = np.flatnonzero((stored.outcomes == labels) & (fp32.outcomes == labels))[:100]
    changed = stored.outcomes.copy()
    changed[both] = (labels[both] + 1) % 10

    copy = Path(shutil.copyfile(results, tmp_path / "changed.sqlite"))
    with sqlite3.connect(copy) as db:
        where = "model_hash=? AND split_hash=? AND quantizer=? AND policy=?"
        key = stored.key
        db.execute(
            f"DELETE FROM evaluations WHERE {where}", (key.model_hash, key.split_hash, key.quantizer, key.policy)
        )
    writable = Store(copy)
    writable.save_evaluation(Evaluation(stored.key, changed, Origin("cpu", "2", 1, 250, "now")))
    after = {claim.id: claim for claim in claims(Library(None, writable))}["resnet20-drop-measured"]

    assert before.measured is not None
    assert after.measured == pytest.approx(before.measured + 100 * 100 / len(labels))
    assert after.holds is False


def test_choice_reads_search_images_only(library: Library) -> None:
    """Of what search images chose with that gain, none has more search images right."""
    evidence = Evidence(library)
    table, profile, policy = evidence.table("resnet20"), bundled.profile("resnet20"), evidence.choice("resnet20", 50)
    assert table is not None
    assert policy is not None
    rivals = [other for other in evidence.chosen("resnet20") if gain(profile, other) >= 50]
    right = {other: table.score[table.row(other) or 0] for other in rivals}
    assert right[policy] == max(right.values())


def joint_library(folder: Path, report_wrong: dict[tuple[int, int], int]) -> Library:
    """FP32 of ResNet-20, right on all images, and policies each wrong on so many of 10,000 report images.

    All are right on every confirm image, but W3A6 and W4A4 on all but 10 and 60 of 3,000.
    """
    model, store = bundled.model("resnet20"), Store(folder / "joint.sqlite")
    library, quantizer = Library(store, None), JOINT.quantizer(model.dataset)
    start = JOINT.choosing(5000)
    for bits, wrong in {(32, 32): 0, **report_wrong}.items():
        for split, first, count in (
            (SplitName.SEARCH, start, {(3, 6): 10, (4, 4): 60}.get(bits, 0)),
            (SplitName.REPORT, 0, wrong),
        ):
            outcomes = model.dataset.split(split).labels.copy()
            outcomes[first : first + count] = (outcomes[first : first + count] + 1) % 10
            key = library.key(model, split, model.profile.uniform(*bits), quantizer)
            store.save_evaluation(Evaluation(key, outcomes, Origin("cpu", "2", 1, 250, "now")))
    return library


def test_both_kinds_of_bits_are_judged_by_the_upper_end(tmp_path: Path) -> None:
    wrong = {(8, 8): 2, (4, 6): 3, (3, 6): 50}
    found = {claim.id: claim for claim in claims(joint_library(tmp_path, wrong))}
    # W4A6 gains 502 % and is the most right with 400 or more; W3A6, 550 %, the only one with 516.
    assert found["joint-five-times-resnet20"].measured == pytest.approx(502.3, abs=0.1)
    assert found["joint-ten-times-resnet20"].measured == pytest.approx(550.3, abs=0.1)
    none, less = found["joint-five-times-drop-resnet20"], found["joint-ten-times-drop-resnet20"]
    assert (none.measured, less.measured) == (pytest.approx(0.03), pytest.approx(0.5))  # 3 and 50 of 10,000
    assert none.interval is not None
    assert less.interval is not None
    assert none.holds is (none.interval.low <= 0)
    assert less.holds is True

    (tmp_path / "more").mkdir()
    found = {claim.id: claim for claim in claims(joint_library(tmp_path / "more", {**wrong, (4, 6): 30, (3, 6): 85}))}
    none, less = found["joint-five-times-drop-resnet20"], found["joint-ten-times-drop-resnet20"]
    assert (none.holds, less.holds) == (False, False)
    assert less.measured == pytest.approx(0.85)  # below 0.90, but its interval is not
    assert less.interval is not None
    assert less.interval.high > 0.90


def test_what_no_policy_gains_is_said(tmp_path: Path) -> None:
    found = {claim.id: claim for claim in claims(joint_library(tmp_path, {(8, 8): 2, (4, 6): 3}))}
    gained, cost = found["joint-ten-times-resnet20"], found["joint-ten-times-drop-resnet20"]
    assert (gained.measured, gained.holds) == (pytest.approx(502.3, abs=0.1), False)
    assert (cost.holds, cost.note) == (None, "no chosen policy gains that much")


def test_the_study_says_what_a_scale_a_channel_is_worth() -> None:
    found = (
        trial("nearest", 16.0, 8_800),
        trial("nearest", 12.0, 8_000, granularity=Granularity.TENSOR),
        trial("gptq", 15.0, 8_990),
        trial("gptq", 14.0, 8_950, granularity=Granularity.TENSOR),
        trial("gptq", 40.0, None, bits=8),
    )
    # 8 and 0.4 of 100 points: 800 and 40 images of 10,000.
    assert "is worth at 4 bits 8.00 points to nearest and 0.40 to GPTQ." in content.study_caption(found)
    assert "not measured" in content.study_caption(found[:1])
    table = content.study_table(found)
    assert list(table["Bits"]) == ["8", "4", "4", "4", "4"]
    assert table["Points lost (95 %)"][0] == "–"
    assert table["Points lost (95 %)"][1].startswith("2.00 (")
    assert list(table["A scale a"]) == ["channel", "channel", "tensor", "channel", "tensor"]


def test_studied_widths_do_not_blur_the_optimism_chart() -> None:
    """What the space does not offer is no part of it: two bits lose so much that all else would be one dot."""
    profile = bundled.profile("digits_cnn")
    policies = [profile.uniform(bits) for bits in (32, 4, 2)]
    table = table_of(profile, policies, [1.0, 2.0, 3.0], [488, 480, 50], 500, [485, 470, 50])
    (point,) = optimism_data(table, {}).points
    assert point.policy == profile.uniform(4)


def test_correlation_by_hand() -> None:
    assert correlation([8, 4, 4, 32], [3, 2, 1, 0]).rho == pytest.approx(
        -0.3162, abs=1e-4
    )  # ranks 3 1.5 1.5 4, 4 3 2 1
    assert math.isnan(correlation([8, 8, 8], [1, 2, 3]).rho)


def test_charts_show_what_the_frames_hold(library: Library) -> None:
    evidence = Evidence(library)
    judged = content.optimism(evidence, "resnet20")
    assert judged is not None
    frame = optimism_frame(judged)
    drawn = optimism_figure(judged, Look())
    assert sum(len(trace["x"]) for trace in drawn["data"]) == len(frame) > 0
    gaps = frame["report_drop_points"] - frame["search_drop_points"]
    assert np.allclose(gaps, frame["optimism_points"])
    assert "w4x20 a32x14" not in set(frame[frame["kind"] == Kind.CHOSEN]["policy"])

    profile = bundled.profile("resnet20")
    policy = profile.policy({"layer3.2.conv2": 4, "conv1": 8})
    data = aggressive_data(profile, [("one", policy, float("nan")), ("two", profile.uniform(4), 0.5)])
    table = aggressive_frame(data)
    assert list(table["weights"]) == sorted(profile.quantizable[i].weights for i in data.order) * 2
    marks = aggressive_figure(data, Look(dark=True))["data"]
    assert [len(trace["x"]) for trace in marks] == [18, 1, 21]  # FP32, 8 bits, 4 bits: 20 layers, twice


def test_a_table_of_fp32_alone_has_nothing_to_draw() -> None:
    profile = bundled.profile("digits_cnn")
    alone = table_of(profile, [profile.uniform(32)], [1.0], [488], 500, [485])
    assert optimism_data(alone, {}).points == ()
    two = table_of(profile, [profile.uniform(32), profile.uniform(4)], [1.0, 2.0], [488, 480], 500, [485, 470])
    (point,) = optimism_data(two, {}).points
    # 8 of 500 search images and 15 of 500 report images
    assert (point.kind, point.search.value, point.report.value) == (Kind.OTHER, pytest.approx(1.6), pytest.approx(3.0))


def test_papers_come_first(library: Library) -> None:
    whose = [is_paper(claim) for claim in claims(library)]
    assert whose == sorted(whose, reverse=True)
    assert {run.request.algorithm for run in Evidence(library).searches("resnet20")} == {"greedy", "coordinate"}
