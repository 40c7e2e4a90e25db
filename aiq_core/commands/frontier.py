"""Commands about whole trade-offs: the frontier, and what each width costs by itself."""

from dataclasses import replace
from typing import Annotated

import typer
from rich import box
from rich.table import Column, Table

from aiq_core import jobs, space
from aiq_core.commands.console import (
    ClusterAddress,
    DeviceName,
    Images,
    Json,
    ModelName,
    NoBundled,
    Traffic,
    app,
    follow,
    out,
    print_json,
    print_run,
)
from aiq_core.commands.searches import Exclude, Fix, MaxEvaluations, MaxMinutes, fixed
from aiq_core.errors import look_up
from aiq_core.frontier import ALGORITHM, DEFAULT_POINTS, Measure, Quantity, parse_budgets
from aiq_core.frontier.budget import EXAMPLES
from aiq_core.library import open_library
from aiq_core.machines import Evaluators, on, require
from aiq_core.records import FP32_BITS, UNFUSED, Move, Request, SplitName
from aiq_core.search.baselines import MANUAL
from aiq_core.search.strategies import FRONTS

Points = Annotated[int, typer.Option(help="Points of the front; policies that what draws evaluates.")]
Algorithms = Annotated[str, typer.Option(help=f"{', '.join(FRONTS)}; all but the first draw policies.")]
Seed = Annotated[int, typer.Option(help="Where drawing begins.")]
Within = Annotated[list[str] | None, typer.Option(help=f"A budget, such as {EXAMPLES}; may be repeated.")]
Spaces = Annotated[str, typer.Option("--space", help=f"What has bits: {' or '.join(space.SPACES)}.")]
Measures = Annotated[Measure, typer.Option(help="How what a width costs is measured.")]
Refine = Annotated[int, typer.Option(help="Evaluations more, to look around the points found.")]
Report = Annotated[bool, typer.Option("--report", help="Measure the points on the report images too.")]


@app.command()
def frontier(
    model: ModelName,
    points: Points = DEFAULT_POINTS,
    algorithm: Algorithms = ALGORITHM,
    seed: Seed = 0,
    within: Within = None,
    where: Spaces = space.JOINT.name,
    measure: Measures = Measure.KL,
    refine: Refine = 0,
    exclude: Exclude = None,
    fix: Fix = None,
    images: Images = None,
    max_evaluations: MaxEvaluations = None,
    max_minutes: MaxMinutes = None,
    traffic: Traffic = UNFUSED,
    report: Report = False,
    no_bundled: NoBundled = False,
    cluster: ClusterAddress = None,
    device: DeviceName = None,
    as_json: Json = False,
) -> None:
    """The whole trade-off: the policies of least predicted cost at each AI, confirmed on search images."""
    library = open_library()
    known, chosen = library.model(model), space.space(where)
    budgets = parse_budgets(within or ())
    counted = tuple(str(budget) for budget in budgets if budget.is_linear)
    count = images or known.dataset.available(SplitName.SEARCH)
    how = look_up("algorithm", algorithm, FRONTS)
    request = replace(
        chosen.front_request(model, chosen.quantizer(known.dataset), known.profile, count, points, counted),
        algorithm=how.name,
        seed=seed if how.draws else None,
        measure=measure if how.uses_costs else None,
        refinement=refine,
        excluded=tuple(exclude or ()),
        fixed=fixed(fix or []),
        max_evaluations=max_evaluations,
        max_minutes=max_minutes,
        traffic=traffic,
        use_bundled=not no_bundled,
        cluster=cluster,
        device=device,
    )
    run = follow(library, jobs.submit(library, request).id, as_json)
    if report:
        listed = Request(
            model,
            MANUAL.name,
            images=request.images,
            quantizer=request.quantizer,
            policies=tuple(dict.fromkeys(step.policy for step in run.steps)),
            label=f"the front of {run.id}",
            use_bundled=request.use_bundled,
            traffic=traffic,
            cluster=cluster,
            device=device,
        )
        follow(library, jobs.submit(library, listed).id, as_json)
    drop = next((budget for budget in budgets if budget.quantity is Quantity.DROP), None)
    print_run(library, run, as_json, within=drop)


@app.command()
def sensitivity(
    model: ModelName,
    where: Spaces = space.JOINT.name,
    measure: Measures = Measure.KL,
    no_bundled: NoBundled = False,
    cluster: ClusterAddress = None,
    device: DeviceName = None,
    as_json: Json = False,
) -> None:
    """What each width of each layer and activation group costs by itself, on calibration images without labels."""
    library = open_library()
    known, chosen = library.model(model), space.space(where)
    widths, groups = chosen.front_widths, chosen.front_activation_widths
    request = chosen.front_request(
        model, chosen.quantizer(known.dataset), known.profile, known.dataset.available(SplitName.SEARCH)
    )
    asked = replace(request, measure=measure, use_bundled=not no_bundled, cluster=cluster, device=device)
    require(asked)
    with on(cluster, Evaluators(), device) as machines:
        found = machines.costs(known, asked, lambda message: None)
    if as_json:
        return print_json(found.to_json())
    offered = sorted({*widths, *groups} - {FP32_BITS}, reverse=True)
    table = Table(Column("site", overflow="fold"), *(f"{bits} bits" for bits in offered), box=box.SIMPLE_HEAD)
    for site in known.profile.sites:
        costs = (found.costs.get(Move(site, bits)) for bits in offered)
        table.add_row(str(site), *("" if cost is None else f"{cost:.2g}" for cost in costs))
    out.print(table)
    out.print(
        f"{measure} on {found.images} calibration images, nats of divergence from FP32's predictions"
        if measure is not Measure.LOGIT
        else f"{measure} on {found.images} calibration images, half squared logits"
    )
