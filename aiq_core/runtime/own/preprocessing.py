"""How somebody's images become what a network reads: opened, resized, cropped once, then normalised."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiq_core.errors import DataError, SettingError

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
DEEP = ("I", "I;16", "I;16B", "I;16L")
DEEP_STEP = 257
"""A picture of 16 bits runs to 65,535, 257 times what one of 8 bits runs to."""
WHITE = 255
LARGEST = 4_096
"""Pixels of a side that images are resized or cropped to."""


@dataclass(frozen=True)
class Preprocessing:
    """`resize` is the shorter side, or (height, width); `crop` a square's side or (height, width) in the middle.

    The network reads ((low + (high - low) · pixel / 255) - mean) / std a channel, for `range` = (low, high); arrays of
    floats hold values of that range. What is transparent is laid on `background`, 0 to 255. Without mean and std, the
    values stay in their range.
    """

    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
    interpolation: str = "bilinear"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    range: tuple[float, float] = (0.0, 1.0)
    background: int = WHITE

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise SettingError(
                f"interpolation={self.interpolation!r} is not offered; choose from {', '.join(INTERPOLATIONS)}"
            )
        for name in ("resize", "crop"):
            sizes = getattr(self, name)
            if sizes is not None and (len(sizes) not in (1, 2) or min(sizes) < 1 or max(sizes) > LARGEST):
                raise SettingError(
                    f"{name}={list(sizes)} is not offered; give one number, or height and width, of 1 to {LARGEST:,}"
                )
        for name in ("mean", "std", "range"):
            if not all(map(isfinite, getattr(self, name) or ())):
                raise SettingError(f"{name}={list(getattr(self, name))} is not finite; give plain numbers")
        if not self.range[0] < self.range[1]:
            raise SettingError(f"range={list(self.range)} is empty; give the lower end first, such as 0,1 or -1,1")
        if (self.mean is None) != (self.std is None):
            raise SettingError("mean and std go together; give both, or neither")
        if self.std is not None and min(self.std) <= 0:
            raise SettingError(f"std={list(self.std)} has {min(self.std)}; it divides, so give numbers above 0")
        if not 0 <= self.background <= WHITE:
            raise SettingError(f"background={self.background} is not offered; choose 0 to {WHITE}")

    def of_pixels(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of pixels / 255, a channel. Raises SettingError for another number of channels."""
        low, high = self.range
        mean, std = self.mean or (0.0,) * channels, self.std or (1.0,) * channels
        if len(mean) == len(std) == 1:
            mean, std = mean * channels, std * channels
        if (len(mean), len(std)) != (channels, channels):
            raise SettingError(
                f"mean has {len(mean)} numbers and std {len(std)}, images have {channels} channels; give one a channel"
            )
        span = high - low
        return tuple((each - low) / span for each in mean), tuple(each / span for each in std)

    @property
    def said(self) -> str:
        """The rule in words."""
        steps = []
        if self.resize is not None:
            side = "shorter side to" if len(self.resize) == 1 else "to"
            steps.append(f"resized, {side} {' x '.join(map(str, self.resize))}, {self.interpolation} with antialiasing")
        if self.crop is not None:
            steps.append(f"cropped in the middle to {' x '.join(map(str, self.crop * (3 - len(self.crop))))}")
        return ", ".join(steps) or "images as they are"

    def image(self, picture: Image.Image, channels: int) -> NDArray[np.uint8]:
        """A picture as uint8[height, width, channels], 1 or 3 of these. Raises DataError for one below the crop."""
        from torchvision.transforms import functional

        picture = flat(picture, channels, self.background)
        if self.resize is not None:
            picture = functional.resize(picture, list(self.resize), _mode(self.interpolation))
        if self.crop is not None:
            height, width = self.crop * (3 - len(self.crop))
            if picture.height < height or picture.width < width:
                size = f"{picture.height} x {picture.width}"
                raise DataError(f"it is {size} pixels, too few for --crop {height},{width}: give --resize")
            picture = functional.center_crop(picture, [height, width])
        return np.asarray(picture, dtype=np.uint8).reshape(picture.height, picture.width, channels)


def _mode(name: str) -> Any:
    from torchvision.transforms import InterpolationMode

    return InterpolationMode(name)


def flat(picture: Image.Image, channels: int, background: int = WHITE) -> Image.Image:
    """A picture in grey or RGB: 16 bits become 8, what is transparent lies on `background`."""
    if picture.mode in DEEP:
        values = np.asarray(picture, dtype=np.float64) / DEEP_STEP
        picture = Image.fromarray(np.clip(values.round(), 0, WHITE).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        below = Image.new("RGBA", layered.size, (background,) * 3 + (WHITE,))
        picture = Image.alpha_composite(below, layered)
    return picture.convert("L" if channels == 1 else "RGB")


def parse(document: Mapping[str, Any]) -> Preprocessing:
    """What a file or a form says. Raises SettingError for a setting that is none, or no number."""
    names = [field.name for field in fields(Preprocessing)]
    for name in document:
        if name not in names:
            raise SettingError(f"preprocessing has no {name!r}; choose from {', '.join(names)}")
    found: dict[str, Any] = {}
    for name, value in document.items():
        try:
            if name in ("interpolation", "background"):
                found[name] = str(value) if name == "interpolation" else _whole(value)
            else:
                kind = _whole if name in ("resize", "crop") else float
                found[name] = tuple(kind(each) for each in (value if isinstance(value, Sequence) else [value]))
        except (TypeError, ValueError, OverflowError):
            kind_of = "whole numbers" if name in ("resize", "crop", "background") else "numbers"
            raise SettingError(f"{name}={value!r} cannot be read; give {kind_of}") from None
    if len(found.get("range", (0, 1))) != 2:
        raise SettingError(f"range={list(found['range'])} is not offered; give two numbers, such as 0,1")
    return Preprocessing(**found)


def _whole(value: Any) -> int:
    if int(value) != float(value):
        raise ValueError(value)
    return int(value)


def read_preprocessing(path: Path) -> Preprocessing:
    """The preprocessing in a TOML or JSON file. Raises SettingError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingError(f"{path} cannot be read as preprocessing ({why}); write TOML or JSON") from None
    if not isinstance(document, dict):
        raise SettingError(f"{path} holds no settings; write lines like mean = [0.5, 0.5, 0.5]")
    return parse(document)


def with_flags(base: Preprocessing, flags: Mapping[str, Any]) -> Preprocessing:
    """What was given one by one goes before what a file says."""
    given = parse({name: value for name, value in flags.items() if value is not None})
    return replace(base, **{name: getattr(given, name) for name, value in flags.items() if value is not None})


def document_of(preprocessing: Preprocessing) -> dict[str, Any]:
    """A JSON-ready document that `parse` reads back."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(preprocessing).items()
        if value is not None
    }


def from_torchvision(transforms: Any) -> Preprocessing:
    """What torchvision's own weights come with."""
    return Preprocessing(
        tuple(transforms.resize_size),
        tuple(transforms.crop_size),
        transforms.interpolation.value,
        tuple(transforms.mean),
        tuple(transforms.std),
    )


def from_timm(network: Any) -> Preprocessing:
    """What timm's own weights come with."""
    import importlib

    data: Any = importlib.import_module("timm.data")
    how = data.resolve_data_config({}, model=network)
    _, height, width = how["input_size"]
    resize = (int(min(height, width) / how["crop_pct"]),)
    name = how["interpolation"]
    return Preprocessing(
        resize, (height, width), name if name in INTERPOLATIONS else "bicubic", tuple(how["mean"]), tuple(how["std"])
    )
