"""The bars of a run's policy, with their reasons."""

from aiq_core.charts.bits import BitsData, bits_data
from aiq_core.charts.reasons import reasons
from aiq_core.records import Policy, Run
from pages.common import known
from pages.search import stored


def policy_bits(
    run: Run,
    policy: Policy,
    position: int | None,
    pinned: Policy | None = None,
    points_per_nat: float | None = None,
) -> BitsData:
    """The bars of a policy with their reasons at a step of the run."""
    model, request = known.model(run.request.model), run.request
    why = reasons(model.profile, policy, run, position, request.traffic)
    table, costs = stored.table(request), stored.costs(request)
    return bits_data(
        model.profile,
        policy,
        why,
        table,
        pinned,
        run.id,
        quantizer=request.quantizer,
        costs=costs,
        points_per_nat=points_per_nat,
    )
