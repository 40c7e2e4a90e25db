"""Deploy: what a policy gains in real runtimes on this machine, what it loses there, and where the time goes."""

from functools import partial

import streamlit as st

from aiq_core.charts.throughput import predictors, throughput_figure, throughput_frame
from aiq_core.deployment.bars import bars
from aiq_core.deployment.engine import RUNTIMES, installed, remedy
from aiq_core.deployment.rows import Row
from aiq_core.deployment.words import place_words
from aiq_core.wording import number, seconds, signed, span
from pages.common import controls, errors
from pages.common.charts import card, chart
from pages.deploy import fastest, files, tables, work
from pages.deploy.sentence import sentence
from pages.deploy.shown import Shown, show

RATIO, RATE = "× FP32", "images/s"
ROW_PX, MOST_PX = 35, 420


def main() -> None:
    shown = show(controls.view())
    errors.say()
    machine = "this machine" if shown.own else shown.cpu or "this machine"
    st.markdown(f"#### {sentence(shown.view.model.title, shown.lead, shown.engine, machine)}")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(_beneath(shown), width="stretch")
        work.button(shown)
    work.progress(shown)
    if not shown.rows:
        _nothing(shown)
        fastest.draw(shown)
        files.draw(shown)
        return
    _notes(shown)
    if shown.lead is not None:
        _numbers(shown.lead)
    _chart(shown)
    _table(shown)
    _nodes(shown)
    fastest.draw(shown)
    files.draw(shown)


def _beneath(shown: Shown) -> str:
    if not shown.rows:
        return "PyTorch, ONNX Runtime and OpenVINO are timed side by side, and report images run through each"
    return f"Measured on {place_words((shown.lead or shown.rows[0]).timing)}"


def _notes(shown: Shown) -> None:
    said = []
    if shown.batch != shown.view.batch:
        measured = ", ".join(map(str, shown.batches))
        said.append(f"Batch {shown.view.batch} is not measured; showing {shown.batch} of {measured}.")
    if shown.lead is not None and shown.lead.variant.note:
        said.append(f"Deployed with {shown.lead.variant.note}.")
    said += [f"{engine.words} is {remedy(engine)}." for engine in RUNTIMES if shown.own and installed(engine) is None]
    unsteady = max(row.timing.unsteady for row in shown.rows)
    if unsteady:
        said.append(
            f"{unsteady} of {len(shown.rows[0].timing.seconds)} rounds stayed more than 2 × off, though measured "
            "again: the clock or the load of the machine jumped; measure again when it is quiet."
        )
    for text in said:
        st.caption(f":material/info: {text}")


def _nothing(shown: Shown) -> None:
    run = "" if shown.run is None else f" --run {shown.run.id}"
    threads = "" if shown.threads == 1 else f" --threads {shown.threads}"
    with st.container(border=True):
        st.markdown(
            f"**Nothing of this is measured yet.** Fewer bits are a promise until a runtime keeps it. {work.TAKES}"
        )
        st.code(f"python -m aiq_core bench {shown.view.model}{run}{threads}", language=None)


def _numbers(row: Row) -> None:
    timing, judged, deployed = row.timing, row.against_fp32, row.deployed
    rate, own, eager = timing.images_per_s, timing.ratio_to_engine_fp32, timing.ratio_to_eager_fp32
    rounds = f"Measured: the median of {len(timing.seconds)} rounds, which lie between {{}} and {{}}."
    with st.container(horizontal=True, border=True):
        span_of = (number(rate.low, 0), number(rate.high, 0))
        st.metric("images/s", number(rate.value, 0), width=150, help=rounds.format(*span_of))
        st.metric(f"a batch of {timing.batch}", seconds(timing.latency_s.value), width=150)
        for label, ratio in (("× its own FP32", own), ("× PyTorch eager FP32", eager)):
            if ratio is not None:
                ends = (number(ratio.low, 2), number(ratio.high, 2))
                st.metric(label, f"{number(ratio.value, 2)} ×", width=150, help=rounds.format(*ends))
        if judged is not None:
            noise = ", within noise" if judged.drop.contains_zero else ""
            told = f"Measured on {judged.images:,} report images; 95 %: {span(judged.drop)}{noise}."
            st.metric("points lost", signed(judged.drop.value, 2), width=150, help=told)
        if deployed is not None:
            told = "Report images that get the class which the simulation gives them."
            st.metric("as simulated", f"{number(deployed.agreement_percent, 2)} %", width=150, help=told)


def _chart(shown: Shown) -> None:
    title = f"{shown.view.model.title}, batch {shown.batch}"
    frame = partial(throughput_frame, bars(shown.rows, shown.variants, True))
    with card("Throughput", title, frame, f"{shown.view.model}-throughput"):
        which = st.segmented_control(
            "Shown", [RATIO, RATE], default=RATIO, key="deploy-shown", label_visibility="collapsed", required=True
        )
        drawn = bars(shown.rows, shown.variants, which == RATE)
        if not drawn:
            st.info("No runtime but PyTorch is measured here; pip install onnxruntime openvino.")
            return
        alt = "; ".join(bar.says.replace("<br>", ", ").replace("<b>", "").replace("</b>", "") for bar in drawn)
        figure = throughput_figure(drawn, shown.view.look, which == RATE)
        chart(figure, "throughput", f"{shown.view.model}-throughput", alt)
        told = "Measured: medians, and the lowest and highest round; ratios are taken round by round."
        names = predictors(drawn) if which == RATIO else ()
        if names:
            digits = ", ".join(f"**{digit}** {name}" for digit, name in enumerate(names, 1))
            told = f"{told} Predicted for this machine, each better informed than the one before: {digits}."
        st.caption(told)
        work.predict_button(shown)


def _table(shown: Shown) -> None:
    model = shown.view.model
    with card("Every variant", f"batch {shown.batch}, accuracy on report images in the engine itself"):
        found = tables.table(shown.rows, model.metric)
        wide = {name: st.column_config.TextColumn(width=150) for name in found.columns if "(95 %)" in name}
        st.dataframe(found, hide_index=True, height="content", column_config=wide)
        st.caption(
            "Real integer kernels multiply integers; where only weights have bits, FP32 kernels run on what they round "
            "to, so speed stays FP32’s. Points lost are against FP32 in the same engine. "
            + " ".join(f"{variant.title}: {variant.note}." for variant in shown.variants if variant.note)
        )


def _nodes(shown: Shown) -> None:
    found = shown.nodes()
    if not found:
        return
    lead = shown.lead.variant.title if shown.lead is not None else next(iter(found))
    with card("Where the time goes", f"{shown.engine.words}’s nodes after optimisation, by its own profiler"):
        titles = list(found)
        chosen = st.selectbox("Variant", titles, titles.index(lead) if lead in titles else 0, width=320)
        nodes = found[chosen]
        st.caption(tables.nodes_words(nodes))
        table = tables.nodes_table(nodes)
        most = float(table["Share of time, %"].max())
        column = st.column_config.ProgressColumn(format="%.1f", min_value=0.0, max_value=most)
        st.dataframe(
            table,
            hide_index=True,
            height=min(MOST_PX, ROW_PX * (len(table) + 1) + 3),
            column_config={"Share of time, %": column},
        )


main()
