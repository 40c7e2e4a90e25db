"""torchvision's MobileNetV2, unchanged, on 32 x 32 images (Sandler et al., arXiv 1801.04381)."""

from typing import cast

from torch import nn

from aiq_core.runtime.models.spec import Recipe, cifar10_spec


def build() -> nn.Module:
    """The network with ten classes and random weights."""
    import torchvision  # here, as it takes seconds that the other models need not wait

    return cast(nn.Module, torchvision.models.mobilenet_v2(num_classes=10))


MOBILENET_V2 = cifar10_spec(
    name="mobilenet_v2",
    title="MobileNetV2",
    build=build,
    recipe=Recipe(epochs=100, peak_learning_rate=0.1, label_smoothing=0.1),
)
