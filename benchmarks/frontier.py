"""Seconds and evaluations to a front, and how much of the trade-off it covers: `python -m benchmarks.frontier`.

The frontier beside the greedy sweep of all alphas, NSGA-II and random search, each from an empty store. Those that
choose by evaluations do so on the first search images, and the others confirm; the frontier chose on none, and all
confirm it. At most 20 policies of a side, those that cover most on the images that confirm, are read on report images.
What is covered is the area of AI over FP32's and points lost, up to one point, with the middle 95 % of what a bootstrap
over images gives. `--exhaust` measures every policy of two small spaces too, and how far each strategy stays from the
best of them. Runs lie in `--folder` and are found again, so it may be interrupted.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from aiq_core.catalog import ASSETS, bundled, data_dir
from aiq_core.frontier import Measure
from aiq_core.frontier.hypervolume import Floats, drawn, hypervolume, interval, pick
from aiq_core.statistics import Interval
from benchmarks._common import machine, markdown
from benchmarks._gaps import gaps
from benchmarks._sides import RIVALS, Bench, Side

TABLE = ASSETS / "frontier.csv"
SEEDS = 3
HEADER = ("", "policies asked", "evaluations", "of calibration images", "seconds", "CPU seconds", "policies that count",
          "area, confirm images", "area, report images", "less the frontier's")  # fmt: skip


@dataclass(frozen=True)
class Reached:
    """A side with the areas that its policies cover; `draws` are of the report images, so that sides pair."""

    model: str
    side: Side
    picked: int
    confirm: Interval
    report: Interval
    draws: Floats


def reached(bench: Bench, side: Side) -> Reached:
    """What a side's policies cover, those picked on the images that confirm."""
    ratios, lost = bench.ratios(side.policies), bench.confirmed(side)
    picked = list(pick(ratios, 100 * lost.mean(axis=1)))
    ratios, lost = ratios[picked], lost[picked]
    reported = bench.reported([side.policies[place] for place in picked])
    areas = []
    for each in (lost, reported):
        draws = drawn(ratios, each)
        areas.append(interval(float(hypervolume(ratios, 100 * each.mean(axis=1))), draws))
    return Reached(bench.model.name, side, len(picked), areas[0], areas[1], draws)


def sides(bench: Bench, seeds: int, evaluations: int | None) -> list[Reached]:
    """Every side, the frontier first; those that draw have as many evaluations as it took, unless told otherwise."""
    found = []

    def add(side: Side) -> None:
        found.append(reached(bench, side))
        print(f"{bench.model.name}: {row(found[-1], found[0])}", flush=True)

    first = bench.frontier(Measure.KL)
    add(first)
    add(bench.frontier(Measure.FISHER))
    for algorithm in RIVALS:
        for seed in range(seeds):
            add(bench.drawn(algorithm, seed, evaluations or round(first.evaluations + first.calibration)))
    add(bench.greedy())
    return found


def row(found: Reached, first: Reached) -> tuple[str, ...]:
    """A row of the table, held against the frontier's."""
    side = found.side
    less = interval(found.report.value - first.report.value, found.draws - first.draws)
    return (
        side.name if side.seed is None else f"{side.name}, seed {side.seed}",
        f"{side.asked:,}",
        f"{side.evaluations:.1f}",
        f"{side.calibration:.1f}",
        f"{side.seconds:,.0f}",
        f"{side.cpu_seconds:,.0f}",
        f"{found.picked}",
        area(found.confirm),
        area(found.report),
        "–" if found is first else area(less, "+"),
    )


def area(found: Interval, sign: str = "") -> str:
    """An area as tables have it."""
    return f"{found.value:{sign}.2f} ({found.low:{sign}.2f} to {found.high:{sign}.2f})"


def write(every: Sequence[Reached]) -> None:
    """A row a model, strategy and seed, for pages to show."""
    areas = [f"{name}_area{end}" for name in ("confirm", "report") for end in ("", "_low", "_high")]
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([
            "model", "strategy", "seed", "asked", "evaluations", "calibration_evaluations", "seconds", "cpu_seconds",
            "policies", *areas,
        ])  # fmt: skip
        for each in every:
            side = each.side
            found = (value for one in (each.confirm, each.report) for value in (one.value, one.low, one.high))
            lines.writerow([
                each.model, side.name, "" if side.seed is None else side.seed, side.asked, f"{side.evaluations:.2f}",
                f"{side.calibration:.2f}", f"{side.seconds:.1f}", f"{side.cpu_seconds:.1f}", each.picked,
                *(f"{value:.4f}" for value in found),
            ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["resnet20", "mobilenet_v2"], choices=bundled().models)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of each strategy that draws")
    parser.add_argument("--evaluations", type=int, help="of each strategy that draws; the frontier's own by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--folder", type=Path, default=data_dir() / "benchmark", help="where runs are kept")
    parser.add_argument("--exhaust", action="store_true", help="measure every policy of two small spaces too")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.relative_to(ASSETS.parent)} too")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    about = machine(chosen.threads)
    every: list[Reached] = []
    for name in chosen.models:
        model = bundled().model(name)
        found = sides(
            Bench(model, model.dataset.search.size, chosen.folder, chosen.threads), chosen.seeds, chosen.evaluations
        )
        print(f"\n{model.title}\n\n{markdown(HEADER, [row(each, found[0]) for each in found])}\n", flush=True)
        every += found
    if chosen.exhaust:
        print(gaps(chosen.folder, chosen.threads))
    print(f"{about}.")
    if chosen.write:
        write(every)


if __name__ == "__main__":
    main()
