"""The memo between a strategy and an evaluator: answers from the store, stops what cannot win, keeps everything."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from aiq_core.metrics import Metric
from aiq_core.metrics.metric import Labels
from aiq_core.records import Evaluation, EvaluationKey, ImageSet, Origin, Outcomes, Policy, Score, is_done
from aiq_core.search.problem import Question


class Evaluator(Protocol):
    """What a runtime offers: outcomes of one model on one image set, chunk by chunk."""

    @property
    def origin(self) -> Origin:
        """The machine that computes."""

    def integers(self, policy: Policy) -> str:
        """A hash of what a policy's weights are rounded to here; empty where that is the same everywhere."""

    def expect(self, coming: Iterable[tuple[Question, Outcomes]]) -> None:
        """Hears what will be asked next, with what is known of it: it may be computed ahead, or not even read."""

    def chunks(self, policy: Policy, base: Policy | None, outcomes: Outcomes) -> Iterator[Outcomes]:
        """Fills `outcomes` (of the split) where they are not done, the likeliest to change first; yields each chunk."""


class EvaluationStore(Protocol):
    """Where evaluations are kept."""

    def find(self, key: EvaluationKey) -> Evaluation | None:
        """The stored evaluation that may answer, complete or partial."""

    def save_evaluation(self, evaluation: Evaluation) -> int:
        """Merges an evaluation with what is stored; returns on how many images the two differ."""


class Memo:
    """Answers `problem.Ask` questions about one model, image set and quantizer, by a metric.

    `key_of` gives a policy's key; `labels` are those of the split. `make_evaluator` is called at the first question
    that the store cannot answer. `checkpoint` is called between chunks and may raise to stop.
    """

    def __init__(
        self,
        metric: Metric,
        key_of: Callable[[Policy], EvaluationKey],
        labels: Labels,
        images: ImageSet,
        store: EvaluationStore,
        make_evaluator: Callable[[], Evaluator],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self._metric, self._key_of, self._labels, self._span = metric, key_of, labels, images.span
        self._store, self._make_evaluator, self._checkpoint = store, make_evaluator, checkpoint
        self._evaluator: Evaluator | None = None
        self._coming: Iterable[Question] = ()
        self.asked = 0
        self.computed = 0
        self.disagreements = 0
        self.rounded_otherwise = 0
        """Policies whose weights were rounded here to other integers than those of stored predictions."""
        self.known_from: set[tuple[str, str]] = set()
        """(source, what computed) of the stored predictions that answered."""

    def ask(self, policy: Policy, needs: Score | None, base: Policy) -> Score | None:
        """The score, or None where it cannot reach `needs`; computes only what is not known yet."""
        self._checkpoint()
        self.asked += 1
        key = self._key_of(policy)
        known = self._store.find(key)
        if known is not None and self._is_settled(known.outcomes, needs):
            self.known_from.add((known.origin.source, known.origin.cpu))
            return self._answer(known.outcomes, needs)
        evaluator = self._evaluator
        if evaluator is None:
            evaluator = self._evaluator = self._make_evaluator()
            evaluator.expect(self._unknown(evaluator, self._coming))
        integers = evaluator.integers(policy)
        self.rounded_otherwise += known is not None and known.integers != integers
        outcomes = self._begun(evaluator, known, integers)
        self._compute(evaluator, Evaluation(key, outcomes, evaluator.origin, integers), policy, base, needs)
        return self._answer(outcomes, needs)

    def expect(self, coming: Iterable[Question]) -> None:
        """Lets the evaluator know what is likely to be asked next; see `problem.Expect`."""
        if self._evaluator is None:
            self._coming = coming
        else:
            self._evaluator.expect(self._unknown(self._evaluator, coming))

    def _unknown(self, evaluator: Evaluator, coming: Iterable[Question]) -> Iterator[tuple[Question, Outcomes]]:
        """The questions that the store cannot answer, with what it knows."""
        for question in coming:
            known = self._store.find(self._key_of(question.policy))
            if known is None or not self._is_settled(known.outcomes, question.needs):
                integers = "" if known is None else evaluator.integers(question.policy)
                yield question, self._begun(evaluator, known, integers)

    def _begun(self, evaluator: Evaluator, known: Evaluation | None, integers: str) -> Outcomes:
        """Outcomes to go on with: those stored where they were found on such a machine of such integers.

        A partial of another machine proves what it proves, but is never mixed with outcomes found here.
        """
        outcomes = self._metric.blank(len(self._labels))
        if known is not None and known.integers == integers and evaluator.origin.can_resume(known.origin):
            outcomes[:] = known.outcomes
        return outcomes

    def _compute(
        self,
        evaluator: Evaluator,
        evaluation: Evaluation,
        policy: Policy,
        base: Policy,
        needs: Score | None,
    ) -> None:
        """Fills an evaluation's outcomes and keeps it."""
        self.computed += 1
        outcomes = evaluation.outcomes
        try:
            for _ in evaluator.chunks(policy, base, outcomes):
                if self._is_settled(outcomes, needs):
                    break
                self._checkpoint()
        finally:
            if is_done(outcomes).any():
                self.disagreements += self._store.save_evaluation(evaluation)

    def _is_settled(self, outcomes: Outcomes, needs: Score | None) -> bool:
        return self._metric.is_settled(outcomes[self._span], self._labels[self._span], needs)

    def _answer(self, outcomes: Outcomes, needs: Score | None) -> Score | None:
        score = self._metric.score(outcomes[self._span], self._labels[self._span])
        return None if needs is not None and score < needs else score
