"""Everything known: models and data of the catalogues, results of the bundled and the user's store; torch-free.

>>> from aiq_core.library import open_library
>>> library = open_library()
>>> resnet = library.model("resnet20")
>>> run = library.run(library.runs(resnet)[0].id)
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TypeVar

import numpy as np

from aiq_core import catalog
from aiq_core.catalog import Catalog, Model, data_dir
from aiq_core.envelope import PolicyTable
from aiq_core.errors import DataError, SettingError, UnknownNameError, look_up
from aiq_core.frontier.budget import KERNELS
from aiq_core.hardware import PRESETS, Machine
from aiq_core.intensity import traffic
from aiq_core.metrics import Metric
from aiq_core.metrics.metric import Labels
from aiq_core.records import (
    TABLE,
    UNFUSED,
    Evaluation,
    EvaluationKey,
    ImageSet,
    KernelTable,
    Measurement,
    ModelProfile,
    Move,
    Outcome,
    Policy,
    Quantizer,
    Request,
    Run,
    RunStatus,
    SplitName,
)
from aiq_core.roof import ROOF, Roof
from aiq_core.space import Space
from aiq_core.statistics import Comparison
from aiq_core.store import Store
from aiq_core.store.store import BUNDLED, IMPORTED, MEASURED

T = TypeVar("T", bound=Evaluation | Run)
BUNDLED_RESULTS = catalog.ASSETS / "runs" / "results.sqlite"
BUNDLED_MEASUREMENTS = catalog.ASSETS / "measurements.json"


def read_only() -> bool:
    """Whether this server shows cached runs only (AIQ_READ_ONLY=1): no worker, no writes."""
    return os.environ.get("AIQ_READ_ONLY", "").lower() in ("1", "true", "yes")


def open_library(bundled: bool = True) -> "Library":
    """The user's store (created if need be) and, unless told otherwise, the bundled results."""
    user = None if read_only() else Store(data_dir() / "store.sqlite")
    results = Store(BUNDLED_RESULTS, immutable=True) if bundled and BUNDLED_RESULTS.exists() else None
    return Library(user, results, (catalog.bundled(), Catalog(data_dir() / "catalog")))


@cache
def bundled_measurements() -> tuple[Measurement, ...]:
    """What was measured on machines and ships with the app."""
    if not BUNDLED_MEASUREMENTS.exists():
        return ()
    return tuple(Measurement(**document) for document in json.loads(BUNDLED_MEASUREMENTS.read_text()))


