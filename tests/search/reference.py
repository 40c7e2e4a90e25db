"""Greedy and coordinate descent as the paper has them: every candidate evaluated in full, nothing pruned.

Straight from arXiv 2512.14090: strictly lower loss moves; ties go to the earlier site, then to the wider width;
accuracy above FP32's counts as none lost; a policy below the floor is not allowed. Sites are layers' weights and
activation groups alike, each with widths of its own; a search begins anywhere.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Bits = tuple[int, ...]


@dataclass(frozen=True)
class Setting:
    """`intensity` and `right` know every policy. `movable` are the sites that may change, in tie order.

    `widths` are those on offer to each site, widest first.
    """

    intensity: Callable[[Bits], float]
    right: Callable[[Bits], int]
    alpha: float
    intensity_normaliser: float
    accuracy_normaliser: float
    images: int
    baseline: int
    floor: int
    widths: tuple[tuple[int, ...], ...]
    movable: tuple[int, ...]
    start: Bits

    def loss(self, bits: Bits) -> float:
        lost_points = 100 * max(0, self.baseline - self.right(bits)) / self.images
        gain = self.alpha * self.intensity(bits) / self.intensity_normaliser
        return -gain + (1 - self.alpha) * lost_points / self.accuracy_normaliser

    def best(self, held: Bits, moves: list[tuple[int, int]]) -> tuple[int, int] | None:
        """The move of lowest loss, the first among equals; None where none is allowed and below what is held."""
        lowest, winner = self.loss(held), None
        for site, width in moves:
            bits = changed(held, site, width)
            if self.right(bits) >= self.floor and self.loss(bits) < lowest:
                lowest, winner = self.loss(bits), (site, width)
        return winner


@dataclass(frozen=True)
class Took:
    """What a step took (None: it kept what it had) and where that led."""

    move: tuple[int, int] | None
    bits: Bits
    right: int
    loss: float


def changed(bits: Bits, site: int, width: int) -> Bits:
    return (*bits[:site], width, *bits[site + 1 :])


def down(setting: Setting, held: Bits) -> list[tuple[int, int]]:
    """Every site still where it began, to every lower width."""
    return [
        (site, width)
        for site in setting.movable
        for width in setting.widths[site]
        if held[site] == setting.start[site] and width < setting.start[site]
    ]


def greedy(setting: Setting) -> Iterator[Took]:
    """Every site still where it began at every lower width, until no move lowers the loss or no site is left."""
    held = setting.start
    while moves := down(setting, held):
        move = setting.best(held, moves)
        held = changed(held, *move) if move else held
        yield Took(move, held, setting.right(held), setting.loss(held))
        if move is None:
            return


def coordinate(setting: Setting) -> Iterator[Took]:
    """Site by site, each at its best width with the others held, until a whole sweep changes nothing."""
    held, before = setting.start, None
    while held != before:
        before = held
        for site in setting.movable:
            move = setting.best(held, [(site, width) for width in setting.widths[site] if width != held[site]])
            held = changed(held, *move) if move else held
            yield Took(move, held, setting.right(held), setting.loss(held))
