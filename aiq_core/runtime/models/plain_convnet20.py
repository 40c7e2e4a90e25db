"""Twenty layers of 64 channels without shortcuts, to ask whether depth or size decides which layers go first.

After the structure study of arXiv 2512.14090: a stem of stride 2 and eighteen 3 x 3 convolutions, of which the
seventh and the thirteenth halve the image again.
"""

from typing import cast

from torch import Tensor, nn

from aiq_core.runtime.models.spec import Recipe, cifar10_spec

WIDTH = 64
CONVOLUTIONS = 19
HALVING = (1, 8, 14)
"""Numbers of the convolutions of stride 2, from 1: the stem, then the seventh and thirteenth after it."""


class PlainConvNet20(nn.Module):
    """Convolution, batch norm and ReLU, nineteen times; mean over the image, a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        for number in range(1, CONVOLUTIONS + 1):
            inputs, stride = 3 if number == 1 else WIDTH, 2 if number in HALVING else 1
            setattr(self, f"conv{number}", nn.Conv2d(inputs, WIDTH, 3, stride, padding=1, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(WIDTH))
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(WIDTH, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """float[n, 3, 32, 32] -> logits float[n, 10]."""
        for number in range(1, CONVOLUTIONS + 1):
            x = self.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        return cast(Tensor, self.linear(self.flatten(self.pool(x))))


PLAIN_CONVNET20 = cifar10_spec(
    name="plain_convnet20",
    title="PlainConvNet20",
    build=PlainConvNet20,
    recipe=Recipe(epochs=24, peak_learning_rate=0.1, autocast="bfloat16"),
)
