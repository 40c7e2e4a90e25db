"""Results: every headline claim recomputed from the stored evaluations, and the evidence behind three of them."""

from functools import partial

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.charts.aggressive import AggressiveData, aggressive_figure, aggressive_frame
from aiq_core.charts.optimism import OptimismData, optimism_figure, optimism_frame
from aiq_core.charts.predicted import PredictedData, predicted_figure, predicted_frame
from aiq_core.charts.study import Trial, contest, lost, reported, study_figure, study_frame
from aiq_core.claims import Claim
from aiq_core.claims import claims as recompute
from aiq_core.claims.evidence import Evidence
from aiq_core.deployment.experiment import PAPER_LAYERS, Experiment, experiments
from aiq_core.roof import threads_words
from aiq_core.wording import number
from pages.common import controls, known
from pages.common.charts import card, chart
from pages.common.controls import View
from pages.results import content

STUDY_PX, STUDY_WIDTHS_PX = 320, (265.0, 930.0)
"""Height of the study's table, and widths of its chart on a phone and beside the sidebar."""
COLOURS = {"✓": "green", "✗": "red"}


@st.cache_resource(max_entries=2, show_spinner="Recomputing every claim…")
def _claims(version: str) -> tuple[Claim, ...]:
    return recompute(known.library())


@known.cached(6)
def _optimism(model: Model, version: str) -> OptimismData | None:
    return content.optimism(Evidence(known.library()), model.name)


@known.cached(6)
def _widths(model: Model, version: str) -> AggressiveData:
    return content.widths(Evidence(known.library()), model.name)


@known.cached(6)
def _study(model: Model, version: str) -> tuple[Trial, ...]:
    return content.study(Evidence(known.library()), model.name)


@known.cached(6)
def _experiments(model: Model, version: str) -> tuple[tuple[Experiment, PredictedData | None], ...]:
    found = experiments(known.library(), model)
    return tuple((each, content.predicted(known.library(), each)) for each in found)


def main() -> None:
    view, version = controls.view(), known.library().version()
    claims = _claims(version)
    st.markdown(f"#### {content.headline(claims)}")
    st.caption(
        f"{content.CHECKED}. Recomputed from the stored evaluations, on every image of each split; "
        "`python -m aiq_core claims` prints the same."
    )
    _tables(claims)
    _draw_experiment(view, _experiments(view.model, version))
    left, right = st.columns(2, gap="small")
    with left:
        _draw_optimism(view, _optimism(view.model, version))
    with right:
        _draw_widths(view, _widths(view.model, version))
    _draw_study(view, _study(view.model, version))
    _search_cost()


# Streamlit breaks a cell's text at 350 px, however wide its column is: half the screen was left empty.
# On a phone its columns would leave the claim two words: there each row is the claim and, under it, its figures.
TABLE_STYLE = """<style>
[data-testid='stTable'] td > div { max-width: none !important; }
@media (width < 640px) {
    [data-testid='stTable'] thead, [data-testid='stTable'] td:last-child:not(:has(span)) { display: none; }
    [data-testid='stTable'] tr { display: grid; grid-template-columns: 1.5rem 1fr; padding: 0.5rem 0; }
    [data-testid='stTable'] tr + tr { border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
    [data-testid='stTable'] td { display: flex; padding: 0 !important; border: none; }
    [data-testid='stTable'] td:nth-child(n + 2) { grid-column: 2; }
    [data-testid='stTable'] td:nth-child(n + 3)::before { flex: 0 0 6rem; opacity: 0.6; content: "Run"; }
    [data-testid='stTable'] td:nth-last-child(2)::before { content: "Here (95 %)"; }
    [data-testid='stTable'] td:nth-child(3):nth-last-child(3)::before { content: "Paper"; }
}
</style>"""


def _tables(claims: tuple[Claim, ...]) -> None:
    st.html(TABLE_STYLE)
    with card(
        "Claims", "arXiv 2512.14090's on our networks and images, and ours", partial(content.frame, claims), "claims"
    ):
        for tab, paper in zip(st.tabs(["The paper's", "Ours"]), (True, False), strict=True):
            rows = content.table(claims, paper)
            rows[""] = [f":{COLOURS.get(text, 'gray')}[{text}]" for text in rows[""]]
            rows["Run"] = [_small(text) for text in rows["Run"]]
            # Under the claim: as a column of its own, out of sight on a phone, it made every row a screen high.
            how = rows.pop("How")
            rows["Claim"] = [f"{claim}  \n{_small(text)}" for claim, text in zip(rows["Claim"], how, strict=True)]
            tab.table(rows, border="horizontal", hide_index=True)


def _small(text: str) -> str:
    return f":small[:gray[{text}]]" if text else ""


