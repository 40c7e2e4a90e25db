"""Where runs are computed: in this process, or by the workers of a cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aiq_core.catalog import Model
from aiq_core.errors import SettingError
from aiq_core.frontier import Measure, Sensitivity
from aiq_core.records import ImageSet, Origin, Quantizer, Request
from aiq_core.search.memo import Evaluator

if TYPE_CHECKING:
    from aiq_core.runtime.sensitivity import MakeForwards

MakeEvaluator = Callable[[Model, ImageSet, Quantizer], Evaluator]
Say = Callable[[str], None]
"""Lets who watches know how far something is; may raise to stop it."""


def require(request: Request) -> None:
    """Raises SettingError where the device of a request is not here, or where workers of a cluster compute."""
    if request.device is None:
        return
    from aiq_core.runtime.device import device_of

    device_of(request.device)
    if request.cluster is not None:
        raise SettingError(
            f"device={request.device!r} is this machine's, and the workers of {request.cluster} compute; leave one of "
            "the two out, and give workers theirs: `worker ADDRESS --device cuda`"
        )


def _origin(model: Model | None, device: str | None = None) -> Origin:
    """This machine, as its evaluators of a model say it, or of any that was not read yet."""
    from aiq_core.runtime.chunk import CHUNK, chunk_of
    from aiq_core.runtime.device import device_of
    from aiq_core.runtime.evaluate import current_origin

    return current_origin(chunk=CHUNK if model is None else chunk_of(model.profile), device=device_of(device))


def _costs(model: Model, request: Request, say: Say, forwards: "MakeForwards | None" = None) -> Sensitivity:
    """What each width on offer costs by itself."""
    from aiq_core.runtime.device import device_of
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
        forwards=forwards or partial(TorchEvaluator, device=device_of(request.device)),
    )


@dataclass(frozen=True)
class Machines:
    """Where a run is computed: what makes its evaluators, says this machine's origin and measures costs.

    `workers` finds those of a cluster for a model and gives their origin, None where this process computes; `notes`
    says what befell them.
    """

    evaluator: MakeEvaluator
    origin: Callable[[Model | None], Origin] = _origin
    costs: Callable[[Model, Request, Say], Sensitivity] = _costs
    workers: Callable[[Model, Say], Origin | None] = lambda model, say: None
    notes: Callable[[], Sequence[str]] = tuple


class Evaluators:
    """Makes evaluators and keeps those of the model and quantizer in use: runs in a row share their activations."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._held: dict[tuple[Model, ImageSet, Quantizer, str | None], Evaluator] = {}

    def __call__(self, model: Model, images: ImageSet, quantizer: Quantizer, device: str | None = None) -> Evaluator:
        """The evaluator of a model, image set and quantizer, on a device."""
        from aiq_core.runtime.device import device_of
        from aiq_core.runtime.evaluate import TorchEvaluator

        self._held = {
            key: value for key, value in self._held.items() if key[0] is model and key[2:] == (quantizer, device)
        }
        key = (model, images, quantizer, device)
        if key not in self._held:
            self._held[key] = TorchEvaluator(model, images, quantizer, self._threads, device=device_of(device))
        return self._held[key]


@contextmanager
def on(cluster: str | None, evaluators: Evaluators, device: str | None = None) -> Iterator[Machines]:
    """The workers of the scheduler at an address, or this process with these evaluators, for as long as it takes.

    In this process, on a device.
    """
    if cluster is None:
        yield Machines(partial(evaluators, device=device), partial(_origin, device=device))
        return
    from aiq_core.runtime.cluster import Cluster

    with Cluster(cluster) as reached:

        def costs(model: Model, request: Request, say: Say) -> Sensitivity:
            return _costs(model, request, say, reached.evaluator)

        yield Machines(reached.evaluator, _origin, costs, reached.origin, lambda: reached.notes)