class Library:
    """Reads both stores as one; writes go to the user's. Either may be None. Models are those of the catalogues."""

    def __init__(self, user: Store | None, bundled: Store | None, catalogs: Sequence[Catalog] | None = None) -> None:
        self.user, self.bundled = user, bundled
        self.catalogs = (catalog.bundled(),) if catalogs is None else tuple(catalogs)
        self._machines: tuple[str | None, Mapping[str, Machine]] = (None, {})

    def without_bundled(self) -> "Library":
        """The same without the bundled results, which then answer no search."""
        return Library(self.user, None, self.catalogs)

    @property
    def models(self) -> dict[str, Model]:
        """Every model by name, bundled ones first; a name that two catalogues have is the first one's.

        As they are now: one may have been added or removed by another process.
        """
        self.catalogs = tuple(each.current for each in self.catalogs)
        found: dict[str, Model] = {}
        for each in self.catalogs:
            found |= {name: model for name, model in each.models.items() if name not in found}
        return found

    def model(self, name: str) -> Model:
        """The model of that name. Raises UnknownNameError."""
        return look_up("model", name, self.models)

    @property
    def profiles(self) -> dict[str, ModelProfile]:
        """The networks without weights or data by name, as they are now."""
        self.catalogs = tuple(each.current for each in self.catalogs)
        return {name: profile for each in self.catalogs for name, profile in each.profiles.items()}

    def profile(self, name: str) -> ModelProfile:
        """The counts of a model, or of a network without weights or data. Raises UnknownNameError."""
        bare = self.profiles
        return bare[name] if name in bare else self.model(name).profile

    @property
    def store(self) -> Store:
        """The store to write to. Raises DataError on a read-only server."""
        if self.user is None:
            raise DataError("this server is read-only (AIQ_READ_ONLY is set), so nothing can be run or saved here")
        return self.user

    def version(self) -> str:
        """Text that changes whenever the stores do, or a user's own models: a cache key."""
        return f"{'-' if self.user is None else self.user.version()} {self._own()}"

    def _own(self) -> str:
        return " ".join(value for model in self.models.values() for value in model.identity.values())

    def table_version(self, model: Model, images: int) -> str:
        """Text that changes whenever a `table` may: not with every heartbeat of a search."""
        return "-" if self.user is None else self.user.evaluations_version(model.hash, images)

    def finished_version(self) -> str:
        """Text that changes whenever the finished runs do, or a user's own models."""
        return f"{'-' if self.user is None else self.user.finished_version()} {self._own()}"

    # Measurements

    def measurements(self, kind: str) -> list[Measurement]:
        """The latest measurement of each subject on each machine: the bundled ones, then the user's."""
        found = {
            (each.cpu, each.threads, each.subject): each
            for each in (
                *(bundled_measurements() if self.bundled else ()),
                *(self.user.measurements.all(kind) if self.user else ()),
            )
            if each.kind == kind
        }
        return list(found.values())

    def measurements_version(self, kind: str) -> str:
        """Text that changes whenever the measurements of a kind do."""
        return "-" if self.user is None else self.user.measurements.version(kind)

    def kernel_table(self, table_hash: str) -> KernelTable:
        """The table of kernels of that hash. Raises DataError where it is not known here."""
        own = self.user.measurements.all(TABLE) if self.user else []
        for each in (*(bundled_measurements() if self.bundled else ()), *own):
            if each.kind == TABLE and (table := KernelTable.from_json(each.document)).hash == table_hash:
                return table
        raise DataError(f"the table of kernels {table_hash} is not known here; measure one and ask again")

    # Machines

    @property
    def roofs(self) -> dict[str, Roof]:
        """Measured roofs by the keys of their machines: those of this machine first, few threads before many."""
        own = {(each.cpu, each.threads) for each in self.user.measurements.all(ROOF)} if self.user else set()
        found = [
            replace(Roof.from_json(each.document), ships=(each.cpu, each.threads) not in own)
            for each in self.measurements(ROOF)
        ]
        return {roof.key: roof for roof in sorted(found, key=lambda roof: (not roof.is_here, roof.cpu, roof.threads))}

    @property
    def machines(self) -> Mapping[str, Machine]:
        """Every machine by key, in the order that menus show: presets, measured ones, entered ones.

        Read anew only when one was measured, entered or removed, by whatever process.
        """
        version, known = self.machines_version(), self._machines
        if known[0] != version:
            found = dict(PRESETS)
            measured = (roof.machine() for roof in self.roofs.values())
            for machine in (*measured, *(self.user.machines.all() if self.user else ())):
                found.setdefault(machine.key, machine)
            known = self._machines = version, found
        return known[1]

    def machines_version(self) -> str:
        """Text that changes whenever the machines do."""
        return "-" if self.user is None else self.user.machines.version(ROOF)

    def machine(self, key: str) -> Machine:
        """The machine of a key. Raises UnknownNameError."""
        return look_up("machine", key, self.machines)

    def add_machine(self, machine: Machine) -> None:
        """Keeps a machine as a user entered it. Raises SettingError where its key is taken."""
        taken = {KERNELS: "measured kernels"} | {key: known.name for key, known in self.machines.items()}
        if machine.key in taken:
            raise SettingError(f"key={machine.key!r} is {taken[machine.key]}’s already; choose another")
        self.store.machines.add(machine)

    def remove_machine(self, key: str) -> None:
        """Forgets a machine that a user entered. Raises UnknownNameError where none has that key."""
        entered = {machine.key: machine for machine in self.store.machines.all()}
        look_up("entered machine", key, entered or {"(none yet)": None})
        self.store.machines.remove(key)

    # Evaluations

    def key(self, model: Model, split: SplitName, policy: Policy, quantizer: Quantizer = Quantizer()) -> EvaluationKey:
        """What identifies the evaluation of a policy on a split."""
        return EvaluationKey(model.hash, model.dataset.split(split).hash, quantizer.key(policy), policy.key)

    def find(self, key: EvaluationKey) -> Evaluation | None:
        """The evaluation that may answer: the more complete of measured and bundled; imported ones never answer."""
        found = [self.user.evaluation(key, (MEASURED,))] if self.user else []
        if self.bundled:
            bundled = self.bundled.evaluation(key, (MEASURED,))
            found.append(None if bundled is None else of_source(bundled, BUNDLED))
        known = [evaluation for evaluation in found if evaluation is not None]
        return max(known, key=lambda evaluation: evaluation.done(len(evaluation.outcomes)), default=None)

    def save_evaluation(self, evaluation: Evaluation) -> int:
        """Keeps an evaluation in the user's store, as its `save_evaluation` does."""
        return self.store.save_evaluation(evaluation)

    def evaluation(
        self, model: Model, split: SplitName, policy: Policy, quantizer: Quantizer = Quantizer()
    ) -> Evaluation | None:
        """The evaluation of a policy on a split, as `find` finds it."""
        return self.find(self.key(model, split, policy, quantizer))

    def _all(self, model: Model, split: SplitName) -> dict[tuple[str, str], list[Evaluation]]:
        """Every evaluation by (quantizer, policy) key: measured, then bundled, then imported."""
        split_hash = model.dataset.split(split).hash
        rows = list(self.user.evaluations(model.hash, split_hash)) if self.user else []
        bundled = self.bundled.evaluations(model.hash, split_hash) if self.bundled else []
        rows.extend(of_source(evaluation, BUNDLED) for evaluation in bundled)
        rank = {MEASURED: 0, BUNDLED: 1, IMPORTED: 2}
        found: dict[tuple[str, str], list[Evaluation]] = {}
        for evaluation in sorted(rows, key=lambda evaluation: rank[evaluation.origin.source]):
            found.setdefault((evaluation.key.quantizer, evaluation.key.policy), []).append(evaluation)
        return found

    def table(
        self,
        model: Model,
        images: int,
        quantizer: Quantizer = Quantizer(),
        report_images: int | None = None,
        start: int = 0,
        by: str = UNFUSED,
    ) -> PolicyTable:
        """Every policy complete on the search images `start` to `images`, with its report figures where they are known.

        Report figures count the first `report_images`: all by default, and the excerpt where a page works at it. AI is
        by the traffic model `by`. Raises DataError where not even FP32 is known.
        """
        profile, dataset = model.profile, model.dataset
        if report_images is None:
            whole = dataset.report.size
            is_excerpt = dataset.search.shipped < dataset.search.size != images
            report_images = min(images, whole) if is_excerpt else whole
        search = _complete(self._all(model, SplitName.SEARCH), images, profile, quantizer, start)
        report = _complete(self._all(model, SplitName.REPORT), report_images, profile, quantizer)
        fp32 = profile.uniform(32)
        if fp32 not in search:
            raise DataError(f"nothing is known of {model} on {images - start:,} search images yet; run a search first")
        policies = tuple(sorted(search, key=lambda policy: (policy.weight_bits, policy.activation_bits), reverse=True))
        chosen = ImageSet(SplitName.SEARCH, images, start).span
        labels = dataset.search.labels[chosen]
        searched = _compare(model.metric, search, policies, fp32, labels, start)
        return PolicyTable(
            profile=profile,
            metric=model.metric,
            images=images - start,
            start=start,
            policies=policies,
            intensity=traffic(profile, policies, by=by, quantizer=quantizer).intensity,
            score=np.array([model.metric.score(search[policy].outcomes[chosen], labels) for policy in policies]),
            search=tuple(found for found in searched if found is not None),
            report_images=report_images,
            report=_compare(model.metric, report, policies, fp32, dataset.report.labels[:report_images]),
            baseline=policies.index(fp32),
            sources=tuple(search[policy].origin.source for policy in policies),
            quantizer=quantizer,
            traffic=by,
        )

    def table_in(self, space: Space, model: Model, images: int, by: str = UNFUSED) -> PolicyTable:
        """The policies of a space, judged on those of the first `images` search images on which nothing was chosen."""
        quantizer, start = space.quantizer(model.dataset), space.choosing(images)
        return replace(self.table(model, images, quantizer, start=start, by=by), space=space)

    def evaluations_of(self, model: Model) -> int:
        """How many evaluations are known of a model, on either split."""
        stores = [self.bundled, self.user]
        return sum(store.evaluations_of(model.hash) for store in stores if store is not None)

    def shown(
        self,
        model: Model,
        split: SplitName,
        policy: Policy,
        images: int,
        quantizer: Quantizer = Quantizer(),
        start: int = 0,
    ) -> Evaluation | None:
        """A complete evaluation to show: measured or bundled, imported only where neither is."""
        key = self.key(model, split, policy, quantizer)
        found = self.find(key)
        if (found is None or not found.is_complete(images, start)) and self.user is not None:
            found = self.user.evaluation(key, (IMPORTED,))
        return found if found is not None and found.is_complete(images, start) else None

    def paired(
        self,
        model: Model,
        split: SplitName,
        images: int,
        before: Policy,
        after: Policy,
        quantizer: Quantizer = Quantizer(),
        imported: bool = False,
        start: int = 0,
        before_quantizer: Quantizer | None = None,
    ) -> Comparison | None:
        """Two policies on the same images; None where either is not complete there. `imported` ones count if asked.

        Both are rounded as `quantizer` says, unless `before_quantizer` says otherwise of the first.
        """
        first = self.shown(model, split, before, images, before_quantizer or quantizer, start)
        second = self.shown(model, split, after, images, quantizer, start)
        if first is None or second is None:
            return None
        if not imported and IMPORTED in (first.origin.source, second.origin.source):
            return None
        items = slice(start, images)
        labels = model.dataset.split(split).labels[items]
        return model.metric.compare(first.outcomes[items], second.outcomes[items], labels)

    # Runs

    def runs(self, model: Model | None = None, archived: bool = False) -> tuple[Run, ...]:
        """Runs without their steps, bundled ones first, then the user's, oldest first.

        Those of a user's own network are left out while it is not here as it was.
        """
        name, models = None if model is None else model.name, self.models
        bundled = [of_source(run, BUNDLED) for run in self.bundled.runs(name)] if self.bundled else []
        taken = {run.id for run in bundled}
        found = self.user.runs(name) if self.user else []
        own = [run for run in found if run.id not in taken and _is_of(run, models.get(run.request.model))]
        return tuple(run for run in (*bundled, *own) if archived or not run.archived)

    def add_run(self, run: Run) -> Run:
        """Keeps a new run in the user's store under an id that no run known here has."""
        return self.store.add_run(run, [run.id] if self.bundled and self.bundled.has_run(run.id) else ())

    def run(self, run_id: str) -> Run:
        """One run with its steps. Raises UnknownNameError, and DataError where its network is not here as it was."""
        if self.bundled and self.bundled.has_run(run_id):
            return of_source(self.bundled.run(run_id), BUNDLED)
        if self.user and self.user.has_run(run_id):
            found = self.user.run(run_id)
            name = found.request.model
            if not _is_of(found, self.models.get(name)):
                raise DataError(
                    f"run {run_id} is of a network or images called {name!r} that are not here as they were; `add` "
                    "the same ones under that name again"
                )
            return found
        raise UnknownNameError("run", run_id, [run.id for run in self.runs()][-10:] or ["(no runs yet)"])

    def reasons(self, model: Model, policy: Policy, quantizer: Quantizer = Quantizer()) -> Run | None:
        """The earliest finished run that asked for a policy, with its steps; None where none did."""
        finished = (run for run in self.runs(model) if run.status is RunStatus.DONE)
        return first_asking((self.run(run.id) for run in finished), policy, model.profile, quantizer)