def _draw_experiment(view: View, found: tuple[tuple[Experiment, PredictedData | None], ...]) -> None:
    """The throughput experiment on one machine, and how it was predicted."""
    title = f"{view.model.title}, the paper’s throughput experiment"
    if not found:
        with card("In real runtimes", title):
            which = "`python -m benchmarks.throughput` measures it"
            made_for = f"it is made for {' and '.join(known.model(name).title for name in PAPER_LAYERS)}"
            told = f"Not measured yet: {which}." if view.model.name in PAPER_LAYERS else f"Not measured: {made_for}."
            st.info(told, icon=":material/hourglass_empty:")
        return
    with card("In real runtimes", title, lambda: content.experiment_frame(chosen[0]), f"{view.model}-experiment"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            places = {f"{each.cpu}, {threads_words(each.threads)}": (each, data) for each, data in found}
            place = next(iter(places))
            if len(places) > 1:
                place = st.selectbox("Measured on", list(places), key=f"results-place-{view.model}", width=320)
            chosen = places[place]
            offered = [content.OWN, content.EAGER, content.RATE]
            shown = st.segmented_control(
                "Shown", offered, default=content.OWN, required=True, key=f"results-shown-{view.model}"
            )
        table = content.experiment_table(chosen[0], shown)
        st.dataframe(table, hide_index=True, height="content", key="results-experiment")
        st.caption(content.experiment_caption(chosen[0]))
    _draw_predicted(view, *chosen)


def _draw_predicted(view: View, found: Experiment, data: PredictedData | None) -> None:
    if data is None:
        return
    title, name = f"{view.model.title}, seconds a batch", f"{view.model}-predicted"
    with card("Predicted against measured", title, partial(predicted_frame, data), name):
        chart(predicted_figure(data, view.look), "predicted", name, content.predicted_caption(found, data))
        st.caption(content.predicted_caption(found, data))


def _draw_optimism(view: View, data: OptimismData | None) -> None:
    title = f"{view.model.title}, points lost by policy"
    if data is None or not data.points:
        with card("Search against report", title):
            st.info("No policy is measured on both splits yet.", icon=":material/hourglass_empty:")
        return
    with card("Search against report", title, partial(optimism_frame, data), f"{view.model}-optimism"):
        alt = f"Points lost on report against search images for {len(data.points)} policies of {view.model}."
        chart(optimism_figure(data, view.look), "optimism", f"{view.model}-optimism", alt)
        st.caption(content.optimism_caption(data))


def _draw_widths(view: View, data: AggressiveData) -> None:
    title = f"{view.model.title}, layers by size"
    if not data.rows:
        with card("Larger layers, fewer bits?", title):
            st.info("No search of this model on all its images yet.", icon=":material/hourglass_empty:")
        return
    with card("Larger layers, fewer bits?", title, partial(aggressive_frame, data), f"{view.model}-widths"):
        layers = len(view.model.profile.quantizable)
        alt = f"Bits of {layers} layers by weight count in {len(data.rows)} searches. {content.widths_caption(data)}"
        chart(aggressive_figure(data, view.look), "widths", f"{view.model}-widths", alt)
        st.caption(content.widths_caption(data))


def _draw_study(view: View, found: tuple[Trial, ...]) -> None:
    """Every way to round all layers: error against accuracy at one width, and the table of all."""
    title = f"{view.model.title}, all layers at one width, weights only"
    widths = [bits for bits in sorted({trial.bits for trial in found}) if contest(found, bits)]
    if not widths:
        with card("How to round", title):
            st.info(
                "No study of this model: `python -m benchmarks.rounding` makes it.", icon=":material/hourglass_empty:"
            )
        return
    with card("How to round", title, partial(study_frame, found), f"{view.model}-rounding"):
        usual, key = 4 if 4 in widths else widths[0], f"results-bits-{view.model}"
        bits = st.segmented_control("Bits", widths, default=usual, required=True, key=key, format_func="{} bits".format)
        said = "; ".join(
            f"{t.name} {number(t.sqnr_db, 1)} dB, {number(lost(t).value, 2)} points" for t in reported(found, bits)
        )
        spec = study_figure(found, bits, view.look, STUDY_WIDTHS_PX)
        chart(spec, "study", f"{view.model}-rounding-{bits}", said)
        st.dataframe(content.study_table(found), hide_index=True, height=STUDY_PX, key="results-study")
        st.caption(f"{content.study_caption(found)} Seconds: all layers, on one {found[0].processor}.")


def _search_cost() -> None:
    found = content.search_cost()
    with card("What a search costs", "measured by benchmarks/search_cost.py"):
        if found is None:
            st.caption("Not measured yet: run `python -m benchmarks.search_cost --write`.")
        else:
            st.markdown(found)


main()
