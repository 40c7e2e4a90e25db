"""What the page and docs/results.md both say, made from the claims: tables, the headline and the captions."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aiq_core.charts.aggressive import AggressiveData, aggressive_data
from aiq_core.charts.optimism import OptimismData, optimism_data
from aiq_core.charts.predicted import Cell, PredictedData, predicted_data, predicted_words
from aiq_core.charts.study import Trial, lost, pairs
from aiq_core.claims import Claim, figure, is_paper, mark
from aiq_core.claims.evidence import Evidence
from aiq_core.deployment.compared import JUDGED, NEAR, compared
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.experiment import DRAWN, Experiment
from aiq_core.deployment.prediction import Predictor
from aiq_core.deployment.rows import Row
from aiq_core.deployment.timing import spread
from aiq_core.deployment.words import place_words, rate_words, times_words
from aiq_core.judged import Kind
from aiq_core.library import Library
from aiq_core.roof import Spread
from aiq_core.study import trials
from aiq_core.wording import number, signed, span

SEARCH_COST = Path(__file__).resolve().parents[2] / "docs" / "search_cost.md"
"""Written by benchmarks/search_cost.py."""

CHECKED = "✓ holds here · ✗ does not · – not measured yet"


def headline(claims: Sequence[Claim]) -> str:
    """How many hold, of the paper's and of ours."""
    parts = []
    for whose, own in (("the paper's", True), ("our own", False)):
        tested = [claim for claim in claims if is_paper(claim) is own and claim.holds is not None]
        parts.append(f"{sum(claim.holds is True for claim in tested)} of {whose} {len(tested)}")
    return f"{parts[0]} claims that could be tested hold here, and {parts[1]}"


def table(claims: Sequence[Claim], paper: bool) -> pd.DataFrame:
    """The paper's claims or ours, a row each, as text; ours have no column for the paper's figure."""
    rows = []
    for claim in claims:
        if is_paper(claim) is paper:
            row = {"": mark(claim), "Claim": claim.statement, "Paper": figure(claim, claim.paper)}
            row |= {
                "Here (95 %)": figure(claim, claim.measured, interval=True),
                "How": claim.note,
                "Run": claim.run or "",
            }
            rows.append(row if paper else {name: text for name, text in row.items() if name != "Paper"})
    return pd.DataFrame(rows)


def frame(claims: Sequence[Claim]) -> pd.DataFrame:
    """All claims with their numbers, for the CSV."""
    return pd.DataFrame(
        [
            {
                "id": claim.id,
                "statement": claim.statement,
                "paper": claim.paper,
                "measured": claim.measured,
                "low": None if claim.interval is None else claim.interval.low,
                "high": None if claim.interval is None else claim.interval.high,
                "unit": claim.unit,
                "holds": claim.holds,
                "run": claim.run,
                "note": claim.note,
            }
            for claim in claims
        ]
    )


def optimism(evidence: Evidence, model: str) -> OptimismData | None:
    """Every policy complete on all search and all report images; None where none is."""
    table = evidence.table(model)
    return None if table is None else optimism_data(table, evidence.kinds(model))


def widths(evidence: Evidence, model: str) -> AggressiveData:
    """Every search of a model with its rank correlation, by algorithm and alpha."""
    return aggressive_data(evidence.profile(model), evidence.widths(model))


def optimism_caption(data: OptimismData) -> str:
    """What the optimism chart shows, in one line."""
    chosen = [point.report.value - point.search.value for point in data.points if point.kind is Kind.CHOSEN]
    rest = [point.report.value - point.search.value for point in data.points if point.kind is not Kind.CHOSEN]
    parts = [
        f"{name} {signed(sum(gaps) / len(gaps), 2)} points on average ({len(gaps)})"
        for name, gaps in (("policies chosen on search images lose", chosen), ("the others", rest))
        if gaps
    ]
    return f"More lost on report images than on search images: {', '.join(parts)}."


def widths_caption(data: AggressiveData) -> str:
    """What the widths chart shows, in one line."""
    mixed = [row.rho for row in data.rows if row.rho == row.rho]
    if not mixed:
        return "Every search here ends with all layers alike."
    below = sum(rho < 0 for rho in mixed)
    return (
        f"Rank correlation of bits with weight count: below 0 in {below} of {len(mixed)} searches that mix widths, "
        f"from {number(min(mixed), 2)} to {number(max(mixed), 2)}. Below 0: larger layers get fewer bits."
    )


def study(evidence: Evidence, model: str) -> tuple[Trial, ...]:
    """Every way in which all layers of a model were rounded."""
    return trials(evidence.library, evidence.library.model(model))


def study_table(found: Sequence[Trial]) -> pd.DataFrame:
    """A row a trial, as text, the widest first; report images."""
    rows = []
    for trial in sorted(found, key=lambda trial: -trial.bits):
        cells = trial.report
        rows.append(
            {
                "Bits": str(trial.bits),
                "Rounding": trial.method,
                "Integers": trial.integers,
                "A scale a": str(trial.granularity),
                "SQNR, dB": number(trial.sqnr_db, 1),
                "Points lost (95 %)": "–" if cells is None else f"{number(cells.drop.value, 2)} ({span(cells.drop)})",
                "Top-1, % (95 %)": "–" if cells is None else f"{number(cells.after.value, 2)} ({span(cells.after)})",
                "Seconds": number(trial.seconds, 1),
            }
        )
    return pd.DataFrame(rows)


