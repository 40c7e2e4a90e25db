"""The weights that torchvision or timm offer for an architecture, and how their images are prepared."""

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from aiq_core.errors import WeightsError
from aiq_core.runtime.own.network import TIMM, Source, timm_package, without_pickles
from aiq_core.runtime.own.preprocessing import Preprocessing, from_timm, from_torchvision

LONGEST = 200
"""Characters of what torch or timm say went wrong."""

HALVES = ("googlenet", "inception_v3")
"""Those whose weights come with a forward that normalises once more: ImageNet's mean and deviation, then halves. Ours
only has the halves, which amounts to the same.
"""


def state_of(source: Source) -> dict[str, Tensor]:
    """The weights, from the cache of torch or timm, or the network. Raises WeightsError where they cannot be had."""
    # What they print of fetching is no part of a result; what was put into a cache by hand may be any file.
    with redirect_stdout(sys.stderr), without_pickles():
        try:
            made = _timms(source) if source.kind == TIMM else _torchvisions(source)
            state: dict[str, Tensor] = made.state_dict()
        except Exception as error:  # no network, a wrong hash, no such weights
            said = shorten(str(error).partition(". ")[0], LONGEST, placeholder=" …")
            cache = "" if source.kind == TIMM else f"put its file into {torch.hub.get_dir()}/checkpoints, or "
            raise WeightsError(
                f"{source.kind}'s own weights of {source.architecture} cannot be had ({type(error).__name__}: {said}); "
                f"connect to the network, or {cache}give --weights FILE, or --weights random"
            ) from None
    return state


def _torchvisions(source: Source) -> Any:
    """Made by torchvision, which knows what tensors were called when they were trained."""
    import torchvision

    extra = {"aux_logits": True} if source.architecture == "googlenet" else {}
    return torchvision.models.get_model(source.architecture, weights="DEFAULT", progress=False, **extra)


def _timms(source: Source) -> Any:
    return timm_package().create_model(source.architecture, pretrained=True)


def preprocessing_of(source: Source, module: Any) -> tuple[Preprocessing, tuple[str, ...] | None]:
    """How images are prepared for these weights, and the classes they tell apart, where that is known."""
    if source.kind == TIMM:
        return from_timm(module), None
    import torchvision

    weights = torchvision.models.get_model_weights(source.architecture).DEFAULT
    found = from_torchvision(weights.transforms())
    if source.architecture in HALVES:
        found = replace(found, mean=(0.5,) * 3, std=(0.5,) * 3)
    return found, tuple(weights.meta["categories"])
