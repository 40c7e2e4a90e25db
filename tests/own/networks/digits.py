"""The network of digits_cnn as a user may have it, in two files; and variations of it."""

from pathlib import Path

import torch
from blocks import Block
from torch import Tensor, nn


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block1, self.block2 = Block(1, 8), Block(8, 16)
        self.block3, self.block4 = Block(16, 24, stride=2), Block(24, 24)
        self.linear = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block4(self.block3(self.block2(self.block1(x))))
        return self.linear(x.mean((2, 3)))


class Undecided(Digits):
    def forward(self, x: Tensor, train: bool = False) -> dict[str, Tensor]:
        if x.shape[2] < 8:
            x = nn.functional.pad(x, (4, 4, 4, 4))
        return {"aux": x.mean((1, 2)), "out": super().forward(x)}


class Drops(Digits):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.5))


class Spatial(Digits):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :, None, None]


NETWORK = nn.Linear(2, 2)


def build() -> nn.Module:
    return Digits()


def undecided() -> nn.Module:
    return Undecided()


def drops() -> nn.Module:
    return Drops()


def sized(width: int) -> nn.Module:
    return Digits()


def text() -> str:
    return "a network"


def fails() -> nn.Module:
    raise KeyError("depth")


def halved() -> nn.Module:
    return Digits().half().train()


def reads() -> nn.Module:
    (Path(__file__).parent / "depth.txt").read_text()
    return Digits()


def ends() -> nn.Module:
    raise SystemExit(2)


def interrupted() -> nn.Module:
    raise KeyboardInterrupt


def lazy() -> nn.Module:
    return nn.LazyLinear(10)


def without_values() -> nn.Module:
    return Digits().to("meta")


def spatial() -> nn.Module:
    return Spatial()


def flat() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def one_output() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 1))


def no_layers() -> nn.Module:
    return nn.Flatten()


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x @ x).flatten(1)


def no_bits() -> nn.Module:
    return Squared()


class Colour(nn.Module):
    """Tells twelve greys apart, 0, 20, ... 220 of 255: of all lines 2 k x - k², that of the nearest k is highest."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 12)
        greys = torch.arange(12) * 20 / 255
        self.linear.weight.data[:, 0] = 2 * greys
        self.linear.bias.data = -greys.square()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean((1, 2, 3))[:, None])


def colour() -> nn.Module:
    return Colour()
