"""Where runs are computed: in this process, or by the workers of a cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiq_core.catalog import Model
from aiq_core.frontier import Measure, Sensitivity
from aiq_core.records import ImageSet, Origin, Quantizer, Request
from aiq_core.search.memo import Evaluator

if TYPE_CHECKING:
    from aiq_core.runtime.sensitivity import MakeForwards

MakeEvaluator = Callable[[Model, ImageSet, Quantizer], Evaluator]
Say = Callable[[str], None]
"""Lets who watches know how far something is; may raise to stop it."""


def _origin() -> Origin:
    """This machine, as its evaluators say it."""
    from aiq_core.runtime.evaluate import current_origin

    return current_origin()


def _costs(model: Model, request: Request, say: Say, forwards: "MakeForwards | None" = None) -> Sensitivity:
    """What each width on offer costs by itself."""
    from aiq_core.runtime.evaluate import TorchEvaluator
    from aiq_core.runtime.sensitivity import sensitivity

    def report(done: int, of: int) -> None:
        say(f"measuring what each width costs by itself, {done:,} of {of:,} done")

    return sensitivity(
        model,
        request.quantizer,
        request.widths,
        request.activation_widths,
        Measure(request.measure or Measure.KL),
        shipped=request.use_bundled,
        report=report,
        forwards=forwards or TorchEvaluator,
    )


@dataclass(frozen=True)
class Machines:
    """Where a run is computed: what makes its evaluators, says this machine's origin and measures costs.

    `workers` finds those of a cluster for a model and gives their origin, None where this process computes; `notes`
    says what befell them.
    """

    evaluator: MakeEvaluator
    origin: Callable[[], Origin] = _origin
    costs: Callable[[Model, Request, Say], Sensitivity] = _costs
    workers: Callable[[Model, Say], Origin | None] = lambda model, say: None
    notes: Callable[[], Sequence[str]] = tuple


class Evaluators:
    """Makes evaluators and keeps those of the model and quantizer in use: runs in a row share their activations."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._held: dict[tuple[Model, ImageSet, Quantizer], Evaluator] = {}

    def __call__(self, model: Model, images: ImageSet, quantizer: Quantizer) -> Evaluator:
        """The evaluator of a model, image set and quantizer."""
        from aiq_core.runtime.evaluate import TorchEvaluator

        self._held = {key: value for key, value in self._held.items() if key[0] is model and key[2] == quantizer}
        key = (model, images, quantizer)
        if key not in self._held:
            self._held[key] = TorchEvaluator(model, images, quantizer, self._threads)
        return self._held[key]


@contextmanager
def on(cluster: str | None, evaluators: MakeEvaluator) -> Iterator[Machines]:
    """The workers of the scheduler at an address, or this process with these evaluators, for as long as it takes."""
    if cluster is None:
        yield Machines(evaluators)
        return
    from aiq_core.runtime.cluster import Cluster

    with Cluster(cluster) as reached:

        def costs(model: Model, request: Request, say: Say) -> Sensitivity:
            return _costs(model, request, say, reached.evaluator)

        yield Machines(reached.evaluator, _origin, costs, reached.origin, lambda: reached.notes)
