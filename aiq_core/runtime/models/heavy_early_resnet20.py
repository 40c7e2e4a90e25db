"""ResNet-20 turned round, widest first, to ask whether depth or size decides which layers go first.

After the structure study of arXiv 2512.14090: stem and stages of 64, 32, 16 and 16 channels, so that the early
layers hold most weights. Its first stage changes channels, so each of the three begins with a projection.
"""

from dataclasses import replace
from functools import partial

from aiq_core.runtime.models.resnet20 import RESNET20, ResNet20, projections

STEM_WIDTH = 64
STAGE_WIDTHS = (32, 16, 16)

HEAVY_EARLY_RESNET20 = replace(
    RESNET20,
    name="heavy_early_resnet20",
    title="HeavyEarlyResNet20",
    build=partial(ResNet20, STEM_WIDTH, STAGE_WIDTHS),
    recipe=replace(RESNET20.recipe, epochs=100),
    excluded=projections(STEM_WIDTH, STAGE_WIDTHS),
)
