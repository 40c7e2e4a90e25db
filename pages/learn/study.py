"""Lesson 3's last look, at all layers at once: is the smallest weight error the best accuracy?"""

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.charts.study import Contest, Trial, contest, lost, study_figure, study_frame
from aiq_core.records import SplitName
from aiq_core.study import trials
from aiq_core.wording import number, span
from pages.common import known
from pages.common.controls import View
from pages.learn import frame

PLOT_WIDTHS_PX = (265.0, 850.0)
"""Of the chart on a phone, and beside the question."""


@known.cached(12)
def _trials(model: Model, version: str) -> tuple[Trial, ...]:
    return trials(known.library(), model)


def trials_of(model: Model) -> tuple[Trial, ...]:
    """Every way in which all layers of a model were rounded; none where no width has ways to compare."""
    images = min(model.dataset.split(split).size for split in SplitName)
    found = _trials(model, known.library().table_version(model, images))
    return found if _compared(found) else ()


def _compared(found: tuple[Trial, ...]) -> list[int]:
    """The widths at which ways are reported to compare, widest first."""
    return [bits for bits in sorted({trial.bits for trial in found}, reverse=True) if contest(found, bits)]


def message(found: Contest | None, model: Model, bits: int) -> str:
    """Whether the smallest error is the best accuracy."""
    where = f"All layers of {model.title} at {bits} bits"
    if found is None:
        return f"{where}: :violet[not studied], choose another width."
    finest, best = found.finest, found.best
    if found.agree:
        return (
            f"{where}: :violet[the smallest weight error is as good as any]. {finest.name}, {_error(finest)}, loses "
            f"{_points(finest)}."
        )
    return (
        f"{where}: :violet[the smallest weight error is not the best accuracy]. {finest.name}, {_error(finest)}, "
        f"loses {_points(finest)}; {best.name}, {_error(best)}, {_points(best)}."
    )


def _error(trial: Trial) -> str:
    return f"{number(trial.sqnr_db, 1)} dB"


def _points(trial: Trial) -> str:
    return f"{number(lost(trial).value, 2)} points"


def draw(view: View, found: tuple[Trial, ...], bits: int) -> None:
    """The chart with its table; a word where that width was not studied."""
    if contest(found, bits) is None:
        st.info(f"Studied at {', '.join(map(str, _compared(found)))} bits.", icon=":material/tune:")
        return
    spec = study_figure(found, bits, view.look, PLOT_WIDTHS_PX)
    images = view.model.dataset.report.size
    said = "; ".join(
        f"{trial.name} {_error(trial)}, {_points(trial)}" for trial in found if trial.bits == bits and trial.report
    )
    title = f"All layers at {bits} bits"
    frame.figure(title, f"{images:,} report images, 95 % intervals", spec, study_frame(found), "study", said)


def formula(found: Contest | None) -> str:
    """What both axes are, with the numbers of the smallest error in."""
    head = "**SQNR** = 10 · log₁₀(Σw² / Σ(ŵ − w)²), the mean over the layers"
    if found is None:
        return head
    cells = found.finest.report
    assert cells is not None
    return (
        f"{head} · **lost** = {number(cells.before.value, 2)} − {number(cells.after.value, 2)} = "
        f"**{number(cells.drop.value, 2)}** points, 95 % {span(cells.drop)} ({found.finest.name})"
    )


def answer(found: tuple[Trial, ...], bits: int) -> str:
    """What is known of the teacher's question, from the methods that share their weights, error and all."""
    by_setting = {trial.setting: trial for trial in found if trial.bits == bits and trial.report}
    said = []
    for base in ("nearest", "mse"):
        plain = next((t for t in by_setting.values() if t.base == base and not t.corrects), None)
        if plain is None:
            continue
        corrected = by_setting.get((f"{base}_bias", plain.grid, plain.granularity))
        more = "" if corrected is None else f" ({number(lost(corrected).value, 2)} once the bias takes the mean error)"
        said.append(f"{plain.name} errs by {_error(plain)} and loses {_points(plain)}{more}")
    return f"At {bits} bits {', '.join(said)}. " if said else ""
