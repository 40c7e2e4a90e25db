"""Small networks of kinds that people have, for 3 x 32 x 32 images."""

import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer


class Lambda(nn.Module):
    """A forward that is a function of the network and its images."""

    def __init__(self, function, **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def norms() -> nn.Module:
    """Batch norms without scale and shift, at another eps, after a convolution with a bias."""
    norm = nn.BatchNorm2d(4, eps=1e-3, affine=False)
    norm.running_mean.fill_(0.5)
    norm.running_var.fill_(4e-4)
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5))


def recurrent() -> nn.Module:
    """An LSTM over the rows of the image."""

    def forward(self, x: Tensor) -> Tensor:
        rows, _ = self.lstm(x.permute(0, 2, 1, 3).flatten(2))
        return self.linear(rows[:, -1])

    return Lambda(forward, lstm=nn.LSTM(96, 8, batch_first=True), linear=nn.Linear(8, 5))


def shared() -> nn.Module:
    """One convolution called twice."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.both(self.both(x).relu()).relu()
        return self.linear(x.mean((2, 3)))

    stem, both = nn.Conv2d(3, 4, 3, 4, bias=False), nn.Conv2d(4, 4, 3, padding=1, bias=False)
    return Lambda(forward, stem=stem, both=both, linear=nn.Linear(4, 5, bias=False))


def vision_transformer() -> nn.Module:
    return VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)


def lenet() -> nn.Module:
    """`view` of what has height and width, which works in one layout of memory alone."""

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.conv(x).relu(), 4)
        return self.linear(x.view(x.size(0), -1))

    return Lambda(forward, conv=nn.Conv2d(3, 4, 5), linear=nn.Linear(4 * 7 * 7, 5))


def many_classes() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 7, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 300))


def not_finite() -> nn.Module:
    return Lambda(lambda n, x: n.linear(x.flatten(1)).log(), linear=nn.Linear(3072, 5))


def unknown() -> nn.Module:
    return Lambda(lambda n, x: n.linear(torch.fft.fft(x).abs().flatten(1)), linear=nn.Linear(3072, 5))
