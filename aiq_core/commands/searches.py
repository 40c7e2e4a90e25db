"""Commands that compute: evaluate, search, sweep, resume."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from aiq_core import documents, jobs, space
from aiq_core.activations import DEFAULT_RULE, RULES
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
    print_json,
    print_run,
    print_runs,
    run,
)
from aiq_core.errors import SettingError
from aiq_core.library import open_library
from aiq_core.manual import parse_policies
from aiq_core.records import (
    DEFAULT_ACCURACY_NORMALISER,
    DEFAULT_WIDTHS,
    FP32_BITS,
    UNFUSED,
    Granularity,
    Grid,
    ModelProfile,
    Policy,
    Quantizer,
    Request,
    SplitName,
)
from aiq_core.rounding import ROUNDINGS
from aiq_core.search.baselines import MANUAL, UNIFORM, uniform
from aiq_core.search.greedy import GREEDY
from aiq_core.search.strategies import SEARCHES
from aiq_core.wording import widths_name

Bits = Annotated[int | None, typer.Option(help="Every layer at this width.")]
ActivationBits = Annotated[int, typer.Option(help="Every activation group at this width, beside --bits.")]
PolicyFile = Annotated[Path | None, typer.Option(help="A JSON file {layer: bits}, or an exported run.")]
Rounding = Annotated[str, typer.Option(help=f"How weights are rounded: {', '.join(ROUNDINGS)}.")]
Granularities = Annotated[Granularity, typer.Option(help="Which weights share a scale.")]
Grids = Annotated[Grid, typer.Option(help="-7 to 7 at 4 bits, or -8 to 7.")]
RangeRule = Annotated[str, typer.Option(help=f"How ranges of activations end: {', '.join(RULES)}.")]


@app.command()
def evaluate(
    model: ModelName,
    bits: Bits = None,
    activation_bits: ActivationBits = FP32_BITS,
    policy: PolicyFile = None,
    images: Images = None,
    rounding: Rounding = Quantizer().rounding,
    granularity: Granularities = Granularity.CHANNEL,
    grid: Grids = Grid.NARROW,
    ranges: RangeRule = DEFAULT_RULE,
    traffic: Traffic = UNFUSED,
    no_bundled: NoBundled = False,
    cluster: ClusterAddress = None,
    device: DeviceName = None,
    as_json: Json = False,
) -> None:
    """Measure a policy's accuracy on the search and the report images."""
    library = open_library()
    dataset, known = library.model(model).dataset, library.model(model).profile
    if (bits is None) == (policy is None):
        raise SettingError("give either --bits or --policy FILE")
    if bits is not None:
        chosen = uniform(known, bits, activation_bits)
        known.check(chosen[0])
        label = f"all at {bits} bits" if activation_bits == FP32_BITS else widths_name(bits, activation_bits)
        request = Request(model, UNIFORM.name, policies=chosen, label=label)
    else:
        assert policy is not None
        request = Request(model, MANUAL.name, policies=(read_policy(policy, known),), label=policy.name)
    request = replace(
        request,
        images=images or dataset.available(SplitName.SEARCH),
        quantizer=space.quantizer(dataset, rounding, granularity, grid, request.is_joint, ranges),
        traffic=traffic,
        use_bundled=not no_bundled,
        cluster=cluster,
        device=device,
    )
    run(library, request, as_json)


def read_policy(path: Path, profile: ModelProfile) -> Policy:
    """The one policy in a file. Raises SettingError."""
    try:
        text = path.read_text()
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error.strerror}); give a JSON file of layer: bits") from None
    try:
        policies = parse_policies(text, profile)
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from None
    if len(policies) > 1:
        raise SettingError(f"{path} lists {len(policies)} policies; give a file of one")
    return policies[0]


USUAL_WIDTHS = ",".join(map(str, DEFAULT_WIDTHS))

Algorithms = Annotated[str, typer.Option(help=f"{' or '.join(SEARCHES)}.")]
Widths = Annotated[str, typer.Option(help="Widths on offer to layers' weights, comma-separated.")]
ActivationWidths = Annotated[
    str, typer.Option(help="Widths on offer to activation groups; 32 leaves them at FP32, as the paper does.")
]
Start = Annotated[str, typer.Option(help="Where the search begins: fp32, w8a8 or the like, or a policy's key.")]
ChooseImages = Annotated[
    int | None,
    typer.Option(
        help="Search images to choose on; the rest confirm. Where activations have bits: 2,000, or half of --images."
    ),
]
Normaliser = Annotated[
    float | None, typer.Option(help="FLOPs/byte that count as 1; 1.32 x the AI at the lowest widths.")
]
AccuracyNormaliser = Annotated[float, typer.Option(help="Points that count as 1.")]
Floor = Annotated[float | None, typer.Option(help="Lowest search top-1 allowed, %; FP32's minus 2.42 points.")]
Exclude = Annotated[list[str] | None, typer.Option(help="A layer that stays FP32; may be repeated.")]
Fix = Annotated[list[str] | None, typer.Option(help="LAYER=BITS held from the start; may be repeated.")]
MaxEvaluations = Annotated[int | None, typer.Option(help="Stop at the best so far after this many evaluations.")]
MaxMinutes = Annotated[float | None, typer.Option(help="Stop at the best so far after this many minutes.")]


