"""Where integer kernels of older CPUs give wrong sums: products of two neighbours are added in 16 bits there.

`VPMADDUBSW` multiplies unsigned by signed bytes and adds pairs, saturating at 32,767 (Intel, Intrinsics Guide,
_mm256_maddubs_epi16). CPUs with VNNI or AMX, and ARM's dot products, add in 32 bits.
"""

from collections.abc import Iterable

import numpy as np

from aiq_core.catalog import Model
from aiq_core.export.onnx_writer import Rounded
from aiq_core.records import ModelProfile, Move, Policy, Site, SiteKind
from aiq_core.rounding import RoundedLayer

MOST = 2**15 - 1
UNSIGNED_MOST = 2**8 - 1
"""The largest integer that an activation is stored as, whatever its width: signed ones are stored around 128."""

SAFE_BITS = 7
"""Weights from -63 to 63: two products with 255 come to at most 32,130."""

SAFE_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


def adds_in_32_bits(flags: Iterable[str]) -> bool:
    """Whether a CPU of these flags adds products of bytes in 32 bits."""
    return any(flag in SAFE_FLAGS for flag in flags)


def can_saturate(layer: RoundedLayer) -> bool:
    """Whether two weights of one output channel, of equal sign, can exceed 16 bits with the largest activations."""
    rows = layer.integers.reshape(len(layer.integers), -1).astype(np.int32)
    if rows.shape[1] < 2:
        return False
    ordered = np.sort(rows, axis=1)
    most = max(int((ordered[:, -1] + ordered[:, -2]).max()), int(-(ordered[:, 0] + ordered[:, 1]).min()))
    return most * UNSIGNED_MOST > MOST


def saturating(model: Model, policy: Policy, integer: Iterable[str], rounded: Rounded) -> tuple[str, ...]:
    """Those of the `integer` layers of a policy whose sums can saturate on CPUs that add in 16 bits."""
    bits = model.profile.named_bits(policy)
    return tuple(name for name in integer if can_saturate(rounded(name, bits[name])))


def reduced(profile: ModelProfile, policy: Policy, layers: Iterable[str]) -> Policy:
    """The policy with the weights of `layers` at 7 bits, at which nothing saturates."""
    return profile.moved(policy, *(Move(Site(SiteKind.WEIGHTS, name), SAFE_BITS) for name in layers))
