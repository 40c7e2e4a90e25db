"""What was measured of the policy that is shown: how fast a runtime runs it, on this machine or on one that ships."""

from aiq_core.catalog import Model
from aiq_core.deployment.engine import RUNTIMES
from aiq_core.deployment.rows import kept_timings, own_cpus
from aiq_core.deployment.timing import TIMING, Timing
from aiq_core.deployment.variant import Variant
from aiq_core.records import Policy, Quantizer
from pages.common import known
from pages.explore.sentence import Timed


def timed(model: Model, policy: Policy, quantizer: Quantizer, batch: int) -> Timed | None:
    """The fastest runtime of this machine, else of another; None where the policy was not timed at the batch."""
    found = _fastest(model, known.library().measurements_version(TIMING))
    return found.get((Variant("", "", policy, quantizer).key, batch))


@known.cached(6)
def _fastest(model: Model, version: str) -> dict[tuple[str, int], Timed]:
    """By variant and batch: of this machine's, with the fewest threads, the one of most images a second."""
    library = known.library()
    own, timings = own_cpus(library), [Timing.of(kept) for kept in kept_timings(library, model)]
    timings.sort(key=lambda each: (each.place.cpu in own, -each.place.threads, each.images_per_s.value))
    # The last of a key stays.
    return known.kept(
        {
            (each.variant.key, each.batch): Timed(
                each.engine.words,
                each.ratio_to_engine_fp32,
                None if each.place.cpu in own else each.place.cpu,
                each.place.threads,
            )
            for each in timings
            if each.engine in RUNTIMES and each.ratio_to_engine_fp32 is not None
        }
    )
