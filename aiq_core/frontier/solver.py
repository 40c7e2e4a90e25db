"""The policy that costs least within budgets: a mixed-integer linear program, one binary a site and width.

Bytes and bits are linear in these, by every traffic model. Predicted time takes one more variable a layer: at least its
bytes / bandwidth, and at least its FLOPs / ceiling of the weight's type and of the input's. That is the roofline's
while ceilings do not rise with bits, for the lower of two ceilings is then that of the wider type. HiGHS solves it
(Huangfu, Hall, Mathematical Programming Computation 10, 2018), through scipy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import InfeasibleError, SettingError, look_up
from aiq_core.frontier.budget import KERNELS, Budget, Quantity
from aiq_core.frontier.kernel_time import KernelTime, kernel_time
from aiq_core.frontier.sensitivity import Sensitivity
from aiq_core.hardware import PRESETS, Machine
from aiq_core.intensity import intensity, moved_bytes, stored_bytes, traffic
from aiq_core.records import (
    FP32_BITS,
    UNFUSED,
    KernelTable,
    ModelProfile,
    Move,
    Policy,
    Quantizer,
    Site,
)
from aiq_core.roofline import predict

Floats = NDArray[np.float64]

GAP = 1e-4
"""How far from the best cost a solution may be, relatively: costs are known far less well."""

EXACT = 1e-9
"""Within it, relatively, a limit is kept; the sums of bytes are exact, those of seconds are not."""

MOST_TIGHTENED = 8
"""Times that a limit is drawn in where the solver's tolerance let it be passed."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A policy with its AI (FLOPs/byte, by the traffic model asked for) and what it is predicted to cost."""

    policy: Policy
    intensity: float
    cost: float


@dataclass(frozen=True)
class _Limit:
    """A linear quantity: what held sites make of it, what each column adds, and what to divide by to scale it."""

    base: float
    columns: Floats
    scale: float


