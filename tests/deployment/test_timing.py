"""Timings: ratios round by round, and that records come back from a store as they were."""

from pathlib import Path

import numpy as np
import pytest

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.memory import HELD, check_batch, needed_bytes
from aiq_core.deployment.nodes import Node, Nodes
from aiq_core.deployment.timing import Deployed, Place, Timing
from aiq_core.deployment.variant import Variant, fp32
from aiq_core.errors import SettingError
from aiq_core.library import Library
from aiq_core.records import Layer, LayerKind, ModelProfile
from aiq_core.roof import Spread
from aiq_core.space import JOINT
from aiq_core.store import Store
from tests import bundled

MODEL = bundled.model("digits_cnn")
INT8 = Variant("int8", "all INT8", MODEL.profile.uniform(8, 8), JOINT.quantizer(MODEL.dataset))
PLACE = Place("a CPU", 1, ("avx2",), {"onnxruntime": "1"})
WHAT = {"model": MODEL.name, "model_hash": MODEL.hash, "engine": Engine.ONNX_RUNTIME, "version": "1", "variant": INT8}
WHERE = {"place": PLACE, "created_at": "2026-01-01T00:00:00+00:00"}


def timing(seconds: tuple[float, ...], own: tuple[float, ...], eager: tuple[float, ...] = ()) -> Timing:
    times = {"seconds": seconds, "engine_fp32_s": own, "eager_fp32_s": eager}
    return Timing(**WHAT, **WHERE, **times, batch=8, unsteady=0)  # type: ignore[arg-type]


def test_ratios_are_taken_round_by_round() -> None:
    # The machine is half as fast in the last round, which ratios do not see: 2, 3 and 2 times.
    found = timing((1.0, 2.0, 4.0), (2.0, 6.0, 8.0))
    assert found.ratio_to_engine_fp32 == Spread(2.0, 2.0, 3.0)
    assert found.images_per_s == Spread(8 / 2, 8 / 4, 8 / 1)
    assert found.latency_s == Spread(2.0, 1.0, 4.0)
    assert found.ratio_to_eager_fp32 is None


def test_a_timing_comes_back_from_a_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    kept = timing((1.0, 2.0), (2.0, 2.0), (4.0, 4.0))
    store.measurements.save(kept.measurement)
    (found,) = Library(store, None).measurements("timing")
    assert found.subject == f"{MODEL.hash}/onnxruntime/{INT8.key}/8"
    assert vars(Timing.of(found)) == vars(kept)


def test_what_became_of_images_comes_back_and_is_compared(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    labels = MODEL.dataset.report.labels[:100]
    wrong = np.where(np.arange(100) < 3, (labels + 1) % 10, labels).astype(np.uint8)
    before = Deployed(**{**WHAT, "variant": fp32(MODEL)}, **WHERE, outcomes=labels, equal=100)  # type: ignore[arg-type]
    after = Deployed(**WHAT, **WHERE, outcomes=wrong, equal=97)  # type: ignore[arg-type]
    store.measurements.save(after.measurement)
    (kept,) = Library(store, None).measurements("deployed")
    found = Deployed.of(kept)
    assert np.array_equal(found.outcomes, wrong)
    assert (found.images, found.agreement_percent) == (100, 97.0)
    compared = found.against(before, MODEL)
    assert compared is not None
    assert (compared.lost, compared.gained, compared.drop.value) == (3, 0, pytest.approx(3.0))


def test_nodes_that_did_not_fuse_and_what_only_moves() -> None:
    nodes = (
        Node("a", "QLinearConv", 0.5, ("one",), True),
        Node("b", "Conv", 0.25, ("two",)),
        Node("c", "Reorder", 0.125),
        Node("d", "Transpose", 0.0625),
        Node("e", "QuantizeLinear", 0.0625, converts=True),
    )
    kept = {name: WHAT[name] for name in ("model_hash", "engine", "version", "variant")}
    found = Nodes(**kept, **WHERE, batch=8, nodes=nodes, wanted=("one", "two"))  # type: ignore[arg-type]
    assert found.unfused == ("two",)
    assert (found.moving, found.converting) == (0.1875, 0.0625)
    assert vars(Nodes.of(found.measurement)) == vars(found)


def test_a_batch_that_does_not_fit_says_what_does() -> None:
    layer = Layer("only", LayerKind.LINEAR, 600, 600, 0, 20, 30, 1, True, "image", None)
    profile = ModelProfile("one layer", (layer,), ("image",))
    # 4 bytes of HELD tensors of 20 + 30 elements an image, and of 600 weights twice, in each of 2 models.
    assert needed_bytes(profile, 10, 2) == 2 * 4 * (HELD * 50 * 10 + 2 * 600)
    check_batch(profile, 10, 2, 10**6)
    with pytest.raises(SettingError, match=r"batch=10,000 of one layer needs about 16 MB .* at most "):
        check_batch(profile, 10_000, 2, 10**6)
    with pytest.raises(SettingError, match="batch=0 is not offered"):
        check_batch(profile, 0, 2, 10**6)
