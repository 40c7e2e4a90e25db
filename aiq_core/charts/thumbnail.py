"""A roofline in the size of a stamp: a machine's roof and where a network's layers stand, as SVG."""

from math import log10

from aiq_core.charts import style
from aiq_core.charts.roofline import RooflineData
from aiq_core.charts.style import Look

WIDTH, HEIGHT, MARGIN = 240, 96, 6
"""Of the drawing, in its own units; it takes the width that it is given."""

MARK = 3.2


def roofline_thumbnail(data: RooflineData, look: Look) -> str:
    """The zones, the roof, and a mark for layers that coincide, in the colour of what limits them; no text."""
    palette, roof = look.palette, data.roof
    (low, high), ridge = data.x_range, _x(data, roof.ridge)
    top = _y(data, roof.rate)
    points = f"{_x(data, low)},{_y(data, low * data.bandwidth)} {ridge},{top} {_x(data, high)},{top}"
    marks = [
        f'<circle cx="{_x(data, spot.after.intensity)}" cy="{_y(data, spot.after.rate)}" r="{MARK}" '
        f'fill="{palette.memory if spot.after.memory_bound else palette.compute}" fill-opacity="0.8"/>'
        for spot in data.spots
    ]
    zones = [
        f'<rect x="{left}" y="0" width="{round(right - left, 1)}" height="{HEIGHT}" fill="{style.faded(colour, 0.1)}"/>'
        for left, right, colour in ((0, ridge, palette.memory), (ridge, WIDTH, palette.compute))
    ]
    line = f'<polyline points="{points}" fill="none" stroke="{palette.text}" stroke-width="1.4"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"{''.join((*zones, line, *marks))}</svg>"
    )


def _x(data: RooflineData, intensity: float) -> float:
    low, high = data.x_range
    return round(MARGIN + (WIDTH - 2 * MARGIN) * log10(intensity / low) / log10(high / low), 1)


def _y(data: RooflineData, rate: float) -> float:
    """A little above the roof the drawing ends: nothing is written there."""
    low, high = data.y_range[0], 2 * data.roof.rate
    return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * log10(rate / low) / log10(high / low), 1)
