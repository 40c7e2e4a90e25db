"""What Explore shows of a view, made from it and the stores alone: the server makes it before any page runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiq_core.deployment.timing import TIMING
from aiq_core.records import Policy
from aiq_core.search.baselines import RANDOM
from aiq_core.search.strategies import FRONTS
from pages.common import controls, known
from pages.common.controls import View
from pages.common.picked import Picked, pick
from pages.common.selection import Decider, comparable
from pages.explore.figures import Figures, figures
from pages.explore.sentence import Facts, sentence
from pages.explore.timed import timed

MARK = "|"


@dataclass(frozen=True)
class Shown(Picked):
    """The policy shown, with its figures; `version` is that of what the stores hold."""

    found: Figures
    version: str

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


def show(view: View) -> Shown:
    """Decides what a view shows; FP32 must be known (`known.is_known`)."""
    library, picked = known.library(), pick(view)
    versions = (
        library.table_version(view.model, picked.table.images),
        library.finished_version(),
        library.measurements_version(TIMING),
    )
    return Shown(
        **vars(picked),
        found=figures(picked.table, picked.chosen.policy, view.machine, view.batch),
        version=" ".join(versions),
    )


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
        timed=timed(view.model, shown.chosen.policy, shown.table.quantizer, view.batch),
    )
    opened, _, rest = sentence(facts, MARK).partition(MARK)
    inside, _, after = rest.partition(MARK)
    return opened, inside, after
