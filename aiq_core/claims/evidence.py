"""What claims are recomputed from: finished runs, policy tables and paired counts of report images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from scipy.stats import spearmanr

from aiq_core.deployment.experiment import Experiment, experiments
from aiq_core.envelope import PolicyTable, envelope, within_budget
from aiq_core.errors import DataError
from aiq_core.intensity import intensity
from aiq_core.judged import Judged, Kind, judged
from aiq_core.library import Library
from aiq_core.records import UNFUSED, ModelProfile, Outcome, Policy, Request, Run, RunStatus, SplitName
from aiq_core.search.baselines import RANDOM, SINGLE_LAYER, UNIFORM, single_layer
from aiq_core.search.strategies import SEARCHES
from aiq_core.space import WEIGHTS, Space
from aiq_core.statistics import Comparison, Interval
from aiq_core.store.store import IMPORTED
from aiq_core.wording import number

PAPER = {"intensity_normaliser": 60.0, "floor_percent": 89.5}
"""The authors' settings for ResNet-20 (arXiv 2512.14090, their code)."""

BUDGETS = tuple(tenth / 10 for tenth in range(31))
"""Points that a reader may give up."""

RESNET, MOBILENET, PLAIN, HEAVY = "resnet20", "mobilenet_v2", "plain_convnet20", "heavy_early_resnet20"

NOT_RUN = "not measured yet: the run is not in the stores; `make results` makes it"
RANK_CORRELATION = "rank correlation"


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement with the paper's figure and ours, both in `unit`; None where there is none.

    `interval` is of `measured`, at 95 %. `holds` is None where it is not measured yet, and `note` says why. `run`
    is the id of the run that `measured` was read from, where it is one.
    """

    id: str
    statement: str
    paper: float | None
    measured: float | None
    unit: str
    interval: Interval | None = None
    holds: bool | None = None
    run: str | None = None
    note: str = ""

    @classmethod
    def open(cls, id: str, statement: str, unit: str, paper: float | None = None) -> "Claim":
        """A claim that is not measured yet, for want of a run unless told otherwise."""
        return cls(id, statement, paper, None, unit, note=NOT_RUN)

    def settled(
        self, measured: float, holds: bool, note: str, run: str | None = None, interval: Interval | None = None
    ) -> "Claim":
        """The claim with what was measured."""
        return replace(self, measured=measured, holds=holds, note=note, run=run, interval=interval)

    def unreported(self, run: str | None) -> "Claim":
        """The claim where its run is made, but not measured on the report images."""
        return replace(self, run=run, note="not reported yet")


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation over layers, with its two-sided p value; both NaN where one side is constant."""

    rho: float
    p: float

    @property
    def is_negative(self) -> bool:
        """Whether it is below 0, and not by chance."""
        return self.rho < 0 and self.p < 0.05

    @property
    def text(self) -> str:
        """Both, as text."""
        return f"{number(self.rho, 2)}, {self.p_text}"

    @property
    def p_text(self) -> str:
        """The p value, as text."""
        return "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"


