"""The sides that `benchmarks.frontier` compares: each finds a front from an empty store, and its work is counted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiq_core import frontier
from aiq_core.catalog import Model
from aiq_core.catalog.dataset import CALIBRATION
from aiq_core.execute import Evaluators, execute_together, new_run
from aiq_core.frontier import Measure
from aiq_core.frontier.sensitivity import file_of, key_of
from aiq_core.fronts import confirming
from aiq_core.intensity import intensity
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.records import FP32_BITS, ImageSet, Policy, Request, Run, RunStatus, SplitName, is_done
from aiq_core.runtime.sensitivity import DRAWS
from aiq_core.search.greedy import GREEDY
from aiq_core.search.memo import Memo
from aiq_core.search.nsga2 import NSGA2
from aiq_core.search.random_search import RANDOM_SEARCH
from aiq_core.space import JOINT
from aiq_core.store import Store

ALPHAS = tuple(tenth / 10 for tenth in range(11))


@dataclass(frozen=True)
class Side:
    """A strategy with its seed or its measure of costs; `runs` are one, or a sweep's."""

    name: str
    seed: int | None
    runs: tuple[Run, ...]
    evaluations: float
    """Images forwarded over those that are chosen on, shared prefixes and what was stopped counted as they were."""
    calibration: float
    """The same of calibration images, which have no labels."""
    cpu_seconds: float
    """Of all threads: they hardly depend on what else the machine does."""

    @property
    def policies(self) -> tuple[Policy, ...]:
        return tuple(dict.fromkeys(step.policy for run in self.runs for step in run.steps))

    @property
    def seconds(self) -> float:
        return sum(run.seconds for run in self.runs)

    @property
    def asked(self) -> int:
        return sum(run.evaluations for run in self.runs)


