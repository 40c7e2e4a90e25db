"""What a model's file needs beside its graph: shapes, the axis of images, and tensors that the forward brings along."""

from functools import lru_cache

from torch import Tensor

from aiq_core.catalog import Model
from aiq_core.export.onnx_writer import Recorded
from aiq_core.export.operators import RECORDED
from aiq_core.runtime.folded import module_of
from aiq_core.runtime.trace import trace

MODELS = 4


@lru_cache(MODELS)
def recorded(model: Model) -> Recorded:
    """As its network does with one image and with two; nothing where its graph says enough."""
    if not any(operation.operator in RECORDED for operation in model.profile.graph):
        return Recorded()
    module, card = module_of(model), model.card
    one, two = (trace(module, model.name, card.input_shape, images, card.result) for images in (1, 2))
    doubled = dict(zip(one.nodes.nodes, two.nodes.nodes, strict=True))
    shapes, batch, constants = {}, {}, {}
    for place, node in enumerate(one.results):
        value = node.meta.get("value")
        if isinstance(value, Tensor):
            shapes[place] = tuple(value.shape)
            sizes = zip(value.shape, doubled[node].meta["value"].shape, strict=True)
            axes = [axis for axis, (size, twice) in enumerate(sizes) if size != twice]
            if axes:
                batch[place] = axes[0]
        if str(node.target) in one.constants:
            constants[place] = one.constants[str(node.target)].detach().numpy()
    return Recorded(shapes, constants, batch)
