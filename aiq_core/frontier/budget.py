"""Budgets in words: what a policy may lose, store, move or take. `drop<=0.5`, `intensity>=10x`, `time<=200us@pi-5`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from aiq_core.errors import SettingError
from aiq_core.hardware import PRESETS, Machine
from aiq_core.wording import number, size


class Quantity(StrEnum):
    """What is limited.

    DROP is points of top-1 lost against FP32, measured on the images that judge. INTENSITY is AI over FP32's, at least.
    MOVED are bytes moved at batch 1, by the run's traffic model; STORED bytes of weights with their scales, folded
    biases and scales of activations. BITS are those of a weight on average, over all layers, the pinned ones and those
    without a choice included. TIME is the roofline's at batch 1; on KERNELS,
    that of a table of them, at its batch.
    """

    DROP = "drop"
    INTENSITY = "intensity"
    MOVED = "moved"
    STORED = "stored"
    BITS = "bits"
    TIME = "time"


UNITS: dict[Quantity, dict[str, float]] = {
    Quantity.DROP: {"": 1.0},
    Quantity.INTENSITY: {"x": 1.0, "": 1.0},
    Quantity.MOVED: {"MB": 1e6, "kB": 1e3, "KB": 1e3, "B": 1.0, "": 1.0},
    Quantity.STORED: {"MB": 1e6, "kB": 1e3, "KB": 1e3, "B": 1.0, "": 1.0},
    Quantity.BITS: {"": 1.0},
    Quantity.TIME: {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0},
}
"""Unit -> how many of the one that `Budget.limit` is in: points, times FP32's, bytes, bits, seconds."""

CONFIDENT = "95%"

KERNELS = "kernels"
"""What a TIME is on that a table of measured kernels predicts."""

_FORM = re.compile(r"(?P<what>[a-z]+)\s*(?P<sign><=|>=)\s*(?P<value>[0-9.eE+-]+?)\s*(?P<unit>[a-zA-Zµ]*)(@(?P<at>.+))?")

EXAMPLES = "drop<=0.5, drop<=0.5@95%, intensity>=10x, stored<=0.3MB, bits<=2.8 or time<=200us@pi-5"


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on a quantity: in points, times FP32's, bytes, bits or seconds. INTENSITY is a least value.

    TIME's is on the machine whose key is `machine`. A DROP that is `confident` is one whose one-sided 95 % bound stays
    within.
    """

    quantity: Quantity
    limit: float
    machine: str | None = None
    confident: bool = False

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """The budget in a text, whether its machine is known or not. Raises SettingError."""
        found = _FORM.fullmatch(text.strip())
        if found is None or found["what"] not in tuple(Quantity):
            raise SettingError(f"budget {text!r} cannot be read; write it like {EXAMPLES}")
        quantity, at = Quantity(found["what"]), found["at"]
        if (found["sign"] == ">=") != (quantity is Quantity.INTENSITY):
            raise SettingError(
                f"budget {text!r} limits {quantity} from the wrong side; intensity takes >=, all others take <="
            )
        if found["unit"] not in UNITS[quantity]:
            units = ", ".join(repr(unit) for unit in UNITS[quantity] if unit) or "none"
            raise SettingError(f"unit {found['unit']!r} of budget {text!r} is not known; {quantity} takes {units}")
        try:
            limit = float(found["value"]) * UNITS[quantity][found["unit"]]
        except ValueError:
            limit = float("nan")
        if not isfinite(limit) or limit < 0 or (limit == 0 and quantity is not Quantity.DROP):
            raise SettingError(f"limit {found['value']!r} of budget {text!r} is not a number above 0; write one")
        if quantity is Quantity.TIME:
            if at is None:
                raise SettingError(f"budget {text!r} names no machine; write it like time<=200us@pi-5")
            return cls(quantity, limit, machine=at)
        if at is not None and (quantity is not Quantity.DROP or at != CONFIDENT):
            raise SettingError(f"{at!r} in budget {text!r} is not known; drop takes @{CONFIDENT}, time a machine")
        return cls(quantity, limit, confident=at is not None)

    def __str__(self) -> str:
        """As `parse` reads it."""
        sign = ">=" if self.quantity is Quantity.INTENSITY else "<="
        unit = {Quantity.INTENSITY: "x", Quantity.STORED: "B", Quantity.MOVED: "B", Quantity.TIME: "s"}
        at = f"@{self.machine}" if self.machine else f"@{CONFIDENT}" if self.confident else ""
        return f"{self.quantity}{sign}{self.limit:.12g}{unit.get(self.quantity, '')}{at}"

    @property
    def is_linear(self) -> bool:
        """Whether arithmetic alone tells if a policy keeps it; a drop is measured."""
        return self.quantity is not Quantity.DROP

    def words(self, machines: Mapping[str, Machine] = PRESETS) -> str:
        """As people say it: `at most 0.30 MB stored`. A machine has its name where `machines` knows it."""
        return f"at {'least' if self.quantity is Quantity.INTENSITY else 'most'} {self.amount(machines)}"

    def amount(self, machines: Mapping[str, Machine] = PRESETS) -> str:
        """The same without which side is limited: `0.30 MB stored`."""
        match self.quantity:
            case Quantity.DROP:
                sure = " with 95 % confidence" if self.confident else ""
                return f"{number(self.limit, 2)} points lost{sure}"
            case Quantity.INTENSITY:
                return f"{number(self.limit, 2)} × FP32's AI"
            case Quantity.MOVED:
                return f"{size(self.limit)} moved an image"
            case Quantity.STORED:
                return f"{size(self.limit)} stored"
            case Quantity.BITS:
                return f"{number(self.limit, 2)} bits a weight on average"
            case Quantity.TIME:
                known = machines.get(str(self.machine))
                on = f"on {self.machine if known is None else known.name}"
                on = "by measured kernels" if self.machine == KERNELS else on
                return f"{number(1e6 * self.limit, 1)} µs an image {on}"


def parse_budgets(texts: Iterable[str]) -> tuple[Budget, ...]:
    """The budgets in texts, as `Budget.parse` reads each. Raises SettingError where two limit the same."""
    found = tuple(Budget.parse(text) for text in texts)
    limited = [(budget.quantity, budget.machine) for budget in found]
    for each in limited:
        if limited.count(each) > 1:
            raise SettingError(f"{each[0]} is limited {limited.count(each)} times; keep the tightest budget")
    return found