def correlation(first: Sequence[float], second: Sequence[float]) -> Correlation:
    """Spearman's rank correlation of two sequences of equal length."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return Correlation(float("nan"), float("nan"))
    found = spearmanr(first, second)
    return Correlation(float(found.statistic), float(found.pvalue))


class Evidence:
    """Reads a library for claims: finished runs on every search image, and nothing that was imported."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._tables: dict[tuple[str, Space], PolicyTable | None] = {}
        self._experiments: dict[str, Experiment | None] = {}

    def profile(self, model: str) -> ModelProfile:
        """The profile of a model."""
        return self.library.model(model).profile

    def title(self, model: str) -> str:
        """The name of a model that readers see."""
        return self.library.model(model).title

    def images(self, model: str, split: SplitName) -> int:
        """All images of a split."""
        return self.library.model(model).dataset.split(split).size

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Finished runs of all models, without their steps."""
        return tuple(
            run
            for run in self.library.runs()
            if run.status is RunStatus.DONE
            and (run.origin is None or run.origin.source != IMPORTED)
            and run.request.images == self.images(run.request.model, SplitName.SEARCH)
        )

    def _runs(self, model: str, space: Space) -> list[Run]:
        """Runs of a model that round as a space does."""
        how = space.quantizer(self.library.model(model).dataset)
        return [run for run in self.runs if run.request.model == model and run.request.quantizer == how]

    def searches(self, model: str, algorithm: str | None = None, space: Space = WEIGHTS) -> tuple[Run, ...]:
        """Searches of a model that nothing but alpha sets apart, and in WEIGHTS the authors' normaliser and floor.

        By rising alpha.
        """
        profile = self.profile(model)
        found = [
            run
            for run in self._runs(model, space)
            if run.request.algorithm in SEARCHES
            and (space.is_usual(run.request, run.request.quantizer, profile) or is_paper(run.request))
            and run.request.traffic == UNFUSED
        ]
        if algorithm is not None:
            found = [run for run in found if run.request.algorithm == algorithm]
        return tuple(sorted(found, key=lambda run: (run.request.alpha or 0.0, is_paper(run.request))))

    def search(self, model: str, algorithm: str, alpha: float, paper: bool = False) -> Run | None:
        """The search at an alpha, with its steps, at our settings or the paper's; None where it was not run."""
        for run in self.searches(model, algorithm):
            if run.request.alpha == alpha and is_paper(run.request) == paper and run.policy is not None:
                return self.library.run(run.id)
        return None

    def table(self, model: str, space: Space = WEIGHTS) -> PolicyTable | None:
        """Every policy of a space complete on all search images that judge there; None where nothing is."""
        place = model, space
        if place not in self._tables:
            try:
                images = self.images(model, SplitName.SEARCH)
                self._tables[place] = self.library.table_in(space, self.library.model(model), images)
            except DataError:
                self._tables[place] = None
        return self._tables[place]

    def chosen(self, model: str, space: Space = WEIGHTS) -> tuple[Policy, ...]:
        """What search images chose: the searches' ends, and the policies that are best at some alpha.

        Where images are kept apart to confirm on, also those that are best within some budget.
        """
        table = self.table(model, space)
        if table is None:
            return ()
        best = [segment.row for segment in envelope(table, table.usual_goal)]
        if space.is_joint:
            best += [within_budget(table, points) for points in BUDGETS]
        known = [table.policies[row] for row in best if table.sources[row] != IMPORTED]
        ends = (run.policy for run in self.searches(model, space=space))
        known += [policy for policy in ends if policy is not None and table.row(policy) is not None]
        return tuple(dict.fromkeys(known))

    def choice(self, model: str, gain_percent: float, space: Space = WEIGHTS) -> Policy | None:
        """Of what was chosen and gains at least this much AI: the most search images right, then the higher AI.

        The search images are those that judge in the space.
        """
        table, profile = self.table(model, space), self.profile(model)
        fit = [policy for policy in self.chosen(model, space) if gain(profile, policy) >= gain_percent]
        if table is None or not fit:
            return None
        return max(fit, key=lambda policy: (table.score[table.row(policy) or 0], intensity(profile, policy)))

    def kinds(self, model: str) -> dict[Policy, Kind]:
        """How each known policy came to be measured, as the optimism chart tells them apart."""
        found: dict[Policy, Kind] = {}
        for run in self._runs(model, WEIGHTS):
            kind = _LISTED.get(run.request.algorithm)
            if kind is not None:
                found |= dict.fromkeys(run.request.policies, kind)
        # A uniform policy may be the best at alpha 1, but no image chose it.
        return dict.fromkeys(self.chosen(model), Kind.CHOSEN) | found

    def judged(self, model: str) -> tuple[Judged, ...]:
        """Every policy complete on all search and all report images."""
        table = self.table(model)
        return () if table is None else judged(table, self.kinds(model))

    def widths(self, model: str) -> list[tuple[str, Policy, float]]:
        """Every search of a model, its policy and its rank correlation of bits with weights, by algorithm and alpha."""
        return [
            (_row_name(run), run.policy, width_by_weights(self.profile(model), run.policy).rho)
            for algorithm in SEARCHES
            for run in self.searches(model, algorithm)
            if run.policy is not None
        ]

    def experiment(self, model: str) -> Experiment | None:
        """What is known of the throughput experiment on the machine with most of it; None where it was not made."""
        if model not in self._experiments:
            found = experiments(self.library, self.library.model(model))
            self._experiments[model] = next(iter(found), None)
        return self._experiments[model]

    def paired(
        self, model: str, split: SplitName, policy: Policy, before: Policy | None = None, space: Space = WEIGHTS
    ) -> Comparison | None:
        """A policy of a space against `before` (FP32) on all images of a split; None where either is not complete."""
        found, first = self.library.model(model), before or self.profile(model).uniform(32)
        how = space.quantizer(found.dataset)
        return self.library.paired(found, split, self.images(model, split), first, policy, how)

    def drop(self, model: str, policy: Policy, space: Space = WEIGHTS) -> Interval | None:
        """Points lost against FP32 on all report images."""
        cells = self.paired(model, SplitName.REPORT, policy, space=space)
        return None if cells is None else cells.drop

    def alone(self, model: str, bits: int, split: SplitName) -> tuple[float, ...] | None:
        """Points lost with one quantizable layer alone at `bits`, in network order; None unless all are measured."""
        found = [self.paired(model, split, policy) for policy in single_layer(self.profile(model), bits)]
        cells = [entry for entry in found if entry is not None]
        return tuple(entry.drop.value for entry in cells) if len(cells) == len(found) else None


_LISTED = {UNIFORM.name: Kind.UNIFORM, RANDOM.name: Kind.RANDOM, SINGLE_LAYER.name: Kind.SINGLE}


def _row_name(run: Run) -> str:
    paper = ", paper's" if is_paper(run.request) else ""
    return f"{run.request.algorithm} {run.request.alpha:g}{paper}"


def is_paper(request: Request) -> bool:
    """Whether a search used the authors' normaliser and floor, and nothing else sets it apart."""
    return request.is_ordinary_but(**PAPER)


def gain(profile: ModelProfile, policy: Policy, batch: int = 1) -> float:
    """AI above FP32's in percent."""
    return 100 * (intensity(profile, policy, batch) / intensity(profile, profile.uniform(32), batch) - 1)


def candidates(run: Run) -> tuple[int, int]:
    """(moves that the plain algorithm evaluates, moves that this run measured) over all its steps."""
    considered = [candidate for step in run.steps for candidate in step.candidates]
    return len(considered), sum(candidate.outcome is not Outcome.PRUNED for candidate in considered)


def width_by_weights(profile: ModelProfile, policy: Policy) -> Correlation:
    """Rank correlation of the layers' bits with their weight counts: below 0 where larger layers get fewer bits."""
    return correlation(policy.weight_bits, [layer.weights for layer in profile.quantizable])


def width_by_depth(policy: Policy) -> Correlation:
    """Rank correlation of the layers' bits with their place in the network."""
    return correlation(policy.weight_bits, range(len(policy.weight_bits)))
