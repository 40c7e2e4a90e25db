"""Times a linear layer at several batches with the kernels of every engine that is installed, weights cold."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from aiq_core.errors import EvaluationError, SettingError
from aiq_core.linear import GROUP, KERNELS, Linear, Timing, baseline
from aiq_core.roof import Roof, Spread
from aiq_core.runtime.cpu import cpu_kind
from aiq_core.runtime.deployment.linear_kernels import Call, Floats, build, values, versions

ROUNDS = 7
AT_LEAST_S = 0.4
"""A round over all kernels, which are called in turn until it took that long."""

MOST_COPIES = 32
MOST_BYTES = 4 * 10**9
"""Of memory; what is built holds its weights about twice while it packs them."""

WRONG = 0.05
"""A relative error beyond which a kernel is not timed: INT8 inputs cost less than 0.01."""

SLOW = 10
"""A kernel that takes so many times as long as its engine's FP32 is a fallback, and is left out from there on."""

PAUSE_S = 0.005
"""Between engines where there are several threads: those of the last one spin that long for more work."""

Report = Callable[[int, int, str], None]
"""Hears steps done, steps in all, and what is timed; may raise to stop."""


def measure_linear(
    rows: int,
    columns: int,
    batches: Sequence[int],
    roof: Roof,
    report: Report = lambda done, whole, told: None,
    keep: Callable[[Linear], None] = lambda found: None,
    begun: Linear | None = None,
) -> Linear:
    """A layer of `rows` outputs and `columns` inputs at each batch, on the threads of a roof of this machine.

    Kernels are called in turn, each with copies of its weights that go round: between two uses of a copy more is read
    than the roof's caches hold. `keep` gets what is measured so far after each batch; `begun` is such a part, of the
    same layer, to go on from. Raises SettingError as `check` does.
    """
    check(rows, columns, batches)
    start = time.perf_counter()
    cache = _cache_bytes(roof)
    copies = _copies(rows, columns, cache)
    wanted = tuple(sorted(set(batches)))
    bench = _Bench(rows, columns, copies, roof.threads, report, wanted)
    found = Linear(
        cpu=cpu_kind(),
        threads=roof.threads,
        rows=rows,
        columns=columns,
        batches=wanted,
        timings=() if begun is None else begun.timings,
        missing={} if begun is None else begun.missing,
        peaks=roof.peaks,
        bandwidth=roof.levels[-1].rate,
        cache_bytes=cache,
        cold_bytes=0,
        versions=versions(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds") if begun is None else begun.created_at,
        seconds=0.0,
    )
    done = set(found.measured_batches)
    bench.open(found.missing, [batch for batch in wanted if batch not in done])
    held = sum(KERNELS[key].stored_bytes(rows, columns) for key in bench.built) * copies
    for place, batch in enumerate(wanted):
        if batch not in done:
            timings = (*found.timings, *bench.time(batch, place))
            taken = time.perf_counter() - start + (0.0 if begun is None else begun.seconds)
            found = replace(found, timings=timings, missing=bench.missing, cold_bytes=round(held), seconds=taken)
            keep(found)
    return found


def check(rows: int, columns: int, batches: Sequence[int]) -> None:
    """Raises SettingError for sizes that kernels cannot pack, batches not offered, and more than memory holds."""
    for name, value in (("rows", rows), ("columns", columns)):
        if value < GROUP or value % GROUP:
            raise SettingError(f"{name}={value} cannot be packed; choose a multiple of {GROUP}, such as 4096")
    if not batches or min(batches) < 1 or max(batches) > 4096:
        raise SettingError(f"batch={','.join(map(str, batches))} is not offered; choose from 1 to 4096")
    needed = 2 * _weights(rows, columns) + 16 * max(batches) * (rows + columns)
    if needed > MOST_BYTES:
        raise SettingError(
            f"{rows} x {columns} at batch {max(batches)} needs about {needed / 1e9:.1f} GB; the limit is "
            f"{MOST_BYTES / 1e9:.0f} GB, so choose a smaller layer"
        )


def _weights(rows: int, columns: int) -> float:
    """Bytes of one copy of every kernel's weights."""
    return sum(kernel.stored_bytes(rows, columns) for kernel in KERNELS.values())


def _cache_bytes(roof: Roof) -> int:
    """The largest footprint that a cache still answers, by the roof's curve; 0 where no cache was found."""
    return roof.levels[-2].footprint_bytes if len(roof.levels) > 1 else 0


def _copies(rows: int, columns: int, cache: int) -> int:
    """So many that twice what the caches hold is read before a copy is read again, within memory and patience."""
    one = _weights(rows, columns)
    return int(max(1, min(MOST_COPIES, np.ceil(2 * cache / one), MOST_BYTES / 2 // one)))


@dataclass(eq=False)
class _Bench:
    """The kernels that could be built, and why the others could not."""

    rows: int
    columns: int
    copies: int
    threads: int
    report: Report
    batches: Sequence[int]

    def open(self, missing: Mapping[str, str], batches: Sequence[int]) -> None:
        """Builds every kernel that is not known to be missing, with what it should give at each batch left."""
        draw = np.random.default_rng(0)
        weights = draw.standard_normal((self.rows, self.columns), dtype=np.float32) / np.float32(self.columns**0.5)
        self.inputs = {batch: draw.standard_normal((batch, self.columns), dtype=np.float32) for batch in batches}
        self.missing = dict(missing)
        self.built: dict[str, Callable[[Floats], list[Call]]] = {}
        self.wanted: dict[str, dict[int, Floats]] = {}
        for place, key in enumerate(KERNELS):
            if key not in missing:
                self._say(place, f"packing {KERNELS[key].name}")
                self._open(key, weights)

    def _open(self, key: str, weights: Floats) -> None:
        try:
            built = build(key, weights, self.copies, self.threads)
            # The dequantized weights go again: ten kernels' are more than all that is timed.
            self.wanted[key] = {batch: x @ built.meant.T for batch, x in self.inputs.items()}
            self.built[key] = built.calls
        except ImportError:
            self.missing[key] = f"{KERNELS[key].engine} is not installed; `make app` installs it"
        except Exception as error:  # An engine's own: this CPU, or this version, has no such kernel.
            self.missing[key] = _first_line(error)

    def _say(self, step: int, told: str) -> None:
        self.report(step, len(KERNELS) * (1 + len(self.batches)), told)

    def time(self, batch: int, place: int) -> list[Timing]:
        """Every kernel at a batch: checked first, then in rounds that all of them take part in."""
        calls: dict[str, list[Call]] = {}
        errors: dict[str, float] = {}
        steps = len(KERNELS) * (1 + place)
        for step, key in enumerate(tuple(self.built)):
            self._say(steps + step, f"{KERNELS[key].name}, batch {batch}")
            try:
                calls[key] = self.built[key](self.inputs[batch])
                errors[key] = _error(values(calls[key][0]()), self.wanted[key][batch])
            except Exception as error:
                calls.pop(key, None)
                self._drop(key, _first_line(error))
                continue
            if not errors[key] <= WRONG:
                self._drop(key, f"computes something else: relative error {errors[key]:.2g} at batch {batch}")
                del calls[key]
        for key in [key for key in calls if baseline(key) not in calls]:
            self._drop(key, "its engine's FP32, which it is compared with, was not timed")
            del calls[key]
        once = self._leave_out_fallbacks(calls, batch)
        sweeps = max(1, int(AT_LEAST_S / max(sum(once.values()), 1e-6)))
        times = self._rounds(calls, sweeps, lambda: self._say(steps + len(KERNELS) - 1, f"batch {batch}"))
        return [_timing(key, batch, times, errors[key]) for key in calls]

    def _leave_out_fallbacks(self, calls: dict[str, list[Call]], batch: int) -> dict[str, float]:
        """Seconds of a call of each kernel, without those that are far slower than FP32, three times in a row."""
        once = {key: _seconds(each[-1]) for key, each in calls.items()}
        for key in [key for key in once if key != baseline(key)]:
            fp32 = once[baseline(key)]
            tries = 2
            while once[key] > SLOW * fp32 and tries:
                once[key] = min(once[key], _seconds(calls[key][-1]))
                tries -= 1
            if once[key] > SLOW * fp32:
                took = f"{1e3 * once[key]:.0f} ms at batch {batch}, {once[key] / fp32:.0f} × FP32"
                self._drop(key, f"a fallback that takes {took}")
                del once[key], calls[key]
        return once

    def _drop(self, key: str, why: str) -> None:
        del self.built[key]
        self.missing[key] = why

    def _rounds(self, calls: Mapping[str, list[Call]], sweeps: int, say: Callable[[], None]) -> dict[str, list[float]]:
        """Seconds a call of each kernel, a figure a round; kernels take turns call by call, copies go round."""
        times: dict[str, list[float]] = {key: [] for key in calls}
        turn = 0
        for _ in range(ROUNDS):
            say()
            sums = dict.fromkeys(calls, 0.0)
            for _ in range(sweeps):
                engine = ""
                for key, each in calls.items():
                    if self.threads > 1 and engine != KERNELS[key].engine:
                        time.sleep(PAUSE_S)
                    engine = KERNELS[key].engine
                    sums[key] += _seconds(each[turn % len(each)])
                turn += 1
            for key, total in sums.items():
                times[key].append(total / sweeps)
        if any(min(each) <= 0 for each in times.values()):
            raise EvaluationError("this machine's clock stood still while a kernel ran; measure again")
        return times


def _seconds(call: Call) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _timing(key: str, batch: int, times: Mapping[str, list[float]], error: float) -> Timing:
    gains = [before / after for before, after in zip(times[baseline(key)], times[key], strict=True)]
    return Timing(key, batch, _spread(times[key]), _spread(gains), error)


def _spread(rounds: list[float]) -> Spread:
    return Spread(float(np.median(rounds)), min(rounds), max(rounds))


def _error(result: Floats, wanted: Floats) -> float:
    return float(np.linalg.norm(result - wanted) / np.linalg.norm(wanted))


def _first_line(error: Any) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"
