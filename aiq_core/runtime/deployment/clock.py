"""Timing several calls side by side: in rounds, each of them once a round, so that what disturbs one disturbs all."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import EvaluationError


def interleaved(calls: Sequence[Callable[[], object]], rounds: int, at_least_s: float) -> NDArray[np.float64]:
    """Seconds a call, float64[rounds, calls]; each is called again within a round until that took `at_least_s`.

    Every call is made twice before, to warm up. Raises EvaluationError where the clock stands still.
    """
    repeats = []
    for call in calls:
        call()
        begun = time.perf_counter()
        call()
        repeats.append(max(1, int(at_least_s / max(time.perf_counter() - begun, 1e-7))))
    found = np.empty((rounds, len(calls)))
    for row in found:
        for place, (call, times) in enumerate(zip(calls, repeats, strict=True)):
            begun = time.perf_counter()
            for _ in range(times):
                call()
            row[place] = (time.perf_counter() - begun) / times
    if found.min(initial=1.0) <= 0:
        raise EvaluationError("this machine's clock stood still while a network ran; measure again")
    return found
