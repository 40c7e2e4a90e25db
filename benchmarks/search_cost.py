"""What a greedy search costs, trick by trick, all in one run: `python -m benchmarks.search_cost`.

The ladder: the paper's algorithm (every candidate, every image, an ordinary DataLoader, the network as trained), the
same on the folded reference evaluator, exact pruning, early stop with likely mistakes first, shared prefixes. Then a
sweep of alpha on one memo. Costs are in full-evaluation equivalents: multiply-accumulates executed over those of the
network on the image set. FP32, run once to order the images, and the completion of winners count; report images do not.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from aiq_core.catalog import Model, bundled
from aiq_core.objective import Objective, default_normaliser, floor_score
from aiq_core.records import (
    DEFAULT_ACCURACY_NORMALISER,
    DEFAULT_WIDTHS,
    FP32_BITS,
    Evaluation,
    EvaluationKey,
    ImageSet,
    ModelProfile,
    Move,
    Policy,
    Quantizer,
    Score,
    SplitName,
    is_done,
)
from aiq_core.runtime.chunk import CHUNK
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.search.greedy import greedy
from aiq_core.search.memo import Memo
from aiq_core.search.problem import Ask, Problem
from benchmarks._common import COSTS, Meter, machine, markdown, write_section
from benchmarks._plain import Search, Taken, Unfolded, plain_greedy

SWEEP = tuple(step / 20 for step in range(21))


class EmptyStore:
    """A memo's store that starts empty and lives in memory; each evaluation is the more complete one of its key."""

    def __init__(self) -> None:
        self._known: dict[EvaluationKey, Evaluation] = {}

    def find(self, key: EvaluationKey) -> Evaluation | None:
        return self._known.get(key)

    def save_evaluation(self, evaluation: Evaluation) -> int:
        known = self._known.get(evaluation.key)
        if known is not None:
            merged = np.where(is_done(known.outcomes), known.outcomes, evaluation.outcomes)
            evaluation = replace(evaluation, outcomes=merged)
        self._known[evaluation.key] = evaluation
        return 0


@dataclass(frozen=True)
class Cost:
    """What a rung did; `cpu_seconds` are of all threads.

    `extrapolated` where the plain algorithm was stopped early and its rest is by arithmetic.
    """

    name: str
    evaluations: int
    equivalents: float
    image_layers: float
    seconds: float
    cpu_seconds: float
    moves: tuple[Move | None, ...]
    right: int
    extrapolated: bool = False


