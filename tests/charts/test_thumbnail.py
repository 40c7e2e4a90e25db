"""A roofline in small: a mark a spot, on the roof, in the colour of what limits it."""

import re
from math import log10

import pytest

from aiq_core.charts.roofline import RooflineData, roofline_data
from aiq_core.charts.style import Look
from aiq_core.charts.thumbnail import HEIGHT, MARGIN, WIDTH, roofline_thumbnail
from aiq_core.hardware import PRESETS
from aiq_core.records import DEFAULT_WIDTHS
from tests import bundled

CIRCLE = re.compile(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="[\d.]+" fill="(#\w+)"')


def data(machine: str) -> RooflineData:
    profile = bundled.model("resnet20").profile
    fp32 = profile.uniform(32)
    return roofline_data(PRESETS[machine], profile, fp32, fp32, 1, DEFAULT_WIDTHS, (1,))


@pytest.mark.parametrize("machine", ["a100-tf32", "pi-5"])
@pytest.mark.parametrize("dark", [False, True])
def test_marks_stand_on_the_roof(machine: str, dark: bool) -> None:
    found, palette = data(machine), Look(dark).palette
    marks = CIRCLE.findall(roofline_thumbnail(found, Look(dark)))
    assert len(marks) == len(found.spots)
    low, high = found.x_range
    (start, _), (ridge, roof), (_, end) = [
        tuple(map(float, point.split(",")))
        for point in re.search('points="([^"]+)"', roofline_thumbnail(found, Look(dark))).group(1).split()  # type: ignore[union-attr]
    ]
    assert (start, end) == (MARGIN, roof)
    assert ridge == pytest.approx(
        MARGIN + (WIDTH - 2 * MARGIN) * log10(found.roof.ridge / low) / log10(high / low), abs=0.06
    )
    for x, y, colour in marks:
        memory_bound = float(x) < ridge
        assert colour == (palette.memory if memory_bound else palette.compute)
        assert roof <= float(y) <= HEIGHT - MARGIN
        assert memory_bound or float(y) == roof


def test_what_waits_for_bytes_depends_on_the_machine() -> None:
    assert all(
        colour == Look().palette.memory for *_, colour in CIRCLE.findall(roofline_thumbnail(data("a100-tf32"), Look()))
    )
    colours = {colour for *_, colour in CIRCLE.findall(roofline_thumbnail(data("pi-5"), Look()))}
    assert colours == {Look().palette.memory, Look().palette.compute}
