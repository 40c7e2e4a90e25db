"""Packed storage: weights at their own widths, no padding between them; it is read back, not run.

A safetensors file. A quantized layer has `NAME.packed` (uint8: two's complement, `bits` each, the first in the lowest
bits, so at 4 bits the low nibble first; the last byte is filled up with zeros), `NAME.scale` (float32) and `NAME.bias`;
another one has `NAME.weight` and `NAME.bias`. Its metadata hold the policy's key, the model's hash and the shapes.
"""

import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from aiq_core.catalog import Model
from aiq_core.errors import DataError
from aiq_core.records import FP32_BITS, Policy
from aiq_core.rounding import RoundedLayer


def pack(integers: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """Integers of `bits` bits one after another, the first in the lowest bits; uint8[ceil(count x bits / 8)]."""
    low = np.unpackbits(integers.astype(np.int8).view(np.uint8).reshape(-1, 1), axis=1, bitorder="little")[:, :bits]
    return np.packbits(low.reshape(-1), bitorder="little")


def unpack(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int8]:
    """What `pack` packed, the sign extended; int8[count]. Raises DataError for too few bytes."""
    if len(packed) != -(-count * bits // 8):
        raise DataError(f"{len(packed)} bytes do not hold {count} integers of {bits} bits; export the policy again")
    low = np.unpackbits(packed, bitorder="little")[: count * bits].reshape(count, bits)
    weights = 2 ** np.arange(bits)
    weights[-1] *= -1
    return np.asarray(low @ weights, dtype=np.int8)


def packed_model(model: Model, policy: Policy, rounded: Callable[[str, int], RoundedLayer]) -> bytes:
    """A policy's weights, scales and biases as a file."""
    model.profile.check(policy)
    tensors: dict[str, NDArray[np.generic]] = {}
    shapes: dict[str, list[int]] = {}
    bits = model.profile.named_bits(policy)
    for name, folded in model.folded.items():
        width = bits.get(name, FP32_BITS)
        if width == FP32_BITS:
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = folded.weight, folded.bias
            continue
        layer = rounded(name, width)
        shapes[name] = [width, *layer.integers.shape]
        tensors[f"{name}.packed"] = pack(layer.integers, width)
        tensors[f"{name}.scale"], tensors[f"{name}.bias"] = layer.scale.reshape(-1), layer.bias
    metadata = {"model": model.name, "model_hash": model.hash, "policy": policy.key, "shapes": json.dumps(shapes)}
    content: bytes = save({name: np.ascontiguousarray(value) for name, value in tensors.items()}, metadata)
    return content


def unpacked_integers(content: bytes) -> dict[str, NDArray[np.int8]]:
    """Layer -> the integers in a packed file, in its shape. Raises DataError for a file of another kind."""
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        shapes = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["shapes"])
    except Exception as error:
        raise DataError(f"this is no packed policy ({error}); export it again") from None
    return {
        name: unpack(tensors[f"{name}.packed"], bits, int(np.prod(shape))).reshape(shape)
        for name, (bits, *shape) in shapes.items()
    }