def _is_of(run: Run, model: Model | None) -> bool:
    """Whether a run is of a model: an own one may have gone, and another one have its name."""
    return model is not None and all(getattr(run, name) == value for name, value in model.identity.items())


def repeats(runs: Iterable[Run], request: Request, model: Model) -> list[Run]:
    """Those of runs that are of the very same request, for the model as it is now."""
    return [run for run in runs if run.request.digest == request.digest and run.model_hash == model.hash]


def first_asking(
    runs: Iterable[Run], policy: Policy, profile: ModelProfile, quantizer: Quantizer = Quantizer()
) -> Run | None:
    """The first of runs, with their steps, that took or measured a policy so quantized; None where none did."""
    key = quantizer.key(policy)
    # A front has steps and no policy; a list of policies alike, but nothing chose those.
    chose = (run for run in runs if run.policy or run.request.points is not None)
    asked = (run for run in chose if run.request.quantizer.key(policy) == key)
    return next((run for run in asked if asked_step(run, policy, profile) is not None), None)


def asked_step(run: Run, policy: Policy, profile: ModelProfile) -> int | None:
    """The position in `run.steps` at which it took or measured a policy; None if it never did."""
    previous = run.request.start_policy(profile)
    for position, step in enumerate(run.steps):
        if step.policy == policy:
            return position
        asked = (candidate for candidate in step.candidates if candidate.outcome is not Outcome.PRUNED)
        if any(_is_from(policy, previous, candidate.move, profile) for candidate in asked):
            return position
        previous = step.policy
    return None


