"""All that is known of a deployed model, joined: times, accuracy, what was predicted, where time goes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiq_core.catalog import Model
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.nodes import NODES, Nodes
from aiq_core.deployment.predicted import predicted_ratios
from aiq_core.deployment.prediction import Measured
from aiq_core.deployment.timing import DEPLOYED, TIMING, Deployed, Timing, deployed_subject
from aiq_core.deployment.variant import Variant, fp32
from aiq_core.library import Library
from aiq_core.records import Measurement, Run
from aiq_core.roof import Spread
from aiq_core.statistics import Comparison

NOTHING = Measured(None, None, None)
VARIANTS = "variants"
"""The kind of measurement that keeps which variants of a run were chosen."""


@dataclass(frozen=True)
class Row:
    """A variant in an engine at a batch. `deployed` and `against_fp32`, in the same engine, None where not measured.

    `predicted` are ratios to the engine's FP32, by the name of what predicts them.
    """

    timing: Timing
    deployed: Deployed | None
    against_fp32: Comparison | None
    predicted: dict[str, float]

    @property
    def engine(self) -> Engine:
        """What runs it."""
        return self.timing.engine

    @property
    def variant(self) -> Variant:
        """What is run."""
        return self.timing.variant

    def to_json(self) -> dict[str, Any]:
        """It as `bench --json` prints it."""
        timing, deployed = self.timing, self.deployed
        rate = timing.images_per_s
        return {
            "engine": str(timing.engine),
            "version": timing.version,
            "variant": timing.variant.name,
            "title": timing.variant.title,
            "precision": str(timing.variant.precision),
            "policy": timing.variant.policy.key,
            "batch": timing.batch,
            "threads": timing.place.threads,
            "images_per_s": rate.value,
            "low": rate.low,
            "high": rate.high,
            "latency_s": timing.latency_s.value,
            "rounds": len(timing.seconds),
            "unsteady_rounds": timing.unsteady,
            **_ratio("ratio_to_engine_fp32", timing.ratio_to_engine_fp32),
            **_ratio("ratio_to_eager_fp32", timing.ratio_to_eager_fp32),
            "report_top1_percent": None if self.against_fp32 is None else self.against_fp32.after.value,
            "drop_points": None if self.against_fp32 is None else self.against_fp32.drop.value,
            "report_images": None if deployed is None else deployed.images,
            "agreement_percent": None if deployed is None else deployed.agreement_percent,
            "predicted": self.predicted,
        }


def _ratio(name: str, ratio: Spread | None) -> dict[str, float | None]:
    ends = {"": None, "_low": None, "_high": None} if ratio is None else ratio_ends(ratio)
    return {f"{name}{end}": value for end, value in ends.items()}


def ratio_ends(ratio: Spread) -> dict[str, float | None]:
    """A ratio's median and its lowest and highest round."""
    return {"": ratio.value, "_low": ratio.low, "_high": ratio.high}


def rows(
    library: Library, model: Model, variants: Sequence[Variant], cpu: str, threads: int, batches: Collection[int]
) -> list[Row]:
    """What is known of these variants on a machine: by batch, then engine, then in the variants' order.

    They go by their names here, whatever those were called when they were timed.
    """
    names = {variant.key: place for place, variant in enumerate(variants)}
    here = [
        Timing.of(kept)
        for kept in kept_timings(library, model)
        if (kept.cpu, kept.threads) == (cpu, threads) and batch_of(kept) in batches
    ]
    accuracies = {
        kept.subject: Deployed.of(kept)
        for kept in library.measurements(DEPLOYED)
        if kept.cpu == cpu and kept.subject.startswith(f"{model.hash}/")
    }
    order = list(Engine)
    measured = {
        (engine, batch): Measured.of(library, model.hash, engine, batch, threads, cpu)
        for engine, batch in {(timing.engine, timing.batch) for timing in here if timing.engine in RUNTIMES}
    }
    found = []
    for timing in here:
        if timing.variant.key not in names:
            continue
        deployed = accuracies.get(deployed_subject(model.hash, timing.engine, timing.version, timing.variant))
        plain = accuracies.get(deployed_subject(model.hash, timing.engine, timing.version, fp32(model)))
        against = None if deployed is None or plain is None else deployed.against(plain, model)
        predicted = predicted_ratios(measured.get((timing.engine, timing.batch), NOTHING), model, timing)
        called = replace(timing, variant=variants[names[timing.variant.key]])
        found.append(Row(called, deployed, against, predicted))
    return sorted(found, key=lambda row: (row.timing.batch, order.index(row.engine), names[row.variant.key]))


def kept_timings(library: Library, model: Model) -> list[Measurement]:
    """Every time that is kept of a model as it is now; the bundled ones, then the user's."""
    return [kept for kept in library.measurements(TIMING) if kept.subject.startswith(f"{model.hash}/")]


def own_cpus(library: Library) -> set[str]:
    """The CPUs that the user's own store has timed networks on."""
    return set() if library.user is None else {kept.cpu for kept in library.user.measurements.all(TIMING)}


def batch_of(kept: Measurement) -> int:
    """The batch that a time is of."""
    return int(kept.subject.rpartition("/")[2])


def variant_key_of(kept: Measurement) -> str:
    """The key of the variant that a time is of."""
    return kept.subject.split("/")[2]


def nodes(library: Library, found: Sequence[Row]) -> dict[str, Nodes]:
    """Subject of a timing -> where its time goes, of the rows of which that was measured on their machine."""
    wanted = {(row.timing.subject, row.timing.place.cpu, row.timing.place.threads) for row in found}
    kept = [each for each in library.measurements(NODES) if (each.subject, each.cpu, each.threads) in wanted]
    return {each.subject: Nodes.of(each) for each in kept}


def chosen_variants(library: Library, model: Model, run: Run | None) -> tuple[Variant, ...]:
    """The variants that were benched of a run, whichever machine did it last; none where none did."""
    subject = variants_subject(model, run)
    kept = [each for each in library.measurements(VARIANTS) if each.subject == subject]
    documents = kept[-1].document["variants"] if kept else ()
    return tuple(Variant.from_json(document) for document in documents)


def kept_variants(model: Model, run: Run | None, found: Iterable[Variant], timing: Timing) -> Measurement:
    """Which variants were chosen of a run, as a store keeps it."""
    document = {"variants": [variant.to_json() for variant in found]}
    place = timing.place
    return Measurement(VARIANTS, place.cpu, place.threads, variants_subject(model, run), timing.created_at, document)


def variants_subject(model: Model, run: Run | None) -> str:
    """What the variants of a run are kept under; without a run, those that every model has."""
    return f"{model.hash}/{'' if run is None else run.id}"
