"""A run's cluster: what `execute` asks where a request names one."""

from collections.abc import Callable, Sequence
from types import TracebackType

from aiq_core.catalog import Model
from aiq_core.errors import ClusterError
from aiq_core.records import ImageSet, Origin, Quantizer
from aiq_core.runtime.cluster.evaluator import ClusterEvaluator
from aiq_core.runtime.cluster.pool import LEAST_DEADLINE_S, PATIENCE_S, Pool


class Cluster:
    """The workers of the scheduler at an address, for one model; reached when they are first needed."""

    def __init__(self, address: str, patience_s: float = PATIENCE_S, deadline_s: float = LEAST_DEADLINE_S) -> None:
        self.address, self._times = address, (patience_s, deadline_s)
        self._pool: Pool | None = None
        self._model: Model | None = None
        self._evaluators: dict[tuple[ImageSet, Quantizer], ClusterEvaluator] = {}

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.close()

    @property
    def notes(self) -> Sequence[str]:
        """Which workers were refused or lost, and why."""
        return () if self._pool is None else tuple(self._pool.notes)

    def origin(self, model: Model, say: Callable[[str], None] = lambda message: None) -> Origin:
        """That of its workers, for this model; `say` hears that they are awaited, and may raise.

        Raises ClusterError where there is no scheduler, or no worker that may compute.
        """
        if self._pool is None:
            self._pool = Pool(self.address, *self._times)
            self._model = model
            for _ in self._pool.meet(model):
                say("; ".join([f"waiting for workers at {self.address}", *self.notes]))
        if self._model is not model:
            raise ClusterError(f"this cluster is for {self._model}, not {model}; use another one")
        assert self._pool.origin is not None  # they were met
        return self._pool.origin

    def evaluator(self, model: Model, images: ImageSet, quantizer: Quantizer) -> ClusterEvaluator:
        """The evaluator of an image set and quantizer. Raises ClusterError."""
        self.origin(model)
        assert self._pool is not None  # it is reached
        key = images, quantizer
        if key not in self._evaluators:
            self._evaluators[key] = ClusterEvaluator(self._pool, model, images, quantizer)
        return self._evaluators[key]
