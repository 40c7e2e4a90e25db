"""The strategies there are, by name; another one is a file beside this one and a line here."""

from aiq_core.errors import look_up
from aiq_core.search.baselines import MANUAL, RANDOM, SINGLE_LAYER, UNIFORM
from aiq_core.search.coordinate import COORDINATE
from aiq_core.search.fine_tune import FINE_TUNE
from aiq_core.search.frontier import FRONTIER
from aiq_core.search.greedy import GREEDY
from aiq_core.search.nsga2 import NSGA2
from aiq_core.search.random_search import RANDOM_SEARCH
from aiq_core.search.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        FRONTIER,
        GREEDY,
        COORDINATE,
        NSGA2,
        RANDOM_SEARCH,
        UNIFORM,
        RANDOM,
        SINGLE_LAYER,
        MANUAL,
        FINE_TUNE,
    )
}
SEARCHES: dict[str, Strategy] = {name: strategy for name, strategy in STRATEGIES.items() if strategy.searches}
"""Those that minimise a loss at an alpha; fronts need none, and the others list policies."""
FRONTS: dict[str, Strategy] = {name: strategy for name, strategy in STRATEGIES.items() if strategy.front}
"""Those that find a whole trade-off."""


def strategy(name: str) -> Strategy:
    """The strategy of that name. Raises UnknownNameError."""
    return look_up("algorithm", name, STRATEGIES)
