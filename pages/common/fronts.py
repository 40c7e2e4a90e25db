"""The points of frontier runs among the policies of a space, and what widths cost there by themselves."""

from dataclasses import dataclass

from aiq_core.catalog import Model
from aiq_core.charts.front import points_per_nat
from aiq_core.frontier import ALGORITHM, Measure, Sensitivity, Solver, sensitivity
from aiq_core.records import UNFUSED, Policy, Site, SiteKind
from aiq_core.space import SPACES, Space
from pages.common import known


@dataclass(frozen=True)
class Front:
    """The measured points of a strategy that finds fronts, of its usual runs in a space.

    From the lowest AI upwards, empty where there are none. `points_per_nat` is what a nat of predicted cost came to.
    """

    policies: tuple[Policy, ...]
    points_per_nat: float | None


def front(model: Model, images: int, by: str, space: Space, algorithm: str = ALGORITHM) -> Front:
    """Of an algorithm's runs on so many search images, by a traffic model; FP32 must be known."""
    library = known.library()
    version = f"{library.table_version(model, images - space.choosing(images))} {library.finished_version()}"
    return _front(model, images, by, space.name, algorithm, version)


@known.cached(24)
def _front(model: Model, images: int, by: str, space_name: str, algorithm: str, version: str) -> Front:
    space = SPACES[space_name]
    table = known.table(model, images, by, space)
    runs = [
        known.run(run.id, known.library().finished_version())
        for run in known.runs(model)
        if (run.request.algorithm, run.request.images) == (algorithm, images)
        and run.request.traffic == by
        and space.is_usual_front(run.request, table.quantizer, model.profile)
    ]
    rows = {row for run in runs for step in run.steps if (row := table.row(step.policy)) is not None}
    ordered = sorted(rows, key=lambda row: float(table.intensity[row]))
    found, held = costs(model, space), tuple(table.policies[row] for row in ordered)
    if found is None:
        return Front(held, None)
    lost = [table.search[row].drop.value for row in ordered]
    predicted = [found.predicted(model.profile, policy) for policy in held]
    return Front(held, points_per_nat(list(zip(predicted, lost, strict=True))))


def can_measure_costs(model: Model) -> bool:
    """Whether there are calibration images, on which what widths cost by themselves is measured."""
    return model.dataset.calibration_hash is not None


def costs(model: Model, space: Space) -> Sensitivity | None:
    """What each width costs by itself, as the space's fronts measure it; None where nothing measured it yet."""
    return _costs(model, space.name, known.library().finished_version())


@known.cached(12)
def _costs(model: Model, space: str, version: str) -> Sensitivity | None:
    return sensitivity.known(model, SPACES[space].quantizer(model.dataset), Measure.KL)


@known.cached(12)
def _solver(model: Model, space_name: str, by: str, version: str, machines: str) -> Solver | None:
    space, profile = SPACES[space_name], model.profile
    found = costs(model, space)
    offered = {SiteKind.WEIGHTS: space.front_widths, SiteKind.ACTIVATIONS: space.front_activation_widths}
    sites: dict[Site, tuple[int, ...]] = {
        site: offered[site.kind] for site in profile.sites if len(offered[site.kind]) > 1
    }
    wanted = {(site.kind, bits) for site, widths in sites.items() for bits in widths if bits != 32}
    if found is None or not wanted <= found.widths:
        return None
    start = profile.uniform(*(space.start or (32,)))
    return Solver(profile, found, start, sites, by, space.quantizer(model.dataset), machines=known.library().machines)


def solver(model: Model, space: Space, by: str = UNFUSED) -> Solver | None:
    """What answers budgets at once; None where what widths cost is not known."""
    library = known.library()
    return _solver(model, space.name, by, library.finished_version(), library.machines_version())
