"""A small network for 8 x 8 digits, which trains in seconds: for tests and for trying things."""

from typing import cast

from torch import Tensor, nn

from aiq_core.runtime.models.spec import ModelSpec, Recipe

WIDTHS = (8, 16, 24)


class ConvBlock(nn.Module):
    """A 3 x 3 convolution, batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """float[n, inputs, h, w] -> float[n, outputs, h / stride, w / stride]."""
        return cast(Tensor, self.relu(self.bn(self.conv(x))))


class DigitsCnn(nn.Module):
    """Four convolution blocks, mean over the image, a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.block1 = ConvBlock(1, first, 1)
        self.block2 = ConvBlock(first, second, 1)
        self.block3 = ConvBlock(second, third, 2)
        self.block4 = ConvBlock(third, third, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(third, 10)

    def forward(self, x: Tensor) -> Tensor:
        """float[n, 1, 8, 8] -> logits float[n, 10]."""
        x = self.block4(self.block3(self.block2(self.block1(x))))
        return cast(Tensor, self.linear(self.flatten(self.pool(x))))


DIGITS_CNN = ModelSpec(
    name="digits_cnn",
    title="Digits CNN",
    dataset="digits",
    input_shape=(1, 8, 8),
    mean=(0.3,),
    std=(0.35,),
    build=DigitsCnn,
    recipe=Recipe(epochs=60, peak_learning_rate=0.1, batch_size=64, crop_padding=1, flip=False, average_decay=0.99),
)
