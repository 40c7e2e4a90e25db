"""Timed linear layers with gains by hand."""

from aiq_core.hardware import NumberType
from aiq_core.linear import Linear, Timing, baseline
from aiq_core.roof import Spread

SIZE, ROWS = 4096 * 4096, 4096


def spread(value: float) -> Spread:
    return Spread(value, 0.9 * value, 1.1 * value)


def layer(**gains: tuple[float, ...]) -> Linear:
    """A layer at batch 1, 16 and 256 under 160 GFLOP/s and 16 GB/s, FP32 on that roof: gains by kernel."""
    timings = []
    for name, values_ in gains.items():
        key = name.replace("_", "-")
        for batch, gain in zip((1, 16, 256), values_, strict=True):
            fp32 = max(4 * SIZE / 16e9, 2 * batch * SIZE / 160e9)
            timings.append(Timing(baseline(key), batch, spread(fp32), Spread(1, 1, 1), 1e-7))
            timings.append(Timing(key, batch, spread(fp32 / gain), spread(gain), 0.007))
    peaks = {NumberType.FP32: spread(160e9)}
    return Linear(
        *("a CPU", 1, ROWS, ROWS, (1, 16, 256), tuple(timings), {"openvino-4": "OpenVINO is not installed"}, peaks),
        *(spread(16e9), 2**25, 2**29, {"torch": "2", "python": "3"}, "2026-01-01T00:00:00+00:00", 20.0),
    )