class Watch:
    """Seconds and CPU seconds since it was made; the second hardly depend on what else the machine does."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


class Bench:
    """One model on one image set; every rung starts from nothing."""

    def __init__(self, model: Model, images: int, threads: int, chunk: int, steps: int | None) -> None:
        self.model, self.images, self.threads, self.chunk, self.steps = model, images, threads, chunk, steps
        self.profile: ModelProfile = model.profile
        self.dataset = model.dataset
        self.labels = self.dataset.search.labels
        self.full_macs = self.images * self.profile.flops // 2

    def problem(self, alpha: float, baseline: Score) -> Problem:
        fp32 = self.profile.uniform(FP32_BITS)
        objective = Objective(
            metric=self.model.metric,
            alpha=alpha,
            intensity_normaliser=default_normaliser(self.profile, DEFAULT_WIDTHS),
            accuracy_normaliser=DEFAULT_ACCURACY_NORMALISER,
            images=self.images,
            baseline_score=baseline,
            floor_score=floor_score(self.model.metric, None, baseline, self.images),
        )
        return Problem(self.profile, objective, DEFAULT_WIDTHS, self.profile.weight_sites, fp32, baseline)

    def evaluator(self, cache: bool) -> tuple[TorchEvaluator, Meter, int]:
        """The reference evaluator, its meter, and the multiply-accumulates of its FP32 pass."""
        image_set = ImageSet(SplitName.SEARCH, self.images)
        evaluator = TorchEvaluator(self.model, image_set, Quantizer(), self.threads, None if cache else 0, self.chunk)
        passed = -(-self.images // self.chunk) * self.chunk * self.profile.flops // 2
        return evaluator, Meter().watch(evaluator.network.layers.values()), passed

    def memo(self, evaluator: TorchEvaluator) -> Memo:
        def key(policy: Policy) -> EvaluationKey:
            return EvaluationKey(self.model.name, "search", "reference", policy.key)

        return Memo(
            self.model.metric,
            key,
            self.labels,
            ImageSet(SplitName.SEARCH, self.images),
            EmptyStore(),
            lambda: evaluator,
        )

    def reference(self, name: str, alpha: float, search: Search, early_stop: bool, cache: bool) -> Cost:
        """A rung on the reference evaluator, through the memo that the app uses."""
        watch = Watch()
        evaluator, meter, passed = self.evaluator(cache)
        memo = self.memo(evaluator)
        fp32 = self.profile.uniform(FP32_BITS)
        baseline = memo.ask(fp32, None, fp32) or 0

        def ask(policy: Policy, needs: Score | None, base: Policy) -> Score | None:
            return memo.ask(policy, needs if early_stop else None, base)

        moves, right = self.run(search, self.problem(alpha, baseline), ask)
        layers = meter.image_layers + passed * 2 / self.profile.flops * len(self.profile.layers)
        equivalents = (meter.macs + passed) / self.full_macs
        return _said(Cost(name, memo.asked, equivalents, layers, *watch.read(), moves, right))

    def plain(self, name: str, alpha: float) -> Cost:
        """The paper's way: the network as trained, an ordinary DataLoader, every candidate on every image."""
        watch = Watch()
        torch.set_num_threads(self.threads)
        network = Unfolded(self.model, self.images)
        baseline = network.right(self.profile.uniform(FP32_BITS))
        moves, right = self.run(
            plain_greedy, self.problem(alpha, baseline), lambda policy, needs, base: network.right(policy)
        )
        meter = network.meter
        equivalents = meter.macs / self.full_macs
        return _said(Cost(name, network.evaluations, equivalents, meter.image_layers, *watch.read(), moves, right))

    def run(self, search: Search, problem: Problem, ask: Ask) -> tuple[tuple[Move | None, ...], int]:
        """The moves of a search, up to the limit of steps, and the number right after the last."""
        steps = list(islice(search(problem, ask), self.steps))
        return tuple(move for move, _ in steps), int(steps[-1][1] if steps else problem.start_score)

    def sweep(self) -> tuple[Cost, dict[float, float]]:
        """Greedy at 21 alphas on one memo, from nothing, step by step in turn as the app's worker does.

        All together, and each alpha's full-evaluation equivalents; what precedes the first step is in the total only.
        """
        watch = Watch()
        evaluator, meter, passed = self.evaluator(cache=True)
        memo = self.memo(evaluator)
        fp32 = self.profile.uniform(FP32_BITS)
        baseline = memo.ask(fp32, None, fp32) or 0
        turns = {alpha: islice(pruned_greedy(self.problem(alpha, baseline), memo.ask), self.steps) for alpha in SWEEP}
        spent = dict.fromkeys(SWEEP, 0.0)
        while turns:
            for alpha, steps in list(turns.items()):
                before = meter.macs
                if next(steps, None) is None:
                    del turns[alpha]
                spent[alpha] += (meter.macs - before) / self.full_macs
        total = (meter.macs + passed) / self.full_macs
        return Cost("sweep", memo.asked, total, meter.image_layers, *watch.read(), (), 0), spent


def pruned_greedy(problem: Problem, ask: Ask) -> Iterator[Taken]:
    """The app's greedy search: its move and the score after it, a step."""
    for step in greedy(problem, ask):
        yield step.move, step.score


def _said(cost: Cost) -> Cost:
    """Says on stderr that a rung is done: the whole ladder takes minutes."""
    figures = f"{cost.evaluations} evaluations, {cost.equivalents:.1f} equivalents, {cost.cpu_seconds:.0f} CPU seconds"
    print(f"{cost.name}: {len(cost.moves)} steps, {figures}", file=sys.stderr, flush=True)
    return cost


def plain_candidates(layers: int, steps: int) -> int:
    """Evaluations of the plain algorithm over that many steps, FP32 included."""
    return 1 + sum((len(DEFAULT_WIDTHS) - 1) * (layers - step) for step in range(steps))


def to_the_end(cost: Cost, layers: int, steps: int) -> Cost:
    """A plain rung that was stopped early, continued by arithmetic: each candidate costs the same."""
    if len(cost.moves) >= steps:
        return cost
    whole = plain_candidates(layers, steps)
    factor = whole / cost.evaluations
    return replace(
        cost,
        evaluations=whole,
        equivalents=cost.equivalents * factor,
        image_layers=cost.image_layers * factor,
        seconds=cost.seconds * factor,
        cpu_seconds=cost.cpu_seconds * factor,
        extrapolated=True,
    )


def ladder(bench: Bench, alpha: float, plain_steps: int | None) -> list[Cost]:
    """Every rung, the cheapest tricks last; the plain ones up to `plain_steps`, where that is given."""
    rungs = [
        bench.reference("+ exact pruning", alpha, pruned_greedy, early_stop=False, cache=False),
        bench.reference("+ early stop, likely mistakes first", alpha, pruned_greedy, early_stop=True, cache=False),
        bench.reference("+ shared prefixes", alpha, pruned_greedy, early_stop=True, cache=True),
    ]
    steps, whole = bench.steps, len(rungs[-1].moves)
    bench.steps = plain_steps if steps is None else min(steps, plain_steps or steps)
    plain = [
        bench.plain("plain: as trained, ordinary DataLoader", alpha),
        bench.reference("plain on the folded reference", alpha, plain_greedy, early_stop=False, cache=False),
    ]
    bench.steps = steps
    layers = len(bench.profile.quantizable)
    return [*(to_the_end(cost, layers, whole) for cost in plain), *rungs]


