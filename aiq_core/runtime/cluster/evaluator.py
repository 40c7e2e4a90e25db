"""An evaluator whose forwards run on other machines, and what is worth computing there before it is asked."""

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog import Model
from aiq_core.errors import EvaluationError
from aiq_core.records import FP32_BITS, ImageSet, Origin, Outcomes, Policy, Quantizer, Score, is_done
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.chunk import CHUNK
from aiq_core.runtime.chunked import Chunked
from aiq_core.runtime.cluster.pool import Pool
from aiq_core.runtime.cluster.tasks import Answer, Job, Part, Task

GROUP = 4
"""Policies a task at most: they share a prefix, and one journey."""

MOST_KEPT = 256
"""Policies whose answers are kept that nobody asked for yet, and nobody expects any more."""


@dataclass(eq=False)
class _Wanted:
    """A policy: chunks that are to be asked for (`open`), that workers have (`flying`), and those that are answered."""

    policy: Policy
    base: Policy
    needs: Score | None
    outcomes: Outcomes
    open: list[int] = field(default_factory=list)
    flying: set[int] = field(default_factory=set)
    found: dict[int, Answer] = field(default_factory=dict)


class ClusterEvaluator(Chunked):
    """What `search.memo.Evaluator` asks for, from the workers of a pool; one process gives the same, chunk by chunk.

    What is expected is computed ahead while workers are free: a candidate that needs a score only until it cannot
    reach that. Answers are taken in order, and what was computed beyond them is dropped. Raises ClusterError.
    """

    def __init__(self, pool: Pool, model: Model, images: ImageSet, quantizer: Quantizer) -> None:
        super().__init__(model, images, quantizer, CHUNK if pool.origin is None else pool.origin.chunk)
        self._pool = pool
        ranges = quantizer.activations
        self._ranges = None if ranges is None else calibration(model, ranges)
        self._fp32 = model.profile.uniform(FP32_BITS)
        self._parts: dict[str, Part] = {}
        self._known: dict[Policy, _Wanted] = {}
        self._line: list[_Wanted] = []
        self._coming: Iterator[tuple[tuple[Policy, Score | None, Policy], Outcomes | None]] = iter(())
        self._is_ready = self._gives_logits = False
        self.arrange(self._order)
        pool.sources.append(self)

    @property
    def origin(self) -> Origin:
        """That of the workers."""
        assert self._pool.origin is not None  # it is known before there are evaluators
        return self._pool.origin

    def arrange(self, order: NDArray[np.int64]) -> None:
        """Lays the images out in chunks, for the workers too."""
        super().arrange(order)
        made = Job(
            self.model.name, self.model.hash, self.image_set, self.rounding, self._ranges, order.copy(), self.chunk
        )
        self._job = made.hash
        self._parts[made.hash] = made

    # What is asked

    def chunks(self, policy: Policy, base: Policy | None, outcomes: Outcomes) -> Iterator[Outcomes]:
        """As `TorchEvaluator.chunks`; yields now and then while it waits, too."""
        for _ in self._made_ready():
            yield outcomes
        if policy.is_fp32:
            if self.fill_fp32(outcomes):
                yield outcomes
            return
        within = outcomes[self.image_set.span]
        self._read_ahead(1)  # it is the first of those expected, as a rule
        wanted = self._asked(policy, base or policy, within)
        try:
            for index in range(self.count):
                images = self.chunk_images(index)
                if not is_done(within[images]).all():
                    for _ in self._until(wanted, index):
                        yield outcomes
                    within[images] = self._taken(wanted, index)
                    yield outcomes
        finally:
            self._drop(wanted)

    def logits(self, policy: Policy, base: Policy) -> NDArray[np.float32]:
        """As `TorchEvaluator.logits`."""
        for _ in self._made_ready():
            pass
        wanted = self._asked(policy, base, None)
        try:
            return super().logits(policy, base)
        finally:
            self._drop(wanted)

    def chunk_logits(self, index: int, policy: Policy, base: Policy) -> NDArray[np.float32]:
        """What a policy gives for a chunk of images, float32[chunk, classes]."""
        for _ in self._until(self._known[policy], index):
            pass
        return self._taken(self._known[policy], index)

    def _made_ready(self) -> Iterator[None]:
        """Yields until FP32 is known for all images, by which these are ordered."""
        if self._is_ready:
            return
        gives_logits, self._gives_logits = self._gives_logits, True
        wanted = self._asked(self._fp32, self._fp32, None)
        try:
            for index in range(self.count):
                yield from self._until(wanted, index)
            self.take_fp32(np.concatenate([self._taken(wanted, index) for index in range(self.count)]))
            self._is_ready = True
        finally:
            self._gives_logits = gives_logits
            self._drop(wanted)

    def _until(self, wanted: _Wanted, index: int) -> Iterator[None]:
        if index not in wanted.found and index not in wanted.flying and index not in wanted.open:
            insort(wanted.open, index)  # what was settled before by other chunks
        while index not in wanted.found:
            self._pool.turn(self)
            yield

    def _taken(self, wanted: _Wanted, index: int) -> NDArray[np.float32]:
        found = wanted.found[index]
        if isinstance(found, EvaluationError):
            raise found
        return found

    def _asked(self, policy: Policy, base: Policy, within: Outcomes | None) -> _Wanted:
        """A policy, at the head of the line."""
        known = self._known.get(policy)
        needs = None if known is None or known not in self._line else known.needs
        wanted = self._entered(policy, base, needs, within)
        if wanted in self._line:
            self._line.remove(wanted)
        self._line.insert(0, wanted)
        return wanted

    def _entered(self, policy: Policy, base: Policy, needs: Score | None, within: Outcomes | None) -> _Wanted:
        """A policy with the chunks that it lacks open."""
        wanted = self._known.get(policy)
        if wanted is None:
            blank = self.model.metric.blank(len(self._order))
            wanted = self._known[policy] = _Wanted(policy, base, needs, blank if within is None else within.copy())
        wanted.base, wanted.needs = base, needs
        wanted.open = [
            index
            for index in range(self.count)
            if index not in wanted.found
            and index not in wanted.flying
            and not is_done(wanted.outcomes[self.chunk_images(index)]).all()
        ]
        self._settle(wanted)
        return wanted

    def _settle(self, wanted: _Wanted) -> None:
        """Asks for nothing more of a policy that is known not to reach what it needs."""
        if wanted.needs is not None and self.model.metric.is_settled(wanted.outcomes, self._labels, wanted.needs):
            wanted.open.clear()

    def _drop(self, wanted: _Wanted) -> None:
        self._known.pop(wanted.policy, None)
        if wanted in self._line:
            self._line.remove(wanted)

    # What is expected

    def expect(self, coming: Iterable[tuple[tuple[Policy, Score | None, Policy], Outcomes]]) -> None:
        """Works ahead on these, in order, and on nothing that was expected before."""
        self._coming, self._line = iter(coming), []
        idle = [policy for policy, wanted in self._known.items() if not wanted.flying]
        for policy in idle[: max(0, len(self._known) - MOST_KEPT)]:
            del self._known[policy]

    def expect_logits(self, policies: Sequence[Policy], base: Policy) -> None:
        """Works ahead on these policies' logits, in order; whoever asks for logits asks for nothing else."""
        self._gives_logits = True
        self._coming, self._line = iter([((policy, None, base), None) for policy in policies]), []

    def _read_ahead(self, forwards: int) -> None:
        """Reads what is coming until so many forwards are open."""
        held = sum(len(wanted.open) for wanted in self._line)
        while held < forwards:
            following = next(self._coming, None)
            if following is None:
                return
            (policy, needs, base), outcomes = following
            if policy.is_fp32 and not self._gives_logits:
                continue
            within = None if outcomes is None else outcomes[self.image_set.span]
            known = self._known.get(policy)
            if known is None or known not in self._line:
                wanted = self._entered(policy, base, needs, within)
                self._line.append(wanted)
                held += len(wanted.open)

    def next_task(self, slots: int) -> Task | None:
        """The first of the line; of candidates that may be stopped, a chunk further on is worth a candidate further on.

        So many forwards go into a task that there is one for every worker.
        """
        if self._is_ready:
            self._read_ahead(2 * GROUP * slots)
        waiting = [(rank, wanted) for rank, wanted in enumerate(self._line) if wanted.open]
        if not waiting:
            return None
        _, first = min(waiting, key=lambda each: (each[0] + (0 if each[1].needs is None else each[1].open[0]), each[0]))
        index = first.open[0]
        size = min(GROUP, max(1, sum(len(wanted.open) for _, wanted in waiting) // (2 * slots)))
        group = [first]
        for _, wanted in waiting:
            if wanted is not first and wanted.base == first.base and index in wanted.open and len(group) < size:
                group.append(wanted)
        for wanted in group:
            wanted.open.remove(index)
            wanted.flying.add(index)
        policies = tuple(wanted.policy for wanted in group)
        return Task(self._job, index, policies, first.base, self._layers(*policies, first.base), self._gives_logits)

    def _layers(self, *policies: Policy) -> dict[tuple[str, int], str]:
        """Hashes of the rounded layers of policies, which are kept for workers that lack them."""
        names = self.model.profile.quantizable_names
        found = {}
        for policy in policies:
            for name, bits in zip(names, policy.weight_bits, strict=True):
                if bits != FP32_BITS and (name, bits) not in found:
                    layer = self._round(name, bits)
                    found[name, bits] = layer.hash
                    self._parts[layer.hash] = layer
        return found

    def parts(self, hashes: set[str]) -> Mapping[str, Part]:
        """A job, or rounded layers."""
        return {each: self._parts[each] for each in hashes}

    def take(self, task: Task, answers: Sequence[Answer]) -> None:
        """Keeps answers until they are asked for."""
        if task.job != self._job:
            return
        for policy, answer in zip(task.policies, answers, strict=True):
            wanted = self._known.get(policy)
            if wanted is None or task.index in wanted.found:
                continue
            wanted.flying.discard(task.index)
            if task.index in wanted.open:
                wanted.open.remove(task.index)
            wanted.found[task.index] = answer
            if not task.logits and not isinstance(answer, EvaluationError):
                wanted.outcomes[self.chunk_images(task.index)] = answer
                self._settle(wanted)

    def lost(self, task: Task) -> None:
        """Opens a task's chunk again, where it is not answered meanwhile."""
        for policy in task.policies if task.job == self._job else ():
            wanted = self._known.get(policy)
            if wanted is not None and task.index in wanted.flying:
                wanted.flying.discard(task.index)
                insort(wanted.open, task.index)
