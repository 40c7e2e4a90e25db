"""A linear layer by batch: bytes and ridges by hand, real kernels against their dequantized weights, stop and go on."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest

from aiq_core.charts.linear import fate, message
from aiq_core.errors import Cancelled, SettingError
from aiq_core.library import Library
from aiq_core.linear import KERNELS, LINEAR, PART, Linear, baseline, byte_ratio, rows_of
from aiq_core.roof import Spread
from aiq_core.runtime.deployment import linear as bench
from aiq_core.runtime.deployment.linear import check, measure_linear
from aiq_core.runtime.deployment.linear_kernels import build, values
from aiq_core.store import Store
from aiq_core.tasks.linear import timed
from tests.layers import ROWS, SIZE, layer, spread
from tests.test_roof import roof


def test_bytes_by_hand() -> None:
    # 4 bits: half a byte a weight, 4 bytes a scale of 128 weights; FP32 activations in and out.
    assert KERNELS["ort-4"].stored_bytes(ROWS, ROWS) == SIZE / 2 + SIZE / 128 * 4
    assert byte_ratio("ort-4", ROWS, ROWS, 2) == pytest.approx(
        (4 * SIZE + 2 * 8192 * 4) / (SIZE / 2 + SIZE / 32 + 2 * 8192 * 4)
    )
    # 8 bits in PyTorch: a scale of 2 bytes an output, activations of 2 bytes.
    assert KERNELS["torch-8"].moved_bytes(128, 256, 3) == 128 * 256 + 128 * 2 + 3 * (128 + 256) * 2
    assert byte_ratio("torch-bf16", ROWS, ROWS, 1) == 2


def test_each_engine_is_compared_with_its_own_fp32() -> None:
    for key, kernel in KERNELS.items():
        assert KERNELS[baseline(key)].bits == 32
        assert KERNELS[baseline(key)].engine == kernel.engine


def test_fewer_bytes_buy_until_the_ridge() -> None:
    found = layer(ort_4=(5.0, 2.0, 1.0))
    assert found.ridge("ort-4") == 10
    # 2·B·S / (4·S + B·8·R) = 10 -> B = 40·S / (2·S - 80·R).
    edge = 40 * SIZE / (2 * SIZE - 80 * ROWS)
    assert found.ridge_batch("ort-4") == pytest.approx(edge)
    assert found.byte_gain("ort-4", 1) == pytest.approx(found.byte_ratio("ort-4", 1))
    # At 16 the narrow layer computes, 2·16·S FLOPs at 160 G/s, and FP32 still moves 4·S + 16·8·R bytes at 16 GB/s.
    assert found.byte_gain("ort-4", 16) == pytest.approx((4 * SIZE + 16 * 8 * ROWS) / 16e9 / (32 * SIZE / 160e9))
    assert found.byte_gain("ort-4", 256) == 1
    assert replace(found, bandwidth=spread(1e6)).ridge_batch("ort-4") == inf


def test_an_engine_that_reaches_more_than_the_roof_has_its_own_ridge() -> None:
    found = layer(ort_4=(5.0, 2.0, 1.0))
    faster = [replace(each, seconds=spread(each.seconds.value / 2)) for each in found.timings]
    assert replace(found, timings=tuple(faster)).ridge("ort-4") == pytest.approx(20)
    assert replace(found, timings=tuple(faster)).ridge("torch-4") == 10


def test_where_the_gain_goes_is_told() -> None:
    assert message(layer(ort_4=(5.16, 1.05, 1.0)), "ort-4") == (
        "At batch 1, 4-bit weights run 5.2 × as fast as FP32 here; the bytes promised 7.5 ×; from batch 16 the gain is "
        "gone"
    )
    assert fate(layer(torch_4=(4, 2, 1.6)), "torch-4") == (
        "beyond the ridge, batch 20, bytes buy nothing, and the 1.6 × left at batch 256 is a kernel that "
        "computes faster than PyTorch’s FP32"
    )
    assert fate(layer(ort_4=(4, 2, 1.6)), "ort-4").endswith("the 1.6 × left at batch 256 is INT8 arithmetic")
    waiting = replace(layer(ort_4=(5, 5, 5)), bandwidth=spread(1e6))
    assert fate(waiting, "ort-4") == "at batch 256 FP32 still waits for bytes"
    # A dip in the middle is not the end.
    assert layer(ort_4=(5, 1.0, 1.5)).gone_at("ort-4") is None


def test_the_fastest_counts_not_the_one_beside_the_slowest_fp32() -> None:
    found = layer(ort_4=(4, 2, 1), torch_4=(5, 2, 1))
    slow = [
        replace(each, seconds=spread(3 * each.seconds.value)) if each.kernel.startswith("torch") else each
        for each in found.timings
    ]
    assert found.fastest(4) == "torch-4"
    assert replace(found, timings=tuple(slow)).fastest(4) == "ort-4"
    assert found.fastest(8) is None


def test_it_is_kept_as_it_was() -> None:
    found = layer(ort_4=(5, 2, 1))
    assert Linear.from_json(json.loads(json.dumps(found.to_json()))).to_json() == found.to_json()
    assert (found.measurement.kind, found.measurement.subject) == (LINEAR, "4096x4096")
    assert replace(found, batches=(1, 16, 256, 512)).measurement.kind == PART
    assert rows_of(found)[-1] == {"engine": "OpenVINO", "weights": "4 bits", "missing": "OpenVINO is not installed"}


@pytest.mark.parametrize("key", KERNELS)
@pytest.mark.parametrize("batch", [1, 5])
def test_every_kernel_multiplies_by_what_its_weights_stand_for(key: str, batch: int) -> None:
    if key.startswith("openvino"):
        pytest.importorskip("openvino")
    draw = np.random.default_rng(1)
    weights = draw.standard_normal((256, 384), dtype=np.float32)
    x = draw.standard_normal((batch, 384), dtype=np.float32)
    built = build(key, weights, copies=2, threads=1)
    # Rounding errs by half a step, max / 7 or max / 127; BF16, in which PyTorch keeps scales, by 2⁻⁸ of a number.
    steps = {32: 0, 16: 0, 8: 1 / 127, 4: 1 / 7}[KERNELS[key].bits]
    coarse = 2**-8 if key.startswith("torch") and key != "torch-fp32" else 2**-11
    assert np.abs(built.meant - weights).max() <= (steps / 2 + coarse) * np.abs(weights).max()
    wanted = x @ built.meant.T
    for call in built.calls(x):
        error = np.linalg.norm(values(call()) - wanted) / np.linalg.norm(wanted)
        assert error < (1e-5 if KERNELS[key].bits == 32 else 0.02)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of a call each, and no kernel left out for being slow: tiny layers are all overhead."""
    monkeypatch.setattr(bench, "AT_LEAST_S", 0.0)
    monkeypatch.setattr(bench, "MOST_COPIES", 2)
    monkeypatch.setattr(bench, "SLOW", np.inf)


