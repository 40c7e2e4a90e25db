"""Writing a variant as a file that is then offered: an ONNX model, or packed storage."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiq_core.catalog import Model, data_dir
from aiq_core.deployment.variant import Variant
from aiq_core.library import Library


class Format(StrEnum):
    """What a policy can be written as."""

    ONNX = "onnx"
    PACKED = "packed"

    @property
    def suffix(self) -> str:
        """The end of a file's name."""
        return "onnx" if self is Format.ONNX else "aiq"


def path(model: Model, variant: Variant, form: Format) -> Path:
    """Where the file is written to: named by all that it depends on."""
    return data_dir() / "exports" / f"{model.name}-{model.hash[:8]}-{variant.key}.{form.suffix}"


def settings(model: Model, variant: Variant, form: Format) -> dict[str, Any]:
    """What a task is given."""
    return {"model": model.name, "variant": variant.to_json(), "format": str(form)}


def work(library: Library, settings: Mapping[str, Any], say: Callable[[float, str], None]) -> Mapping[str, Any]:
    """Writes the file and checks it against the simulation; what is said of it."""
    from aiq_core.runtime.export import exported, packed

    model, variant = library.model(settings["model"]), Variant.from_json(settings["variant"])
    form = Format(settings["format"])
    target = path(model, variant, form)
    target.parent.mkdir(parents=True, exist_ok=True)
    say(0.1, f"writing {variant.title} of {model.title} and checking it on report images")
    make = exported if form is Format.ONNX else packed
    return make(model, variant.policy, variant.quantizer, target)
