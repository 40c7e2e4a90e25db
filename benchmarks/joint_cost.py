"""What searching weights and activations costs, from the bundled runs themselves: `python -m benchmarks.joint_cost`.

Plain is what the paper's algorithm evaluates on the way that a run took: every candidate of every step, by arithmetic,
with FP32 and the start. Asked, computed and seconds are the runs' own figures.
"""

import argparse

from aiq_core.catalog import bundled
from aiq_core.claims.evidence import Evidence, candidates, gain
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.records import Run
from aiq_core.space import JOINT
from aiq_core.store import Store
from benchmarks._common import COSTS, markdown, write_section

SECTION = "Weights and activations"
ALPHA = 0.5
FIRST = 2
"""FP32 and the start are evaluated before any candidate."""
HEADER = ("", "sites", "alpha", "steps", "plain evaluations", "asked", "of plain", "computed", "seconds", "AI gained")


def row(evidence: Evidence, run: Run) -> tuple[str, ...]:
    """A run, with its steps."""
    model, profile = run.request.model, evidence.profile(run.request.model)
    plain = candidates(run)[0] + FIRST
    return (
        f"{evidence.title(model)}, {run.request.algorithm}",
        f"{len(run.request.movable(profile))}",
        f"{run.request.alpha:g}",
        f"{len(run.steps)}",
        f"{plain:,}",
        f"{run.evaluations:,}",
        f"{100 * run.evaluations / plain:.0f} %",
        f"{run.evaluations_new:,}",
        f"{run.seconds:,.0f}",
        "–" if run.policy is None else f"{gain(profile, run.policy):+.0f} %",
    )


def lines(evidence: Evidence) -> list[str]:
    """The section: a row a search at the usual alpha, and what all alphas took together."""
    rows, sums = [], []
    for model in evidence.library.models:
        runs = [evidence.library.run(run.id) for run in evidence.searches(model, space=JOINT)]
        rows += [row(evidence, run) for run in runs if run.request.alpha == ALPHA]
        if len(runs) > 1:
            plain = sum(candidates(run)[0] + FIRST for run in runs)
            asked, computed = (sum(getattr(run, name) for run in runs) for name in ("evaluations", "evaluations_new"))
            sums.append(
                f"All {len(runs)} searches of {evidence.title(model)}: {asked:,} asked of {plain:,}, {computed:,} "
                f"computed, {sum(run.seconds for run in runs):,.0f} seconds."
            )
    return [
        f"Weights at {_widths(JOINT.widths)} bits, activations at {_widths(JOINT.activation_widths)}, from all at 8; a "
        "site is a layer's weights or a group of activations.",
        markdown(HEADER, rows),
        *sums,
        "Plain: every candidate of every step, by arithmetic, with FP32 and the start. Asked: what exact pruning left, "
        "stopped where it could not win any more; computed: what no earlier run had measured. Seconds are of one "
        "process beside other work.",
    ]


def _widths(widths: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, widths[:-1]))} or {widths[-1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {COSTS.relative_to(COSTS.parents[1])} too")
    chosen = parser.parse_args()
    library = Library(None, Store(BUNDLED_RESULTS, immutable=True), (bundled(),))
    found = lines(Evidence(library))
    print("\n\n".join(found))
    if chosen.write:
        write_section(SECTION, found)


if __name__ == "__main__":
    main()
