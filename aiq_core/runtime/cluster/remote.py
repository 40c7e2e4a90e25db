"""What a worker does: it says what it holds, and answers tasks with the evaluators it keeps."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress

import psutil
import torch
from distributed import Worker

from aiq_core import catalog
from aiq_core.catalog import Catalog, Model, data_dir
from aiq_core.errors import ClusterError, EvaluationError, look_up
from aiq_core.records import ImageSet, Policy, Quantizer
from aiq_core.rounding import RoundedLayer
from aiq_core.runtime.chunk import chunk_of
from aiq_core.runtime.cluster.tasks import Answer, Facts, Job, Lacking, Part, Task, facts
from aiq_core.runtime.device import device_of
from aiq_core.runtime.evaluate import TorchEvaluator, current_origin

WAIT_S = 60
"""How long a worker waits for its scheduler."""

MOST_PARTS = 5_000
"""Kept by a worker; who needs one that went sends it again."""

MOST_EVALUATORS = 3
"""Kept by a worker: a run goes back and forth between the images it chooses and those it confirms on."""


def serve(address: str, threads: int | None = None, name: str | None = None, device: str | None = None) -> None:
    """Works for the scheduler at an address until that ends, on a device.

    Raises ClusterError where there is no scheduler, and SettingError for a device that is not here.
    """
    _held.device = device_of(device)
    if threads is not None:
        torch.set_num_threads(threads)
        _held.threads = threads

    async def work() -> None:
        # Caches have limits of their own: dask's would stop a worker that reaches a share of the memory.
        async with Worker(address, nthreads=1, name=name, memory_limit=0, death_timeout=WAIT_S) as worker:
            await worker.finished()

    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(work())
    except (OSError, TimeoutError) as error:
        raise ClusterError(
            f"no scheduler answers at {address} ({error}); start one with `dask scheduler`, or give its address"
        ) from None


def introduce(name: str) -> Facts:
    """What this worker says of itself and of a model. Raises UnknownNameError or WeightsError."""
    with _held.lock:
        model = _held.look(name)
        return facts(model, current_origin(_held.threads, chunk_of(model.profile), _held.device))


def answer(task: Task, parts: Mapping[str, Part]) -> list[Answer] | Lacking:
    """What becomes of each policy; `parts` are kept. Raises AiqError where this worker cannot answer."""
    with _held.lock:
        return _held.answer(task, parts)


class _Evaluator(TorchEvaluator):
    """An evaluator of a job, whose layers are those of the coordinator."""

    def __init__(self, model: Model, job: Job, threads: int | None, device: torch.device) -> None:
        self.job = job.hash
        self.layers: dict[tuple[str, int], RoundedLayer] = {}
        cache_bytes = psutil.virtual_memory().available // (4 * (psutil.cpu_count() or 1))
        given = job.given(self.layer)
        super().__init__(model, job.images, job.quantizer, threads, cache_bytes, job.chunk, given, device)

    def layer(self, name: str, bits: int) -> RoundedLayer:
        """A layer at a width, as it arrived."""
        return self.layers[name, bits]


class _Held:
    """What this process keeps: models, parts by hash, and evaluators by what they are of."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # a worker of dask's own may have more threads
        self.threads: int | None = None
        self.device = device_of(None)
        self.models: dict[str, Model] = {}
        self.parts: dict[str, Part] = {}
        self.evaluators: OrderedDict[tuple[str, ImageSet, Quantizer], _Evaluator] = OrderedDict()

    def look(self, name: str) -> Model:
        """The model of that name as it is on disk now."""
        found = {**Catalog(data_dir() / "catalog").models, **catalog.bundled().models}
        held, model = self.models.get(name), look_up("model", name, found)
        if held is None or held.hash != model.hash:
            self.models[name] = model
        return self.models[name]

    def answer(self, task: Task, parts: Mapping[str, Part]) -> list[Answer] | Lacking:
        for named, part in parts.items():
            if part.hash != named:
                raise ClusterError(f"a part of hash {part.hash} arrived as {named}; this network changes what it sends")
            self.parts.setdefault(named, part)
        if not task.needs <= self.parts.keys():
            return Lacking(frozenset(task.needs - self.parts.keys()))
        evaluator = self.evaluator(task)
        while len(self.parts) > MOST_PARTS:
            del self.parts[next(iter(self.parts))]
        return [_answer(evaluator, task, policy) for policy in task.policies]

    def evaluator(self, task: Task) -> _Evaluator:
        job, layers = self.parts[task.job], {key: self.parts[named] for key, named in task.layers.items()}
        if not isinstance(job, Job):
            raise ClusterError(f"{task.job} is the hash of no job; the coordinator is of another version")
        key = job.model_hash, job.images, job.quantizer
        evaluator = self.evaluators.pop(key, None)
        # Another coordinator may round otherwise.
        if evaluator is None or any(evaluator.layers.get(name, layer) is not layer for name, layer in layers.items()):
            model = self.models.get(job.model) or self.look(job.model)
            if model.hash != job.model_hash:
                raise ClusterError(f"its model hash is {model.hash}, this run's is {job.model_hash}")
            evaluator = _Evaluator(model, job, self.threads, self.device)
        if evaluator.job != job.hash:
            evaluator.job = job.hash
            evaluator.take(job.given(evaluator.layer))
        evaluator.layers |= {name: layer for name, layer in layers.items() if isinstance(layer, RoundedLayer)}
        self.evaluators[key] = evaluator
        while len(self.evaluators) > MOST_EVALUATORS:
            self.evaluators.popitem(last=False)
        return evaluator


_held = _Held()


def _answer(evaluator: TorchEvaluator, task: Task, policy: Policy) -> Answer:
    try:
        logits = evaluator.chunk_logits(task.index, policy, task.base)
        return logits if task.logits else evaluator.outcomes(logits, policy, evaluator.chunk_images(task.index))
    except EvaluationError as error:
        return error
