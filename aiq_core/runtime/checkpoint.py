"""A training's state on disk: written whole or not at all, and only resumed under the recipe that made it."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch

from aiq_core.errors import SettingError
from aiq_core.runtime.files import write_whole

CHECKPOINT = "checkpoint.pt"


class Checkpoint(TypedDict):
    """What a trajectory depends on after `epoch` epochs: state dicts and generator states."""

    epoch: int
    network: dict[str, Any]
    average: NotRequired[dict[str, Any]]
    optimizer: dict[str, Any]
    augmentation_random: torch.Tensor
    torch_random: torch.Tensor


def save_checkpoint(work: Path, recipe: Mapping[str, Any], state: Checkpoint) -> None:
    """Replace the checkpoint in `work`; a kill leaves the old one or the new one."""
    buffer = io.BytesIO()
    torch.save({"recipe": json.dumps(recipe), **state}, buffer)
    write_whole(work / CHECKPOINT, buffer.getvalue())


def load_checkpoint(work: Path, recipe: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint in `work`, or None. Raises SettingError for one of another recipe or an unreadable one."""
    path = work / CHECKPOINT
    if not path.is_file():
        return None
    try:
        # weights_only: tensors and plain containers, no code.
        saved = torch.load(path, map_location="cpu", weights_only=True)
        made_by = saved.pop("recipe")
    except Exception as error:  # whatever torch raises for a damaged file
        raise SettingError(f"{path} cannot be resumed ({type(error).__name__}); delete it to start anew") from None
    if made_by != json.dumps(recipe):
        raise SettingError(f"{path} was made by another recipe ({made_by}); delete it to start anew")
    state: Checkpoint = saved
    return state
