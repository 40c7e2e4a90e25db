"""Evaluations kept, merged and never lost, by one process and by several."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from aiq_core.errors import SettingError
from aiq_core.metrics import Top1
from aiq_core.records import Evaluation, EvaluationKey, Origin, is_done
from aiq_core.store import Store, codec

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Origin("this cpu", "2.14.1", threads=2, chunk=250, created_at="2026-01-01T00:00:00+00:00")
ELSEWHERE = [
    replace(HERE, cpu="another cpu"),
    replace(HERE, torch="2.9.0"),
    replace(HERE, threads=1),
    replace(HERE, chunk=125),
]
MakeEvaluation = Callable[..., Evaluation]


def kept(store: Store, key: EvaluationKey) -> NDArray[np.uint8]:
    found = store.evaluation(key)
    assert found is not None
    return found.outcomes


def test_what_was_saved_comes_back(store: Store, evaluation: MakeEvaluation) -> None:
    saved = evaluation()
    assert store.evaluation(saved.key) is None
    assert store.save_evaluation(saved) == 0
    found = Store(store.path).evaluation(saved.key)
    assert found is not None and found.key == saved.key and found.origin == saved.origin
    assert np.array_equal(found.outcomes, saved.outcomes)
    assert found.is_complete(500)


@settings(deadline=None)
@given(arrays(np.uint8, st.integers(1, 600), elements=st.integers(0, 9) | st.just(255)))
def test_packing_loses_nothing(predicted: NDArray[np.uint8]) -> None:
    assert np.array_equal(codec.unpack(codec.pack(predicted)), predicted)


def test_a_class_above_255_is_itself_through_metric_and_store(store: Store, evaluation: MakeEvaluation) -> None:
    metric = Top1(400)
    logits = np.zeros((500, 400), np.float32)
    logits[:, 300] = 1
    labels = np.full(500, 300)
    outcomes = metric.blank(500)
    assert metric.score(outcomes, labels) == 0 and metric.most(outcomes, labels) == 500
    outcomes[:250] = metric.outcomes(logits, labels)[:250]
    assert metric.score(outcomes, labels) == 250 and metric.most(outcomes, labels) == 500
    saved = replace(evaluation(), outcomes=outcomes)
    store.save_evaluation(saved)
    found = kept(store, saved.key)
    assert found.dtype == np.uint16 and found[:250].tolist() == [300] * 250 and not is_done(found[250:]).any()
    assert Top1(255).dtype == np.uint8 and Top1(256).dtype == np.uint16
    with pytest.raises(SettingError, match="65,536 classes are not offered; use a network of 1 to 65,535"):
        Top1(65_536)


@settings(deadline=None)
@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(0, 50, width=32) | st.just(np.nan)))
def test_packing_losses_loses_nothing(losses: NDArray[np.float32]) -> None:
    found = codec.unpack(codec.pack(losses))
    assert found.dtype == losses.dtype and np.array_equal(found, losses, equal_nan=True)


def test_predictions_of_a_good_model_are_small() -> None:
    # design.md: 774 bytes for 5,000 at about 92 %; a right answer is a zero, as the splits go round the classes.
    predicted = (np.arange(5000) % 10).astype(np.uint8)
    wrong = np.random.default_rng(0).choice(5000, 400, replace=False)
    predicted[wrong] = (predicted[wrong] + 3) % 10
    assert len(codec.pack(predicted)) < 1200


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_partials_of_one_origin_add_up(store: Store, evaluation: MakeEvaluation, order: tuple[int, ...]) -> None:
    parts = [evaluation(done=slice(start, end)) for start, end in ((0, 200), (150, 350), (350, 500))]
    for index in order:
        assert store.save_evaluation(parts[index]) == 0
    assert np.array_equal(kept(store, parts[0].key), evaluation().outcomes)


def test_a_complete_evaluation_is_never_overwritten(store: Store, evaluation: MakeEvaluation) -> None:
    store.save_evaluation(evaluation(wrong=20))
    # 40 wrong instead of 20: the images 20 to 39 differ.
    for other in (HERE, *ELSEWHERE):
        assert store.save_evaluation(evaluation(wrong=40, origin=other)) == 20
        assert store.save_evaluation(evaluation(wrong=40, done=slice(30, 50), origin=other)) == 10
    found = store.evaluation(evaluation().key)
    assert found is not None and found.origin == HERE
    assert np.array_equal(found.outcomes, evaluation(wrong=20).outcomes)


def test_what_is_stored_stands_where_partials_disagree(store: Store, evaluation: MakeEvaluation) -> None:
    store.save_evaluation(evaluation(wrong=20, done=slice(0, 100)))
    assert store.save_evaluation(evaluation(wrong=60, done=slice(50, 200))) == 10  # images 50 to 59
    merged = kept(store, evaluation().key)
    assert np.array_equal(merged[:100], evaluation(wrong=20).outcomes[:100])
    assert np.array_equal(merged[100:200], evaluation(wrong=60).outcomes[100:200])


@pytest.mark.parametrize("other", ELSEWHERE, ids=str)
def test_partials_of_two_origins_are_never_mixed(store: Store, evaluation: MakeEvaluation, other: Origin) -> None:
    """The fuller one is kept whole; agreement is counted all the same."""
    store.save_evaluation(evaluation(done=slice(0, 100)))
    assert store.save_evaluation(evaluation(done=slice(100, 150), origin=other)) == 0
    assert np.array_equal(kept(store, evaluation().key), evaluation(done=slice(0, 100)).outcomes)
    assert store.save_evaluation(evaluation(wrong=30, done=slice(0, 300), origin=other)) == 10
    found = store.evaluation(evaluation().key)
    assert found is not None and found.origin == other
    assert np.array_equal(found.outcomes, evaluation(wrong=30, done=slice(0, 300)).outcomes)


def test_only_equal_machines_resume() -> None:
    assert HERE.can_resume(replace(HERE, created_at="later", source="bundled"))
    assert not any(HERE.can_resume(other) or other.can_resume(HERE) for other in ELSEWHERE)


def test_sources_stand_side_by_side(store: Store, evaluation: MakeEvaluation) -> None:
    key = evaluation().key
    store.save_evaluation(evaluation(wrong=30, origin=replace(HERE, source="imported")))
    assert store.evaluation(key) is None
    store.save_evaluation(evaluation(wrong=20))
    found = [store.evaluation(key, [source]) for source in ("measured", "imported")]
    assert [None if e is None else int((e.outcomes != evaluation(wrong=0).outcomes).sum()) for e in found] == [20, 30]
    assert [e.origin.source for e in store.evaluations()] == ["measured", "imported"]


# Several processes.

WRITER = """
import sys
from pathlib import Path
import numpy as np
from aiq_core.records import Evaluation, EvaluationKey, Origin, unfinished
from aiq_core.store import Store

