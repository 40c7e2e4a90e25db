"""The models there are, by name."""

from aiq_core.errors import look_up
from aiq_core.runtime.models.digits_cnn import DIGITS_CNN
from aiq_core.runtime.models.heavy_early_resnet20 import HEAVY_EARLY_RESNET20
from aiq_core.runtime.models.mobilenet_v2 import MOBILENET_V2
from aiq_core.runtime.models.plain_convnet20 import PLAIN_CONVNET20
from aiq_core.runtime.models.resnet20 import RESNET20
from aiq_core.runtime.models.spec import ModelSpec, Recipe

MODELS: dict[str, ModelSpec] = {
    RESNET20.name: RESNET20,
    MOBILENET_V2.name: MOBILENET_V2,
    HEAVY_EARLY_RESNET20.name: HEAVY_EARLY_RESNET20,
    PLAIN_CONVNET20.name: PLAIN_CONVNET20,
    DIGITS_CNN.name: DIGITS_CNN,
}


def spec(name: str) -> ModelSpec:
    """The model of that name. Raises UnknownNameError."""
    return look_up("model", name, MODELS)
