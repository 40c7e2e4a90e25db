"""Sums of bytes in 16 bits: the instruction spelled out, which layers it can spoil, and the way around it."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from aiq_core.export.onnx_model import export
from aiq_core.export.saturation import adds_in_32_bits, can_saturate, reduced, saturating
from aiq_core.rounding import RoundedLayer
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.cpu import cpu_flags
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.space import JOINT
from tests import bundled


def vpmaddubsw(activations: list[int], weights: list[int]) -> list[int]:
    """Pairs of products, each added in 16 bits with saturation."""
    products = np.array(activations, np.int32) * np.array(weights, np.int32)
    return np.clip(products.reshape(-1, 2).sum(axis=1), -(2**15), 2**15 - 1).tolist()


def layer(*rows: list[int]) -> RoundedLayer:
    integers = np.array(rows, np.int8)
    return RoundedLayer(integers, np.ones((len(rows), 1), np.float32), np.zeros(len(rows), np.float32))


@pytest.mark.parametrize(
    ("weights", "right", "spoilt"),
    [
        ([127, 127], 255 * 254, True),  # 64,770 becomes 32,767
        ([64, 64], 32640, False),
        ([64, 65], 32895, True),
        ([127, 2], 32895, True),  # 255 · 127 + 255 · 2
        ([127, -127], 0, False),
        ([-65, -64], -32895, True),
        ([63, 63], 32130, False),  # the most of 7 bits
    ],
)
def test_two_products_of_the_largest_activation(weights: list[int], right: int, spoilt: bool) -> None:
    (found,) = vpmaddubsw([255, 255], weights)
    assert (found != right) is spoilt
    assert can_saturate(layer([1, 2], weights)) is spoilt


def test_this_cpu_adds_them_as_its_flags_say() -> None:
    """In ONNX Runtime, whose kernels the files are for: 32,895, or on CPUs without VNNI perhaps 32,767."""
    tensors = [numpy_helper.from_array(np.array([[127], [2], [0]] * 8, np.int8), "w")]
    values = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, [4, 24]),
        helper.make_tensor_value_info("y", TensorProto.INT32, [4, 1]),
    ]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])], "sum", values[:1], values[1:], tensors
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    row = [255, 255, 1] + [0] * 21
    (found,) = session.run(None, {"x": np.array([row] * 4, np.uint8)})
    right = {32895} if adds_in_32_bits(cpu_flags()) else {32895, 32767}
    assert set(found.ravel().tolist()) <= right


def test_one_weight_a_channel_has_no_pair() -> None:
    assert not can_saturate(layer([127], [-127]))


def test_saturating_layers_get_seven_bits_and_no_other() -> None:
    model = bundled.model("digits_cnn")
    how = JOINT.quantizer(model.dataset)
    assert how.activations
    rounded, ranges = RoundedLayers(model, how), calibration(model, how.activations)
    policy = model.profile.moved(model.profile.uniform(8, 8))
    made = export(model, policy, rounded, ranges)
    layers = saturating(model, policy, made.integer, rounded)
    assert layers  # the widest integer of a channel is 127, and another comes near it
    safe = reduced(model.profile, policy, layers)
    bits = model.profile.named_bits(safe)
    assert {name for name, width in bits.items() if width == 7} == set(layers)
    assert saturating(model, safe, export(model, safe, rounded, ranges).integer, rounded) == ()


def test_which_cpus_add_in_32_bits() -> None:
    assert adds_in_32_bits(("avx2", "avx_vnni"))
    assert not adds_in_32_bits(("avx2", "avx512f"))