sys.stdin.readline()  # all start at once
store = Store(Path(sys.argv[1]))
here = Origin("this cpu", "2.14.1", 2, 250, "2026-01-01T00:00:00+00:00")
for image in map(int, sys.argv[3].split(",")):
    for policy in range(int(sys.argv[2])):
        predicted = unfinished(60, np.dtype(np.uint8))
        predicted[image] = image % 7
        store.save_evaluation(Evaluation(EvaluationKey("m", "s", "q", f"p{policy}"), predicted, here))
        print(image, policy, flush=True)
"""


def start_writer(path: Path, policies: int, images: list[int]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(policies), ",".join(map(str, images))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_write_one_store_at_once(tmp_path: Path) -> None:
    """Four processes create the store together and fill the same evaluations, each its own images."""
    path = tmp_path / "store.sqlite"
    images = random.Random(0).sample(range(60), 60)
    writers = [start_writer(path, 3, images[index::4]) for index in range(4)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    errors = [writer.communicate()[1] for writer in writers]
    assert errors == [""] * 4
    for policy in range(3):
        assert kept(Store(path), EvaluationKey("m", "s", "q", f"p{policy}")).tolist() == [i % 7 for i in range(60)]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals")
def test_what_a_killed_process_reported_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    writer = start_writer(path, 2, list(range(60)))
    assert writer.stdin is not None and writer.stdout is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()
    reported = [writer.stdout.readline().split() for _ in range(15)]
    os.kill(writer.pid, signal.SIGKILL)
    reported += [line.split() for line in writer.communicate()[0].splitlines()]
    assert writer.returncode == -signal.SIGKILL
    assert 15 <= len(reported) < 2 * 60
    for image, policy in reported:
        assert kept(Store(path), EvaluationKey("m", "s", "q", f"p{policy}"))[int(image)] == int(image) % 7


# Many keys.


def test_a_key_is_all_that_decides(store: Store, evaluation: MakeEvaluation) -> None:
    base = evaluation()
    for name in ("model_hash", "split_hash", "quantizer", "policy"):
        other = replace(base, key=replace(base.key, **{name: "other"}))
        assert store.evaluation(other.key) is None
        store.save_evaluation(other)
    assert store.evaluation(base.key) is None
    assert len(store.evaluations()) == 4
    assert len(store.evaluations(model_hash="other")) == 1
    assert len(store.evaluations(base.key.model_hash, base.key.split_hash)) == 2


def test_the_version_changes_with_every_write(store: Store, evaluation: MakeEvaluation) -> None:
    seen = [store.version()]
    for bits in (8, 4):
        Store(store.path).save_evaluation(evaluation(bits))
        seen.append(store.version())
    assert store.evaluations() and store.version() == seen[-1]
    assert len(set(seen)) == 3


def test_quantizer_keys_are_json(evaluation: MakeEvaluation) -> None:
    assert json.loads(evaluation(32).key.quantizer) == {"evaluator": 1}