def _is_from(policy: Policy, previous: Policy, move: Move, profile: ModelProfile) -> bool:
    # The cheap question first: there are a hundred candidates a step.
    return profile.width(policy, move.site) == move.bits and profile.moved(previous, move) == policy


def of_source(record: T, source: str) -> T:
    """An evaluation or a run with figures of that source; a run without figures as it is."""
    return record if record.origin is None else replace(record, origin=replace(record.origin, source=source))


def _complete(
    found: dict[tuple[str, str], list[Evaluation]],
    images: int,
    profile: ModelProfile,
    quantizer: Quantizer,
    start: int = 0,
) -> dict[Policy, Evaluation]:
    """The first complete evaluation of each policy under a quantizer."""
    complete: dict[Policy, Evaluation] = {}
    for (quantizer_key, policy_key), evaluations in found.items():
        policy = Policy.from_key(policy_key)
        if profile.fits(policy) and quantizer_key == quantizer.key(policy):
            whole = [evaluation for evaluation in evaluations if evaluation.is_complete(images, start)]
            if whole:
                complete[policy] = whole[0]
    return complete


def _compare(
    metric: Metric,
    found: Mapping[Policy, Evaluation],
    policies: Sequence[Policy],
    before: Policy,
    labels: Labels,
    start: int = 0,
) -> tuple[Comparison | None, ...]:
    """Each policy against `before` on items from `start`, as many as there are labels; None where it is not `found`."""
    if before not in found:
        return (None,) * len(policies)
    items = slice(start, start + len(labels))
    first = found[before].outcomes[items]
    return tuple(
        metric.compare(first, found[policy].outcomes[items], labels) if policy in found else None for policy in policies
    )
