"""What runs a network on this machine."""

from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version


class Engine(StrEnum):
    """PyTorch as it is used in training, and two runtimes made for inference, which run ONNX models."""

    EAGER = "eager"
    CHANNELS_LAST = "eager-channels-last"
    ONNX_RUNTIME = "onnxruntime"
    OPENVINO = "openvino"

    @property
    def words(self) -> str:
        """As people read it."""
        return _WORDS[self]

    @property
    def package(self) -> str:
        """What it needs installed, by its name for pip."""
        return "torch" if self in (Engine.EAGER, Engine.CHANNELS_LAST) else str(self)


_WORDS = {
    Engine.EAGER: "PyTorch eager",
    Engine.CHANNELS_LAST: "PyTorch eager, channels last",
    Engine.ONNX_RUNTIME: "ONNX Runtime",
    Engine.OPENVINO: "OpenVINO",
}

RUNTIMES = (Engine.ONNX_RUNTIME, Engine.OPENVINO)
"""Those that run ONNX models."""


def installed(engine: Engine) -> str | None:
    """The version of what an engine needs, None where it is not installed."""
    try:
        return version(engine.package)
    except PackageNotFoundError:
        return None


def remedy(engine: Engine) -> str:
    """What to do about an engine that is not installed."""
    return f"not installed; pip install {engine.package}"
