"""Policies as files: integers exactly ours, predictions the simulation's, and packed widths."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from aiq_core.errors import DataError, UncountableOperatorError
from aiq_core.export.onnx_model import INPUT, export
from aiq_core.export.packed import pack, packed_model, unpack, unpacked_integers
from aiq_core.graph import Operation
from aiq_core.records import ImageSet, Policy, SplitName
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.data import to_input
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.export import as_input, exported, integers_of, packed
from aiq_core.runtime.models import spec
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.runtime.weights import network_with
from aiq_core.space import JOINT
from tests import bundled

MODEL = bundled.model("digits_cnn")
HOW = JOINT.quantizer(MODEL.dataset)
ROUNDED = RoundedLayers(MODEL, HOW)
RANGES = calibration(MODEL, HOW.activations)
IMAGES = MODEL.dataset.report.images(500)


def ran(content: bytes, optimised: bool = True) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {INPUT: as_input(IMAGES)})[0]


def simulated(policy: Policy) -> np.ndarray:
    return TorchEvaluator(MODEL, ImageSet(SplitName.REPORT, 500), HOW, threads=1).logits(policy, policy)


@pytest.mark.parametrize("bits", [(32, 32), (8, 32), (3, 32)])
def test_weights_alone_give_the_simulations_logits(bits: tuple[int, int]) -> None:
    policy = MODEL.profile.uniform(*bits)
    made = export(MODEL, policy, ROUNDED, None)
    assert made.integer == ()
    assert np.abs(ran(made.save()) - simulated(policy)).max() < 1e-3


@pytest.mark.parametrize("bits", [(8, 8), (4, 8), (4, 6)])
def test_activations_too_give_its_predictions(bits: tuple[int, int]) -> None:
    policy = MODEL.profile.uniform(*bits)
    made = export(MODEL, policy, ROUNDED, RANGES)
    # All layers but the first, which reads the normalised image.
    assert made.integer == MODEL.profile.quantizable_names[1:]
    for name, integers in integers_of(made.proto).items():
        assert np.array_equal(integers, ROUNDED(name, bits[0]).integers)
    right = simulated(policy).argmax(axis=1)
    assert (ran(made.save(), optimised=False).argmax(axis=1) == right).mean() >= 0.995


def test_a_corner_pixel_meets_padding_as_in_the_network() -> None:
    """Zeros of the normalised image pad it, the mean pixel, and not black."""
    corner = np.zeros((1, *IMAGES.shape[1:]), np.uint8)
    corner[0, 0, 0] = 255
    network = network_with(spec(MODEL.name), MODEL.weights, str(MODEL.folder)).eval()
    with torch.inference_mode():
        meant = network(to_input(corner, MODEL.card.mean, MODEL.card.std)).numpy()
    content = export(MODEL, MODEL.profile.uniform(32), ROUNDED, None).save()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert np.abs(session.run(None, {INPUT: as_input(corner)})[0] - meant).max() < 1e-4
    # With bits for activations too, what reads the image stays FP32, so it is padded alike.
    nodes = export(MODEL, MODEL.profile.uniform(8, 8), ROUNDED, RANGES).proto.graph.node
    (first,) = (node for node in nodes if node.name == MODEL.profile.layers[0].name)
    assert list(first.input) == ["image.normalised", f"{first.name}.weight", f"{first.name}.bias"]


def test_biases_are_integers_at_the_product_of_scales() -> None:
    made = export(MODEL, MODEL.profile.uniform(8, 8), ROUNDED, RANGES)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.proto.graph.initializer}
    for name in made.integer:
        counts, steps = tensors[f"{name}.bias.integers"], tensors[f"{name}.bias.scale"]
        assert counts.dtype == np.int32
        assert np.abs(counts * steps.astype(np.float64) - ROUNDED(name, 8).bias).max() <= 0.51 * steps.max()


def test_what_is_beyond_the_grid_is_clipped_among_eight_bit_integers() -> None:
    made = export(MODEL, MODEL.profile.uniform(8, 4), ROUNDED, RANGES)
    clipped = [node for node in made.proto.graph.node if node.name.endswith(".clipped")]
    stored = [place for place, step in enumerate(MODEL.profile.graph) if step.operator != "image"]
    assert len(clipped) == sum(place in MODEL.profile.stored_tensors for place in stored)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.proto.graph.initializer}
    for node in clipped:
        name = node.name.removesuffix(".clipped")
        zero, ends = tensors[f"{name}.zero"], (tensors[f"{name}.low"], tensors[f"{name}.high"])
        # 2⁴ − 1, or 2³ − 1 on both sides of what stands for 0.
        assert ends == ((0, 15) if zero == 0 else (121, 135))


@pytest.mark.parametrize(("name", "bits"), [("digits_cnn", 8), ("mobilenet_v2", 8), ("mobilenet_v2", 6)])
def test_every_layer_but_the_first_becomes_an_integer_kernel(name: str, bits: int, tmp_path: Path) -> None:
    """ReLU6 too stands in no kernel's way, nor do signed tensors, nor what clips them to 6 bits."""
    model = bundled.model(name)
    how = JOINT.quantizer(model.dataset)
    assert how.activations
    made = export(
        model, model.profile.uniform(bits, bits), RoundedLayers(model, how), calibration(model, how.activations)
    )
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimised.onnx"), 3
    onnxruntime.InferenceSession(made.save(), options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    layers = Counter(str(layer.kind) for layer in model.profile.layers[1:])
    assert (kinds["QLinearConv"], kinds["QGemm"]) == (layers["conv2d"], layers["linear"])
    assert kinds["Conv"] == 1


def test_an_operator_without_a_form_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = (*MODEL.profile.graph[:-1], Operation("nonzero", (0,)), MODEL.profile.graph[-1])
    monkeypatch.setitem(MODEL.profile.__dict__, "graph", graph)
    with pytest.raises(
        UncountableOperatorError, match="nonzero of digits_cnn is in no table of .*: it has no form in ONNX here"
    ):
        export(MODEL, MODEL.profile.uniform(32), ROUNDED, None)


def test_four_bits_put_the_first_integer_in_the_low_nibble() -> None:
    """1, −2 | 7, −8 | 3: E1, 87, 03, and the last high nibble is 0."""
    integers = np.array([1, -2, 7, -8, 3], np.int8)
    assert pack(integers, 4).tolist() == [0xE1, 0x87, 0x03]
    assert unpack(pack(integers, 4), 4, 5).tolist() == [1, -2, 7, -8, 3]


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_every_width_is_read_back(bits: int) -> None:
    integers = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 101).astype(np.int8)
    content = pack(integers, bits)
    assert len(content) == -(-101 * bits // 8)
    assert np.array_equal(unpack(content, bits, 101), integers)
    with pytest.raises(DataError, match="bytes do not hold 102 integers"):
        unpack(content[:-1], bits, 102)


def test_a_packed_policy_holds_its_integers() -> None:
    policy = MODEL.profile.policy({"block1.conv": 3, "linear": 5})
    found = unpacked_integers(packed_model(MODEL, policy, ROUNDED))
    assert set(found) == {"block1.conv", "linear"}
    assert np.array_equal(found["linear"], ROUNDED("linear", 5).integers)
    with pytest.raises(DataError, match="this is no packed policy"):
        unpacked_integers(b"PK\x03\x04 something else")


def test_files_are_written_and_checked(tmp_path: Path) -> None:
    policy = MODEL.profile.uniform(8, 8)
    found = exported(MODEL, policy, HOW, tmp_path / "model.onnx")
    assert found["bytes"] == (tmp_path / "model.onnx").stat().st_size
    assert found["report_images"] == 500
    assert abs(found["report_top1_percent"] - found["simulated_top1_percent"]) <= 0.3
    assert found["agreement_percent"] >= 99.5
    whole = packed(MODEL, MODEL.profile.uniform(8), HOW, tmp_path / "8.aiq")["bytes"]
    assert packed(MODEL, MODEL.profile.uniform(2), HOW, tmp_path / "2.aiq")["bytes"] < whole / 2


def test_a_file_for_cpus_that_saturate_is_another_policy(tmp_path: Path) -> None:
    policy = MODEL.profile.uniform(8, 8)
    plain = exported(MODEL, policy, HOW, tmp_path / "8.onnx", check=False)
    safe = exported(MODEL, policy, HOW, tmp_path / "7.onnx", check=False, reduce_range=True)
    assert plain["policy_key"] == policy.key
    assert any("--reduce-range" in line for line in plain["said"])
    narrow = MODEL.profile.named_bits(Policy.from_key(safe["policy_key"]))
    assert {name for name, bits in narrow.items() if bits == 7} == set(plain["saturating_layers"])
    assert plain["saturating_layers"]
