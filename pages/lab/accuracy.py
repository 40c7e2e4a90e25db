"""What is known of a policy's accuracy: on which images, against FP32 and against the policy before."""

from dataclasses import dataclass

from aiq_core.catalog import Model
from aiq_core.library import Library
from aiq_core.records import FP32_BITS, ImageSet, Outcomes, Policy, SplitName
from aiq_core.space import WEIGHTS, Space
from aiq_core.statistics import Comparison, Interval
from pages.lab import policies


@dataclass(frozen=True, eq=False)
class Measured:
    """A policy on the images `on`. `cells` counts against `reference` (the policy before, else FP32).

    `after` and `before` are their outcomes on the split, [on.images]: of those before `on.start` none is told.
    """

    on: ImageSet
    source: str
    top1: Interval
    after: Outcomes
    before: Outcomes | None
    cells: Comparison | None
    against_fp32: bool

    @property
    def split(self) -> SplitName:
        """Where the images are."""
        return self.on.split

    @property
    def images(self) -> int:
        """How many they are."""
        return self.on.count

    @property
    def judges(self) -> str:
        """What they are called: `confirm` where no search of the space chose on them."""
        return "confirm" if self.on.start else self.on.split

    @property
    def drop(self) -> Interval | None:
        """Points lost against the reference, with Newcombe's interval."""
        return None if self.cells is None else self.cells.drop


def image_sets(model: Model, split: SplitName, search_images: int, space: Space = WEIGHTS) -> tuple[ImageSet, ...]:
    """The images of a split that may be counted: what judges where the page works, else all that ship with the app."""
    dataset = model.dataset
    whole = dataset.split(split).size
    everything = search_images == dataset.search.size
    most = whole if everything else min(search_images, whole)
    start = space.choosing(most) if split is SplitName.SEARCH else 0
    fewer = (ImageSet(split, dataset.excerpt_size),) if dataset.excerpt_size < most else ()
    return (ImageSet(split, most, start), *fewer)


def measured(
    library: Library,
    model: Model,
    split: SplitName,
    search_images: int,
    policy: Policy,
    before: Policy,
    space: Space = WEIGHTS,
) -> Measured | None:
    """A policy's figures on a split, rounded as its space's are; None where it is not measured there."""
    space = policies.space_of(policy, space)

    def shown(of: Policy, on: ImageSet):  # type: ignore[no-untyped-def]
        return library.shown(model, split, of, on.images, policies.how(model, of, space), on.start)

    tried = ((on, shown(policy, on)) for on in image_sets(model, split, search_images, space))
    on, evaluation = next(((on, found) for on, found in tried if found is not None), (None, None))
    if on is None:
        return None
    fp32 = model.profile.uniform(FP32_BITS)
    known = ((each, shown(each, on)) for each in (before, fp32))
    against, reference = next(((each, found) for each, found in known if found is not None), (before, None))
    after = evaluation.outcomes[: on.images]
    earlier = None if reference is None else reference.outcomes[: on.images]
    labels, metric = model.dataset.split(split).labels[on.span], model.metric
    return Measured(
        on=on,
        source=evaluation.origin.source,
        top1=metric.interval(metric.score(after[on.span], labels), on.count),
        after=after,
        before=earlier,
        cells=None if earlier is None else metric.compare(earlier[on.span], after[on.span], labels),
        against_fp32=against == fp32,
    )
