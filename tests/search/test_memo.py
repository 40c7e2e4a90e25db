"""Questions answered from the store where it knows enough, stopped where they cannot win, and never mixed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aiq_core.errors import Cancelled
from aiq_core.library import Library
from aiq_core.records import Evaluation, ImageSet, Policy, Quantizer, SplitName, is_done, unfinished
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.search.memo import Memo
from aiq_core.store import Store
from tests import bundled
from tests.tables import TOP1

CHUNK = 125
PROFILE = bundled.profile("digits_cnn")
FP32, POLICY = PROFILE.uniform(32), PROFILE.uniform(2)
LABELS = bundled.dataset("digits").split(SplitName.SEARCH).labels


@pytest.fixture(scope="module")
def evaluator() -> TorchEvaluator:
    return TorchEvaluator(bundled.model("digits_cnn"), ImageSet(SplitName.SEARCH, 500), Quantizer(), 1, chunk=CHUNK)


@pytest.fixture(scope="module")
def predicted(evaluator: TorchEvaluator) -> NDArray[np.uint8]:
    """What POLICY says of all images."""
    found = unfinished(500, np.dtype(np.uint8))
    for _ in evaluator.chunks(POLICY, None, found):
        pass
    return found


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store(tmp_path / "store.sqlite"), None)


def nobody() -> TorchEvaluator:
    raise AssertionError("the store knows the answer")


def memo(
    library: Library,
    make: Callable[[], TorchEvaluator],
    checkpoint: Callable[[], None] = lambda: None,
    images: int = 500,
) -> Memo:
    return Memo(
        TOP1,
        lambda p: library.key(bundled.model("digits_cnn"), SplitName.SEARCH, p),
        LABELS,
        ImageSet(SplitName.SEARCH, images),
        library,
        make,
        checkpoint,
    )


def stored(library: Library, policy: Policy = POLICY) -> Evaluation:
    found = library.evaluation(bundled.model("digits_cnn"), SplitName.SEARCH, policy)
    assert found is not None
    return found


def test_the_number_right_at_and_below_what_is_needed(
    library: Library, evaluator: TorchEvaluator, predicted: NDArray[np.uint8]
) -> None:
    right = int((predicted == LABELS).sum())
    asking = memo(library, lambda: evaluator)
    assert asking.ask(POLICY, None, FP32) == right
    assert asking.ask(POLICY, right, FP32) == right
    assert asking.ask(POLICY, right + 1, FP32) is None
    assert (asking.asked, asking.computed, asking.disagreements) == (3, 1, 0)
    assert np.array_equal(stored(library).outcomes, predicted)
    assert memo(library, nobody).ask(POLICY, right, FP32) == right
    # The same predictions answer for fewer images.
    assert memo(library, nobody, images=100).ask(POLICY, None, FP32) == int((predicted == LABELS)[:100].sum())


def test_it_stops_with_the_first_chunk_that_settles_it(
    library: Library, evaluator: TorchEvaluator, predicted: NDArray[np.uint8]
) -> None:
    wrong_in = [int((predicted != LABELS)[evaluator.chunk_images(index)].sum()) for index in range(4)]
    assert wrong_in[0] > 1 and wrong_in[1] > 0
    for chunks, allowed in ((1, wrong_in[0] - 1), (2, wrong_in[0])):
        policy_library = Library(Store(library.store.path.with_name(f"{chunks}.sqlite")), None)
        assert memo(policy_library, lambda: evaluator).ask(POLICY, 500 - allowed, FP32) is None
        found = stored(policy_library)
        assert found.done(500) == chunks * CHUNK
        assert (found.outcomes[is_done(found.outcomes)] == predicted[is_done(found.outcomes)]).all()
        # What was stopped goes on where it was, when less is needed.
        asking = memo(policy_library, lambda: evaluator)
        assert asking.ask(POLICY, None, FP32) == int((predicted == LABELS).sum())
        assert (asking.computed, asking.disagreements) == (1, 0)


def test_a_partial_of_another_machine_proves_what_it_proves(library: Library, evaluator: TorchEvaluator) -> None:
    theirs = unfinished(500, np.dtype(np.uint8))
    theirs[:30] = (LABELS[:30] + 1) % 10
    key = library.key(bundled.model("digits_cnn"), SplitName.SEARCH, POLICY)
    library.save_evaluation(Evaluation(key, theirs, replace(evaluator.origin, cpu="another cpu")))
    assert memo(library, nobody).ask(POLICY, 500 - 29, FP32) is None


def test_a_partial_of_another_machine_is_never_mixed_in(
    library: Library, evaluator: TorchEvaluator, predicted: NDArray[np.uint8]
) -> None:
    theirs = unfinished(500, np.dtype(np.uint8))
    whole_chunk = evaluator.chunk_images(0)
    theirs[whole_chunk] = (predicted[whole_chunk] + 1) % 10
    key = library.key(bundled.model("digits_cnn"), SplitName.SEARCH, POLICY)
    library.save_evaluation(Evaluation(key, theirs, replace(evaluator.origin, cpu="another cpu")))
    asking = memo(library, lambda: evaluator)
    assert asking.ask(POLICY, None, FP32) == int((predicted == LABELS).sum())
    assert np.array_equal(stored(library).outcomes, predicted)
    assert stored(library).origin.cpu == evaluator.origin.cpu
    assert asking.disagreements == CHUNK  # said, not resolved


def test_stopped_from_outside_it_keeps_its_chunks(
    library: Library, evaluator: TorchEvaluator, predicted: NDArray[np.uint8]
) -> None:
    calls = 0

    def checkpoint() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:  # before the question, after the first chunk, after the second
            raise Cancelled("stop")

    asking = memo(library, lambda: evaluator, checkpoint)
    with pytest.raises(Cancelled):
        asking.ask(POLICY, None, FP32)
    assert stored(library).done(500) == 2 * CHUNK
    before = evaluator.layer_images
    assert memo(library, lambda: evaluator).ask(POLICY, None, POLICY) == int((predicted == LABELS).sum())
    assert evaluator.layer_images - before == 2 * CHUNK * 6  # the chunks left, through all six parts
