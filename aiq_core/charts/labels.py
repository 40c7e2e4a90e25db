"""Places for labels that do not overlap each other or the marks, whatever the width of the screen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GLYPH_EM = 0.56
"""Mean width of a letter of Inter, in font sizes (measured over the labels used here, rounded up)."""

LINE_EM = 1.3
"""Height of a line of text, in font sizes."""

PLOT_WIDTHS_PX = (265.0, 420.0)
"""Plot widths that labels must suit: a phone 390 wide, and half of a page 1,440 wide."""

SLIDE_WIDTHS_PX = (460.0, 700.0, 1030.0)
"""The same of slides: on a phone, beside numbers, and alone."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, others: NDArray[np.float64]) -> float:
        """The area shared with `others` (float64[n, 4]: left, top, right, bottom), in square pixels."""
        width = np.minimum(self.right, others[:, 2]) - np.maximum(self.left, others[:, 0])
        height = np.minimum(self.bottom, others[:, 3]) - np.maximum(self.top, others[:, 1])
        return float((np.maximum(width, 0.0) * np.maximum(height, 0.0)).sum())

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom


@dataclass(frozen=True, slots=True)
class Anchor:
    """A mark to label: its place as shares of the plot (x rightwards, y downwards), its text and its radius in px.

    `size` is that of the text, in font sizes.
    """

    x: float
    y: float
    text: str
    radius_px: float = 6.0
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label stands beside its mark: Plotly's anchors, and the shift in pixels (y upwards, as Plotly's)."""

    xanchor: str
    yanchor: str
    xshift: float
    yshift: float


def _places(radius: float) -> tuple[Place, ...]:
    """Places to try, in order: above, right, below, left, the corners, then further out."""
    near: list[Place] = []
    for gap in (radius + 2, radius + 15):
        near += [
            Place("center", "bottom", 0, gap),
            Place("left", "middle", gap, 0),
            Place("center", "top", 0, -gap),
            Place("right", "middle", -gap, 0),
            Place("left", "bottom", gap * 0.7, gap * 0.7),
            Place("right", "bottom", -gap * 0.7, gap * 0.7),
            Place("left", "top", gap * 0.7, -gap * 0.7),
            Place("right", "top", -gap * 0.7, -gap * 0.7),
        ]
    return tuple(near)


def text_box(anchor: Anchor, place: Place, width: float, height: float, font_px: float) -> Box:
    """The rectangle of a label on a plot of `width` x `height` pixels."""
    wide = GLYPH_EM * font_px * anchor.size * len(anchor.text)
    tall = LINE_EM * font_px * anchor.size
    x, y = anchor.x * width + place.xshift, anchor.y * height - place.yshift
    left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[place.xanchor] * wide
    top = y - {"top": 0.0, "middle": 0.5, "bottom": 1.0}[place.yanchor] * tall
    return Box(left, top, left + wide, top + tall)


def place_labels(
    anchors: Sequence[Anchor],
    marks: Sequence[Anchor],
    height: float,
    font_px: float,
    widths: Sequence[float] = PLOT_WIDTHS_PX,
) -> tuple[Place, ...]:
    """A place for each anchor, in order of importance: the first that touches nothing, else the one that touches least.

    `marks` are to be kept clear too (their texts are ignored); leaving the plot counts as touching, and a label more
    than a mark.
    """
    taken = {width: _mark_boxes((*marks, *anchors), width, height) for width in widths}
    named = {width: np.empty((0, 4)) for width in widths}
    chosen: list[Place] = []
    for anchor in anchors:
        costs = []
        for place in _places(anchor.radius_px):
            cost = 0.0
            for width in widths:
                box = text_box(anchor, place, width, height, font_px)
                inside = box.overlap(np.array([(0.0, 0.0, width, height)]))
                cost += 3 * ((box.right - box.left) * (box.bottom - box.top) - inside)
                cost += box.overlap(taken[width]) + 10 * box.overlap(named[width])
            costs.append(cost)
        place = _places(anchor.radius_px)[min(range(len(costs)), key=lambda index: costs[index])]
        chosen.append(place)
        for width in widths:
            box = text_box(anchor, place, width, height, font_px)
            named[width] = np.vstack([named[width], box.edges])
    return tuple(chosen)


def _mark_boxes(marks: Sequence[Anchor], width: float, height: float) -> NDArray[np.float64]:
    """The squares around marks, float64[n, 4]."""
    middles = np.array([(mark.x * width, mark.y * height) for mark in marks], dtype=np.float64).reshape(-1, 2)
    radii = np.array([[mark.radius_px] for mark in marks], dtype=np.float64).reshape(-1, 1)
    return np.hstack([middles - radii, middles + radii])


def spread(wanted: Sequence[float], gap: float) -> tuple[float, ...]:
    """Ascending positions no lower than wanted (ascending) and at least `gap` apart."""
    placed: list[float] = []
    for position in wanted:
        placed.append(max(position, placed[-1] + gap) if placed else position)
    return tuple(placed)