class Solver:
    """Of a network with costs: `offered` says which widths a site may take, all others are held as in `start`.

    AI is by the traffic model `by`, seconds are on `machines`, on KERNELS by a `table` of them. `solve` takes
    milliseconds; nothing is measured anew for another budget.
    """

    def __init__(
        self,
        profile: ModelProfile,
        costs: Sensitivity,
        start: Policy,
        offered: Mapping[Site, tuple[int, ...]],
        by: str = UNFUSED,
        quantizer: Quantizer = Quantizer(),
        table: KernelTable | None = None,
        machines: Mapping[str, Machine] = PRESETS,
    ) -> None:
        self.profile, self.costs, self.start, self.by, self.quantizer = profile, costs, start, by, quantizer
        self.table, self.machines = table, machines
        self.offered = {site: offered[site] for site in profile.sites if site in offered}
        self.columns = tuple(Move(site, bits) for site, widths in self.offered.items() for bits in widths)
        sites = {site: row for row, site in enumerate(self.offered)}
        self._owner = np.array([sites[move.site] for move in self.columns])
        self._cost = np.array([costs.cost(move) for move in self.columns])
        # Of the sites that are held: what each column adds is counted against them at their widest.
        self._base = profile.moved(start, *(Move(site, max(widths)) for site, widths in self.offered.items()))
        self._policies = [profile.moved(self._base, move) for move in self.columns]
        self._fp32_intensity = intensity(profile, profile.uniform(FP32_BITS), by=by, quantizer=quantizer)

    # What is limited

    def value(self, quantity: Quantity, policy: Policy, on: str | None = None) -> float:
        """A policy's bytes moved or stored, bits on average, AI over FP32's, or seconds on a machine, at batch 1."""
        profile, quantizer = self.profile, self.quantizer
        match quantity:
            case Quantity.MOVED:
                return moved_bytes(profile, policy, by=self.by, quantizer=quantizer)
            case Quantity.INTENSITY:
                return intensity(profile, policy, by=self.by, quantizer=quantizer) / self._fp32_intensity
            case Quantity.STORED:
                return stored_bytes(profile, policy, quantizer)
            case Quantity.BITS:
                bits = profile.named_bits(policy)
                total = sum(layer.weights * bits.get(layer.name, FP32_BITS) for layer in profile.layers)
                return total / sum(layer.weights for layer in profile.layers)
            case Quantity.TIME if on == KERNELS:
                return self._kernels.seconds_an_image(profile, policy)
            case Quantity.TIME:
                times = predict(self._machine(on), profile, [policy], by=self.by, quantizer=quantizer)
                return float(times.total_seconds[0])
            case Quantity.DROP:
                raise SettingError("a drop is measured, not counted; evaluate the policy")

    @property
    def _kernels(self) -> KernelTable:
        if self.table is None:
            raise SettingError("no kernels of this model are measured yet; measure them, or name a machine")
        return self.table

    def _machine(self, key: str | None) -> Machine:
        return look_up("machine", str(key), self.machines)

    def keeps(self, budget: Budget, policy: Policy) -> bool:
        """Whether a policy keeps a budget that is counted."""
        value = self.value(budget.quantity, policy, budget.machine)
        if budget.quantity is Quantity.INTENSITY:
            return value >= budget.limit * (1 - EXACT)
        return value <= budget.limit * (1 + EXACT)

    def _linear(self, quantity: Quantity) -> _Limit:
        if quantity not in self._limits:
            base = self.value(quantity, self._base)
            added = [self.value(quantity, policy) - base for policy in self._policies]
            self._limits[quantity] = _Limit(base, np.array(added), self.value(quantity, self.start) or 1.0)
        return self._limits[quantity]

    @cached_property
    def _limits(self) -> dict[Quantity, _Limit]:
        return {}

    # Solving

    def solve(self, budgets: Sequence[Budget] = ()) -> Solution:
        """The policy of least cost within all budgets that are counted. Raises InfeasibleError, naming what binds."""
        limits = {budget: budget.limit for budget in budgets if budget.is_linear}
        for _ in range(MOST_TIGHTENED):
            policy = self._best(self._cost, limits)
            if policy is None:
                raise self._infeasible(list(limits))
            broken = [budget for budget in limits if not self.keeps(budget, policy)]
            if not broken:
                return self.solution(policy)
            for budget in broken:
                over = abs(self.value(budget.quantity, policy, budget.machine) / budget.limit - 1)
                inwards = 1 + over if budget.quantity is Quantity.INTENSITY else 1 - over
                limits[budget] *= inwards
        raise self._infeasible(broken)

    def least(self, quantity: Quantity, on: str | None = None) -> Policy:
        """The policy of the fewest bytes, bits or seconds, or of the highest AI."""
        if quantity is Quantity.TIME:
            found = self._best(None, {}, on)
        else:
            linear = self._linear(Quantity.MOVED if quantity is Quantity.INTENSITY else quantity)
            found = self._best(linear.columns / linear.scale, {})
        assert found is not None  # nothing limits it
        return found

    def nearest(self, budgets: Sequence[Budget]) -> tuple[Policy, ...]:
        """What comes nearest to each counted budget that no policy keeps by itself."""
        near = ((budget, self.least(budget.quantity, budget.machine)) for budget in budgets if budget.is_linear)
        return tuple(dict.fromkeys(policy for budget, policy in near if not self.keeps(budget, policy)))

    def solution(self, policy: Policy) -> Solution:
        """A policy with its AI and its predicted cost."""
        value = intensity(self.profile, policy, by=self.by, quantizer=self.quantizer)
        return Solution(policy, value, self.costs.predicted(self.profile, policy))

    def _infeasible(self, budgets: Sequence[Budget]) -> InfeasibleError:
        """Says which budget no policy keeps by itself, and how near one comes; else that they do so together."""
        for budget in budgets:
            for nearest in self.nearest([budget]):
                value = self.value(budget.quantity, nearest, budget.machine)
                least = Budget(budget.quantity, value, budget.machine)
                least_words = least.amount(self.machines)
                return InfeasibleError(
                    f"{budget.words(self.machines)} is out of reach: {nearest.key} comes nearest, with {least_words}; "
                    "allow that much, offer lower widths, or fix fewer layers"
                )
        words = " and ".join(budget.words(self.machines) for budget in budgets)
        return InfeasibleError(f"each by itself can be kept, but not together: {words}; loosen one of them")

    def _best(
        self, cost: Floats | None, limits: Mapping[Budget, float], fastest_on: str | None = None
    ) -> Policy | None:
        """The policy of least cost within limits, or the fastest; None where there is none."""
        from scipy import sparse
        from scipy.optimize import Bounds, LinearConstraint, milp

        if not self.columns:
            kept = all(self.keeps(budget, self.start) for budget in limits)
            return self.start if kept else None
        named = dict.fromkeys([*(budget.machine for budget in limits), fastest_on])
        timed = [name for name in named if name and name != KERNELS]
        count, layers = len(self.columns), len(self.profile.layers)
        roofline = count + layers * len(timed)
        kernels = self._kernel_time if KERNELS in named else None
        width = roofline + (0 if kernels is None else kernels.variables)
        ones = sparse.csr_matrix((np.ones(count), (self._owner, np.arange(count))), (len(self.offered), width))
        constraints = [LinearConstraint(ones, 1, 1)]
        upper = np.ones(width)
        goal = np.zeros(width)
        if cost is not None:
            goal[:count] = cost / (np.abs(cost).max() or 1.0)
        for place, name in enumerate(timed):
            own = slice(count + layers * place, count + layers * (place + 1))
            time = self._time(str(name))
            upper[:count] *= time.able
            upper[own] = np.inf
            matrix = np.zeros((3 * layers, width))
            matrix[:, :count] = -time.rows
            matrix[:, own] = np.tile(np.eye(layers), (3, 1))
            constraints.append(LinearConstraint(sparse.csr_matrix(matrix), time.held, np.inf))
            total = np.zeros(width)
            total[own] = 1
            limit = next((value for budget, value in limits.items() if budget.machine == name), None)
            if limit is not None:
                constraints.append(LinearConstraint(total[None], -np.inf, limit / time.unit))
            if name == fastest_on:
                goal = total
        if kernels is not None:
            used = [*range(count), *range(roofline, width)]
            rows, total = np.zeros((len(kernels.rows), width)), np.zeros(width)
            rows[:, used], total[used] = kernels.rows, kernels.seconds / kernels.unit
            constraints.append(LinearConstraint(sparse.csr_matrix(rows), kernels.least, np.inf))
            limit = next((value for budget, value in limits.items() if budget.machine == KERNELS), None)
            if limit is not None:
                constraints.append(LinearConstraint(total[None], -np.inf, (limit - kernels.base) / kernels.unit))
            if fastest_on == KERNELS:
                goal = total
        for budget, limit in limits.items():
            if budget.machine is None:
                row, most = self._row(budget, limit)
                constraints.append(LinearConstraint(np.pad(row, (0, width - count))[None], -np.inf, most))
        integral = np.zeros(width)
        integral[:count] = 1
        bounds = Bounds(np.zeros(width), upper)
        # Without presolve it is as fast here, and HiGHS prints hardly any lines of its own.
        options = {"mip_rel_gap": GAP, "presolve": False}
        found = milp(goal, constraints=constraints, integrality=integral, bounds=bounds, options=options)
        if found.x is None:
            return None
        taken = np.flatnonzero(found.x[:count] > 0.5)
        return self.profile.moved(self.start, *(self.columns[column] for column in taken))

    def _row(self, budget: Budget, limit: float) -> tuple[Floats, float]:
        """A budget as a row of the program and what it may come to at most, scaled to about 1."""
        quantity = budget.quantity
        if quantity is Quantity.INTENSITY:
            quantity, limit = Quantity.MOVED, self.profile.flops / (limit * self._fp32_intensity)
        linear = self._linear(quantity)
        return linear.columns / linear.scale, (limit - linear.base) / linear.scale

    @cached_property
    def _kernel_time(self) -> KernelTime:
        return kernel_time(self._kernels, self.profile, self.start, self.offered, self.columns)

    def _time(self, name: str) -> "_Time":
        if name not in self._times:
            self._times[name] = self._timed(name)
        return self._times[name]

    @cached_property
    def _times(self) -> dict[str, "_Time"]:
        return {}

    def _timed(self, name: str) -> "_Time":
        on, profile = self._machine(name), self.profile
        places = {move: place for place, move in enumerate(self.columns)}
        counted = traffic(profile, [self._base, *self._policies], by=self.by, quantizer=self.quantizer)
        moved = counted.layer_bytes / on.bandwidth.value
        unit = float(moved[0].sum())
        computed = np.zeros((2, len(profile.layers), len(self.columns)))
        held = np.zeros((2, len(profile.layers)))
        able = np.ones(len(self.columns), dtype=bool)
        for row, layer in enumerate(profile.layers):
            start = profile.operand_bits(self.start, layer)
            for which, site in enumerate(profile.operands(layer)):
                if site is None or site not in self.offered:
                    held[which, row] = 2 * layer.macs / on.ceiling(start[which], start[which])[1]
                    continue
                for bits in self.offered[site]:
                    place = places[Move(site, bits)]
                    try:
                        computed[which, row, place] = 2 * layer.macs / on.ceiling(bits, bits)[1]
                    except SettingError:  # the machine has no arithmetic so wide
                        able[place] = False
        rows = np.vstack([(moved[1:] - moved[0]).T, *computed])
        return _Time(rows / unit, np.concatenate([moved[0], *held]) / unit, unit, able)


@dataclass(frozen=True)
class _Time:
    """Three rows a layer, what each column adds to its least time, and what the held sites make of it.

    By bytes, by the weight's type, by the input's; in units of `unit` seconds. `able` are the columns that the machine
    has arithmetic for.
    """

    rows: Floats
    held: Floats
    unit: float
    able: NDArray[np.bool_]
