"""Lesson 6, what alpha buys: policies known, the hull that prices reach, and what only a budget reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from aiq_core.charts.pareto import describe
from aiq_core.envelope import PolicyTable, Segment, allowed, pareto
from aiq_core.objective import Goal
from aiq_core.records import FP32_BITS
from aiq_core.wording import widths_name

DOMINATED_SHOWN = 150


@dataclass(frozen=True, slots=True)
class Known:
    """A policy: AI, images right and top-1 in percent with its 95 % interval."""

    row: int
    name: str
    intensity: float
    correct: int
    top1: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pick:
    """A hull policy with the alphas at which it has the lowest loss, and its letter in the figure."""

    letter: str
    low: float
    high: float
    policy: Known


@dataclass(frozen=True)
class PriceData:
    """`picks` by rising alpha; `behind` are Pareto points that no alpha picks; `missed` is the one asked about.

    Top-1 is on `images` search images, which are called what `judges` says. `uniform` has policies by name. `budgeted`
    is the one that a budget picked, where one is set: the axes reach as far as to it.
    """

    images: int
    judges: str
    policies: int
    goal: Goal
    baseline: Known
    picks: tuple[Pick, ...]
    behind: tuple[Known, ...]
    dominated: tuple[Known, ...]
    uniform: Mapping[str, Known]
    missed: Known | None
    budgeted: Known | None = None

    @property
    def judged_on(self) -> str:
        """The images as text: `5,000 search images`."""
        return f"{self.images:,} {self.judges} images"

    def pick(self, alpha: float) -> Pick:
        """The policy of lowest loss at an alpha; where two meet, the higher AI."""
        return next(pick for pick in reversed(self.picks) if pick.low <= alpha)

    def within(self, correct: int) -> Known:
        """The highest AI with at least as many images right."""
        return max((p for p in self.front if p.correct >= correct), key=lambda p: p.intensity)

    def chosen(self, alpha: float, least_correct: int | None) -> Known:
        """What a budget of images right picks, or, without one, an alpha."""
        return self.pick(alpha).policy if least_correct is None else self.within(least_correct)

    @property
    def front(self) -> tuple[Known, ...]:
        """Every Pareto point, by rising AI."""
        return tuple(sorted({*(pick.policy for pick in self.picks), *self.behind}, key=lambda p: p.intensity))

    def drop(self, policy: Known) -> float:
        """Points lost against FP32, at least 0."""
        return 100 * max(0, self.baseline.correct - policy.correct) / self.images

    def price(self, alpha: float) -> float:
        """Points of accuracy that one FLOP/byte may cost."""
        return self.goal.points_per_intensity(alpha)

    def loss(self, policy: Known, alpha: float) -> float:
        """As the searches compute it."""
        cost = self.drop(policy) / self.goal.accuracy_normaliser
        return -alpha * policy.intensity / self.goal.intensity_normaliser + (1 - alpha) * cost

    @property
    def x_range(self) -> tuple[float, float]:
        """Where the hull, the missed and the budgeted policy lie: further out nothing is decided."""
        seen = [pick.policy.intensity for pick in self.picks]
        seen += [policy.intensity for policy in (self.missed, self.budgeted) if policy]
        room = max(max(seen) - min(seen), 0.01 * max(seen))
        return min(seen) - 0.18 * room, max(seen) + 0.22 * room

    @property
    def y_range(self) -> tuple[float, float]:
        """Top-1 of the same, with room for half of their intervals."""
        seen = [*(pick.policy for pick in self.picks), self.baseline]
        seen += [policy for policy in (self.missed, self.budgeted) if policy]
        low, high = min(p.top1 for p in seen), max(p.top1 for p in seen)
        room = max(0.35 * (high - low), 0.15)
        return low - room, high + room


def price_data(table: PolicyTable, segments: Sequence[Segment], goal: Goal) -> PriceData:
    """What is known of a model, with the envelope's segments."""
    rows = [segment.row for segment in segments]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    picks = tuple(
        Pick(letters[place % 26], segment.low, segment.high, _known(table, segment.row))
        for place, segment in enumerate(segments)
    )
    # As Pareto goes by, accuracy above FP32 counts; the loss does not see it. Rows under the floor are out of reach.
    open_to_all = allowed(table, goal)
    front = pareto(table) & open_to_all
    behind = [row for row in range(len(table.policies)) if front[row] and row not in rows]
    beaten = [row for row in np.flatnonzero(~front & open_to_all) if row not in rows]
    space = table.space
    widths = product({FP32_BITS, *space.widths}, {FP32_BITS, *space.activation_widths})
    uniform = {widths_name(*bits): table.row(table.profile.uniform(*bits)) for bits in sorted(widths, reverse=True)}
    return PriceData(
        images=table.images,
        judges=table.judges,
        policies=len(table.policies),
        goal=goal,
        baseline=_known(table, table.baseline),
        picks=picks,
        behind=tuple(_known(table, row) for row in behind),
        dominated=tuple(_known(table, int(row)) for row in beaten[:: -(-len(beaten) // DOMINATED_SHOWN) or 1]),
        uniform={name: _known(table, row) for name, row in uniform.items() if row is not None},
        missed=_missed(table, behind),
    )


def _missed(table: PolicyTable, behind: Sequence[int]) -> Known | None:
    """The Pareto point to ask about: one that costs accuracy, so that a price could be thought to reach it.

    Else one above FP32, where more accuracy earns nothing. The highest AI of either kind.
    """
    if not behind:
        return None
    costing = [row for row in behind if table.score[row] < table.baseline_score]
    return _known(table, max(costing or behind, key=lambda row: float(table.intensity[row])))


def _known(table: PolicyTable, row: int) -> Known:
    top1 = table.search[row].after
    name, value = describe(table.policies[row]), float(table.intensity[row])
    return Known(row, name, value, table.score[row].item(), top1.value, top1.low, top1.high)


def price_frame(data: PriceData) -> pd.DataFrame:
    """A row a policy drawn."""
    groups: list[tuple[str, str, Known, float | None, float | None]] = [
        (f"pick {pick.letter}", "hull", pick.policy, pick.low, pick.high) for pick in data.picks
    ]
    groups += [("", "Pareto, no alpha picks it", known, None, None) for known in data.behind]
    groups += [(name, "uniform", known, None, None) for name, known in data.uniform.items()]
    groups += [("", "dominated", known, None, None) for known in data.dominated]
    return pd.DataFrame(
        [
            {
                "name": name,
                "group": group,
                "layers": known.name,
                "flops_per_byte": known.intensity,
                f"{data.judges}_top1_percent": known.top1,
                "low_percent": known.low,
                "high_percent": known.high,
                "alpha_from": low,
                "alpha_to": high,
                f"{data.judges}_images": data.images,
            }
            for name, group, known, low, high in groups
        ]
    )
