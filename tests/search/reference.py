"""Greedy and coordinate descent as the paper has them: every candidate evaluated in full, nothing pruned.

Straight from arXiv 2512.14090: strictly lower loss moves; ties go to the earlier layer, then to the wider width;
accuracy above FP32's counts as none lost; a policy below the floor is not allowed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

FP32 = 32
Bits = tuple[int, ...]


@dataclass(frozen=True)
class Setting:
    """`intensity` and `right` know every policy; `movable` are the layers that may change, `widths` widest first."""

    intensity: Callable[[Bits], float]
    right: Callable[[Bits], int]
    alpha: float
    intensity_normaliser: float
    accuracy_normaliser: float
    images: int
    baseline: int
    floor: int
    widths: tuple[int, ...]
    movable: tuple[int, ...]
    start: Bits

    def loss(self, bits: Bits) -> float:
        lost_points = 100 * max(0, self.baseline - self.right(bits)) / self.images
        gain = self.alpha * self.intensity(bits) / self.intensity_normaliser
        return -gain + (1 - self.alpha) * lost_points / self.accuracy_normaliser

    def best(self, held: Bits, moves: list[tuple[int, int]]) -> tuple[int, int] | None:
        """The move of lowest loss, the first among equals; None where none is allowed and below what is held."""
        lowest, winner = self.loss(held), None
        for layer, width in moves:
            bits = changed(held, layer, width)
            if self.right(bits) >= self.floor and self.loss(bits) < lowest:
                lowest, winner = self.loss(bits), (layer, width)
        return winner


@dataclass(frozen=True)
class Took:
    """What a step took (None: it kept what it had) and where that led."""

    move: tuple[int, int] | None
    bits: Bits
    right: int
    loss: float


def changed(bits: Bits, layer: int, width: int) -> Bits:
    return (*bits[:layer], width, *bits[layer + 1 :])


def greedy(setting: Setting) -> Iterator[Took]:
    """Every layer still at FP32 at every lower width, until no move lowers the loss or no layer is left."""
    held = setting.start
    while free := [layer for layer in setting.movable if held[layer] == FP32]:
        move = setting.best(held, [(layer, width) for layer in free for width in setting.widths if width != FP32])
        held = changed(held, *move) if move else held
        yield Took(move, held, setting.right(held), setting.loss(held))
        if move is None:
            return


def coordinate(setting: Setting) -> Iterator[Took]:
    """Layer by layer, each at its best width with the others held, until a whole sweep changes nothing."""
    held, before = setting.start, None
    while held != before:
        before = held
        for layer in setting.movable:
            move = setting.best(held, [(layer, width) for width in setting.widths if width != held[layer]])
            held = changed(held, *move) if move else held
            yield Took(move, held, setting.right(held), setting.loss(held))
