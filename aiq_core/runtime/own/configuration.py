"""A network from a configuration file of transformers: its architecture without weights, and what it reads.

Texts are token ids. To look a token up is no multiply-accumulate, so an embedding is no layer: it has no FLOPs and no
bits, and the paper's traffic model does not count it; by fused kernels it reads its ids and their rows, not the table.
"""

import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aiq_core.errors import AiqError, SettingError, UnknownNameError
from aiq_core.runtime.bare import bare
from aiq_core.runtime.own.network import closest

LONGEST = "max_position_embeddings"
IDS, PIXELS = "input_ids", "pixel_values"
REMEDY = "give the config.json that stands beside a model's weights, or the network itself: path/to/net.py:build"
WARNING = "warn_if_padding_and_no_attention_mask"
"""A method that looks at token ids, of which there are none, only to warn of them."""

HUB = ("attn_implementation", "_attn_implementation", "auto_map")
"""Settings that name code to fetch; the architecture's own code counts."""


@dataclass(frozen=True)
class Configured:
    """A network on the meta device; `shape` is that of one input: (tokens,) of int64, or (channels, height, width) of
    the weights' type, where `dtype` is None.
    """

    network: nn.Module
    shape: tuple[int, ...]
    dtype: torch.dtype | None
    said: str


def configured(file: Path, tokens: int | None, crop: Sequence[int] | None) -> Configured:
    """The network of a configuration file, built by the class that its `architectures` names; nothing is fetched.

    `tokens` says how long texts are, `crop` how large images, where the file does not. Raises SettingError.
    """
    with _offline() as transformers:
        document = _document(file)
        try:
            configuration = _configuration(document, transformers)
            kind = _kind(file, configuration, transformers)
            network = bare(lambda: kind(configuration))
            for part in network.modules():
                if hasattr(part, WARNING):
                    setattr(part, WARNING, _nothing)
        except AiqError:
            raise
        except Exception as error:  # whatever a constructor may raise, for settings that do not go together
            said = " ".join(str(error).split())[:200]
            raise SettingError(f"{file} builds no network ({type(error).__name__}: {said}); {REMEDY}") from None
    reads, name = network.main_input_name, kind.__name__
    if reads == IDS:
        length = _tokens(file, configuration, tokens)
        return Configured(network, (length,), torch.int64, f"{name} of transformers, on a text of {length:,} tokens")
    if reads != PIXELS:
        raise SettingError(f"{file}: {name} reads {reads}; only networks of texts and of images are counted")
    if tokens is not None:
        raise SettingError(f"tokens={tokens}: {name} reads images; leave --tokens out, --crop gives their size")
    shape = (int(getattr(configuration, "num_channels", 3)), *_size(file, configuration, crop))
    said = f"{name} of transformers, on images of {' × '.join(map(str, shape))}"
    return Configured(network, shape, None, said)


def _nothing(*_: Any) -> None:
    """Warns of nothing."""


@contextmanager
def _offline() -> Iterator[Any]:
    """The package, which asks its hub nothing meanwhile. Raises SettingError where it is not installed."""
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        raise SettingError(
            "transformers is not installed; install it by `.venv/bin/python -m pip install transformers`, or give "
            "another network"
        ) from None
    hub: Any = importlib.import_module("huggingface_hub.constants")
    before, hub.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE, True
    try:
        yield transformers
    finally:
        hub.HF_HUB_OFFLINE = before


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(f"{file} cannot be read as JSON ({error}); {REMEDY}") from None
    if not isinstance(document, dict) or not isinstance(document.get("model_type"), str):
        raise SettingError(f"{file} names no model_type, so it is no configuration of transformers'; {REMEDY}")
    return document


def _configuration(document: dict[str, Any], transformers: Any) -> Any:
    named, known = document["model_type"], transformers.CONFIG_MAPPING
    if named not in known:
        raise UnknownNameError("model_type of transformers", named, closest(named, list(known.keys())))
    settings = {name: value for name, value in document.items() if name not in HUB}
    # Without what is kept for a text's next token; a backbone of another package's without its weights.
    settings |= {"use_cache": False} | ({"use_pretrained_backbone": False} if "backbone" in settings else {})
    return known[named].from_dict(settings)


def _kind(file: Path, configuration: Any, transformers: Any) -> Any:
    """The class that builds it: the first of `architectures`, else the usual one without a head."""
    named = next(iter(configuration.architectures or ()), None)
    if named is None:
        try:
            return transformers.MODEL_MAPPING[type(configuration)]
        except KeyError:
            raise SettingError(
                f"{file} names no architectures, and {configuration.model_type} has no usual one"
            ) from None
    kind = getattr(transformers, str(named), None)
    if not isinstance(kind, type) or not issubclass(kind, transformers.PreTrainedModel):
        raise SettingError(
            f"{file}: architectures={named!r} is none of transformers' own, and code of others is not run; name one of "
            f"its classes for {configuration.model_type}"
        )
    return kind


def _tokens(file: Path, configuration: Any, tokens: int | None) -> int:
    most = max(0, getattr(configuration, LONGEST, None) or 0)  # -1 and the like stand for none
    limit = "1 or more" if not most else f"1 to {most:,}, its {LONGEST}"
    if tokens is None:
        raise SettingError(f"{file} reads texts; give their length in tokens by --tokens, {limit}")
    if tokens < 1 or 0 < most < tokens:
        raise SettingError(f"tokens={tokens} is not offered for {file}; give {limit}")
    return tokens


def _size(file: Path, configuration: Any, crop: Sequence[int] | None) -> tuple[int, int]:
    size = crop or getattr(configuration, "image_size", None)
    if size is None:
        raise SettingError(f"{file} says nothing of its images; give the size of its images by --crop")
    height, width = (size, size) if isinstance(size, int) else (*size, *size)[:2]
    return int(height), int(width)