class Bench:
    """One network in the joint space on all its search images; what was found lies in `folder` and is found again."""

    def __init__(self, model: Model, images: int, folder: Path, threads: int) -> None:
        self.model, self.images, self.folder = model, images, folder
        self.profile, self.quantizer = model.profile, JOINT.quantizer(model.dataset)
        self.fp32 = self.profile.uniform(FP32_BITS)
        self.chooses = JOINT.choosing(images)
        self._evaluators = Evaluators(threads)
        self._bundled = Store(BUNDLED_RESULTS, immutable=True)
        self.report = Library(Store(folder / f"{model.name}-report.sqlite"), self._bundled)

    # Sides

    def frontier(self, measure: Measure) -> Side:
        request = JOINT.front_request(self.model.name, self.quantizer, self.profile, self.images)
        name = frontier.ALGORITHM if measure is request.measure else f"{frontier.ALGORITHM}, {measure}"
        if not self._library(name).store.has_run(self._alone(request, measure).digest):
            file_of(key_of(self.model, self.quantizer, measure)).unlink(missing_ok=True)  # measured anew
        return self._side(name, None, [self._alone(request, measure)], self._calibration(request, measure))

    def greedy(self) -> Side:
        """Sweeps all alphas on one memo."""
        requests = [
            JOINT.request(self.model.name, self.quantizer, self.profile, GREEDY.name, alpha, self.images)
            for alpha in ALPHAS
        ]
        return self._side("greedy sweep", None, [replace(each, use_bundled=False) for each in requests])

    def drawn(self, algorithm: str, seed: int, evaluations: int) -> Side:
        request = JOINT.front_request(self.model.name, self.quantizer, self.profile, self.images, evaluations)
        request = replace(self._alone(request, None), algorithm=algorithm, seed=seed)
        return self._side(algorithm, seed, [request])

    def _alone(self, request: Request, measure: Measure | None) -> Request:
        return replace(request, measure=measure, use_bundled=False)

    def _path(self, name: str, seed: int | None) -> Path:
        return self.folder / f"{self.model.name}-{name.replace(', ', '-').replace(' ', '-')}-{seed or 0}.sqlite"

    def _library(self, name: str, seed: int | None = None) -> Library:
        """A side's own; it starts with bundled report figures, which no side's seconds hold."""
        path = self._path(name, seed)
        is_new = not path.is_file()
        store = Store(path)
        if is_new:
            for each in self._bundled.evaluations(self.model.hash, self.model.dataset.report.hash):
                store.save_evaluation(each)
        return Library(store, None)

    def _side(self, name: str, seed: int | None, requests: Sequence[Request], calibration: float = 0.0) -> Side:
        library, path = self._library(name, seed), self._path(name, seed)
        runs = [new_run(self.model, request) for request in requests]
        runs = [
            library.store.run(run.id) if library.store.has_run(run.id) else library.store.add_run(run) for run in runs
        ]
        spent = path.with_suffix(".cpu")
        before = float(spent.read_text()) if spent.is_file() else 0.0
        if any(run.status is not RunStatus.DONE for run in runs):
            began = time.process_time()
            try:
                runs = execute_together(library, runs, self._evaluators)
            finally:
                before += time.process_time() - began
                spent.write_text(str(before))
        for run in runs:
            if run.status is not RunStatus.DONE:
                raise RuntimeError(f"run {run.id} ended {run.status}: {run.message}\n{run.traceback}")
        found = library.store.evaluations(self.model.hash, self.model.dataset.search.hash)
        forwarded = sum(int(is_done(each.outcomes[: self.chooses]).sum()) for each in found)
        return Side(name, seed, tuple(runs), forwarded / self.chooses, calibration, before)

    def _calibration(self, request: Request, measure: Measure) -> float:
        """A pass of all calibration images a width, and FP32's; of Fisher's a forward and a backward a label drawn.

        A backward pass counts as two.
        """
        sites = len(self.profile.weight_sites), len(self.profile.activation_groups)
        passes = 1 + sites[0] * len(request.widths) + sites[1] * len(request.activation_widths)
        if measure is Measure.FISHER:
            passes = 1 + 2 * DRAWS
        return passes * self.model.dataset.split(CALIBRATION).size / self.chooses

    # What they reach

    def ratios(self, policies: Sequence[Policy]) -> NDArray[np.float64]:
        """AI over FP32's, [p]."""
        found = [intensity(self.profile, policy, quantizer=self.quantizer) for policy in (self.fp32, *policies)]
        return np.array(found[1:]) / found[0]

    def confirmed(self, side: Side) -> NDArray[np.int8]:
        """What each policy of a side loses on the images that confirm, as `frontier.hypervolume.drawn` has it."""
        start = confirming(side.runs[0].request).start
        return self._lost(self._library(side.name, side.seed), SplitName.SEARCH, side.policies, start, self.images)

    def reported(self, policies: Sequence[Policy]) -> NDArray[np.int8]:
        """The same on all report images, measured where they are not yet."""
        images = ImageSet(SplitName.REPORT, self.model.dataset.available(SplitName.REPORT))
        memo = Memo(
            metric=self.model.metric,
            key_of=lambda policy: self.report.key(self.model, SplitName.REPORT, policy, self.quantizer),
            labels=self.model.dataset.report.labels,
            images=images,
            store=self.report,
            make_evaluator=lambda: self._evaluators(self.model, images, self.quantizer),
        )
        for policy in (self.fp32, *policies):
            memo.ask(policy, None, self.fp32)
        return self._lost(self.report, SplitName.REPORT, policies, 0, images.images)

    def _lost(
        self, library: Library, split: SplitName, policies: Sequence[Policy], start: int, images: int
    ) -> NDArray[np.int8]:
        items, labels = slice(start, images), self.model.dataset.split(split).labels

        def right(policy: Policy) -> NDArray[np.int8]:
            found = library.shown(self.model, split, policy, images, self.quantizer, start=start)
            assert found is not None  # it was measured
            return np.asarray((found.outcomes == labels)[items], dtype=np.int8)

        fp32 = right(self.fp32)
        return np.array([fp32 - right(policy) for policy in policies], dtype=np.int8).reshape(-1, images - start)


RIVALS = (NSGA2.name, RANDOM_SEARCH.name)
"""Those that draw."""