@app.command()
def search(
    model: ModelName,
    alpha: Annotated[float, typer.Option(help="0 (only accuracy) to 1 (only AI).")] = 0.9,
    algorithm: Algorithms = GREEDY.name,
    weights: Widths = USUAL_WIDTHS,
    activations: ActivationWidths = str(FP32_BITS),
    rounding: Rounding = Quantizer().rounding,
    granularity: Granularities = Granularity.CHANNEL,
    grid: Grids = Grid.NARROW,
    ranges: RangeRule = DEFAULT_RULE,
    start: Start = "fp32",
    choose_images: ChooseImages = None,
    intensity_normaliser: Normaliser = None,
    accuracy_normaliser: AccuracyNormaliser = DEFAULT_ACCURACY_NORMALISER,
    floor: Floor = None,
    exclude: Exclude = None,
    fix: Fix = None,
    images: Images = None,
    max_evaluations: MaxEvaluations = None,
    max_minutes: MaxMinutes = None,
    traffic: Traffic = UNFUSED,
    no_bundled: NoBundled = False,
    cluster: ClusterAddress = None,
    device: DeviceName = None,
    as_json: Json = False,
) -> None:
    """Search a policy; nothing is ever evaluated twice, and Ctrl-C loses nothing."""
    library = open_library()
    known = library.model(model)
    request = Request(
        model,
        _searching(algorithm),
        alpha,
        widths=_numbers(weights),
        activation_widths=_numbers(activations),
        start=None if start == "fp32" else space.parse_start(start, known.profile),
        intensity_normaliser=intensity_normaliser,
        accuracy_normaliser=accuracy_normaliser,
        floor_percent=floor,
        excluded=tuple(exclude or ()),
        fixed=fixed(fix or []),
        images=images or known.dataset.available(SplitName.SEARCH),
        max_evaluations=max_evaluations,
        max_minutes=max_minutes,
        use_bundled=not no_bundled,
        traffic=traffic,
        cluster=cluster,
        device=device,
    )
    joint = request.is_joint
    apart = choose_images or (space.choosing(request.images) if joint else None)
    how = space.quantizer(known.dataset, rounding, granularity, grid, joint, ranges)
    run(library, replace(request, quantizer=how, choose_images=apart), as_json)


@app.command()
def sweep(
    model: ModelName,
    alphas: Annotated[str, typer.Option(help="FIRST:LAST:STEP, or a comma-separated list.")] = "0:1:0.1",
    algorithm: Algorithms = GREEDY.name,
    images: Images = None,
    traffic: Traffic = UNFUSED,
    no_bundled: NoBundled = False,
    cluster: ClusterAddress = None,
    device: DeviceName = None,
    as_json: Json = False,
) -> None:
    """Search at many alphas on one memo."""
    library = open_library()
    count = images or library.model(model).dataset.available(SplitName.SEARCH)
    usual = Request(
        model,
        _searching(algorithm),
        images=count,
        use_bundled=not no_bundled,
        traffic=traffic,
        cluster=cluster,
        device=device,
    )
    requests = [replace(usual, alpha=alpha) for alpha in _alphas(alphas)]
    runs = jobs.submit_sweep(library, requests)
    try:
        finished = [follow(library, run.id, as_json) for run in runs]
    except typer.Exit:
        for run in runs:  # Ctrl-C ends the sweep, not only the run that was watched
            jobs.cancel(library, run.id)
        raise
    if as_json:
        return print_json([documents.run_document(library, run) for run in finished])
    print_runs(library, finished)


def _searching(algorithm: str) -> str:
    if algorithm not in SEARCHES:
        raise SettingError(f"algorithm={algorithm} does not search; choose {' or '.join(SEARCHES)}")
    return algorithm


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}, reverse=True))
    except ValueError:
        raise SettingError(f"widths={text!r} cannot be read; write them like 32,8,4") from None


def _alphas(text: str) -> list[float]:
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        first, last, step = (float(part) for part in text.split(":"))
        if not step > 0 or not 0 <= first <= last <= 1:
            raise ValueError(text)
        # Rounded: 0.1 added up is not 0.3, and the alpha names the run.
        return [round(first + index * step, 10) for index in range(int((last - first) / step + 1e-9) + 1)]
    except ValueError:
        raise SettingError(f"alphas={text!r} cannot be read; write 0:1:0.1 or 0.1,0.5,0.9, within 0 and 1") from None


def fixed(parts: list[str]) -> dict[str, int]:
    """LAYER=BITS as {layer: bits}. Raises SettingError."""
    fixed = {}
    for part in parts:
        name, _, bits = part.partition("=")
        if not bits.isdigit():
            raise SettingError(f"fix={part!r} cannot be read; write it like conv1=8")
        fixed[name] = int(bits)
    return fixed


@app.command()
def resume(run_id: str, as_json: Json = False) -> None:
    """Go on with a run that was cancelled, interrupted or failed."""
    library = open_library()
    jobs.resume(library, run_id)
    print_run(library, follow(library, run_id, as_json), as_json)