@pytest.mark.usefixtures("small")
def test_all_engines_are_timed_in_the_same_rounds() -> None:
    told: list[tuple[int, int]] = []
    found = measure_linear(128, 256, [4, 1], roof(), lambda done, whole, text: told.append((done, whole)))
    assert found.measured_batches == (1, 4)
    assert found.is_complete
    assert {each.kernel for each in found.timings} | set(found.missing) == set(KERNELS)
    for each in found.timings:
        assert 0 < each.seconds.low <= each.seconds.value <= each.seconds.high
        assert each.gain.low <= each.gain.value <= each.gain.high
        assert each.error < bench.WRONG
    assert all(found.table[baseline(key), 1].gain == Spread(1, 1, 1) for key in found.narrow)
    assert told == sorted(told)
    assert max(told)[0] < max(told)[1]
    # Two copies of all weights, the FP32 ones alone 128 KiB each: beyond the 512 KiB of this roof's caches.
    timed_ = {each.kernel for each in found.timings}
    assert found.cold_bytes == round(2 * sum(KERNELS[key].stored_bytes(128, 256) for key in timed_))
    assert found.is_cold
    assert not replace(found, cache_bytes=2**21).is_cold


@pytest.mark.usefixtures("small")
def test_a_kernel_that_cannot_run_is_a_row_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    real = bench.build

    def lacking(key: str, *rest: object) -> object:
        if key.startswith("openvino"):
            raise ImportError(key)
        if key == "torch-4":
            raise RuntimeError("no such operator\nmore of it")
        built = real(key, *rest)  # type: ignore[arg-type]
        return replace(built, meant=built.meant + 1) if key == "ort-8" else built

    monkeypatch.setattr(bench, "build", lacking)
    found = measure_linear(128, 128, [1], roof())
    assert found.missing["openvino-4"] == "OpenVINO is not installed; `make app` installs it"
    assert found.missing["torch-4"] == "RuntimeError: no such operator"
    assert found.missing["ort-8"].startswith("computes something else: relative error ")
    assert found.narrow == ("ort-4", "torch-bf16", "torch-8")


@pytest.mark.usefixtures("small")
def test_a_fallback_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SLOW", 0.0)
    found = measure_linear(128, 128, [1], roof())
    assert "a fallback that takes " in found.missing["ort-4"]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store(tmp_path / "store.sqlite"), None)


@pytest.mark.usefixtures("small")
def test_stopped_and_gone_on_with(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiq_core.runtime.cpu import cpu_kind

    library.store.measurements.save(replace(roof(), cpu=cpu_kind()).measurement)

    def until(text: str) -> Callable[[float, str], None]:
        def say(share: float, told: str) -> None:
            assert 0 <= share <= 1
            if text and told.endswith(text):
                raise Cancelled("stop")

        return say

    with pytest.raises(Cancelled):
        timed(library, 128, 128, [1, 2], 1, until("batch 2"))
    assert library.measurements(LINEAR) == []
    (part,) = library.store.measurements.all(PART)
    found = timed(library, 128, 128, [2, 1], 1, until("batch 1"))
    assert found.created_at == part.created_at
    assert part.document["timings"] == [each for each in found.to_json()["timings"] if each["batch"] == 1]
    assert [each.document for each in library.measurements(LINEAR)] == [found.to_json()]
    # What is finished is not gone on with: it begins at batch 1 again.
    with pytest.raises(Cancelled):
        timed(library, 128, 128, [2, 1], 1, until("batch 1"))


@pytest.mark.parametrize(
    ("rows", "columns", "batches", "complaint"),
    [
        (100, 128, [1], "rows=100 cannot be packed; choose a multiple of 128"),
        (128, 0, [1], "columns=0 cannot be packed"),
        (128, 128, [0], "batch=0 is not offered; choose from 1 to 4096"),
        (128, 128, [], "batch= is not offered"),
        (16384, 32768, [1], "needs about 20.0 GB; the limit is 4 GB"),
    ],
)
def test_what_cannot_be_packed_or_held(rows: int, columns: int, batches: list[int], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        check(rows, columns, batches)


def test_no_more_threads_than_there_are(library: Library) -> None:
    with pytest.raises(SettingError, match="threads=0 is not offered; this machine has 1 to "):
        timed(library, 128, 128, [1], 0, lambda share, told: None)
