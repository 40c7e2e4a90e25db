"""A run's moves with their reasons, and every candidate of a step: those that lost and those that were pruned too."""

import pandas as pd

from aiq_core.charts.wording import bit_counts, bits_name, number
from aiq_core.records import SEARCHES, Candidate, Outcome, Run, Step
from pages.common import known

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
    rows = []
    for step in reversed(run.steps):
        move = "kept" if step.layer is None else f"{step.layer} → {bits_name(step.bits or 32)}"
        rows.append(
            {
                "step": step.index,
                "move": move,
                "why": _without_move(step.reason),
                "AI": step.intensity,
                "top-1 %": 100 * step.correct / run.request.images,
                "loss": step.loss,
            }
        )
    return pd.DataFrame(rows, columns=["step", "move", "why", "AI", "top-1 %", "loss"])


def policies_frame(run: Run) -> pd.DataFrame:
    """A row a listed policy, in the order given."""
    profile = known.model(run.request.model).profile
    rows = [
        {
            "policy": step.index,
            "layers": bit_counts(step.policy),
            "AI": step.intensity,
            "top-1 %": 100 * step.correct / run.request.images,
            **{layer: bits_name(bits) for layer, bits in profile.named_bits(step.policy).items()},
        }
        for step in run.steps
    ]
    return pd.DataFrame(rows)


def _without_move(reason: str) -> str:
    """A reason without the move it begins with, which stands beside it."""
    head, colon, rest = reason.partition(": ")
    return rest if colon and " to " in head else reason


_ORDER = {Outcome.WON: 0, Outcome.LOST: 1, Outcome.CANNOT_WIN: 2, Outcome.PRUNED: 3}


def candidates_frame(step: Step, images: int) -> pd.DataFrame:
    """A row a candidate: the winner, then those that lost, could not win, and were pruned."""
    ordered = sorted(step.candidates, key=lambda c: (_ORDER[c.outcome], c.bound))
    rows = [
        {
            "move": f"{c.layer} → {bits_name(c.bits)}",
            "outcome": str(c.outcome),
            "why": _why(c, images),
            "AI": c.intensity,
            "top-1 %": None if c.correct is None else 100 * c.correct / images,
            "loss": c.loss,
            "lowest loss possible": c.bound,
        }
        for c in ordered
    ]
    columns = ["move", "outcome", "why", "AI", "top-1 %", "loss", "lowest loss possible"]
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
