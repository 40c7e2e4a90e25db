"""Roofs: levels found in a curve alone, the machine they make, and that they are kept."""

from pathlib import Path

import pytest

from aiq_core.hardware import NumberType, SourceKind
from aiq_core.library import Library
from aiq_core.roof import ROOF, Bandwidth, Roof, Spread, levels
from aiq_core.runtime.roof import STEPS, measure_roof
from aiq_core.store import Store

KIB = 1024


def spread(value: float) -> Spread:
    return Spread(value, 0.9 * value, 1.1 * value)


def curve(*rates: float) -> tuple[Bandwidth, ...]:
    """Bandwidths in GB/s at 64 KiB, 128 KiB and so on."""
    return tuple(Bandwidth(64 * KIB * 2**place, "sum", spread(1e9 * rate)) for place, rate in enumerate(rates))


def roof(created_at: str = "2026-01-01T00:00:00+00:00", threads: int = 1) -> Roof:
    peaks = {NumberType.FP32: spread(1e11), NumberType.INT8: spread(8e11)}
    return Roof(
        "Cortex A76 (NEON)", threads, curve(100, 100, 30, 30, 10, 10), peaks, ("avx2",), {"torch": "2"}, created_at, 6.0
    )


def test_levels_are_where_the_curve_falls() -> None:
    found = levels(curve(60, 100, 98, 31, 30, 29, 10, 10))
    assert [level.name for level in found] == ["cache 1", "cache 2", "memory"]
    # 64 KiB is too small to tell; the levels end at 64 · 2², 64 · 2⁵ and 64 · 2⁷ KiB.
    assert [level.footprint_bytes // KIB for level in found] == [256, 2048, 8192]
    assert [level.rate.value / 1e9 for level in found] == [99, 30, 10]
    assert found[1].rate.low == pytest.approx(0.9 * 29e9)
    assert found[1].rate.high == pytest.approx(1.1 * 31e9)


def test_one_bandwidth_is_one_level_and_what_disturbs_makes_none() -> None:
    (only,) = levels(curve(50, 48, 51, 49))
    assert only.name == "memory"
    # 12 GB/s in the midst of 100 is what else the machine did: no level rises with its footprint.
    assert [level.rate.value / 1e9 for level in levels(curve(100, 100, 12, 100, 100, 100))] == [100]


def test_a_roof_is_a_machine() -> None:
    made = roof().machine()
    assert (made.key, made.name) == ("cortex-a76-neon-1t", "Cortex A76, 1 thread")
    assert made.bandwidth.value == 10e9
    assert made.bandwidth.kind is SourceKind.MEASURED
    assert made.ceiling(8, 8) == (NumberType.INT8, 8e11)
    assert made.ceiling(4, 32) == (NumberType.FP32, 1e11)


def test_the_latest_roof_of_each_number_of_threads_counts(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    for each in (roof("2026-01-02T00:00:00"), roof("2026-01-01T00:00:00"), roof(threads=2)):
        store.measurements.save(each.measurement)
    found = {each.threads: Roof.from_json(each.document) for each in Library(store, None).measurements(ROOF)}
    assert found[1].created_at == "2026-01-02T00:00:00"
    assert found[2].to_json() == roof(threads=2).to_json()
    assert len(store.measurements.all(ROOF)) == 3


def test_this_machine_is_measured() -> None:
    told: list[str] = []
    found = measure_roof(1, told.append)
    assert found.threads == 1
    assert set(found.peaks) == {NumberType.FP32, NumberType.BF16, NumberType.INT8}
    assert len(told) == STEPS
    for rate in (*(point.rate for point in found.curve), *found.peaks.values()):
        assert 0 < rate.low <= rate.value <= rate.high
    assert found.levels[-1].footprint_bytes == found.curve[-1].footprint_bytes
    assert Roof.from_json(found.to_json()).to_json() == found.to_json()
