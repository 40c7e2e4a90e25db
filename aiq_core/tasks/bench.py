"""Timing a model's variants in every engine, batch by batch, and what becomes of report images in each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aiq_core.catalog import Model
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.experiment import experiment
from aiq_core.deployment.rows import Row, kept_timings, kept_variants, rows
from aiq_core.deployment.timing import DEPLOYED, Deployed, Place, Timing, deployed_subject
from aiq_core.deployment.variant import Variant, variants
from aiq_core.errors import SettingError, look_up
from aiq_core.execute import timestamp
from aiq_core.library import Library
from aiq_core.machines import Evaluators
from aiq_core.records import FP32_BITS, ImageSet, Outcomes, Policy, Quantizer, Run, Score, SplitName
from aiq_core.search.memo import Memo

if TYPE_CHECKING:
    from aiq_core.runtime.deployment.bench import Bench, Cell

BATCHES = (1, 8, 32, 128)

Say = Callable[[float, str], None]


@dataclass(frozen=True)
class Wanted:
    """What is to be timed: the variants of a run, or those of the paper's experiment.

    What was measured since `since` stands, so that a task goes on where it was stopped.
    """

    model: str
    run: str | None = None
    batches: tuple[int, ...] = BATCHES
    threads: int = 1
    engines: tuple[str, ...] = tuple(map(str, Engine))
    since: str = ""
    experiment: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Wanted":
        """What a task's settings say."""
        given = dict(settings)
        return cls(batches=tuple(given.pop("batches", BATCHES)), engines=tuple(given.pop("engines", Engine)), **given)

    def to_json(self) -> dict[str, Any]:
        """A task's settings that say so."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"since": self.since or timestamp()}


@dataclass(frozen=True)
class Benched:
    """What was found: rows of all batches, and of each engine that is not installed what to do."""

    model: Model
    rows: tuple[Row, ...]
    place: Place
    missing: Mapping[Engine, str]


def work(library: Library, settings: Mapping[str, Any], say: Say) -> Mapping[str, Any]:
    """Does what `Wanted.of(settings)` says; what each batch found is kept as it is done."""
    found = benched(library, Wanted.of(settings), say)
    return {"rows": len(found.rows), "missing": {str(engine): note for engine, note in found.missing.items()}}


def benched(library: Library, wanted: Wanted, say: Say) -> Benched:
    """Times every variant of a run in every engine, batch by batch, then runs report images through each.

    Raises SettingError for a batch, threads or an engine that is not offered, before anything is evaluated.
    """
    model, run = _asked_for(library, wanted)
    first = _bench(model, variants(library, model, run), wanted)
    first.check(wanted.batches)
    asked = _Asked(library, model, partial(say, 0.0, "choosing variants on search images"))
    listed = experiment(library, model) if wanted.experiment else variants(library, model, run, asked.score)
    chosen = first.safe(listed, first.place.flags)
    bench = _bench(model, chosen, wanted)
    # A batch takes about as long as three accuracies.
    whole = 3 * len(wanted.batches) + len(bench.cells)
    for place, batch in enumerate(wanted.batches):
        if not _is_done(library, wanted, batch, bench):
            timed = _time(library, bench, batch, partial(say, 3 * place / whole))
            if not wanted.experiment:
                library.store.measurements.save(kept_variants(model, run, chosen, timed[0]))
            for timing in timed:
                library.store.measurements.save(timing.measurement)
    for place, cell in enumerate(bench.cells, 3 * len(wanted.batches)):
        asked.say = partial(say, place / whole, "simulating on report images")
        _judge(library, bench, cell, asked, partial(say, place / whole))
    found = rows(
        library, model, [cell.variant for cell in bench.cells], bench.place.cpu, wanted.threads, wanted.batches
    )
    of_these = (row for row in found if row.engine in bench.versions)
    return Benched(model, tuple(of_these), bench.place, bench.missing)


def _asked_for(library: Library, wanted: Wanted) -> tuple[Model, Run | None]:
    if not wanted.batches:
        raise SettingError("no batch is given; choose some, like 1,8,32,128")
    model = library.model(wanted.model)
    run = None if wanted.run is None else library.run(wanted.run)
    if run is not None and wanted.experiment:
        raise SettingError("the paper's experiment has variants of its own; leave the run out")
    if run is not None and run.request.model != model.name:
        raise SettingError(f"run {run.id} is of {run.request.model}, not of {model}; choose one of its own")
    return model, run


def _bench(model: Model, chosen: Sequence[Variant], wanted: Wanted) -> "Bench":
    from aiq_core.runtime.deployment.bench import Bench

    engines = [look_up("engine", name, {str(each): each for each in Engine}) for name in wanted.engines]
    made = Bench(model, chosen, engines, wanted.threads)
    if not made.cells:
        why = "; ".join(f"{engine.words}: {note}" for engine, note in made.missing.items())
        raise SettingError(f"no engine is left to run {model} ({why or 'none was asked for'}); ask for another one")
    return made


def _is_done(library: Library, wanted: Wanted, batch: int, bench: "Bench") -> bool:
    """Whether all cells were timed at a batch since the task began."""
    place = bench.place
    kept = [Timing.of(each) for each in kept_timings(library, bench.model) if each.created_at >= wanted.since]
    since = {
        (timing.engine, timing.variant.key)
        for timing in kept
        if (timing.batch, timing.place.cpu, timing.place.threads) == (batch, place.cpu, place.threads)
    }
    return bool(wanted.since) and since >= {(cell.engine, cell.variant.key) for cell in bench.cells}


def _time(library: Library, bench: "Bench", batch: int, say: Callable[[str], None]) -> list[Timing]:
    """Times a batch, and keeps where it goes; the times are to be kept last, as they say that it is done."""
    found = bench.timings(batch, say)
    for cell in bench.cells:
        if cell.engine in RUNTIMES:
            say(f"nodes of {cell.words}, batch {batch}")
            library.store.measurements.save(bench.nodes(cell, batch).measurement)
    return found


def _judge(library: Library, bench: "Bench", cell: "Cell", asked: "_Asked", say: Callable[[str], None]) -> None:
    """Runs report images through a cell, unless that is known of this CPU, and keeps what became of them."""
    subject = deployed_subject(bench.model.hash, cell.engine, bench.versions[cell.engine], cell.variant)
    images = bench.model.dataset.available(SplitName.REPORT)
    known = (kept for kept in library.measurements(DEPLOYED) if (kept.cpu, kept.subject) == (bench.place.cpu, subject))
    if any(Deployed.of(kept).images >= images for kept in known):
        return
    simulated = asked.report(cell.variant.policy, cell.variant.quantizer)
    library.store.measurements.save(bench.deployed(cell, simulated, say).measurement)


class _Asked:
    """Scores and outcomes of policies in the simulation: from the stores, else evaluated now and kept."""

    def __init__(self, library: Library, model: Model, say: Callable[[], None]) -> None:
        self.library, self.model, self.say = library, model, say
        self._evaluators = Evaluators()
        self._memos: dict[tuple[ImageSet, Quantizer], Memo] = {}

    def score(self, policy: Policy, how: Quantizer, images: ImageSet, needs: Score | None) -> Score | None:
        """A policy's score on an image set; None where it cannot reach what it needs."""
        return self._memo(images, how).ask(policy, needs, self.model.profile.uniform(FP32_BITS))

    def report(self, policy: Policy, how: Quantizer) -> Outcomes:
        """What becomes of all report images that are here."""
        images = ImageSet(SplitName.REPORT, self.model.dataset.available(SplitName.REPORT))
        self.score(policy, how, images, None)
        found = self.library.shown(self.model, SplitName.REPORT, policy, images.images, how)
        assert found is not None  # it was asked for
        return found.outcomes[: images.images]

    def _memo(self, images: ImageSet, how: Quantizer) -> Memo:
        if (images, how) not in self._memos:
            self._memos[images, how] = Memo(
                metric=self.model.metric,
                key_of=lambda policy: self.library.key(self.model, images.split, policy, how),
                labels=self.model.dataset.split(images.split).labels,
                images=images,
                store=self.library,
                make_evaluator=lambda: self._evaluators(self.model, images, how),
                checkpoint=lambda: self.say(),  # as it is then
            )
        return self._memos[images, how]
