"""Fine-tuning as a run of its own kind: what is asked for, its training, and what its card says of the result."""

from collections.abc import Callable
from dataclasses import replace

from aiq_core import documents, space
from aiq_core.activations import DEFAULT_RULE
from aiq_core.catalog import Dataset, Model
from aiq_core.library import Library
from aiq_core.records import FINE_TUNED, Policy, Quantizer, Request, Run, Tuning
from aiq_core.search.fine_tune import FINE_TUNE
from aiq_core.wording import duration, number

FIGURES = ("search_", "report_", "intensity_")
"""What the names of a document's figures that stand on a card begin with."""


def quantizer(dataset: Dataset, policy: Policy, tuning: Tuning, like: Quantizer = Quantizer()) -> Quantizer:
    """That of a policy that is to be trained, with scales and ranges like those of another.

    Raises SettingError where calibration images are needed and there are none.
    """
    rule = DEFAULT_RULE if like.activations is None else like.activations.rule
    start = space.quantizer(dataset, tuning.start, like.granularity, like.grid, policy.has_activations, rule)
    return replace(start, rounding=FINE_TUNED, seed=tuning.seed)


def request(
    model: Model, policy: Policy, tuning: Tuning, images: int, label: str, like: Quantizer = Quantizer()
) -> Request:
    """A fine-tuning, measured on so many search images and the report images. Raises SettingError."""
    how = quantizer(model.dataset, policy, tuning, like)
    return Request(
        model.name, FINE_TUNE.name, images=images, quantizer=how, policies=(policy,), label=label, tuning=tuning
    )


def trained(model: Model, request: Request, say: Callable[[str], None]) -> Request:
    """The request once its policy is trained: its quantizer names the layers. `say` hears how far it is, and may raise.

    A request without a tuning is returned as it is.
    """
    if request.tuning is None:
        return request
    from aiq_core.runtime.fine_tune import fine_tune
    from aiq_core.runtime.train import Progress

    def report(at: Progress) -> None:
        say(
            f"training, {at.epoch} of {at.epochs} epochs done, loss {number(at.loss, 3)}, "
            f"about {duration(at.eta_s)} left"
        )

    layers = fine_tune(model, request.policies[0], request.tuning, request.quantizer, report)
    return replace(request, quantizer=replace(request.quantizer, trained=layers))


def note(library: Library, run: Run) -> None:
    """Adds a run's figures to the card of its layers."""
    layers = run.request.quantizer.trained
    if run.request.tuning is None or layers is None:
        return
    from aiq_core.runtime import tuned

    document = documents.run_document(library, run)
    tuned.add_to_card(layers, {name: value for name, value in document.items() if name.startswith(FIGURES)})
