"""ResNet-20 for 32 x 32 images, with 1 x 1 projection shortcuts (He et al., arXiv 1512.03385, section 4.2)."""

from typing import cast

from torch import Tensor, nn

from aiq_core.runtime.models.spec import Recipe, cifar10_spec

STEM_WIDTH = 16
STAGE_WIDTHS = (16, 32, 64)
STAGE_STRIDES = (1, 2, 2)
BLOCKS_PER_STAGE = 3


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, which is a projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if needs_projection(inputs, outputs, stride):
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))
        self.relu1 = nn.ReLU(inplace=True)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """float[n, inputs, h, w] -> float[n, outputs, h / stride, w / stride]."""
        y = self.relu1(self.bn1(self.conv1(x)))
        return cast(Tensor, self.relu2(self.bn2(self.conv2(y)) + self.shortcut(x)))


class ResNet20(nn.Module):
    """A stem, three stages of three blocks, mean over the image, a linear classifier."""

    def __init__(self, stem_width: int = STEM_WIDTH, widths: tuple[int, ...] = STAGE_WIDTHS, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem_width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1, self.layer2, self.layer3 = (
            _stage(inputs, outputs, stride)
            for inputs, outputs, stride in zip((stem_width, *widths), widths, STAGE_STRIDES, strict=False)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """float[n, 3, 32, 32] -> logits float[n, classes]."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return cast(Tensor, self.linear(self.flatten(self.pool(x))))


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    rest = (BasicBlock(outputs, outputs, 1) for _ in range(BLOCKS_PER_STAGE - 1))
    return nn.Sequential(BasicBlock(inputs, outputs, stride), *rest)


def needs_projection(inputs: int, outputs: int, stride: int) -> bool:
    """Whether a block's input and output differ in shape."""
    return stride != 1 or inputs != outputs


def projections(stem_width: int = STEM_WIDTH, widths: tuple[int, ...] = STAGE_WIDTHS) -> tuple[str, ...]:
    """Names of the projection shortcuts' convolutions, which the paper leaves at FP32."""
    inputs = (stem_width, *widths)
    return tuple(
        f"layer{stage + 1}.0.shortcut.0"
        for stage, (width, stride) in enumerate(zip(widths, STAGE_STRIDES, strict=True))
        if needs_projection(inputs[stage], width, stride)
    )


RESNET20 = cifar10_spec(
    name="resnet20",
    title="ResNet-20",
    build=ResNet20,
    recipe=Recipe(epochs=110, peak_learning_rate=0.2, autocast="bfloat16"),
    excluded=projections(),
)
