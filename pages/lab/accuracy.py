"""What is known of a policy's accuracy: on which images, against FP32 and against the policy before."""

from dataclasses import dataclass

from aiq_core.catalog import Model
from aiq_core.library import Library
from aiq_core.records import FP32_BITS, Outcomes, Policy, SplitName
from aiq_core.space import WEIGHTS, Space
from aiq_core.statistics import Comparison, Interval
from pages.lab.policies import how


@dataclass(frozen=True, eq=False)
class Measured:
    """A policy on the first `images` of a split. `cells` counts against `reference` (the policy before, else FP32).

    `after` and `before` are their outcomes, [images].
    """

    split: SplitName
    images: int
    source: str
    top1: Interval
    after: Outcomes
    before: Outcomes | None
    cells: Comparison | None
    against_fp32: bool

    @property
    def drop(self) -> Interval | None:
        """Points lost against the reference, with Newcombe's interval."""
        return None if self.cells is None else self.cells.drop


def prefixes(model: Model, split: SplitName, search_images: int) -> tuple[int, ...]:
    """How many images of a split the page counts, the most first: what it works at, then what ships with the app."""
    dataset = model.dataset
    whole = dataset.split(split).size
    everything = search_images == dataset.search.size
    most = whole if everything else min(search_images, whole)
    return tuple(dict.fromkeys((most, min(most, dataset.excerpt_size))))


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
    for images in prefixes(model, split, search_images):
        evaluation = library.shown(model, split, policy, images, how(model, policy, space))
        if evaluation is not None:
            break
    else:
        return None
    labels, fp32 = model.dataset.split(split).labels[:images], model.profile.uniform(FP32_BITS)
    known = ((each, library.shown(model, split, each, images, how(model, each, space))) for each in (before, fp32))
    against, reference = next(((each, found) for each, found in known if found is not None), (before, None))
    after = evaluation.outcomes[:images]
    earlier = None if reference is None else reference.outcomes[:images]
    return Measured(
        split=split,
        images=images,
        source=evaluation.origin.source,
        top1=model.metric.interval(model.metric.score(after, labels), images),
        after=after,
        before=earlier,
        cells=None if earlier is None else model.metric.compare(earlier, after, labels),
        against_fp32=against == fp32,
    )
