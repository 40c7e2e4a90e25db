"""A machine's roof as it was measured: bandwidth by footprint, the levels found in it, and peak rates a number type."""

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from aiq_core.hardware import Machine, NumberType, Source, SourceKind
from aiq_core.records import Measurement

ROOF = "roof"
"""The kind of measurement that a roof is."""

LEVEL_COST = 0.06
"""What one more level must explain, in squares of the logarithm of bandwidth: two footprints that are 20 % off."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A rate's median over rounds, and its lowest and highest round."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes/s of the best kernel on arrays of `footprint_bytes` in all; the ends are the lowest and highest round."""

    footprint_bytes: int
    kernel: str
    rate: Spread


@dataclass(frozen=True, slots=True)
class Level:
    """A stretch of footprints of about one bandwidth: the largest of them, and the median of its rates."""

    name: str
    footprint_bytes: int
    rate: Spread


@dataclass(frozen=True, eq=False)
class Roof:
    """What `threads` threads of a CPU reach: `curve` by rising footprint, `peaks` in operations/s a number type.

    `versions` are those of what computed, `flags` the CPU's instructions that matter for inference. One that `ships`
    with the app was measured on another machine, be it of the same kind.
    """

    cpu: str
    threads: int
    curve: tuple[Bandwidth, ...]
    peaks: Mapping[NumberType, Spread]
    flags: tuple[str, ...]
    versions: Mapping[str, str]
    created_at: str
    seconds: float
    ships: bool = False

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The levels of memory, smallest first; the last is `memory`."""
        return levels(self.curve)

    @property
    def key(self) -> str:
        """Its name in addresses and on the command line, the same wherever it is known."""
        return f"{re.sub('[^a-z0-9]+', '-', _plain(self.cpu).lower()).strip('-')}-{self.threads}t"

    @property
    def is_here(self) -> bool:
        """Whether it was measured by this machine's user, on a processor of its kind."""
        return not self.ships and _processor_of(self.cpu) == processor()

    @property
    def measurement(self) -> Measurement:
        """It as a store keeps it."""
        return Measurement(ROOF, self.cpu, self.threads, "", self.created_at, self.to_json())

    def machine(self) -> Machine:
        """The machine that this roof is of; its bandwidth is that of the largest footprints."""
        threads = threads_words(self.threads)
        note = f"measured on {self.created_at[:10]}, {threads}"

        def source(rate: Spread, how: str) -> Source:
            return Source(SourceKind.MEASURED, rate.value, f"{note}, {how}")

        memory = self.levels[-1]
        return Machine(
            key=self.key,
            name=f"{'This machine' if self.is_here else _plain(_processor_of(self.cpu))}, {threads}",
            rates={kind: source(rate, "products of square matrices") for kind, rate in self.peaks.items()},
            bandwidth=source(memory.rate, f"{memory.footprint_bytes / 2**20:.0f} MiB"),
            grade="A",
            note=self.cpu,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        return {
            **{name: getattr(self, name) for name in ("cpu", "threads", "created_at", "seconds")},
            "flags": list(self.flags),
            "versions": dict(self.versions),
            "peaks": {kind: asdict(rate) for kind, rate in self.peaks.items()},
            "curve": [asdict(point) for point in self.curve],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Roof":
        """The roof that `to_json` wrote."""
        curve = (
            Bandwidth(point["footprint_bytes"], point["kernel"], Spread(**point["rate"])) for point in document["curve"]
        )
        return cls(
            **{name: document[name] for name in ("cpu", "threads", "created_at", "seconds")},
            curve=tuple(curve),
            peaks={NumberType(kind): Spread(**rate) for kind, rate in document["peaks"].items()},
            flags=tuple(document["flags"]),
            versions=dict(document["versions"]),
        )


def threads_words(count: int) -> str:
    """`1 thread`, `2 threads`."""
    return f"{count} thread{'' if count == 1 else 's'}"


@cache
def processor() -> str:
    """This machine's processor, as it names itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _processor_of(cpu: str) -> str:
    """A kind of CPU without the instructions that were used on it."""
    return re.sub(r" \([A-Z0-9_]+\)$", "", cpu)


def _plain(cpu: str) -> str:
    """A CPU's name without marks and what it says of every CPU."""
    return " ".join(re.sub(r"\((R|TM)\)|\bCPU\b|@ [0-9.]+GHz", " ", cpu).split())


def levels(curve: Sequence[Bandwidth]) -> tuple[Level, ...]:
    """The stretches of about equal bandwidth in a curve, found in it alone.

    Footprints below that of the highest bandwidth are left out: there the calls take longer than the bytes. The rest
    is made to fall, as what a footprint sustains a smaller one does, and cut where that lowers the squared
    deviations of log bandwidth by more than `LEVEL_COST` a cut.
    """
    best = max(range(len(curve)), key=lambda place: curve[place].rate.value)
    points = curve[best:]
    logs = np.maximum.accumulate([np.log(point.rate.value) for point in reversed(points)])[::-1]

    def spread(first: int, past: int) -> float:
        return float(((logs[first:past] - logs[first:past].mean()) ** 2).sum())

    costs, cuts = [0.0], [0]
    for past in range(1, len(points) + 1):
        options = [costs[first] + spread(first, past) + LEVEL_COST for first in range(past)]
        cuts.append(int(np.argmin(options)))
        costs.append(min(options))
    bounds = [len(points)]
    while bounds[-1]:
        bounds.append(cuts[bounds[-1]])
    found = [points[first:past] for first, past in pairwise(reversed(bounds))]
    names = [*(f"cache {place}" for place in range(1, len(found))), "memory"]
    return tuple(
        Level(
            name,
            stretch[-1].footprint_bytes,
            Spread(
                float(np.median([point.rate.value for point in stretch])),
                min(point.rate.low for point in stretch),
                max(point.rate.high for point in stretch),
            ),
        )
        for name, stretch in zip(names, found, strict=True)
    )
