"""What Explore shows of a view, made from it and the stores alone: the server makes it before any page runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiq_core.envelope import PolicyTable
from aiq_core.errors import SettingError
from aiq_core.frontier import ALGORITHM
from aiq_core.records import UNFUSED, Policy, Run
from aiq_core.search.baselines import RANDOM
from aiq_core.search.strategies import FRONTS, strategy
from aiq_core.space import WEIGHTS
from aiq_core.wording import bit_counts, join, uniform_name, width_range
from pages.common import controls, fronts, known
from pages.common.controls import View
from pages.common.fronts import Front
from pages.common.selection import Decider, Selection, Wish, comparable, select
from pages.explore.figures import Figures, figures
from pages.explore.sentence import Facts, sentence

MARK = "|"


@dataclass(frozen=True)
class Shown:
    """The policy shown, with what it was chosen from and its figures.

    `pinned` is the policy that it is compared with, `complaint` why the one that the link asks for is not; `version`
    is that of what the stores hold; `front` has the points of frontier runs, or of the named rival.
    """

    view: View
    table: PolicyTable
    finished: tuple[Run, ...]
    chosen: Selection
    found: Figures
    pinned: Policy | None
    complaint: str
    version: str
    front: Front

    @property
    def charted(self) -> str:
        """Text that changes whenever a chart may."""
        view = self.view
        where = (view.model.name, view.images, view.machine, view.batch, view.budget, view.look, self.version)
        return repr(
            (
                *where,
                view.traffic,
                view.source,
                view.space.name,
                self.chosen.policy.key,
                self.pinned and self.pinned.key,
            )
        )

    @property
    def members(self) -> list[Policy]:
        """The policies of the strategy that is named: points of fronts, or ends of runs; none where none is."""
        algorithm = self.view.algorithm
        if algorithm is None:
            return []
        if algorithm in FRONTS:
            return [*self.front.policies]
        runs = comparable(self.finished, algorithm, self.table).values()
        return [run.policy for run in runs if run.policy is not None]

    @property
    def random(self) -> list[Policy]:
        """Ends of the random-layers runs."""
        ends = (run.policy for run in self.finished if run.request.algorithm == RANDOM.name)
        return [policy for policy in ends if policy is not None]

    @property
    def path(self) -> list[int]:
        """Rows of the policies best at some alpha."""
        view = self.view
        return [segment.row for segment in known.path(view.model, view.images, view.traffic, view.space)]


def has_usual_parts(view: View, query: Mapping[str, str]) -> bool:
    """Whether the page of an address and its view has all three charts and nothing above them."""
    is_known = known.is_known(view.model, view.images, view.space)
    return not controls.complaints(query) and view.machine.runs_fp32 and is_known


def wish(view: View) -> Wish:
    """What a view's controls ask for."""
    return Wish(view.alpha, view.budget, view.policy, view.algorithm)


def show(view: View) -> Shown:
    """Decides what a view shows; FP32 must be known (`known.is_known`)."""
    library, finished = known.library(), known.runs(view.model)
    table = known.table(view.model, view.images, view.traffic, view.space)
    algorithm = view.algorithm if view.algorithm in FRONTS else ALGORITHM
    front = fronts.front(view.model, view.images, view.traffic, view.space, str(algorithm))
    chosen = select(table, wish(view), finished, front.policies)
    pinned, complaint = _pinned(table, view.pinned)
    return Shown(
        view=view,
        table=table,
        finished=finished,
        chosen=chosen,
        found=figures(table, chosen.policy, view.machine, view.batch),
        pinned=pinned,
        complaint=complaint,
        version=f"{library.table_version(view.model, table.images)} {library.finished_version()}",
        front=front,
    )


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


def parts(shown: Shown) -> tuple[str, str, str]:
    """The page's sentence: before the gain, the gain, which is coloured, and after it."""
    view, found = shown.view, shown.found
    facts = Facts(
        title=view.model.title,
        gain_percent=found.gain_percent,
        drop=None if found.report is None else found.report.drop,
        search_drop=found.search.drop,
        judged_on=shown.table.judged_on,
        judges=shown.table.judges,
        machine=view.machine.spoken,
        speed_up=found.speed_up,
        memory_bound=found.memory_bound,
        layers=found.layers,
        batch=view.batch,
        batch_gain_percent=found.batch_gain_percent,
        budget=view.budget if shown.chosen.decider is Decider.BUDGET else None,
    )
    opened, _, rest = sentence(facts, MARK).partition(MARK)
    inside, _, after = rest.partition(MARK)
    return opened, inside, after


def beneath(shown: Shown) -> str:
    """The line under the sentence: the policy's bits, why it is the one, and among how many."""
    view, request = shown.view, None if shown.chosen.run is None else shown.chosen.run.request
    why = {
        Decider.ALPHA: f"best found at alpha {view.alpha:.2f}",
        Decider.BUDGET: f"highest AI within {view.budget or 0:.1f} points",
        Decider.POLICY: "the policy you picked",
        Decider.FRONT: f"{strategy(view.algorithm or ALGORITHM).noun} at alpha {view.alpha:.2f}",
        Decider.RUN: "" if request is None else f"{request.algorithm} at alpha {request.alpha:g}",
    }[shown.chosen.decider]
    measured = f"{len(shown.table.policies):,} policies on {shown.table.judged_on}"
    counted = "" if view.traffic == UNFUSED else f"{view.traffic} traffic"
    return join([_bits(shown), why, measured, counted])


def _bits(shown: Shown) -> str:
    """The policy's bits in a line: what is shown has weights' alone, or both kinds."""
    policy = shown.chosen.policy
    if shown.view.space is WEIGHTS:
        return "FP32" if policy.is_fp32 else f"weights only: {bit_counts(policy)}"
    name = uniform_name(policy)
    if name is not None:
        return name
    return f"weights {width_range(policy.weight_bits)}, activations {width_range(policy.activation_bits)}"
