"""Times a model's variants in every engine that is here, side by side, and runs report images through each."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from aiq_core.activations import Calibration
from aiq_core.catalog import Model
from aiq_core.deployment.engine import RUNTIMES, Engine, installed, remedy
from aiq_core.deployment.memory import check_batch
from aiq_core.deployment.nodes import Nodes
from aiq_core.deployment.rounds import interleaved
from aiq_core.deployment.timing import Deployed, Place, Timing
from aiq_core.deployment.variant import Variant, fp32
from aiq_core.errors import SettingError, UncountableOperatorError
from aiq_core.export.onnx_model import INPUT, Exported, export
from aiq_core.export.saturation import adds_in_32_bits, reduced, saturating
from aiq_core.records import Outcomes, SplitName
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.cpu import cpu_flags, cpu_kind
from aiq_core.runtime.deployment.engines import Call, Feed, has, opened
from aiq_core.runtime.deployment.profiler import nodes_of
from aiq_core.runtime.export import as_input
from aiq_core.runtime.folded import module_of
from aiq_core.runtime.logits import logits
from aiq_core.runtime.recorded import recorded
from aiq_core.runtime.roof import FLAGS
from aiq_core.runtime.rounded import RoundedLayers

CHUNK = 100
"""Report images a call, where accuracy is measured."""

Say = Callable[[str], None]


class Cell(NamedTuple):
    """A variant in an engine."""

    engine: Engine
    variant: Variant

    @property
    def words(self) -> str:
        """As people read it."""
        return f"{self.variant.title} in {self.engine.words}"


class Bench:
    """A model's variants in engines, with `threads` threads; FP32 is always among the variants.

    `cells` are what runs here, `missing` says of each engine that is not installed what to do. PyTorch runs only FP32.
    Raises SettingError for threads or a batch that this machine has not.
    """

    def __init__(self, model: Model, variants: Sequence[Variant], engines: Sequence[Engine], threads: int) -> None:
        most = psutil.cpu_count() or 1
        if not 1 <= threads <= most:
            raise SettingError(f"threads={threads} is not offered; this machine has 1 to {most}")
        self.model, self.threads = model, threads
        self.versions = {engine: version for engine in engines if (version := installed(engine)) is not None}
        self.missing = {engine: remedy(engine) for engine in engines if engine not in self.versions}
        self._exported: dict[str, Exported] = {}
        self._check_eager()
        self._check_exports()
        every = {variant.key: variant for variant in (fp32(model), *variants)}
        self.cells = tuple(
            Cell(engine, variant)
            for engine in self.versions
            for variant in every.values()
            if has(engine, variant.precision) and (engine in RUNTIMES or variant.is_fp32)
        )

    def _check_eager(self) -> None:
        """Leaves out a layout of memory that the network's own code does not take."""
        for engine in (Engine.EAGER, Engine.CHANNELS_LAST):
            if engine not in self.versions:
                continue
            try:
                _eager(self.model, self._feed(2)[INPUT], engine is Engine.CHANNELS_LAST)()
            except Exception as error:  # it is somebody's code
                said = str(error).strip().partition("\n")[0]
                del self.versions[engine]
                self.missing[engine] = f"the code of {self.model} does not run so ({type(error).__name__}: {said})"

    def _check_exports(self) -> None:
        """Leaves out the runtimes where an operator has no form in ONNX: PyTorch runs it all the same."""
        runtimes = [engine for engine in self.versions if engine in RUNTIMES]
        try:
            if runtimes:
                self.exported(fp32(self.model))
        except UncountableOperatorError as error:
            for engine in runtimes:
                del self.versions[engine]
                self.missing[engine] = str(error)

    def check(self, batches: Sequence[int]) -> None:
        """Raises SettingError for a batch that does not fit in memory, before anything is run."""
        for batch in batches:
            check_batch(self.model.profile, batch, len(self.cells), psutil.virtual_memory().available)

    @cached_property
    def place(self) -> Place:
        """This machine, and the versions of all that computes."""
        versions = {engine.package: version for engine, version in self.versions.items()}
        flags = tuple(flag for flag in FLAGS if flag in cpu_flags())
        return Place(cpu_kind(), self.threads, flags, versions | {"python": platform.python_version()})

    def exported(self, variant: Variant) -> Exported:
        """A variant as an ONNX model, made once."""
        settings, ranges = variant.quantizer, None
        key = f"{variant.policy.key} {settings.key(variant.policy)}"
        if key not in self._exported:
            if settings.activations is not None and variant.policy.has_activations:
                ranges = self._ranges(variant)
            rounded = RoundedLayers(self.model, settings)
            self._exported[key] = export(self.model, variant.policy, rounded, ranges, recorded(self.model))
        return self._exported[key]

    def _ranges(self, variant: Variant) -> Calibration:
        assert variant.quantizer.activations is not None  # `exported` asked
        return calibration(self.model, variant.quantizer.activations)

    def safe(self, found: Sequence[Variant], flags: Iterable[str]) -> tuple[Variant, ...]:
        """These, and on a CPU that adds products of bytes in 16 bits each that saturates there with 7-bit weights too.

        `flags` are the CPU's.
        """
        if adds_in_32_bits(flags):
            return tuple(found)
        every = []
        for variant in found:
            every.append(variant)
            rounded = RoundedLayers(self.model, variant.quantizer)
            layers = saturating(self.model, variant.policy, self.exported(variant).integer, rounded)
            if layers:
                policy = reduced(self.model.profile, variant.policy, layers)
                title = f"{variant.title}, 7-bit weights"
                note = f"{len(layers)} layers at 7 bits, whose sums can saturate on this CPU at 8"
                every.append(replace(variant, name=f"{variant.name}-7-bit", title=title, policy=policy, note=note))
        return tuple(every)

    def timings(self, batch: int, say: Say = lambda said: None) -> list[Timing]:
        """Every cell's time at a batch, in rounds over all of them. `say` hears each round and may raise to stop."""
        self.check([batch])
        with pinned(self.threads):
            feed = self._feed(batch)
            calls = {}
            for cell in self.cells:
                say(f"opening {cell.words}, batch {batch}")
                calls[cell] = self._opened(cell, feed)
            found = interleaved(calls, say=lambda place: say(f"batch {batch}, round {place + 1}"))
        seconds: Mapping[Cell, tuple[float, ...]] = found.seconds
        plain = {cell.engine: seconds[cell] for cell in self.cells if cell.variant.is_fp32}
        now = _now()
        return [
            Timing(
                model=self.model.name,
                model_hash=self.model.hash,
                engine=cell.engine,
                version=self.versions[cell.engine],
                variant=cell.variant,
                batch=batch,
                seconds=seconds[cell],
                engine_fp32_s=plain[cell.engine],
                eager_fp32_s=plain.get(Engine.EAGER, ()),
                unsteady=found.unsteady,
                place=self.place,
                created_at=now,
            )
            for cell in self.cells
        ]

    def deployed(self, cell: Cell, simulated: Outcomes | None, say: Say = lambda said: None) -> Deployed:
        """What becomes of all report images that are here; `simulated` is the simulation's of them."""
        report, images = self.model.dataset.report, self.model.dataset.available(SplitName.REPORT)
        pixels, labels = report.images(images), report.labels[:images]
        with pinned(self.threads):
            given = np.empty((CHUNK, *self.model.card.input_shape), np.float32)
            call = self._opened(cell, {INPUT: given})
            logits = []
            for start in range(0, images, CHUNK):
                say(f"accuracy of {cell.words}")
                given[:] = as_input(np.take(pixels, np.arange(start, start + CHUNK), axis=0, mode="wrap"))
                logits.append(np.array(call()[0])[: images - start])
        outcomes = self.model.metric.outcomes(np.concatenate(logits), labels)
        same = 0 if simulated is None else int((outcomes == simulated[:images]).sum())
        return Deployed(
            model=self.model.name,
            model_hash=self.model.hash,
            engine=cell.engine,
            version=self.versions[cell.engine],
            variant=cell.variant,
            outcomes=outcomes,
            equal=same,
            place=self.place,
            created_at=_now(),
        )

    def nodes(self, cell: Cell, batch: int) -> Nodes:
        """Where a runtime's time goes, by its own profiler."""
        made = self.exported(cell.variant)
        feed = self._feed(batch)
        return Nodes(
            model_hash=self.model.hash,
            engine=cell.engine,
            version=self.versions[cell.engine],
            variant=cell.variant,
            batch=batch,
            nodes=nodes_of(cell.engine, made, feed, self.threads, cell.variant.precision, self.model.profile),
            wanted=made.integer,
            place=self.place,
            created_at=_now(),
        )

    def _feed(self, batch: int) -> Feed:
        """The first report images, from the front again where there are fewer."""
        shipped = self.model.dataset.report.images(min(batch, self.model.dataset.report.shipped))
        return {INPUT: as_input(np.take(shipped, np.arange(batch), axis=0, mode="wrap"))}

    def _opened(self, cell: Cell, feed: Feed) -> Call:
        if cell.engine in RUNTIMES:
            content = self.exported(cell.variant).save()
            return opened(cell.engine, content, feed, self.threads, cell.variant.precision)
        return _eager(self.model, feed[INPUT], cell.engine is Engine.CHANNELS_LAST)


def _eager(model: Model, images: NDArray[np.float32], channels_last: bool) -> Call:
    """The network as it was trained, norms not folded, on images that it normalises, as the exported model does."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = module_of(model).to(memory_format=layout)
    given = torch.from_numpy(images)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (model.card.mean, model.card.std))

    def call() -> list[NDArray[Any]]:
        with torch.inference_mode():
            found = network(((given - mean) / std).contiguous(memory_format=layout))
            return [logits(found, len(given), model.name, model.card.result).numpy()]

    return call


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """PyTorch with so many threads, and with those of before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
