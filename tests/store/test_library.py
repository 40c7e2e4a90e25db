"""Both stores as one: who may answer a search, what is shown, and the table that pages read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiq_core.errors import DataError, UnknownNameError
from aiq_core.library import Library, open_library
from aiq_core.records import Evaluation, Granularity, Origin, Quantizer, Run, SplitName
from aiq_core.statistics import Paired
from aiq_core.store import Store
from aiq_core.store.bundle import publish
from tests import bundled

HERE = Origin("this cpu", "2.14.1", threads=2, chunk=250, created_at="2026-01-01T00:00:00+00:00")
MakeEvaluation = Callable[..., Evaluation]
MakeLibrary = Callable[..., Library]


@pytest.fixture
def library(tmp_path: Path) -> MakeLibrary:
    """library(own=[...], bundled=[...]): a library whose stores hold these evaluations and runs."""

    def make(own: list[object], bundled: list[object]) -> Library:
        stores = Store(tmp_path / "user.sqlite"), Store(tmp_path / "workshop.sqlite")
        for target, things in zip(stores, (own, bundled), strict=True):
            for thing in things:
                if isinstance(thing, Evaluation):
                    target.save_evaluation(thing)
                elif isinstance(thing, Run):
                    target.add_run(thing)
        publish(stores[1], tmp_path / "results.sqlite")
        return Library(stores[0], Store(tmp_path / "results.sqlite", immutable=True))

    return make


def test_the_bundle_answers_and_says_so(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    both = library(own=[evaluation(8)], bundled=[evaluation(4)])
    found = [both.find(evaluation(bits).key) for bits in (8, 4, 2)]
    assert [None if e is None else e.origin.source for e in found] == ["measured", "bundled", None]
    assert found[1] is not None and np.array_equal(found[1].outcomes, evaluation(4).outcomes)


def test_the_fuller_of_both_answers(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    part, whole = evaluation(4, done=slice(0, 300)), evaluation(4)
    found = library(own=[part], bundled=[whole]).find(whole.key)
    assert found is not None and found.is_complete(500)
    found = library(own=[evaluation(8)], bundled=[evaluation(8, wrong=40, done=slice(0, 100))]).find(evaluation(8).key)
    assert found is not None and found.origin.source == "measured"


def test_imported_evaluations_never_answer(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    imported = evaluation(4, origin=replace(HERE, source="imported"))
    both = library(own=[imported, evaluation(32)], bundled=[])
    assert both.find(imported.key) is None
    # But they are shown, with where they come from.
    table = both.table(bundled.model("digits_cnn"), 500)
    assert dict(zip((p.weight_bits[0] for p in table.policies), table.sources, strict=True)) == {
        32: "measured",
        4: "imported",
    }


def test_without_the_bundle_it_does_not_answer(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    both = library(own=[], bundled=[evaluation(4)])
    assert Library(both.user, None).find(evaluation(4).key) is None


def test_a_read_only_server_refuses_to_write(evaluation: MakeEvaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_READ_ONLY", "1")
    library = open_library()
    assert library.user is None and library.bundled is not None
    with pytest.raises(DataError, match="this server is read-only"):
        library.save_evaluation(evaluation())
    assert library.runs(bundled.model("digits_cnn"))


def test_the_table_by_hand(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    """FP32 misses the first 10 of search; 4 bits the first 30; 8 bits is known of 250 images only."""
    known = [evaluation(32, wrong=10), evaluation(4, wrong=30), evaluation(8, wrong=20, done=slice(0, 250))]
    reported = [evaluation(bits, wrong=wrong, split=SplitName.REPORT) for bits, wrong in ((32, 5), (4, 25))]
    table = library(own=known, bundled=reported).table(bundled.model("digits_cnn"), 500)
    profile = bundled.profile("digits_cnn")
    assert table.policies == (profile.uniform(32), profile.uniform(4))
    assert table.baseline == 0 and table.baseline_score == 500 - 10
    assert table.score.tolist() == [490, 470]
    assert [(cells.lost, cells.gained) for cells in table.search] == [(0, 0), (20, 0)]
    # 495 and 475 of 500
    assert [cells and cells.after.value for cells in table.report] == [99, 95]
    assert table.drop_points.tolist() == [0, 100 * 20 / 500]
    # 433,632 FLOPs over weights (10,104 at 4 bytes or at half of one), ten biases and activations.
    assert table.intensity.tolist() == pytest.approx([433_632 / (40_416 + 17_328), 433_632 / (5_052 + 17_328)])
    assert table.row(profile.uniform(4)) == 1 and table.row(profile.uniform(8)) is None
    half = library(own=[], bundled=[]).table(bundled.model("digits_cnn"), 250)
    assert half.policies == (profile.uniform(32), profile.uniform(8), profile.uniform(4))
    assert half.score.tolist() == [250 - 10, 250 - 20, 250 - 30]


def test_another_quantizers_rows_stay_out_of_the_table(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    by_tensor = evaluation(4)
    key = replace(
        by_tensor.key, quantizer=Quantizer(granularity=Granularity.TENSOR).key(bundled.profile("digits_cnn").uniform(4))
    )
    both = library(own=[evaluation(32), replace(by_tensor, key=key)], bundled=[])
    assert len(both.table(bundled.model("digits_cnn"), 500).policies) == 1
    assert len(both.table(bundled.model("digits_cnn"), 500, Quantizer(granularity=Granularity.TENSOR)).policies) == 2


def test_a_table_without_fp32_says_what_to_do(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    with pytest.raises(DataError, match="nothing is known of digits_cnn on 500 search images yet; run a search first"):
        library(own=[evaluation(4)], bundled=[]).table(bundled.model("digits_cnn"), 500)


def test_paired_counts_the_same_images(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    both = library(own=[evaluation(32, wrong=10)], bundled=[evaluation(4, wrong=30)])
    profile = bundled.profile("digits_cnn")
    fp32, four = profile.uniform(32), profile.uniform(4)
    cells = both.paired(bundled.model("digits_cnn"), SplitName.SEARCH, 500, fp32, four)
    assert isinstance(cells, Paired) and (cells.both, cells.lost, cells.gained, cells.neither) == (470, 20, 0, 10)
    turned = both.paired(bundled.model("digits_cnn"), SplitName.SEARCH, 20, four, fp32)
    assert isinstance(turned, Paired) and (turned.both, turned.lost, turned.gained, turned.neither) == (0, 0, 10, 10)
    assert both.paired(bundled.model("digits_cnn"), SplitName.REPORT, 500, fp32, four) is None


def test_policies_rounded_otherwise_are_paired_too(library: MakeLibrary, evaluation: MakeEvaluation) -> None:
    four, by_tensor = bundled.profile("digits_cnn").uniform(4), Quantizer(granularity=Granularity.TENSOR)
    first, second = evaluation(4, wrong=10), evaluation(4, wrong=30)
    second = replace(second, key=replace(second.key, quantizer=by_tensor.key(four)))
    both = library(own=[first, second], bundled=[])
    where = bundled.model("digits_cnn"), SplitName.SEARCH, 500, four, four
    cells = both.paired(*where, by_tensor, before_quantizer=Quantizer())
    assert isinstance(cells, Paired) and (cells.both, cells.lost, cells.gained, cells.neither) == (470, 20, 0, 10)
    same = both.paired(*where, by_tensor)
    assert isinstance(same, Paired) and (same.lost, same.gained, same.neither) == (0, 0, 30)


def test_runs_of_both_are_listed_once(library: MakeLibrary, finished_run: Run) -> None:
    other = replace(finished_run, id="0123456789", created_at="2026-02-01T00:00:00.000+00:00")
    both = library(own=[other, replace(other, id="hidden", archived=True)], bundled=[finished_run])
    assert [(run.id, run.origin and run.origin.source) for run in both.runs()] == [
        (finished_run.id, "bundled"),
        ("0123456789", "measured"),
    ]
    assert len(both.runs(archived=True)) == 3
    assert both.runs(bundled.model("resnet20")) == ()
    assert both.run(finished_run.id).steps == finished_run.steps
    with pytest.raises(UnknownNameError, match="unknown run 'nosuch'"):
        both.run("nosuch")


def test_a_new_run_takes_no_bundled_runs_id(library: MakeLibrary, finished_run: Run) -> None:
    both = library(own=[], bundled=[finished_run])
    assert both.add_run(finished_run).id == f"{finished_run.id}-2"


def test_the_run_that_asked_for_a_policy_is_its_reason(library: MakeLibrary, finished_run: Run) -> None:
    profile = bundled.profile("digits_cnn")
    both = library(own=[], bundled=[finished_run])
    reasons = both.reasons(bundled.model("digits_cnn"), profile.uniform(4))
    assert reasons is not None and reasons.id == finished_run.id
    assert both.reasons(bundled.model("digits_cnn"), profile.uniform(8)) is None
