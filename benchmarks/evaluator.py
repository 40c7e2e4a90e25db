"""How fast the reference evaluator computes, against the machine's own peaks: `python -m benchmarks.evaluator`.

Achieved GFLOP/s of both networks, beside the best matrix product and convolution measured in the same run, then what
stands in the way: seconds by kind of layer, and torch.profiler's dearest operators.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from aiq_core.catalog import Model, bundled
from aiq_core.records import ImageSet, Policy, Quantizer, SplitName, unfinished
from aiq_core.runtime.chunk import CHUNK
from aiq_core.runtime.evaluate import TorchEvaluator
from benchmarks._common import LayerCost, Meter, machine, markdown

MODELS = ("resnet20", "mobilenet_v2")
GEMM_SIZES = (512, 1024, 2048)
# (channels in, channels out, kernel, side, groups): what the networks hold, and one that is all arithmetic.
CONVOLUTIONS = ((128, 128, 3, 16, 1), (16, 16, 3, 32, 1), (32, 32, 3, 16, 1), (64, 64, 3, 8, 1), (160, 960, 1, 2, 1))
REPEATS = 5
TOP = 8


def best_seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The shortest of several runs, after one to warm up."""
    work()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def gemm_peak() -> tuple[float, str]:
    """The best FP32 matrix product: GFLOP/s and its shape."""
    found = []
    for size in GEMM_SIZES:
        a, b = torch.rand(size, size), torch.rand(size, size)
        out = torch.empty(size, size)
        seconds = best_seconds(lambda a=a, b=b, out=out: torch.mm(a, b, out=out))  # type: ignore[misc]
        found.append((2 * size**3 / seconds / 1e9, f"{size} × {size} × {size}"))
    return max(found)


def convolution_peaks(images: int) -> list[tuple[float, str]]:
    """GFLOP/s of convolutions in channels_last, a chunk at a time, as the evaluator runs them."""
    found = []
    for inputs, outputs, kernel, side, groups in CONVOLUTIONS:
        x = torch.rand(images, inputs, side, side).contiguous(memory_format=torch.channels_last)
        weight = torch.rand(outputs, inputs // groups, kernel, kernel).contiguous(memory_format=torch.channels_last)
        seconds = best_seconds(
            lambda x=x, weight=weight, kernel=kernel: functional.conv2d(x, weight, padding=kernel // 2)  # type: ignore[misc]
        )
        flops = 2 * images * outputs * side * side * inputs // groups * kernel * kernel
        found.append((flops / seconds / 1e9, f"{kernel} × {kernel}, {inputs} → {outputs} at {side} × {side}"))
    return found


def run(evaluator: TorchEvaluator, policy: Policy, images: int) -> None:
    """One whole evaluation."""
    predicted = unfinished(images, np.dtype(np.uint8))
    for _ in evaluator.chunks(policy, None, predicted):
        pass


def rates(model: Model, images: int, threads: int, peak: float) -> tuple[list[str], str]:
    """A model's row of achieved rates, and what stands in its way."""
    profiled = model.profile
    evaluator = TorchEvaluator(model, ImageSet(SplitName.SEARCH, images), Quantizer(), threads, cache_bytes=0)
    flops = images * profiled.flops
    fp32 = best_seconds(lambda: run(evaluator, profiled.uniform(32), images), 3)
    int4 = best_seconds(lambda: run(evaluator, profiled.uniform(4), images), 3)
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        run(evaluator, profiled.uniform(32), images)
    meter = Meter().watch(evaluator.network.layers.values())
    costs, total = [], float("inf")
    for _ in range(3):
        meter.forget()
        began = time.perf_counter()
        run(evaluator, profiled.uniform(32), images)
        if (seconds := time.perf_counter() - began) < total:
            costs, total = list(meter.layers.values()), seconds
    row = [
        model.title,
        f"{flops / fp32 / 1e9:.1f}",
        f"{flops / int4 / 1e9:.1f}",
        f"{100 * flops / min(fp32, int4) / 1e9 / peak:.0f} %",
        f"{images / fp32:,.0f}",
    ]
    return row, "\n\n".join([f"### {model.title}", _by_kind(costs, total, peak), _operators(watched)])


def _by_kind(costs: list[LayerCost], total: float, peak: float) -> str:
    """Seconds and rates by kind of layer, everything between the layers last."""
    kinds: dict[str, list[float]] = {}
    for cost in costs:
        entry = kinds.setdefault(cost.kind, [0.0, 0.0])
        entry[0] += cost.seconds
        entry[1] += 2 * cost.macs
    rows = [
        (kind, f"{100 * seconds / total:.0f} %", f"{100 * flops / sum(f for _, f in kinds.values()):.0f} %",
         f"{flops / seconds / 1e9:.1f}", f"{100 * flops / seconds / 1e9 / peak:.0f} %")
        for kind, (seconds, flops) in sorted(kinds.items(), key=lambda entry: -entry[1][0])
    ]  # fmt: skip
    between = total - sum(seconds for seconds, _ in kinds.values())
    rows.append(("between layers: activations, adds, pooling, Python", f"{100 * between / total:.0f} %", "0 %", "", ""))
    return markdown(("what", "share of time", "share of FLOPs", "GFLOP/s", "of the peak"), rows)


def _operators(watched: profile) -> str:
    """The dearest operators by their own CPU time."""
    events = sorted(watched.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    rows = [
        (f"`{event.key}`", f"{event.count:,}", f"{event.self_cpu_time_total / 1000:,.0f}",
         f"{100 * event.self_cpu_time_total / total:.0f} %")
        for event in events[:TOP]
    ]  # fmt: skip
    return markdown(("operator (torch.profiler)", "calls", "own CPU time, ms", "share"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", action="append", choices=bundled().models, help="may be repeated")
    chosen = parser.parse_args()
    about = machine(chosen.threads)
    torch.set_num_threads(chosen.threads)
    with torch.inference_mode():
        gemm, gemm_shape = gemm_peak()
        convolutions = convolution_peaks(CHUNK)
    peak, peak_shape = max(convolutions)
    print(f"# The evaluator's speed\n\n{about}.\n")
    shapes = [(f"matrix product {gemm_shape}", f"{gemm:.1f}")]
    shapes += [(f"convolution {shape}, {CHUNK} images", f"{rate:.1f}") for rate, shape in convolutions]
    print(markdown(("measured peak", "GFLOP/s"), shapes), end="\n\n")
    found = [rates(bundled().model(model), chosen.images, chosen.threads, peak) for model in chosen.model or MODELS]
    header = (
        "whole evaluation",
        "FP32, GFLOP/s",
        "INT4-rounded, GFLOP/s",
        "of the best convolution",
        "images/s at FP32",
    )
    print(markdown(header, [row for row, _ in found]), end="\n\n")
    print(f"What stands in the way, at FP32 (peak: {peak_shape}, {peak:.1f} GFLOP/s):\n")
    print("\n\n".join(text for _, text in found))


if __name__ == "__main__":
    main()
