"""The whole trade-off at once: what each width costs by itself, budgets, and the policies that they leave best."""

from aiq_core.frontier.budget import Budget, Quantity, parse_budgets
from aiq_core.frontier.sensitivity import Measure, Sensitivity
from aiq_core.frontier.solver import Solution, Solver

ALGORITHM = "frontier"
"""The name of the strategy that makes one of this."""

DEFAULT_POINTS, MOST_POINTS = 20, 200
