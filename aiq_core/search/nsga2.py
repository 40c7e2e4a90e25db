"""NSGA-II: a population of policies that is crossed and mutated towards the front (Deb and others, IEEE Transactions on
Evolutionary Computation 6, 2002), as Optuna has it, with its own settings; the start is in the first generation.
"""

from collections.abc import Iterator

from aiq_core.records import Move, Policy, Score, Site, Step
from aiq_core.search.drawn import front, measure
from aiq_core.search.problem import Ask, Problem
from aiq_core.search.strategy import Strategy

MOST_POPULATION = 50
"""Optuna's own population, and what a fifth of the evaluations allow where those are fewer than five generations."""

GENERATIONS = 5


def nsga2(problem: Problem, ask: Ask) -> Iterator[Step]:
    """Yields a step a policy on the front of those evaluated by then, `problem.points` in all."""
    return front(problem, _measured(problem, ask))


def _measured(problem: Problem, ask: Ask) -> Iterator[tuple[Policy, float, Score]]:
    import optuna  # takes half a second
    from optuna.distributions import BaseDistribution, CategoricalDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    population = max(2, min(MOST_POPULATION, problem.points // GENERATIONS))
    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=problem.seed)
    study = optuna.create_study(directions=("maximize", "maximize"), sampler=sampler)
    sites = {str(site): site for site in problem.movable}
    offered: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(problem.offered(site)) for name, site in sites.items()
    }
    study.enqueue_trial({name: _begun(problem, site) for name, site in sites.items()})
    for _ in range(problem.points):
        trial = study.ask(offered)
        moves = (Move(site, trial.params[name]) for name, site in sites.items())
        policy = problem.profile.moved(problem.start, *moves)
        intensity, score = measure(problem, policy, ask)
        study.tell(trial, (intensity, score))
        yield policy, intensity, score


def _begun(problem: Problem, site: Site) -> int:
    """A site's width at the start, the widest where that one is not on offer."""
    width, offered = problem.profile.width(problem.start, site), problem.offered(site)
    return width if width in offered else offered[0]


NSGA2 = Strategy(
    name="nsga2",
    title="NSGA-II",
    noun="NSGA-II",
    reason="on the front of policies bred from better ones",
    front=nsga2,
    draws=True,
)
