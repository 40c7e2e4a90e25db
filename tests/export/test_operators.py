"""Operations of other networks as ONNX: what a file gives is what the network gives, whatever the number of images."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from aiq_core.deployment.engine import RUNTIMES
from aiq_core.errors import UncountableOperatorError
from aiq_core.export.onnx_model import INPUT, export
from aiq_core.export.pieces import FP32, INT8, Pieces
from aiq_core.folding import fold
from aiq_core.records import ImageSet, Quantizer, SplitName
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.deployment.engines import opened
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.export import as_input
from aiq_core.runtime.own.asked import Asked
from aiq_core.runtime.own.dry_run import dry_run
from aiq_core.runtime.profile import profile
from aiq_core.runtime.recorded import recorded
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.space import JOINT
from tests import bundled
from tests.networks import Lambda

NETWORKS = Path(__file__).parents[1] / "own" / "networks"


@pytest.mark.parametrize("name", ["gates", "shuffled", "windows"])
def test_other_operations_give_what_the_network_gives(name: str, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (33, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(33) % 5)
    found = dry_run(
        Asked(name, f"{NETWORKS}/forms.py:{name}", "default", str(tmp_path / "images.npz")), tmp_path / "own"
    )
    model = found.model
    assert model is not None
    how = JOINT.quantizer(model.dataset)
    assert how.activations is not None
    rounded, ranges = RoundedLayers(model, how), calibration(model, how.activations)
    pixels = model.dataset.report.images(15)
    for bits in ((32, 32), (4, 32), (8, 8)):
        policy = model.profile.uniform(*bits)
        made = export(model, policy, rounded, ranges, recorded(model))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(made.save(), options, providers=["CPUExecutionProvider"])
        logits = np.concatenate(
            [session.run(None, {INPUT: as_input(pixels[start : start + size])})[0] for start, size in ((0, 1), (1, 14))]
        )
        meant = TorchEvaluator(model, ImageSet(SplitName.REPORT, 15), how, threads=1).logits(policy, policy)
        spread = meant.std(axis=0).mean()
        assert spread > 1e-3  # they tell images apart
        apart = np.abs(logits - meant)
        # Of what is stored at 8 bits, a step may go the other way at a tie.
        assert apart.mean() < 0.1 * spread if bits[1] == 8 else apart.max() < 1e-3 * spread
    for engine in RUNTIMES:
        found = opened(engine, made.save(), {INPUT: as_input(pixels)}, 1)()[0]
        assert np.abs(found - meant).mean() < 0.3 * spread
    pieces = Pieces(model, 2, rounded, ranges, recorded(model))
    assert pieces.edges
    for window in pieces.windows:
        able = {place: INT8 if pieces.can_run_in_int8(place) else FP32 for place in window}
        onnx.shape_inference.infer_shapes(pieces.piece(able, INT8).proto, strict_mode=True)
    for writer, reader, _ in pieces.edges:
        assert pieces.piece({writer: FP32, reader: FP32}, INT8).signature


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda n, x: torch.baddbmm(x, x, x.mT), r"matmul .*is given 3 tensors"),
        (lambda n, x: torch.roll(x, 1), "rolls a tensor as one row"),
    ],
)
def test_what_would_be_written_otherwise_than_it_is_computed_is_refused(
    forward: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks like one that has a form: a product to which a third tensor is added, a roll without axes."""
    network = Lambda(
        lambda n, x: n.head(forward(n, n.first(x).mean(1)).flatten(1)), first=nn.Conv2d(1, 2, 1), head=nn.Linear(64, 10)
    )
    counted = profile(network, "odd", (1, 8, 8), ())
    model = bundled.model("digits_cnn")
    monkeypatch.setitem(model.__dict__, "profile", counted)
    weights = {key: tensor.detach().numpy() for key, tensor in network.state_dict().items()}
    monkeypatch.setitem(model.__dict__, "weights", weights)
    monkeypatch.setitem(model.__dict__, "folded", fold(weights, counted))
    with pytest.raises(UncountableOperatorError, match=said):
        export(model, counted.uniform(32), RoundedLayers(model, Quantizer()), None)
