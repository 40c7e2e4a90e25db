"""A table's predicted time as a part of the solver's program: kernels in FP32 or INT8, and borders between them.

A tensor is stored as integers where its group has at most 8 bits. A kernel runs in INT8 where all tensors that it reads
and writes are and its weights have at most 8 bits: one continuous variable a kernel, held between these from both
sides. A border depends on both its kernels: their product is one variable more, linearised (McCormick, Mathematical
Programming 10, 1976); of zeros and ones that is exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import KernelTable, ModelProfile, Move, Policy, Site, SiteKind
from aiq_core.records.kernel_table import INTEGER_BITS

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KernelTime:
    """Rows >= `least` over the program's columns and then `variables` of its own; `seconds` of an image, and `base`.

    `unit` is what seconds are divided by.
    """

    rows: Floats
    least: Floats
    variables: int
    seconds: Floats
    base: float
    unit: float


def kernel_time(
    table: KernelTable,
    profile: ModelProfile,
    start: Policy,
    offered: Mapping[Site, tuple[int, ...]],
    columns: Sequence[Move],
) -> KernelTime:
    """The part of a program in which `offered` sites take a column each and all others are held as in `start`."""
    return _Part(table, profile, start, offered, columns).made()


class _Part:
    """Writes the part. An expression is a row over columns and variables, with a constant at its end."""

    def __init__(
        self,
        table: KernelTable,
        profile: ModelProfile,
        start: Policy,
        offered: Mapping[Site, tuple[int, ...]],
        columns: Sequence[Move],
    ) -> None:
        self.table, self.profile, self.start, self.offered, self.columns = table, profile, start, offered, columns
        kernels, borders = len(table.kernels), len(table.borders)
        self.width = len(columns) + kernels + borders + 1
        self.runs = [self._variable(place) for place in range(kernels)]
        self.both = [self._variable(kernels + place) for place in range(borders)]
        self.rows: list[Floats] = []

    def made(self) -> KernelTime:
        """Everything."""
        total = self._constant(0.0)
        for place, kernel in enumerate(self.table.kernels):
            total = total + self._constant(kernel.fp32)
            if kernel.int8 is not None:
                total = total + (kernel.int8 - kernel.fp32) * self.runs[place]
            if kernel.inside is not None:
                total = total + kernel.rounding * (self._stored(kernel.inside) - self.runs[place])
            self._all_of(self.runs[place], self._conditions(place))
        for place, border in enumerate(self.table.borders):
            writes, reads, both = self.runs[border.writer], self.runs[border.reader], self.both[place]
            if border.tensor not in self.profile.stored_tensors:
                continue
            self._all_of(both, [writes, reads])
            plain, into, out = border.fp32_fp32, border.fp32_int8, border.int8_fp32
            total = total + plain * self._stored(border.tensor)
            total = total + (out - plain) * writes + (into - plain) * reads + (plain - into - out) * both
        total = total / self.table.batch
        rows = np.array(self.rows)
        unit = sum(kernel.fp32 for kernel in self.table.kernels) / self.table.batch
        return KernelTime(
            rows=rows[:, :-1],
            least=-rows[:, -1],
            variables=len(self.runs) + len(self.both),
            seconds=total[:-1],
            base=float(total[-1]),
            unit=unit,
        )

    def _conditions(self, place: int) -> list[Floats]:
        """What all must be 1 for a kernel to run in INT8."""
        kernel = self.table.kernels[place]
        if kernel.int8 is None:
            return [self._constant(0.0)]
        found = [self._stored(border.tensor) for border in self.table.borders if border.reader == place]
        if kernel.operations[-1] in self.profile.stored_tensors:
            found.append(self._stored(kernel.operations[-1]))
        weights = (Site(SiteKind.WEIGHTS, layer) for layer in kernel.layers)
        return [*found, *(self._narrow(site) for site in weights if site in self.profile.weight_sites)]

    def _all_of(self, variable: Floats, conditions: Sequence[Floats]) -> None:
        """Holds a variable at 1 where all conditions are 1, and at 0 where one is 0."""
        for condition in conditions:
            self.rows.append(condition - variable)
        self.rows.append(variable - sum(conditions, self._constant(1.0 - len(conditions))))

    def _stored(self, tensor: int) -> Floats:
        """1 where a tensor is stored as integers; one of which only a maximum is stored never is."""
        if tensor not in self.profile.stored_tensors:
            return self._constant(0.0)
        return self._narrow(Site(SiteKind.ACTIVATIONS, self.profile.stored_tensors[tensor]))

    def _narrow(self, site: Site) -> Floats:
        """1 where a site has at most 8 bits."""
        if site not in self.offered:
            return self._constant(float(self.profile.width(self.start, site) <= INTEGER_BITS))
        row = self._constant(0.0)
        for place, move in enumerate(self.columns):
            if move.site == site and move.bits <= INTEGER_BITS:
                row[place] = 1.0
        return row

    def _variable(self, place: int) -> Floats:
        row = self._constant(0.0)
        row[len(self.columns) + place] = 1.0
        return row

    def _constant(self, value: float) -> Floats:
        row = np.zeros(self.width)
        row[-1] = value
        return row
