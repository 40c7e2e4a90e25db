"""A run's moves with their reasons, and every candidate of a step: those that lost and those that were pruned too."""

import pandas as pd

from aiq_core.charts.wording import bits_name, number
from aiq_core.records import SEARCHES, Candidate, Outcome, Run, Step

PRUNED_WHY = "pruned: could not win even with no accuracy lost"


def step_name(step: Step, run: Run) -> str:
    """A step in a few words: `7: layer2.0.conv1 to 4 bits`."""
    if run.request.algorithm not in SEARCHES:
        return f"{step.index}: policy {step.index}"
    sweep = f" (sweep {step.sweep})" if step.sweep > 1 else ""
    if step.layer is None or step.bits is None:
        return f"{step.index}: kept what it had{sweep}"
    return f"{step.index}: {step.layer} to {bits_name(step.bits)}{sweep}"


def moves_frame(run: Run) -> pd.DataFrame:
    """A row a step, the newest first."""
    searches = run.request.algorithm in SEARCHES
    rows = []
    for step in reversed(run.steps):
        move = "kept" if step.layer is None else f"{step.layer} → {bits_name(step.bits or 32)}"
        rows.append(
            {
                "step": step.index,
                "move": move if searches else f"policy {step.index}",
                "AI": step.intensity,
                "top-1 %": 100 * step.correct / run.request.images,
                "loss": step.loss if searches else None,
                "why": step.reason,
            }
        )
    frame = pd.DataFrame(rows, columns=["step", "move", "AI", "top-1 %", "loss", "why"])
    return frame if searches else frame.drop(columns=["loss"])


_ORDER = {Outcome.WON: 0, Outcome.LOST: 1, Outcome.CANNOT_WIN: 2, Outcome.PRUNED: 3}


def candidates_frame(step: Step, images: int) -> pd.DataFrame:
    """A row a candidate: the winner, then those that lost, could not win, and were pruned."""
    ordered = sorted(step.candidates, key=lambda c: (_ORDER[c.outcome], c.bound))
    rows = [
        {
            "move": f"{c.layer} → {bits_name(c.bits)}",
            "outcome": str(c.outcome),
            "AI": c.intensity,
            "top-1 %": None if c.correct is None else 100 * c.correct / images,
            "loss": c.loss,
            "lowest loss possible": c.bound,
            "why": _why(c, images),
        }
        for c in ordered
    ]
    columns = ["move", "outcome", "AI", "top-1 %", "loss", "lowest loss possible", "why"]
    return pd.DataFrame(rows, columns=columns)


def _why(candidate: Candidate, images: int) -> str:
    if candidate.outcome is Outcome.PRUNED:
        return PRUNED_WHY
    needs = (
        "" if candidate.needs is None else f"{candidate.needs:,} of {images:,} ({_percent(candidate.needs, images)})"
    )
    if candidate.outcome is Outcome.CANNOT_WIN:
        return f"needed {needs} right and could not reach it; stopped there"
    right = "" if candidate.correct is None else f"{candidate.correct:,} right"
    if candidate.outcome is Outcome.WON:
        return f"{right}: the lowest loss of this step"
    return f"{right}, enough when it was asked; another came lower"


def _percent(correct: int, images: int) -> str:
    return f"{number(100 * correct / images, 2)} %"


def counts(step: Step) -> str:
    """How many candidates met each fate."""
    found = {outcome: sum(c.outcome is outcome for c in step.candidates) for outcome in Outcome}
    return ", ".join(f"{count} {outcome}" for outcome, count in found.items() if count)
