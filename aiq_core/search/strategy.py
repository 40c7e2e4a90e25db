"""What there is to know of a strategy: how it is called, what it needs, how long it will be, and its moves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiq_core.records import Step
from aiq_core.search.problem import Ask, Problem


@dataclass(frozen=True)
class Strategy:
    """A way to choose policies. `name` stands in requests, `title` in lists, `noun` in sentences.

    `steps` yields the steps of a search, which minimises the loss at an alpha; `front` one for each point of a
    trade-off. One that `uses_costs` chooses by what widths cost by themselves; one that `draws` does so at random, from
    the request's seed. Where both are None the request's policies are evaluated, and `reason` says
    why their layers have their widths. `tries` gives how many sites step k, from 0, of a search over so many sites
    tries; `most_steps` how many steps it takes at most, None where nobody can say, and `likely_steps` as a rule.
    `is_final` says that a move is never taken back.
    """

    name: str
    title: str
    noun: str
    reason: str = ""
    steps: Callable[[Problem, Ask], Iterator[Step]] | None = None
    front: Callable[[Problem, Ask], Iterator[Step]] | None = None
    tries: Callable[[int, int], int] = lambda step, sites: 1
    most_steps: Callable[[int], int | None] = lambda sites: None
    likely_steps: Callable[[int], int] = lambda sites: sites
    is_final: bool = False
    uses_costs: bool = False
    draws: bool = False

    @property
    def searches(self) -> bool:
        """Whether it has an alpha and moves."""
        return self.steps is not None

    def plain_evaluations(self, sites: int, moves: int) -> int:
        """Evaluations without pruning, of every step or of one pass, over sites with so many moves in all."""
        tries = sum(self.tries(step, sites) for step in range(self.most_steps(sites) or sites))
        return round(moves * tries / max(1, sites))
