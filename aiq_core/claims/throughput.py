"""Claims of real runtimes: images a second of deployed networks, chosen layers against random ones, time against AI."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

from aiq_core.claims.evidence import MOBILENET, RESNET, Claim, Evidence
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.experiment import DRAWN, SEARCHED, SEEDS
from aiq_core.deployment.rows import Row
from aiq_core.roof import Spread, threads_words
from aiq_core.wording import join, number

LIMIT_POINTS = 1.0

PAPER_RATIO, PAPER_RANDOM_RATIO, PAPER_POINTS = 2320.6 / 1396.5, 2170.1 / 1396.5, 82.05 - 81.11
"""Images/s of the 12 layers and of 12 random ones over FP32's, and points lost (arXiv 2512.14090, two virtual CPUs)."""

PAPER_BATCH = 128
SMALL_BATCH = 1

NOT_TIMED = "not measured yet: `python -m benchmarks.throughput` measures it"

TILES = "amx_int8"
"""The flag of CPUs that multiply tiles of integers."""


@dataclass(frozen=True)
class Goal:
    """How many times as fast a variant in an engine is to be: as PyTorch eager FP32, as the engine's own, if asked.

    `eager_tiles` is what is asked of CPUs with `TILES` instead; `says` names the variant.
    """

    name: str
    model: str
    variant: str
    says: str
    engine: Engine
    batch: int
    eager: float
    own: float | None = None
    eager_tiles: float | None = None


GOALS = (
    Goal("throughput", MOBILENET, "int8", "all INT8", Engine.ONNX_RUNTIME, 128, 3.5, 1.6),
    Goal("throughput", MOBILENET, "int8", "all INT8", Engine.OPENVINO, 128, 4.5, 2.0),
    Goal("throughput", RESNET, "int8", "all INT8", Engine.OPENVINO, 32, 5.0, eager_tiles=10.0),
)

LEAST_CHOSEN, MOST_RANDOM = 1.4, 1.1
"""× FP32 in ONNX Runtime at the small batch, that the paper's layers reach at least, and random ones at most."""


def paper_throughput(evidence: Evidence) -> Iterator[Claim]:
    """The paper's 1.66 × in both runtimes, and its layers against random ones."""
    layers = "the paper's 12 layers in INT8"
    for engine in RUNTIMES:
        goal = Goal("paper-throughput", MOBILENET, "paper", layers, engine, PAPER_BATCH, 1.66, 1.66)
        yield from _goal(evidence, goal, PAPER_RATIO, PAPER_POINTS)
    for engine in RUNTIMES:
        yield _against_random(evidence, engine, PAPER_BATCH, "paper-random", PAPER_RATIO / PAPER_RANDOM_RATIO)


def our_throughput(evidence: Evidence) -> Iterator[Claim]:
    """All INT8, layers at random at the small batch, and what a search for time gains over AI's own policy."""
    for goal in GOALS:
        yield from _goal(evidence, goal)
    for engine in RUNTIMES:
        yield _against_random(evidence, engine, SMALL_BATCH, "random")
    yield from _bounds(evidence)
    for model in (MOBILENET, RESNET):
        yield from _time(evidence, model)


def _goal(evidence: Evidence, goal: Goal, paper: float | None = None, points: float | None = None) -> Iterator[Claim]:
    """A row for each FP32 that it is compared with, and one for what it loses."""
    name, engine = f"{goal.name}-{goal.model}-{goal.engine}", goal.engine.words
    asked = f"{goal.eager:g} ×" if goal.eager_tiles is None else f"{goal.eager:g} × ({goal.eager_tiles:g} with AMX)"
    said = f"{evidence.title(goal.model)}, {goal.says}, batch {goal.batch}, in {engine}"
    row = _row(evidence, goal.model, goal.engine, goal.variant, goal.batch)
    eager = _open(f"{name}-eager", f"{said}: at least {asked} PyTorch eager FP32", "×", paper)
    tiles = row is not None and TILES in row.timing.place.flags
    least = goal.eager_tiles if tiles and goal.eager_tiles is not None else goal.eager
    flags = "" if goal.eager_tiles is None else f"{'with' if tiles else 'without'} AMX: {least:g} × is asked for"
    yield _ratio(eager, row, None if row is None else row.timing.ratio_to_eager_fp32, least, flags)
    if goal.own is not None:
        own = _open(f"{name}-own", f"… and at least {goal.own:g} × FP32 in {engine} itself", "×", paper)
        yield _ratio(own, row, None if row is None else row.timing.ratio_to_engine_fp32, goal.own)
    statement = f"… for at most {LIMIT_POINTS} point of top-1, as measured in {engine}"
    yield _lost(_open(f"{name}-drop", statement, "points", points), row)


def _ratio(claim: Claim, row: Row | None, ratio: Spread | None, least: float, *more: str) -> Claim:
    if row is None or ratio is None:
        return claim
    rounds = f"median of {len(row.timing.seconds)} rounds, {number(ratio.low, 2)} to {number(ratio.high, 2)}"
    rate = f"{number(row.timing.images_per_s.value, 0)} images/s"
    return claim.settled(ratio.value, ratio.value >= least, "; ".join(filter(None, (rounds, rate, _where(row), *more))))


