"""What a batch needs of memory, estimated before it is run."""

from aiq_core.errors import SettingError
from aiq_core.records import ModelProfile
from aiq_core.wording import size

HELD = 4
"""Times a layer's input and output, where they are largest, that a model needs at its peak. Of MobileNetV2 and
ResNet-20 at a batch of 512 it was 2.2 to 3.5 in PyTorch, 1.6 to 3.1 in ONNX Runtime and 1.0 to 2.1 in OpenVINO."""

SHARE = 0.8
"""Of the memory that is free now, what a batch may take."""


def needed_bytes(profile: ModelProfile, batch: int, cells: int) -> int:
    """Bytes for a batch in so many open models at once: their activations, and FP32 weights twice each."""
    widest = max(layer.input_elements + layer.output_elements for layer in profile.layers)
    weights = sum(layer.weights for layer in profile.layers)
    return 4 * cells * (HELD * widest * batch + 2 * weights)


def check_batch(profile: ModelProfile, batch: int, cells: int, available: int) -> None:
    """Raises SettingError for a batch that is none, or needs more memory than is free."""
    if batch < 1:
        raise SettingError(f"batch={batch} is not offered; choose 1 or more")
    needed, limit = needed_bytes(profile, batch, cells), int(SHARE * available)
    if needed > limit:
        largest = max(1, batch * limit // needed)
        raise SettingError(
            f"batch={batch:,} of {profile.model} needs about {size(needed)} for {cells} models at once, and "
            f"{size(limit)} of memory may be used here; choose a batch of at most {largest:,}, or fewer engines"
        )
