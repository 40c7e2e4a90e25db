"""Which policy the page shows: the control touched last decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from aiq_core.envelope import PolicyTable, allowed, best, within_budget
from aiq_core.errors import SettingError
from aiq_core.records import UNFUSED, Policy, Run
from aiq_core.search.strategies import FRONTS, strategy


class Decider(StrEnum):
    """What decided."""

    POLICY = "policy"
    BUDGET = "budget"
    RUN = "run"
    FRONT = "front"
    ALPHA = "alpha"


@dataclass(frozen=True)
class Selection:
    """The policy shown and why; `run` is a named algorithm's, `note` says where the wish was not met exactly."""

    policy: Policy
    decider: Decider
    run: Run | None = None
    note: str = ""


@dataclass(frozen=True)
class Wish:
    """What the controls ask for."""

    alpha: float
    budget: float | None
    policy: str | None
    algorithm: str | None


def select(table: PolicyTable, wish: Wish, runs: tuple[Run, ...], front: Sequence[Policy] = ()) -> Selection:
    """The policy for a wish: a clicked or linked one, else the budget's, else a run's end, else the envelope's.

    `front` are the points of the named strategy, where it is one that finds fronts.
    """
    if wish.policy is not None:
        try:
            policy = Policy.from_key(wish.policy)
        except SettingError as error:
            return _at_alpha(table, wish.alpha, f"The link's policy was not used: {error}.")
        if table.row(policy) is not None:
            return Selection(policy, Decider.POLICY)
        nearest = _nearest(table, policy)
        if nearest is None:
            note = f"The link's policy is for another model than {table.profile.model}; showing the best at this alpha."
            return _at_alpha(table, wish.alpha, note)
        note = f"The policy asked for is not measured on {table.judged_on}; showing the nearest one that is."
        return Selection(nearest, Decider.POLICY, note=note)
    if wish.budget is not None:
        return Selection(table.policies[within_budget(table, wish.budget)], Decider.BUDGET)
    if wish.algorithm in FRONTS:
        return _of_front(table, wish, front)
    if wish.algorithm is not None:
        return _of_run(table, wish, comparable(runs, wish.algorithm, table))
    return _at_alpha(table, wish.alpha)


def _at_alpha(table: PolicyTable, alpha: float, note: str = "") -> Selection:
    return Selection(table.policies[best(table, alpha, table.usual_goal)], Decider.ALPHA, note=note)


def _of_front(table: PolicyTable, wish: Wish, front: Sequence[Policy]) -> Selection:
    open_to_all = allowed(table, table.usual_goal)
    rows = [row for policy in front if (row := table.row(policy)) is not None and open_to_all[row]]
    if not rows:
        noun = strategy(str(wish.algorithm)).noun
        note = f"No {noun} on {_where(table)} yet; showing the best found."
        return _at_alpha(table, wish.alpha, note)
    return Selection(table.policies[best(table, wish.alpha, table.usual_goal, rows)], Decider.FRONT)


def _where(table: PolicyTable) -> str:
    counted = "" if table.traffic == UNFUSED else f" by {table.traffic} traffic"
    return f"{table.start + table.images:,} search images{counted}"


def comparable(runs: tuple[Run, ...], algorithm: str, table: PolicyTable) -> dict[float, Run]:
    """Searched alpha -> run, of an algorithm in a table's space with its settings, on its images, by its traffic."""
    found: dict[float, Run] = {}
    for run in runs:
        request = run.request
        here = request.images == table.start + table.images and request.traffic == table.traffic
        usual = here and table.space.is_usual(request, table.quantizer, table.profile)
        if usual and request.algorithm == algorithm and request.alpha is not None:
            found.setdefault(request.alpha, run)
    return dict(sorted(found.items()))


def _of_run(table: PolicyTable, wish: Wish, searched: dict[float, Run]) -> Selection:
    usable = {a: run for a, run in searched.items() if run.policy is not None and table.row(run.policy) is not None}
    if not usable:
        note = f"No finished {wish.algorithm} run on {_where(table)} yet; showing the best found."
        return _at_alpha(table, wish.alpha, note)
    alpha = min(usable, key=lambda searched_alpha: (abs(searched_alpha - wish.alpha), searched_alpha))
    run = usable[alpha]
    exact = abs(alpha - wish.alpha) < 1e-9
    note = "" if exact else f"No {wish.algorithm} run at alpha {wish.alpha:.2f}; showing the nearest, alpha {alpha:g}."
    assert run.policy is not None
    return Selection(run.policy, Decider.RUN, run, note)


def _nearest(table: PolicyTable, policy: Policy) -> Policy | None:
    """The measured policy that differs in the fewest layers and activation groups."""
    if not table.profile.fits(policy):
        return None
    known = np.array([(*p.weight_bits, *p.activation_bits) for p in table.policies])
    asked = np.array((*policy.weight_bits, *policy.activation_bits))
    return table.policies[int(np.argmin((known != asked).sum(axis=1)))]