def _lost(claim: Claim, row: Row | None) -> Claim:
    if row is None or row.against_fp32 is None:
        return claim
    drop = row.against_fp32.drop
    note = f"{row.against_fp32.images:,} report images, Newcombe, paired; {_where(row)}"
    return claim.settled(drop.value, drop.value <= LIMIT_POINTS + 1e-9, note, interval=drop)


def _against_random(evidence: Evidence, engine: Engine, batch: int, name: str, paper: float | None = None) -> Claim:
    """The paper's layers against as many random ones of every seed, each over FP32 in the same engine."""
    statement = (
        f"The paper's 12 layers run faster than 12 random ones ({evidence.title(MOBILENET)} in {engine.words}, "
        f"batch {batch})"
    )
    claim = _open(f"{name}-{engine}-{batch}", statement, "× random", paper)
    chosen, drawn = _ratios(evidence, engine, batch)
    if chosen is None or drawn is None:
        return claim
    own = chosen.timing.ratio_to_engine_fp32
    assert own is not None  # _ratios
    told = f"{number(min(drawn), 2)} to {number(max(drawn), 2)} × for {len(drawn)} random draws"
    note = f"{number(own.value, 2)} × FP32 against {told}; holds where it is faster than each; {_where(chosen)}"
    return claim.settled(own.value / median(drawn), own.value > max(drawn), note)


def _bounds(evidence: Evidence) -> Iterator[Claim]:
    """Both sides of it, each with its bound, in ONNX Runtime at the small batch."""
    engine, place = Engine.ONNX_RUNTIME, f"in ONNX Runtime, batch {SMALL_BATCH}"
    title = evidence.title(MOBILENET)
    least = _open("chosen-least", f"{title}, the paper's 12 layers {place}: at least {LEAST_CHOSEN} × FP32", "×")
    most = _open("random-most", f"… and 12 random ones at most {MOST_RANDOM} ×", "×")
    chosen, drawn = _ratios(evidence, engine, SMALL_BATCH)
    yield _ratio(least, chosen, None if chosen is None else chosen.timing.ratio_to_engine_fp32, LEAST_CHOSEN)
    if chosen is not None and drawn is not None:
        note = f"the fastest of {len(drawn)} draws; the slowest {number(min(drawn), 2)} ×; {_where(chosen)}"
        most = most.settled(max(drawn), max(drawn) <= MOST_RANDOM, note)
    yield most


def _ratios(evidence: Evidence, engine: Engine, batch: int) -> tuple[Row | None, list[float] | None]:
    """The row of the paper's layers and the ratios of random ones, None where not all are measured."""
    found = (_row(evidence, MOBILENET, engine, f"{DRAWN}{seed}", batch) for seed in SEEDS)
    ratios = [None if row is None else row.timing.ratio_to_engine_fp32 for row in found]
    drawn = [ratio.value for ratio in ratios if ratio is not None]
    chosen = _row(evidence, MOBILENET, engine, "paper", batch)
    known = chosen is not None and chosen.timing.ratio_to_engine_fp32 is not None
    return chosen if known else None, drawn if len(drawn) == len(SEEDS) else None


def _time(evidence: Evidence, model: str) -> Iterator[Claim]:
    """What a search for time gains over the policy that is best by AI in the same engine."""
    engine, batch = SEARCHED
    said = f"{evidence.title(model)}: a search for time on {engine.words} finds a faster policy than AI's own"
    faster = _open(f"time-{model}", f"{said}, batch {batch}", "× AI's own")
    cost = _open(f"time-drop-{model}", "… at no more points lost", "points more")
    ours, timed = (_row(evidence, model, engine, name, batch) for name in ("ours", "fastest"))
    if ours is None or timed is None:
        yield from (faster, cost)
        return
    before, after = ours.timing.ratio_to_engine_fp32, timed.timing.ratio_to_engine_fp32
    if before is not None and after is not None:
        each = f"{number(after.value, 2)} × FP32 ({number(after.low, 2)} to {number(after.high, 2)})"
        told = f"{each} against {number(before.value, 2)} × ({number(before.low, 2)} to {number(before.high, 2)})"
        note = f"{told}, medians of {len(timed.timing.seconds)} rounds; {_where(timed)}"
        faster = faster.settled(after.value / before.value, after.value > before.value, note)
    yield faster
    cells = None
    if ours.deployed is not None and timed.deployed is not None:
        cells = timed.deployed.against(ours.deployed, evidence.library.model(model))
    if cells is not None:
        note = f"as measured; {cells.images:,} report images, Newcombe, paired; {_where(timed)}"
        cost = cost.settled(cells.drop.value, cells.drop.value <= 1e-9, note, interval=cells.drop)
    yield cost


def _row(evidence: Evidence, model: str, engine: Engine, variant: str, batch: int) -> Row | None:
    found = evidence.experiment(model)
    return None if found is None else found.row(engine, variant, batch)


def _open(id: str, statement: str, unit: str, paper: float | None = None) -> Claim:
    return replace(Claim.open(id, statement, unit, paper), note=NOT_TIMED)


def _where(row: Row) -> str:
    """The machine, its threads, and what computed."""
    place, versions = row.timing.place, row.timing.place.versions
    torch = f"torch {versions['torch']}" if "torch" in versions else ""
    return join([place.cpu, threads_words(place.threads), f"{row.engine.package} {row.timing.version}", torch])
