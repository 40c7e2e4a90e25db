"""Bias correction: what rounding adds to a layer's mean output is taken off its bias (arXiv 1906.04721, 4.2)."""

from dataclasses import replace

import numpy as np

from aiq_core.folding import Folded
from aiq_core.rounding.layer import LayerStatistics, RoundedLayer


def corrected(rounded: RoundedLayer, layer: Folded, known: LayerStatistics) -> RoundedLayer:
    """The rounded layer with bias b - (rounded weights - weights) E[x], summed in float64."""
    error = known.grouped(rounded.weight) - known.grouped(layer.weight)
    shift = np.einsum("gok,gk->go", error, known.mean).ravel()
    return replace(rounded, bias=(layer.bias - shift).astype(np.float32))