def study_caption(found: Sequence[Trial]) -> str:
    """What one scale a channel is worth to each method: the per-channel effects that the paper leaves to others."""
    said = []
    for bits in sorted({trial.bits for trial in found}, reverse=True):
        worth = [
            f"{number(lost(tensor).value - lost(channel).value, 2)}{'' if place else ' points'} to {channel.name}"
            for place, (channel, tensor) in enumerate(pairs(found, bits))
        ]
        if worth:
            said.append(f"at {bits} bits {' and '.join(worth)}")
    if not said:
        return "One scale a channel in every row; a scale a tensor is not measured here."
    return f"Per-channel effects, the paper’s future work: a scale a channel, not a tensor, is worth {'; '.join(said)}."


OWN, EAGER, RATE = "× FP32 in the same engine", "× PyTorch eager FP32", "images/s"
"""What the table of the experiment may show."""


def experiment_table(found: Experiment, shown: str) -> pd.DataFrame:
    """A row an engine and variant, those drawn at random as one, and a column a batch; as text.

    Medians of rounds with the lowest and highest; of random ones the median draw with the lowest and highest.
    """
    rows = []
    for engine in Engine:
        cells: dict[str, dict[int, list[Row]]] = {}
        for row in found.rows:
            if row.engine is engine:
                cells.setdefault(_title(row), {}).setdefault(row.timing.batch, []).append(row)
        for title, own in cells.items():
            batches = {f"Batch {batch}": _measured(own.get(batch, []), shown) for batch in found.batches}
            first = next(iter(own.values()))
            rows.append(
                {
                    "Engine": engine.words,
                    "Variant": title,
                    "Points lost (95 %)": _lost(first),
                    **batches,
                    "As simulated": _agreement(first),
                }
            )
    return pd.DataFrame(rows)


def _title(row: Row) -> str:
    """That of a variant, without the seed of one that was drawn."""
    return row.variant.title.partition(", seed")[0] if row.variant.name.startswith(DRAWN) else row.variant.title


def _measured(rows: Sequence[Row], shown: str) -> str:
    """What ratios are to has images/s there."""
    if not rows:
        return "–"
    first = rows[0]
    is_reference = first.variant.is_fp32 if shown == OWN else first.engine is Engine.EAGER
    if shown == RATE or is_reference:
        rate = _together([row.timing.images_per_s for row in rows])
        return rate_words(rate) if shown == RATE else f"{number(rate.value, 0)}/s"
    ratios = [row.timing.ratio_to_engine_fp32 if shown == OWN else row.timing.ratio_to_eager_fp32 for row in rows]
    known = [ratio for ratio in ratios if ratio is not None]
    return times_words(_together(known)) if known else "–"


def _together(found: Sequence[Spread]) -> Spread:
    """The median of several, with the lowest and highest; one alone as it is."""
    return found[0] if len(found) == 1 else spread([each.value for each in found])


def _lost(rows: Sequence[Row]) -> str:
    """With its interval; of several the median, the least and the most."""
    drops = [row.against_fp32.drop for row in rows if row.against_fp32 is not None and not row.variant.is_fp32]
    if len(drops) > 1:
        lost = spread([drop.value for drop in drops])
        return f"{number(lost.value, 2)} (draws {number(lost.low, 2)} to {number(lost.high, 2)})"
    return f"{number(drops[0].value, 2)} ({span(drops[0])})" if drops else "–"


def _agreement(rows: Sequence[Row]) -> str:
    """How many report images get the simulation's class, at least."""
    known = [row.deployed.agreement_percent for row in rows if row.deployed is not None]
    return f"{number(min(known), 2)} %" if known else "–"


def experiment_frame(found: Experiment) -> pd.DataFrame:
    """All that is known of each row, for the CSV."""
    return pd.json_normalize([row.to_json() for row in found.rows])


def experiment_caption(found: Experiment) -> str:
    """How the table was measured, and where."""
    timing = found.rows[-1].timing
    rounds = len(timing.seconds)
    return (
        f"Measured on {place_words(timing)}. Medians of {rounds} rounds, in each of which all of a batch were "
        "timed, and the lowest and highest round; ratios are taken round by round. Of random layers: the median draw, "
        "the lowest and the highest. Points lost against FP32 in the same engine, on report images."
    )


def predicted(library: Library, found: Experiment) -> PredictedData | None:
    """What each predictor says of the experiment's cells in runtimes; None where nothing predicts them."""
    judged = compared(library, found.model, [row for row in found.rows if row.timing.batch in JUDGED])
    cells = [
        Cell(
            each.row.engine.words,
            each.row.variant.title,
            each.row.timing.batch,
            str(each.predictor),
            each.seconds,
            each.row.timing.latency_s.value,
            each.is_mixed,
        )
        for each in judged
    ]
    return predicted_data(found.model.name, [str(each) for each in Predictor], cells, NEAR) if cells else None


def predicted_caption(found: Experiment, data: PredictedData) -> str:
    """How far predictions are off, of which cells and where."""
    batches = ", ".join(str(batch) for batch in found.batches if batch in JUDGED)
    engines = " and ".join(engine.words for engine in RUNTIMES)
    return (
        f"{predicted_words(data)} A mark a variant, engine ({engines}) and batch ({batches}), on {found.cpu}. Each "
        "predictor knows what the one before it does, and one thing more: the runtime’s own rates, a table of this "
        "network’s kernels measured alone, what changes of type between them cost."
    )


def search_cost() -> str | None:
    """What the benchmark last wrote, from its first line after the title; None where it has not run."""
    if not SEARCH_COST.is_file():
        return None
    return SEARCH_COST.read_text(encoding="utf-8").partition("\n")[2].strip()
