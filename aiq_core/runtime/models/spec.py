"""What the runtime knows of a model before it has weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained: SGD with Nesterov momentum, linear warm-up, then cosine to zero.

    `weight_decay` acts on weights of convolutions and linear layers only. `autocast` names a torch dtype or is
    None. `crop_padding` is in pixels, reflected. The averaged weights decay by min(average_decay, (1 + step) /
    (10 + step)), buffers too.
    """

    epochs: int
    peak_learning_rate: float
    weight_decay: float = 5e-4
    batch_size: int = 128
    momentum: float = 0.9
    warmup_fraction: float = 0.1
    label_smoothing: float = 0.0
    autocast: str | None = None
    crop_padding: int = 4
    flip: bool = True
    average_decay: float = 0.999
    seed: int = 0


@dataclass(frozen=True)
class ModelSpec:
    """A model by name: its data, preprocessing, architecture and recipe.

    `input_shape` is (channels, height, width); the input is (pixels / 255 - mean) / std, per channel.
    `excluded` names layers that are never quantized.
    """

    name: str
    title: str
    dataset: str
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    build: Callable[[], nn.Module]
    recipe: Recipe
    excluded: tuple[str, ...] = ()


cifar10_spec = partial(
    ModelSpec,
    dataset="cifar10",
    input_shape=(3, 32, 32),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
)
"""A model on CIFAR-10; mean and std are per channel, of the training images in [0, 1]."""
