"""How each operation of a network's graph is written in ONNX: what it is called there, and what its arguments become.

Each form adds the nodes of one operation and names what it gives; those named alike in both stand in tables. What has
no form is refused by name, so that no file computes anything else than the network.
"""

from collections.abc import Mapping

from aiq_core.export.operators.form import INPUT as INPUT
from aiq_core.export.operators.form import OUTPUT as OUTPUT
from aiq_core.export.operators.form import Form
from aiq_core.export.operators.functions import FUNCTIONS
from aiq_core.export.operators.layers import LAYERS
from aiq_core.export.operators.tensors import TENSORS

FORMS: Mapping[str, Form] = {**LAYERS, **FUNCTIONS, **TENSORS}
"""Operator of `aiq_core.graph` -> how it is written."""

RECORDED = frozenset(
    (
        *("constant", "reshape", "expand", "permute", "part", "roll", "attention"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
    )
)
"""Operations by which a network says that its file needs what was recorded of it."""
