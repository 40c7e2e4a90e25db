"""Claims of predicted times: how far they are from measured ones, over both networks, both runtimes and all batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

from aiq_core.claims.evidence import MOBILENET, RANK_CORRELATION, RESNET, Claim, Evidence
from aiq_core.claims.throughput import NOT_TIMED
from aiq_core.deployment.compared import JUDGED, NEAR, UNIFORM, Compared, compared, errors, layer_ranks
from aiq_core.deployment.experiment import Experiment
from aiq_core.deployment.prediction import Predictor
from aiq_core.roof import threads_words
from aiq_core.wording import number

MODELS = MOBILENET, RESNET

BEST = Predictor.BORDERS
"""The best informed, which is judged; notes have the others."""

UNIFORM_MEDIAN, UNIFORM_NEAR, MIXED_MEDIAN, SIGNS, RANKS = 15, 90, 25, 90, 0.85
"""In percent of the measured time, of points, of time, of policies; and the least rank correlation of layers."""


def prediction_claims(evidence: Evidence) -> Iterator[Claim]:
    """A row a claim."""
    known = [evidence.experiment(model) for model in MODELS]
    # Of one network alone nothing is claimed of both.
    found = [each for each in known if each is not None] if None not in known else []
    judged = [each for known in found for each in _judged(evidence, known)]
    uniform = [each for each in judged if each.row.variant.name in UNIFORM]
    mixed = [each for each in judged if each.is_mixed]
    where = _where(found)
    off = "Predicted times are off by at most {} % in the median: {}"
    told = off.format(UNIFORM_MEDIAN, "FP32 and all INT8, both networks, both runtimes, batch 1 to 128")
    yield _median(_open("predicted-uniform", told, "%"), uniform, UNIFORM_MEDIAN, where)
    near = _open(
        "predicted-uniform-near", f"… and {UNIFORM_NEAR} % of them by at most {100 * NEAR:.0f} %", "% of points"
    )
    yield _near(near, uniform, where)
    told = off.format(MIXED_MEDIAN, "the paper's 12 layers, random ones and ours, what borders cost counted")
    yield _median(_open("predicted-mixed", told, "%"), mixed, MIXED_MEDIAN, where)
    yield _signs(
        _open(
            "predicted-signs",
            "… and say rightly in 9 of 10 whether they beat FP32",
            "% of policies",
        ),
        mixed,
        where,
    )
    yield _layers(evidence, found, where)


def _judged(evidence: Evidence, found: Experiment) -> list[Compared]:
    rows = [row for row in found.rows if row.timing.batch in JUDGED]
    return compared(evidence.library, found.model, rows)


def _median(claim: Claim, found: Sequence[Compared], most: float, where: str) -> Claim:
    off = errors(found)
    if BEST not in off:
        return claim
    value = 100 * off[BEST].median
    others = {predictor: f"{100 * each.median:.0f}" for predictor, each in off.items()}
    return claim.settled(value, value <= most, f"{off[BEST].points} points; {_each(others, ' %')}; {where}")


def _near(claim: Claim, found: Sequence[Compared], where: str) -> Claim:
    off = errors(found)
    if BEST not in off:
        return claim
    value = 100 * off[BEST].near
    others = {predictor: f"{100 * each.near:.0f}" for predictor, each in off.items()}
    return claim.settled(value, value >= UNIFORM_NEAR, f"{off[BEST].points} points; {_each(others, ' %')}; {where}")


def _signs(claim: Claim, found: Sequence[Compared], where: str) -> Claim:
    right = {
        predictor: [each.is_sign_right for each in found if each.predictor is predictor] for predictor in Predictor
    }
    if not right[BEST]:
        return claim
    value = 100 * sum(right[BEST]) / len(right[BEST])
    others = {predictor: f"{sum(each)} of {len(each)}" for predictor, each in right.items() if each}
    agreed = [each.is_sign_right for each in found if each.predictor is BEST and each.has_sign]
    told = f"{_each(others, '')}; where all rounds agree, {BEST} {sum(agreed)} of {len(agreed)}"
    return claim.settled(value, value >= SIGNS, f"{told}; {where}")


def _layers(evidence: Evidence, found: Sequence[Experiment], where: str) -> Claim:
    """Of a table of kernels, which knows layers; borders are between them."""
    statement = f"Predicted times rank a network's layers as profilers do: {RANKS:g} in the median"
    claim = _open("predicted-layers", statement, RANK_CORRELATION)
    ranks: dict[Predictor, list[float]] = {}
    for known in found:
        rows = [row for row in known.rows if row.timing.batch in JUDGED]
        for predictor, values in layer_ranks(evidence.library, known.model, rows).items():
            ranks.setdefault(predictor, []).extend(values)
    if not ranks.get(Predictor.TABLE):
        return claim
    value, others = median(ranks[Predictor.TABLE]), {each: number(median(of), 3) for each, of in ranks.items()}
    points = len(ranks[Predictor.TABLE])
    note = f"Spearman, FP32 and all INT8, the median of {points} networks, runtimes and batches; {_each(others, '')}"
    return claim.settled(value, value >= RANKS, f"{note}; {where}")


def _each(found: Mapping[Predictor, str], unit: str) -> str:
    return ", ".join(f"{predictor} {text}{unit}" for predictor, text in found.items())


def _where(found: Sequence[Experiment]) -> str:
    """The machines and threads that measured."""
    places = dict.fromkeys((each.cpu, each.threads) for each in found)
    return "; ".join(f"{cpu}, {threads_words(threads)}" for cpu, threads in places)


def _open(id: str, statement: str, unit: str) -> Claim:
    return replace(Claim.open(id, statement, unit), note=NOT_TIMED)
