"""The memo between a strategy and an evaluator: answers from the store, stops what cannot win, keeps everything."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import NOT_DONE, Evaluation, EvaluationKey, Origin, Policy


class Evaluator(Protocol):
    """What a runtime offers: predictions of one model on one image set, chunk by chunk."""

    @property
    def origin(self) -> Origin:
        """The machine that computes."""

    def chunks(self, policy: Policy, base: Policy | None, predicted: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """Fills `predicted` (uint8[split]) where NOT_DONE, the likeliest to change first; yields each chunk."""


class EvaluationStore(Protocol):
    """Where evaluations are kept."""

    def find(self, key: EvaluationKey) -> Evaluation | None:
        """The stored evaluation that may answer, complete or partial."""

    def save_evaluation(self, evaluation: Evaluation) -> int:
        """Merges an evaluation with what is stored; returns how many images the two predict differently."""


class Memo:
    """Answers `problem.Ask` questions about one model, image set and quantizer.

    `key_of` gives a policy's key; `labels` are those of the split, uint8[split]. `make_evaluator` is called at the
    first question that the store cannot answer. `checkpoint` is called between chunks and may raise to stop.
    """

    def __init__(
        self,
        key_of: Callable[[Policy], EvaluationKey],
        labels: NDArray[np.uint8],
        images: int,
        store: EvaluationStore,
        make_evaluator: Callable[[], Evaluator],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self._key_of, self._labels, self._images, self._store = key_of, labels, images, store
        self._make_evaluator, self._checkpoint = make_evaluator, checkpoint
        self._evaluator: Evaluator | None = None
        self.asked = 0
        self.computed = 0
        self.disagreements = 0

    def ask(self, policy: Policy, min_correct: int | None, base: Policy) -> int | None:
        """The number right, or None where it cannot reach `min_correct`; computes only what is not known yet."""
        self._checkpoint()
        self.asked += 1
        key = self._key_of(policy)
        known = self._store.find(key)
        if known is not None and self._is_settled(known.predicted, min_correct):
            return self._answer(known.predicted, min_correct)
        evaluator = self._evaluator = self._evaluator or self._make_evaluator()
        predicted = np.full(len(self._labels), NOT_DONE, dtype=np.uint8)
        # A partial of another machine proves what it proves, but is never mixed with predictions made here.
        if known is not None and evaluator.origin.can_resume(known.origin):
            predicted[:] = known.predicted
        self._compute(evaluator, key, policy, base, predicted, min_correct)
        return self._answer(predicted, min_correct)

    def _compute(
        self,
        evaluator: Evaluator,
        key: EvaluationKey,
        policy: Policy,
        base: Policy,
        predicted: NDArray[np.uint8],
        min_correct: int | None,
    ) -> None:
        self.computed += 1
        try:
            for _ in evaluator.chunks(policy, base, predicted):
                if self._is_settled(predicted, min_correct):
                    break
                self._checkpoint()
        finally:
            if (predicted != NOT_DONE).any():
                self.disagreements += self._store.save_evaluation(Evaluation(key, predicted, evaluator.origin))

    def _is_settled(self, predicted: NDArray[np.uint8], min_correct: int | None) -> bool:
        within = predicted[: self._images]
        left = int(np.count_nonzero(within == NOT_DONE))
        return left == 0 or (min_correct is not None and self._right(predicted) + left < min_correct)

    def _answer(self, predicted: NDArray[np.uint8], min_correct: int | None) -> int | None:
        right = self._right(predicted)
        if min_correct is not None and right < min_correct:
            return None
        return right

    def _right(self, predicted: NDArray[np.uint8]) -> int:
        return int(np.count_nonzero(predicted[: self._images] == self._labels[: self._images]))
