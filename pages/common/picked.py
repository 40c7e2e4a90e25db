"""The policy that a view asks for, and what it was chosen from: the same on every page with those controls."""

from dataclasses import dataclass

from aiq_core.envelope import PolicyTable
from aiq_core.errors import SettingError
from aiq_core.frontier import ALGORITHM
from aiq_core.records import UNFUSED, Policy, Run
from aiq_core.search.strategies import FRONTS, strategy
from aiq_core.space import WEIGHTS
from aiq_core.wording import bit_counts, join, uniform_name, width_range
from pages.common import fronts, known
from pages.common.controls import View
from pages.common.fronts import Front
from pages.common.selection import Decider, Selection, Wish, select


@dataclass(frozen=True)
class Picked:
    """The policy shown, with what it was chosen from.

    `pinned` is the policy that it is compared with, `complaint` why the one that the link asks for is not; `front` has
    the points of frontier runs, or of the named rival.
    """

    view: View
    table: PolicyTable
    finished: tuple[Run, ...]
    chosen: Selection
    pinned: Policy | None
    complaint: str
    front: Front

    @property
    def before(self) -> tuple[Policy, str]:
        """What charts compare with, and its name: the pinned policy A, else FP32."""
        return (self.table.profile.uniform(32), "FP32") if self.pinned is None else (self.pinned, "A")


def wish(view: View) -> Wish:
    """What a view's controls ask for."""
    return Wish(view.alpha, view.budget, view.policy, view.algorithm)


def pick(view: View) -> Picked:
    """Decides which policy a view shows; FP32 must be known (`known.is_known`)."""
    finished = known.runs(view.model)
    table = known.table(view.model, view.images, view.traffic, view.space)
    algorithm = view.algorithm if view.algorithm in FRONTS else ALGORITHM
    front = fronts.front(view.model, view.images, view.traffic, view.space, str(algorithm))
    chosen = select(table, wish(view), finished, front.policies)
    return Picked(view, table, finished, chosen, *_pinned(table, view.pinned), front)


def _pinned(table: PolicyTable, key: str | None) -> tuple[Policy | None, str]:
    if key is None:
        return None, ""
    try:
        policy = Policy.from_key(key)
    except SettingError as error:
        return None, f"The link's pinned policy was not used: {error}."
    if table.row(policy) is None:
        return (
            None,
            f"The link's pinned policy is not measured on {table.judged_on}, so it was not pinned.",
        )
    return policy, ""


def beneath(picked: Picked) -> str:
    """The line under the sentence: the policy's bits, why it is the one, and among how many."""
    view, request = picked.view, None if picked.chosen.run is None else picked.chosen.run.request
    why = {
        Decider.ALPHA: f"best found at alpha {view.alpha:.2f}",
        Decider.BUDGET: f"highest AI within {view.budget or 0:.1f} points",
        Decider.POLICY: "the policy you picked",
        Decider.FRONT: f"{strategy(view.algorithm or ALGORITHM).noun} at alpha {view.alpha:.2f}",
        Decider.RUN: "" if request is None else f"{request.algorithm} at alpha {request.alpha:g}",
    }[picked.chosen.decider]
    measured = f"{len(picked.table.policies):,} policies on {picked.table.judged_on}"
    counted = "" if view.traffic == UNFUSED else f"{view.traffic} traffic"
    return join([_bits(picked), why, measured, counted])


def _bits(picked: Picked) -> str:
    """The policy's bits in a line: what is shown has weights' alone, or both kinds."""
    policy = picked.chosen.policy
    if picked.view.space is WEIGHTS:
        return "FP32" if policy.is_fp32 else f"weights only: {bit_counts(policy)}"
    name = uniform_name(policy)
    if name is not None:
        return name
    return f"weights {width_range(policy.weight_bits)}, activations {width_range(policy.activation_bits)}"
