"""ResNet-20 turned round, widest first, to ask whether depth or size decides which layers go first.

After the structure study of arXiv 2512.14090: stem and stages of 64, 32, 16 and 16 channels, so that the early
layers hold most weights. Its first stage changes channels, so each of the three begins with a projection.
"""

from functools import partial

from aiq_core.runtime.models.resnet20 import ResNet20, projections, segments
from aiq_core.runtime.models.spec import CIFAR10_MEAN, CIFAR10_STD, ModelSpec, Recipe

STEM_WIDTH = 64
STAGE_WIDTHS = (32, 16, 16)

HEAVY_EARLY_RESNET20 = ModelSpec(
    name="heavy_early_resnet20",
    title="HeavyEarlyResNet20",
    dataset="cifar10",
    input_shape=(3, 32, 32),
    classes=10,
    mean=CIFAR10_MEAN,
    std=CIFAR10_STD,
    build=partial(ResNet20, STEM_WIDTH, STAGE_WIDTHS),
    segments=segments,
    recipe=Recipe(epochs=100, peak_learning_rate=0.2, autocast="bfloat16"),
    excluded=projections(STEM_WIDTH, STAGE_WIDTHS),
)
