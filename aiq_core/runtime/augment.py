"""Random crops and flips of a batch."""

import torch
from torch import Tensor
from torch.nn import functional

CROP_GROUPS = 8
"""Parts of a batch that share a crop: far cheaper than one crop an image, and as good here."""


def augment(inputs: Tensor, padding: int, flip: bool, random: torch.Generator) -> Tensor:
    """Reflect-pad and crop (one offset per eighth of a batch), and flip each image or not. float[n, C, H, W]."""
    height, width = inputs.shape[2:]
    padded = functional.pad(inputs, (padding,) * 4, mode="reflect")
    output = torch.empty_like(inputs)
    size = -(-len(inputs) // CROP_GROUPS)
    for start in range(0, len(inputs), size):
        top, left = torch.randint(2 * padding + 1, (2,), generator=random).tolist()
        output[start : start + size] = padded[start : start + size, :, top : top + height, left : left + width]
    if flip:
        flipped = torch.rand(len(inputs), generator=random) < 0.5
        output[flipped] = output[flipped].flip(3)
    return output
