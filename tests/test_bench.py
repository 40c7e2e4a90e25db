"""Benches of digits_cnn in every engine: what is kept, what a resumed one leaves alone, and what cannot be run."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from aiq_core import tasks
from aiq_core.commands.bench import document
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.nodes import NODES
from aiq_core.deployment.rows import chosen_variants, kept_timings, nodes
from aiq_core.deployment.variant import Variant
from aiq_core.errors import Cancelled, EvaluationError, SettingError, UncountableOperatorError, UnknownNameError
from aiq_core.hardware import NumberType
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.records import RunStatus, SplitName, Task
from aiq_core.runtime.deployment import bench as benching
from aiq_core.runtime.deployment.engines import has, opened
from aiq_core.runtime.export import integers_of
from aiq_core.space import JOINT
from aiq_core.store import Store
from aiq_core.tasks.bench import Benched, Wanted, benched
from tests import bundled

MODEL = bundled.model("digits_cnn")
WHOLE = MODEL.profile.uniform(8, 8)
REPORT = MODEL.dataset.available(SplitName.REPORT)
WANTED = Wanted(MODEL.name, batches=(4,), since="2026-01-01T00:00:00.000+00:00")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("bench")
    return Library(Store(folder / "store.sqlite"), Store(BUNDLED_RESULTS, immutable=True))


@pytest.fixture(scope="module")
def weights(library: Library) -> str:
    """A bundled run of weights alone, which every variant but the suffix follows from."""
    return next(
        run.id
        for run in library.runs(MODEL)
        if run.request.algorithm == "greedy" and run.policy is not None and not run.policy.has_activations
    )


@pytest.fixture(scope="module")
def found(library: Library, weights: str) -> Benched:
    return benched(library, replace(WANTED, run=weights), lambda share, said: None)


def test_every_variant_in_every_engine_that_has_its_arithmetic(found: Benched) -> None:
    cells = {(row.engine, row.variant.name) for row in found.rows}
    integers = {"policy", "policy-int8", "int8"}
    for engine in RUNTIMES:
        assert {(engine, name) for name in {"fp32", *integers}} <= cells
        assert ((engine, "bf16") in cells) is has(engine, NumberType.BF16)
    assert {(engine, name) for engine, name in cells if engine not in RUNTIMES} == {
        (Engine.EAGER, "fp32"),
        (Engine.CHANNELS_LAST, "fp32"),
    }
    for row in found.rows:
        assert len(row.timing.seconds) == 9
        if row.variant.is_fp32:
            assert row.timing.engine_fp32_s == row.timing.seconds
    eager = next(row.timing for row in found.rows if row.engine is Engine.EAGER)
    assert all(row.timing.eager_fp32_s == eager.seconds for row in found.rows)


def test_accuracy_is_of_all_report_images_in_the_engine_itself(found: Benched) -> None:
    labels = MODEL.dataset.report.labels[:REPORT]
    for row in found.rows:
        assert row.deployed is not None
        assert row.deployed.images == REPORT
        assert row.against_fp32 is not None
        right = int((row.deployed.outcomes == labels).sum())
        assert row.against_fp32.after.value == pytest.approx(100 * right / REPORT)
        # Integer kernels round ties in their own way, floats do not.
        assert row.deployed.agreement_percent >= (98 if row.variant.policy.has_activations else 99.8)


def test_nodes_hold_every_layer_and_integers_fuse(library: Library, found: Benched) -> None:
    known = nodes(library, found.rows)
    for row in found.rows:
        kept = known.get(row.timing.subject)
        if row.engine not in RUNTIMES:
            assert kept is None
            continue
        assert kept is not None
        assert {name for node in kept.nodes for name in node.layers} == {layer.name for layer in MODEL.profile.layers}
        assert math.isclose(sum(node.share for node in kept.nodes), 1)
        if row.variant.name == "int8":
            # All but the first, which reads the normalised image.
            assert kept.wanted == MODEL.profile.quantizable_names[1:]
            assert set(kept.unfused) <= set(kept.wanted)
            if row.engine is Engine.ONNX_RUNTIME:
                assert kept.unfused == ()
        else:
            assert row.variant.policy.has_activations or not any(node.is_integer for node in kept.nodes)


def test_the_variants_of_a_run_are_kept_with_it(library: Library, found: Benched, weights: str) -> None:
    kept = chosen_variants(library, MODEL, library.run(weights))
    assert {row.variant.key for row in found.rows} <= {variant.key for variant in kept}
    assert chosen_variants(library, MODEL, None) == ()


def test_what_was_measured_since_a_task_began_stands(library: Library, found: Benched, weights: str) -> None:
    before = {kept.subject: kept.created_at for kept in kept_timings(library, MODEL)}
    again = replace(WANTED, run=weights)
    assert len(benched(library, again, lambda share, said: None).rows) == len(found.rows)
    assert {kept.subject: kept.created_at for kept in kept_timings(library, MODEL)} == before


def test_cancelled_between_batches_it_goes_on_with_the_next(tmp_path: Path) -> None:
    library = Library(Store(tmp_path / "store.sqlite"), Store(BUNDLED_RESULTS, immutable=True))
    settings = Wanted(MODEL.name, batches=(1, 2), engines=("onnxruntime",)).to_json()
    heard: list[str] = []

    def stop(share: float, said: str) -> None:
        heard.append(said)
        if said.startswith("opening") and said.endswith("batch 2"):
            raise Cancelled

    with pytest.raises(Cancelled):
        tasks.KINDS["bench"](library, settings, stop)
    first = {kept.subject: kept.created_at for kept in kept_timings(library, MODEL)}
    assert {subject.rpartition("/")[2] for subject in first} == {"1"}
    heard.clear()
    library.store.tasks.add(Task("one", "bench", settings, RunStatus.RUNNING, settings["since"]))
    ended = tasks.run(library, library.store.tasks.get("one"))
    assert (ended.status, ended.result["rows"]) == (RunStatus.DONE, 2 * len(first))
    after = {kept.subject: kept.created_at for kept in kept_timings(library, MODEL)}
    assert first.items() <= after.items()
    assert {kept.subject for kept in library.store.measurements.all(NODES)} == after.keys()


def test_as_json(found: Benched) -> None:
    printed: Mapping[str, Any] = document(found, WANTED)
    row = next(row for row in printed["rows"] if (row["engine"], row["variant"]) == ("onnxruntime", "int8"))
    for name in ("images_per_s", "low", "high", "ratio_to_engine_fp32", "ratio_to_eager_fp32", "report_top1_percent"):
        assert row[name] > 0
    assert row["low"] <= row["images_per_s"] <= row["high"]
    assert (row["batch"], row["threads"]) == (4, 1)
    assert printed["versions"].keys() == {"torch", "onnxruntime", "openvino", "python"}


def test_an_operator_without_a_form_in_onnx_leaves_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: benching.Bench, variant: Variant) -> None:
        raise UncountableOperatorError("sin of digits_cnn has no form in ONNX here")

    monkeypatch.setattr(benching.Bench, "exported", refused)
    made = benching.Bench(MODEL, (), list(Engine), 1)
    assert {cell.engine for cell in made.cells} == {Engine.EAGER, Engine.CHANNELS_LAST}
    assert made.missing == dict.fromkeys(RUNTIMES, "sin of digits_cnn has no form in ONNX here")


def test_one_policy_rounded_in_two_ways_is_two_files() -> None:
    how = JOINT.quantizer(MODEL.dataset)
    both = [Variant("a", "a", WHOLE, each) for each in (how, replace(how, rounding="nearest", calibration=None))]
    made = benching.Bench(MODEL, both, RUNTIMES, 1)
    first, second = (integers_of(made.exported(variant).proto) for variant in both)
    assert any(not np.array_equal(first[name], second[name]) for name in first)


def test_where_sums_saturate_weights_of_seven_bits_are_offered_too() -> None:
    whole = Variant("int8", "all INT8", WHOLE, JOINT.quantizer(MODEL.dataset))
    made = benching.Bench(MODEL, (whole,), RUNTIMES, 1)
    assert made.safe((whole,), ("avx512_vnni",)) == (whole,)
    first, second = made.safe((whole,), ("avx2",))
    assert first == whole
    assert (second.name, second.title) == ("int8-7-bit", "all INT8, 7-bit weights")
    bits = MODEL.profile.named_bits(second.policy)
    # The first layer reads the image in FP32, so nothing saturates there.
    assert bits[MODEL.profile.quantizable_names[0]] == 8
    assert set(bits.values()) == {7, 8}
    assert second.policy.activation_bits == WHOLE.activation_bits


def test_an_engine_that_is_not_installed_says_so_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "installed", lambda engine: None if engine is Engine.OPENVINO else "1")
    made = benching.Bench(MODEL, (), list(Engine), 1)
    assert made.missing == {Engine.OPENVINO: "not installed; pip install openvino"}
    assert {cell.engine for cell in made.cells} == {Engine.EAGER, Engine.CHANNELS_LAST, Engine.ONNX_RUNTIME}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batches": (10**9,)}, "batch=1,000,000,000 of digits_cnn needs about"),
        ({"batches": ()}, "no batch is given"),
        ({"threads": 10_000}, f"threads=10000 is not offered; this machine has 1 to {psutil.cpu_count()}"),
        ({"run": "58d738efe7"}, "run 58d738efe7 is of mobilenet_v2, not of digits_cnn"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(library: Library, change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        benched(library, replace(WANTED, **change), lambda share, told: None)


def test_an_engine_that_is_none(library: Library) -> None:
    with pytest.raises(UnknownNameError, match="unknown engine 'tensorrt'; choose from eager"):
        benched(library, replace(WANTED, engines=("tensorrt",)), lambda share, told: None)


@pytest.mark.parametrize("engine", RUNTIMES)
@pytest.mark.parametrize("content", [b"", b"no model at all"])
def test_a_corrupt_model_is_refused(engine: Engine, content: bytes) -> None:
    with pytest.raises(EvaluationError, match=f"{engine.words} cannot load this model .*; export it again"):
        opened(engine, content, {"image": np.zeros((1, 1, 8, 8), np.float32)}, 1)


def test_pytorch_keeps_its_threads() -> None:
    import torch

    before = torch.get_num_threads()
    with benching.pinned(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
