"""How to round weights: method, grid and granularity at uniform widths: `python -m benchmarks.rounding`.

Each is an ordinary uniform run in your store, so what is there is not computed again. The signal to quantization noise
of weights (the mean of the layers', in decibels) and the seconds to round all layers (of one processor, those of the
pass over the calibration images left out) are kept beside it, in assets/rounding.csv.
"""

import argparse
import csv
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from aiq_core import rounding
from aiq_core.catalog import Model
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.library import Library, open_library
from aiq_core.records import Granularity, Grid, ImageSet, Policy, Quantizer, Request, RunStatus, SplitName
from aiq_core.runtime.cpu import cpu_kind
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.runtime.statistics import layer_statistics
from aiq_core.search.baselines import UNIFORM, uniform
from aiq_core.study import FIGURES, HEADER, read_figures
from benchmarks._common import machine, markdown

WIDTHS, COARSE = (8, 6, 4, 3, 2), (4, 3)
CHANNEL, TENSOR, NARROW, FULL = Granularity.CHANNEL, Granularity.TENSOR, Grid.NARROW, Grid.FULL
USUAL = (
    ("nearest", NARROW, CHANNEL, WIDTHS),
    ("gptq", NARROW, CHANNEL, WIDTHS),
    ("gptq", FULL, CHANNEL, (4, 3, 2)),
    ("nearest_bias", NARROW, CHANNEL, WIDTHS),
)
MORE = (
    ("nearest", FULL, CHANNEL, COARSE),
    ("nearest", NARROW, TENSOR, COARSE),
    ("gptq", NARROW, TENSOR, COARSE),
    ("mse", NARROW, CHANNEL, COARSE),
    ("mse_bias", NARROW, CHANNEL, COARSE),
)
"""Rounding, grid, granularity and widths; the paper's models have all of them, the others the usual ones."""
MODELS = {
    "resnet20": USUAL + MORE,
    "mobilenet_v2": USUAL + MORE,
    "heavy_early_resnet20": USUAL,
    "plain_convnet20": USUAL,
}

Figures = dict[tuple[str, ...], tuple[str, ...]]


def quantizers(model: Model) -> Iterator[tuple[Quantizer, tuple[int, ...]]]:
    """Every setting of the study, with its widths."""
    for name, grid, granularity, widths in MODELS[model.name]:
        yield rounding.settings(name, model.dataset.calibration_hash, granularity, grid), widths


def write(figures: Figures) -> None:
    with FIGURES.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *(key + value for key, value in figures.items())])


def place(model: Model, settings: Quantizer, bits: int) -> tuple[str, ...]:
    return model.name, settings.rounding, settings.grid, settings.granularity, str(bits)


def rounded(model: Model, settings: Quantizer, bits: int) -> tuple[str, ...]:
    """The columns after `bits`; rounds every layer anew."""
    layers, weights = RoundedLayers(model, settings), model.folded_weights
    if settings.calibration is not None:
        layer_statistics(model)
    started = time.process_time()
    found = {name: layers.computed(name, bits) for name in model.profile.quantizable_names}
    seconds = time.process_time() - started
    ratios = [
        np.square(weights[name], dtype=np.float64).sum()
        / np.square(layer.weight.astype(np.float64) - weights[name]).sum()
        for name, layer in found.items()
    ]
    return f"{10 * np.log10(ratios).mean():.2f}", f"{seconds:.2f}", cpu_kind()


def evaluate(library: Library, request: Request, evaluators: Evaluators) -> None:
    """Runs a request unless its run is done."""
    run = new_run(library.model(request.model), request)
    known = library.store.run(run.id) if library.store.has_run(run.id) else library.store.add_run(run)
    if known.status is not RunStatus.DONE:
        known = execute(library, known, evaluators)
    if known.status is not RunStatus.DONE:
        raise RuntimeError(f"run {known.id} ended {known.status}: {known.message}\n{known.traceback}")


def label(settings: Quantizer, bits: int) -> str:
    """How the run is called: the setting, where it is not the paper's."""
    said = [
        f"rounded by {settings.rounding}" if settings.rounding != Quantizer().rounding else "",
        f"one scale a {settings.granularity}" if settings.granularity is not CHANNEL else "",
        f"{settings.grid} grid" if settings.grid is not NARROW else "",
    ]
    return ", ".join([f"all at {bits} bits", *(part for part in said if part)])


def study(library: Library, model: Model, figures: Figures, threads: int) -> None:
    """Measures what is missing of a model."""
    images = model.dataset.available(SplitName.SEARCH)
    for settings, widths in quantizers(model):
        evaluators = Evaluators(threads)
        for bits in widths:
            key = place(model, settings, bits)
            if key not in figures:
                figures[key] = rounded(model, settings, bits)
                write(figures)
            request = Request(
                model.name,
                UNIFORM.name,
                images=images,
                quantizer=settings,
                policies=uniform(model.profile, bits),
                label=label(settings, bits),
            )
            evaluate(library, request, evaluators)
            print(*row(library, model, settings, bits, figures), sep=" | ", flush=True)


def row(library: Library, model: Model, settings: Quantizer, bits: int, figures: Figures) -> list[str]:
    sqnr, seconds, _ = figures[place(model, settings, bits)]
    policy = model.profile.uniform(bits)
    drops = [drop(library, model, split, policy, settings) for split in SplitName]
    return [model.title, settings.rounding, settings.grid, settings.granularity, str(bits), *drops, sqnr, seconds]


def drop(library: Library, model: Model, split: SplitName, policy: Policy, settings: Quantizer) -> str:
    """Top-1 on all images of a split, and the points lost with their 95 % interval."""
    count = ImageSet(split, model.dataset.available(split)).images
    found = library.paired(model, split, count, model.profile.uniform(32), policy, settings)
    if found is None:
        return "–"
    return f"{found.after.value:.2f} % ({found.drop.value:.2f}: {found.drop.low:.2f} to {found.drop.high:.2f})"


def table(library: Library, models: Sequence[Model], figures: Figures) -> str:
    header = ["model", "rounding", "grid", "a scale a", "bits", "search (lost)", "report (lost)", "SQNR dB", "seconds"]
    rows = [
        row(library, model, settings, bits, figures)
        for model in models
        for settings, widths in quantizers(model)
        for bits in widths
        if place(model, settings, bits) in figures
    ]
    return markdown(header, rows, left=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS), help="which models; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print what is there and measure nothing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    library, figures = open_library(), read_figures()
    models = [library.model(name) for name in options.models]
    if not options.table:
        for model in models:
            study(library, model, figures, options.threads)
    print(f"\n{machine(options.threads)}\n\n{table(library, models, figures)}")


if __name__ == "__main__":
    main()
