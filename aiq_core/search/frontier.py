"""Frontier: the whole trade-off at once, each point the policy of least cost from which a network has so much AI.

Costs are of widths by themselves, measured without labels (`frontier.Sensitivity`), so that search images only confirm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from aiq_core.errors import InfeasibleError
from aiq_core.frontier import ALGORITHM, Budget, Quantity, Solution, Solver
from aiq_core.frontier.budget import KERNELS
from aiq_core.records import Policy, Step
from aiq_core.search.problem import Ask, Problem, Question, whole
from aiq_core.search.refine import refined
from aiq_core.search.strategy import Strategy
from aiq_core.wording import number

MOST_COST = 0.05
"""Nats of divergence at which a front ends: policies predicted to cost more lost over 2.5 points on either CIFAR
network. An intensity budget begins it anywhere."""

TIME_GAP = 1e-6
"""How much longer than a limit a policy may take, relatively: the shortest time itself is known to the solver's gap."""

BISECTIONS = 12
"""Halvings until the AI of that cost is known to a thousandth of the range."""

SOLVED_AT_LEAST = 50
"""Solutions that a front's points are taken from."""

SOLVED, REFINED = 1, 2
"""A step's sweep: found by costs alone, or near those by evaluations."""


def solver(problem: Problem) -> Solver:
    """That of a problem: its movable sites may take the widths on offer."""
    if problem.costs is None:
        raise AssertionError("a frontier needs the costs of widths")
    offered = {site: problem.offered(site) for site in problem.movable}
    counting = problem.traffic, problem.quantizer, problem.table, problem.machines
    return Solver(problem.profile, problem.costs, problem.start, offered, *counting)


def solutions(solver: Solver, points: int, budgets: tuple[Budget, ...]) -> tuple[Solution, ...]:
    """At most so many policies, from the lowest AI upwards; each costs least of those with its AI.

    They begin where the cost is least and end where it is `MOST_COST`, or at the highest AI within the budgets. Of
    `SOLVED_AT_LEAST` solutions those stand that lie evenly along the curve of AI and the square root of cost, which is
    flat at first and steep in the end. Raises InfeasibleError.
    """
    held = [budget for budget in budgets if budget.quantity is not Quantity.INTENSITY]
    least = next((budget.limit for budget in budgets if budget.quantity is Quantity.INTENSITY), 0.0)
    first = solver.solve(budgets)

    def ratio(found: Solution) -> float:
        return solver.value(Quantity.INTENSITY, found.policy)

    def at(intensity: float) -> Solution | None:
        try:
            return solver.solve([*held, Budget(Quantity.INTENSITY, max(intensity, least))])
        except InfeasibleError:
            return None

    low, high = ratio(first), solver.value(Quantity.INTENSITY, solver.least(Quantity.INTENSITY))
    most = at(high)
    if most is None or most.cost > MOST_COST:
        reached, beyond = low, high
        for _ in range(BISECTIONS):
            middle = (reached + beyond) / 2
            found = at(middle)
            if found is None or found.cost > max(MOST_COST, first.cost):
                beyond = middle
            else:
                reached = middle
        high = reached
    wanted = (at(float(ratio)) for ratio in np.linspace(low, high, max(points, SOLVED_AT_LEAST)))
    kept = {solution.policy: solution for solution in (first, *wanted) if solution is not None}
    return _even(sorted(kept.values(), key=lambda solution: solution.intensity), points)


def fastest(solver: Solver, points: int, budgets: tuple[Budget, ...]) -> tuple[Solution, ...]:
    """At most so many policies, from the slowest to the fastest by the solver's table; each costs least at its time.

    They begin where the cost is least and end at the shortest time within the budgets, or where the cost is
    `MOST_COST`. Raises InfeasibleError.
    """
    held = [budget for budget in budgets if budget.machine != KERNELS]
    first = solver.solve(budgets)

    def seconds(policy: Policy) -> float:
        return solver.value(Quantity.TIME, policy, KERNELS)

    found = {first.policy: first}
    shortest = seconds(solver.least(Quantity.TIME, KERNELS))
    for limit in np.linspace(seconds(first.policy), shortest, points)[1:]:
        try:
            solution = solver.solve([*held, Budget(Quantity.TIME, float(limit) * (1 + TIME_GAP), KERNELS)])
        except InfeasibleError:
            break
        if solution.cost > MOST_COST:
            break
        found[solution.policy] = solution
    return tuple(found.values())


def _even(found: Sequence[Solution], points: int) -> tuple[Solution, ...]:
    """So many of solutions in the order of their AI, evenly along their curve, its ends among them."""
    if len(found) <= points:
        return tuple(found)
    ends = [(solution.intensity, solution.cost**0.5) for solution in found]
    curve = np.array(ends) / (np.ptp(ends, axis=0) + np.finfo(float).tiny)
    along = np.concatenate([[0.0], np.linalg.norm(np.diff(curve, axis=0), axis=1).cumsum()])
    left = list(range(len(found)))
    for share in np.linspace(0, 1, points):
        left.remove(min(left, key=lambda place: abs(along[place] - share * along[-1])))
    return tuple(solution for place, solution in enumerate(found) if place not in left)


def frontier(problem: Problem, ask: Ask) -> Iterator[Step]:
    """Yields a step a point, from the lowest AI upwards; then, with a refinement, one a better policy near them.

    Where no policy keeps the budgets, what comes nearest is evaluated and kept before InfeasibleError is raised.
    """
    solve = solver(problem)
    along = solutions if problem.table is None else fastest
    try:
        found = along(solve, problem.points, problem.budgets)
    except InfeasibleError:
        for policy in solve.nearest(problem.budgets):
            yield _step(problem, ask, solve.solution(policy), 1, "comes nearest to a budget that none keeps")
        raise
    problem.expect(Question(solution.policy, None, problem.start) for solution in found)
    steps = []
    for index, solution in enumerate(found, start=1):
        if problem.table is None:
            share = number(solve.value(Quantity.INTENSITY, solution.policy), 2)
            told = f"with AI at least {share} × FP32's"
        else:
            seconds = solve.value(Quantity.TIME, solution.policy, KERNELS)
            told = f"within {number(1e6 * seconds, 1)} µs an image by measured kernels"
        told = f"the least predicted cost, {number(solution.cost, 4)} nats, {told}"
        steps.append(_step(problem, ask, solution, index, told))
        yield steps[-1]
    for step in refined(problem, solve, steps, ask):
        yield replace(step, index=len(found) + step.index, sweep=REFINED)


def _step(problem: Problem, ask: Ask, solution: Solution, index: int, reason: str) -> Step:
    score = whole(problem, solution.policy, ask)
    loss = problem.objective.loss(solution.intensity, score)
    return Step(index, SOLVED, None, solution.policy, solution.intensity, score, loss, reason)


FRONTIER = Strategy(
    name=ALGORITHM,
    title="Whole frontier",
    noun="frontier",
    reason="the least predicted cost at this AI",
    front=frontier,
    uses_costs=True,
)
