"""Networks whose operations ONNX knows by other names, or does not know as one."""

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 5


class Gates(nn.Module):
    """Every function of one number, a gate a channel, and a norm that folds nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=2, padding=1, bias=False)
        self.norm, self.gate, self.head = nn.BatchNorm2d(8, affine=False), nn.Linear(8, 8), nn.Linear(8, CLASSES)
        self.functions = nn.ModuleList(
            [
                nn.Hardswish(),
                nn.SiLU(),
                nn.GELU(),
                nn.LeakyReLU(0.2),
                nn.ELU(),
                nn.Hardtanh(-2, 3),
                nn.Tanh(),
                nn.ReLU6(),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(torch.relu(self.first(x)))
        for function in self.functions:
            x = x + 2 * function(x - 0.25)
        gate = functional.hardsigmoid(self.gate(functional.adaptive_avg_pool2d(x, 1).flatten(1)))
        x = self.second(x * gate[:, :, None, None]) / 4
        return self.head(torch.sigmoid(x.clamp(min=-3)).mean((2, 3)))


class Shuffled(nn.Module):
    """Channels cut, turned and joined; pooling by windows; a transposed convolution; one layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up, self.head = nn.ConvTranspose2d(8, 4, 2, stride=2, groups=2), nn.Linear(4 * 4 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.first(x), 3, 2, ceil_mode=True)
        left, right = x.chunk(2, dim=1)
        x = torch.cat((self.twice(self.twice(left)), right.roll((1, 2), (2, 3))), 1)
        images, channels, rows, columns = x.shape
        x = x.view(images, 2, channels // 2, rows, columns).transpose(1, 2).reshape(images, channels, rows, columns)
        x = functional.pad(functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False), (1, 0, 0, 1), value=0.5)[
            :, :, 1:
        ]
        return self.head(functional.adaptive_avg_pool2d(self.up(x[..., :8]), 4).flatten(1))


class Windows(nn.Module):
    """Attention within windows that join the axis of images, with learned places; norms and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm, self.mix = nn.Conv2d(3, 16, 4, 4), nn.LayerNorm(16), nn.Linear(16, 48)
        self.places = nn.Parameter(torch.randn(7, 2) / 2)
        self.register_buffer("which", torch.arange(16).view(4, 4) % 7, persistent=False)
        self.token, self.whole = nn.Parameter(torch.randn(1, 1, 16)), nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        images, rows, columns, width = x.shape
        cut = x.view(images, rows // 2, 2, columns // 2, 2, width).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, width)
        query, key, value = self.mix(self.norm(cut)).view(-1, 4, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.places[self.which].permute(2, 0, 1).unsqueeze(0)
        scores = (query * 8**-0.5) @ key.transpose(-2, -1) + bias
        cut = cut + (scores.softmax(-1) @ value).transpose(1, 2).reshape(-1, 4, width)
        x = torch.cat((self.token.expand(images, -1, -1), cut.reshape(images, -1, width)), 1)
        x = x + self.whole(x, x, x, need_weights=False)[0]
        return self.head(x[:, 0])


def gates() -> nn.Module:
    return _seen(Gates())


def shuffled() -> nn.Module:
    return _seen(Shuffled())


def windows() -> nn.Module:
    return _seen(Windows())


def _seen(network: nn.Module) -> nn.Module:
    """A network whose norms saw numbers."""
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(16, 3, 16, 16) * 4 - 2)
    return network.eval()
