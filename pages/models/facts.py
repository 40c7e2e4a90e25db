"""What a card says of a model: its accuracy, its work, what is known of it, and its layers under a roof."""

from dataclasses import dataclass

from aiq_core import intensity
from aiq_core.catalog import Model
from aiq_core.charts.roofline import roofline_data
from aiq_core.charts.style import Look
from aiq_core.charts.thumbnail import roofline_thumbnail
from aiq_core.deployment.rows import kept_timings
from aiq_core.deployment.timing import TIMING, Timing
from aiq_core.hardware import Machine
from aiq_core.records import DEFAULT_WIDTHS, FP32_BITS, ModelProfile, SplitName
from aiq_core.statistics import Interval
from aiq_core.wording import an, number, prefixed_rate, significant, size, span
from pages.common import controls, known


@dataclass(frozen=True)
class Facts:
    """In words, but for the counts."""

    about: str
    accuracies: tuple[str, ...]
    measured: str
    intensity: str
    work: str
    runs: int
    evaluations: int
    timed: str

    @property
    def known(self) -> str:
        """What is known of it besides its card."""
        if not self.runs and not self.evaluations:
            return "Nothing is searched or evaluated yet."
        runs = f"{self.runs:,} finished run{'' if self.runs == 1 else 's'}"
        said = f"{runs}, {self.evaluations:,} evaluation{'' if self.evaluations == 1 else 's'}."
        return f"{said} Measured: {self.timed}." if self.timed else said


def facts(model: Model) -> Facts:
    """All of them, read anew when the stores changed."""
    library = known.library()
    versions = library.finished_version(), library.table_version(model, 0), library.measurements_version(TIMING)
    return _facts(model, " ".join(versions))


@known.cached(64)
def _facts(model: Model, version: str) -> Facts:
    library, dataset, profile = known.library(), model.dataset, model.profile
    channels, height, width = model.card.input_shape
    shape = f"{height} × {width} × {channels}".replace(" ", "\N{NO-BREAK SPACE}")
    return Facts(
        about=f"{dataset.title}, {len(dataset.class_names):,} classes, {shape}",
        measured=f"Measured, n = {dataset.report.size:,} and {dataset.search.size:,}; 95 % intervals.",
        accuracies=tuple(_accuracy(model, split) for split in (SplitName.REPORT, SplitName.SEARCH)),
        intensity=significant(intensity.intensity(profile, profile.uniform(FP32_BITS))),
        work=work(profile),
        runs=len(known.runs(model)),
        evaluations=library.evaluations_of(model),
        timed=_timed(model),
    )


def work(profile: ModelProfile) -> str:
    """Layers, work and size of a network in FP32."""
    fp32 = profile.uniform(FP32_BITS)
    flops = f"{prefixed_rate(float(profile.flops), ' ')}FLOP"
    stored = size(intensity.stored_bytes(profile, fp32))
    return f"{len(profile.layers):,} layers, {flops} {an(profile.item)}, {stored} of weights; computed, FP32, batch 1."


def top1(model: Model, split: SplitName) -> Interval:
    """FP32's top-1 in percent on a split, as its card says."""
    percent = {
        SplitName.SEARCH: model.card.search_top1_percent,
        SplitName.REPORT: model.card.report_top1_percent,
    }[split]
    images = model.dataset.split(split).size
    return model.metric.interval(round(percent * images / 100), images)


def _accuracy(model: Model, split: SplitName) -> str:
    found = top1(model, split)
    return f"**{number(found.value, 2)} %** :gray[({span(found)}), {split}]"


def _timed(model: Model) -> str:
    """The fastest FP32 at batch 1 that was measured, with its machine; empty where none was."""
    timings = [Timing.of(kept) for kept in kept_timings(known.library(), model)]
    plain = [each for each in timings if each.batch == 1 and each.variant.policy.is_fp32]
    if not plain:
        return ""
    best = max(plain, key=lambda each: each.images_per_s.value)
    rate, threads = best.images_per_s, best.place.threads
    on = f"{best.place.cpu}, {threads} thread{'' if threads == 1 else 's'}"
    ends = f"{number(rate.low, 0)} to {number(rate.high, 0)}"
    return f"FP32 {number(rate.value, 0)} images/s ({ends}) in {best.engine.words}, batch 1, {on}"


def drawn(model: Model, machine: Machine, look: Look) -> tuple[str, str, str]:
    """The layers in FP32 at batch 1 under a machine's roof as SVG, its alternative text, and what it says in short.

    The machine runs FP32 activations.
    """
    return stamp(model.profile, model.title, machine, look)


def stamp(profile: ModelProfile, title: str, machine: Machine, look: Look) -> tuple[str, str, str]:
    """As `drawn`, of any network."""
    return _stamp(profile, title, machine.key, known.library().machines_version(), look)


@known.cached(256)
def _stamp(profile: ModelProfile, title: str, key: str, version: str, look: Look) -> tuple[str, str, str]:
    machine = known.library().machine(key)
    fp32 = profile.uniform(FP32_BITS)
    data = roofline_data(machine, profile, fp32, fp32, 1, DEFAULT_WIDTHS, controls.BATCHES[:1])
    words = f"{data.memory_bound} of {len(data.dots)} layers wait for bytes"
    alt = f"Roofline of {machine.name}: {words} of {title} in FP32 at batch 1."
    return roofline_thumbnail(data, look), alt, f"{words} on {machine.spoken}"
