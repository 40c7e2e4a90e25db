"""A run's moves with their reasons, and every candidate of a step: those that lost and those that were pruned too."""

import pandas as pd

from aiq_core.records import Candidate, Move, Outcome, Run, Step
from aiq_core.search.strategies import strategy
from aiq_core.wording import bit_counts, bits_name, move_words, number
from pages.common import known, names

PRUNED_WHY = "pruned: could not win even with no accuracy lost"


def move_name(move: Move) -> str:
    return f"{move.site} → {bits_name(move.bits)}"


def step_name(step: Step, run: Run) -> str:
    """A step in a few words: `7: layer2.0.conv1 to 4 bits`."""
    if not strategy(run.request.algorithm).searches:
        return f"{step.index}: policy {step.index}"
    sweep = f" (sweep {step.sweep})" if step.sweep > 1 else ""
    if step.move is None:
        return f"{step.index}: kept what it had{sweep}"
    return f"{step.index}: {move_words(step.move)}{sweep}"


def moves_frame(run: Run) -> pd.DataFrame:
    """A row a step, the newest first."""
    rows = [
        {
            "step": step.index,
            "move": "kept" if step.move is None else move_name(step.move),
            "why": _without_move(step.reason),
            "AI": step.intensity,
            names.points_name(run): 100 * step.score / run.request.chooses_on,
            "loss": step.loss,
        }
        for step in reversed(run.steps)
    ]
    return pd.DataFrame(rows)


def policies_frame(run: Run) -> pd.DataFrame:
    """A row a listed policy, in the order given; activation groups have columns where any policy has their bits."""
    profile = known.model(run.request.model).profile
    joint = any(step.policy.has_activations for step in run.steps)
    sites = profile.sites if joint else profile.weight_sites
    rows = [
        {
            "policy": step.index,
            "layers": bit_counts(step.policy),
            "AI": step.intensity,
            names.points_name(run): 100 * step.score / run.request.chooses_on,
            **{str(site): bits_name(profile.width(step.policy, site)) for site in sites},
        }
        for step in run.steps
    ]
    return pd.DataFrame(rows)


def _without_move(reason: str) -> str:
    """A reason without the move it begins with, which stands beside it."""
    head, colon, rest = reason.partition(": ")
    return rest if colon and " to " in head else reason


_ORDER = {Outcome.WON: 0, Outcome.LOST: 1, Outcome.CANNOT_WIN: 2, Outcome.PRUNED: 3}


def candidates_frame(step: Step, run: Run) -> pd.DataFrame:
    """A row a candidate: the winner, then those that lost, could not win, and were pruned."""
    images, points = run.request.chooses_on, names.points_name(run)
    ordered = sorted(step.candidates, key=lambda c: (_ORDER[c.outcome], c.bound))
    rows = [
        {
            "move": move_name(c.move),
            "outcome": str(c.outcome),
            "why": _why(c, images),
            "AI": c.intensity,
            points: None if c.score is None else 100 * c.score / images,
            "loss": c.loss,
            "lowest loss possible": c.bound,
        }
        for c in ordered
    ]
    columns = ["move", "outcome", "why", "AI", points, "loss", "lowest loss possible"]
    return pd.DataFrame(rows, columns=columns)


def _why(candidate: Candidate, images: int) -> str:
    if candidate.outcome is Outcome.PRUNED:
        return PRUNED_WHY
    if candidate.outcome is Outcome.CANNOT_WIN:
        needs = ""
        if candidate.needs is not None:
            needs = f"{candidate.needs:,} of {images:,} ({number(100 * candidate.needs / images, 2)} %)"
        return f"needed {needs} right and could not reach it; stopped there"
    right = "" if candidate.score is None else f"{candidate.score:,} right"
    if candidate.outcome is Outcome.WON:
        return f"{right}: the lowest loss of this step"
    return f"{right}, enough when it was asked; another came lower"


def counts(step: Step) -> str:
    """How many candidates met each fate."""
    found = {outcome: sum(c.outcome is outcome for c in step.candidates) for outcome in Outcome}
    return ", ".join(f"{count} {outcome}" for outcome, count in found.items() if count)
