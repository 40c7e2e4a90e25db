"""What is known of a policy's accuracy: on which images, against FP32 and against the policy before."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiq_core import statistics
from aiq_core.catalog import Model
from aiq_core.library import Library
from aiq_core.records import Evaluation, Policy, SplitName
from aiq_core.statistics import Interval, Paired
from aiq_core.store.store import IMPORTED


@dataclass(frozen=True, eq=False)
class Measured:
    """A policy on the first `images` of a split. `cells` counts against `reference` (the policy before, else FP32).

    `after` and `before` are the classes predicted, uint8[images].
    """

    split: SplitName
    images: int
    source: str
    top1: Interval
    after: NDArray[np.uint8]
    before: NDArray[np.uint8] | None
    cells: Paired | None
    against_fp32: bool

    @property
    def drop(self) -> Interval | None:
        """Points lost against the reference, with Newcombe's interval."""
        return None if self.cells is None else statistics.drop(self.cells)


def prefixes(model: Model, split: SplitName, search_images: int) -> tuple[int, ...]:
    """How many images of a split the page counts, the most first: what it works at, then what ships with the app."""
    dataset = model.dataset
    whole = dataset.split(split).size
    everything = search_images == dataset.search.size
    most = whole if everything else min(search_images, whole)
    return tuple(dict.fromkeys((most, min(most, dataset.excerpt_size))))


def measured(
    library: Library, model: Model, split: SplitName, search_images: int, policy: Policy, before: Policy
) -> Measured | None:
    """A policy's figures on a split; None where it is not measured there."""
    found = _complete(library, model, split, policy, prefixes(model, split, search_images))
    if found is None:
        return None
    evaluation, images = found
    labels = model.dataset.split(split).labels[:images]
    fp32 = model.profile.uniform(32)
    reference, against_fp32 = None, before == fp32
    for candidate in (before, fp32):
        reference = _complete(library, model, split, candidate, (images,))
        if reference is not None:
            against_fp32 = candidate == fp32
            break
    after = evaluation.predicted[:images]
    earlier = None if reference is None else reference[0].predicted[:images]
    return Measured(
        split=split,
        images=images,
        source=evaluation.origin.source,
        top1=statistics.wilson(int(np.count_nonzero(after == labels)), images),
        after=after,
        before=earlier,
        cells=None if earlier is None else statistics.paired(earlier == labels, after == labels),
        against_fp32=against_fp32,
    )


def _complete(
    library: Library, model: Model, split: SplitName, policy: Policy, counts: tuple[int, ...]
) -> tuple[Evaluation, int] | None:
    """An evaluation of the most images that one knows: measured or bundled, else imported."""
    key = library.key(model, split, policy)
    user = library.user
    looks: list[Callable[[], Evaluation | None]] = [lambda: library.find(key)]
    if user is not None:
        looks.append(lambda: user.evaluation(key, (IMPORTED,)))
    known = [evaluation for look in looks if (evaluation := look()) is not None]
    for images in counts:
        for evaluation in known:
            if evaluation.is_complete(images):
                return evaluation, images
    return None