def agreement(costs: list[Cost]) -> str:
    """Whether the rungs took the same moves, as far as each went."""
    last = costs[-1]
    said = []
    for cost in costs[:-1]:
        common = min(len(cost.moves), len(last.moves))
        differs = next((i for i in range(common) if cost.moves[i] != last.moves[i]), None)
        if differs is not None:
            said.append(
                f"{cost.name}: differs from move {differs + 1}, {cost.moves[differs]}, not {last.moves[differs]}"
            )
        elif common < len(last.moves):
            said.append(f"{cost.name}: the same over the {common} moves it was run for")
    same = sum(1 for cost in costs[:-1] if cost.moves == last.moves)
    head = f"Moves: {same} of the {len(costs) - 1} rungs above the last took all of its {len(last.moves)} steps alike."
    return " ".join([head, *(f"{text}." for text in said)])


def tables(costs: list[Cost]) -> str:
    """The ladder as Markdown."""
    first = costs[0]
    rows = []
    for cost in costs:
        about = "≈ " if cost.extrapolated else ""
        rows.append(
            (
                cost.name,
                f"{cost.evaluations:,}",
                f"{about}{cost.equivalents:.1f}",
                f"{about}{cost.image_layers / 1e6:.2f}",
                f"{about}{cost.seconds:.0f}",
                f"{about}{cost.cpu_seconds:.0f}",
                f"{first.equivalents / cost.equivalents:.1f} ×",
                f"{first.cpu_seconds / cost.cpu_seconds:.1f} ×",
            )
        )
    header = ("", "evaluations asked", "full-evaluation equivalents", "image-layers, millions", "seconds",
              "CPU seconds", "less work", "less CPU time")  # fmt: skip
    return markdown(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet20", choices=bundled().models)
    parser.add_argument("--images", type=int, default=1000, help="search images; 5000 are all")
    parser.add_argument("--alpha", type=float, default=0.9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--chunk", type=int, default=CHUNK, help="images a forward of the reference, 125 or more")
    parser.add_argument("--limit-steps", type=int, help="stop every search after this many steps")
    parser.add_argument(
        "--plain-steps",
        type=int,
        default=3,
        help="run the two plain rungs this far, the rest by arithmetic (≈); 0: all",
    )
    parser.add_argument("--no-sweep", action="store_true", help="leave the sweep of 21 alphas out")
    parser.add_argument("--write", action="store_true", help=f"write {COSTS.relative_to(COSTS.parents[1])} too")
    chosen = parser.parse_args()

    about = machine(chosen.threads)
    bench = Bench(bundled().model(chosen.model), chosen.images, chosen.threads, chosen.chunk, chosen.limit_steps)
    costs = ladder(bench, chosen.alpha, chosen.plain_steps or None)
    limit = "" if chosen.limit_steps is None else f", the first {chosen.limit_steps} steps only"
    title = bundled().model(chosen.model).title
    lines = [
        f"Greedy at alpha {chosen.alpha:g}, {title}, {chosen.images:,} search images{limit}.",
        tables(costs),
        agreement(costs),
        "One full-evaluation equivalent is every image through every layer once. FP32, which also orders the images "
        "(reference rungs), and the completion of winners are included, report images are not. The reference evaluator "
        "is the fast forward: batch norm folded, channels last, weights rounded once a layer and width; so that is in "
        "every row but the first and has none of its own. ≈: the plain algorithm was stopped early and the rest is by "
        "arithmetic, as each of its candidates costs the same.",
        f"{about}.",
    ]
    print("\n\n".join(lines), flush=True)
    if chosen.write:
        write_section(f"{chosen.images:,} search images", lines)
    if not chosen.no_sweep:
        lines.insert(-1, sweep_text(*bench.sweep(), limit))
        print(f"\n{lines[-2]}")
        if chosen.write:
            write_section(f"{chosen.images:,} search images", lines)


def sweep_text(total: Cost, spent: dict[float, float], limit: str) -> str:
    """What the sweep cost, in a sentence."""
    dearest = max(spent, key=lambda alpha: spent[alpha])
    return (
        f"A sweep of {len(spent)} alphas, 0 to 1 by 0.05, from an empty memo{limit}, step by step in turn: "
        f"{total.evaluations:,} evaluations asked within {total.equivalents:.1f} full-evaluation equivalents, "
        f"{total.cpu_seconds:.0f} CPU seconds; the dearest alpha, {dearest:g}, took {spent[dearest]:.1f} of them, "
        f"and {sum(share < 0.05 for share in spent.values())} alphas took none."
    )


if __name__ == "__main__":
    main()
