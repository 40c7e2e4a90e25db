"""The final questions, with answers on demand: computed for the chosen model and machine."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from aiq_core.charts.lessons.layers import layers_data
from aiq_core.charts.lessons.rounding import lesson_layer
from aiq_core.intensity import intensity, moved_bytes
from aiq_core.roofline import ridge
from aiq_core.search.greedy import GREEDY
from aiq_core.wording import number, significant, size
from pages.common import known
from pages.common.controls import DEFAULT_MODEL, View
from pages.learn import address, batch, cut, frame, glossary, layers, measured, price, runs, speed

SETTINGS = ()
TERMS = ("Arithmetic intensity (AI)", "Memory-bound", "Ridge", "Clipping", "Alpha", "Pareto front")


@dataclass(frozen=True)
class Final:
    """A question, its answer, and the lesson that teaches it."""

    text: str
    answer: Callable[[], str]
    lesson: int


def draw(view: View) -> None:
    st.markdown("#### Seven questions: :violet[answer each aloud, then look]")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        seen = len(address.done())
        st.caption(
            f"{seen} of {address.LESSONS} lessons done. Answers are computed for the chosen model and machine.",
            width="content",
        )
        glossary.popover(TERMS)
    if address.is_hidden():
        st.caption(":material/lock: The teacher holds the answers back.")
    finals = questions(view)
    columns = [column for _ in range(0, len(finals), 2) for column in st.columns(2, gap="small")]
    for number_, final in enumerate(finals, start=1):
        with columns[number_ - 1], st.container(border=True, height="stretch"):
            st.markdown(f"**{number_}.** {final.text}")
            with st.container(horizontal=True, gap="small", vertical_alignment="top"):
                if not address.is_hidden():
                    with st.expander("Answer", icon=":material/visibility:", width="stretch"):
                        st.markdown(final.answer())
                st.button(
                    f"Lesson {final.lesson}", key=f"learn-to-{final.lesson}", icon=":material/school:", type="tertiary",
                    on_click=address.go, args=(final.lesson,),
                )  # fmt: skip


def questions(view: View) -> list[Final]:
    """The questions, with the model's and the machine's names and numbers."""
    profile, title = view.model.profile, view.model.title
    fp32 = profile.uniform(32)
    flops, moved = profile.flops, moved_bytes(profile, fp32)
    subject, other = batch.models(view.model.name)
    return [
        Final(
            f"A network does {number(flops / 1e6, 1)} MFLOPs and moves {size(moved)} per image. Is it memory-bound?",
            lambda: _memory_bound(view), 1,
        ),
        Final(
            f"Why do batch 4 and 8-bit weights give {subject.title} the same intensity, and why might 4 bits not "
            "speed up "
            f"{other.title if other.title != subject.title else title}?",
            lambda: _same_bytes(view), 2,
        ),
        Final("Why does clipping help at 4 bits and hurt at 8?", lambda: _clipping(view), 3),
        Final("Two equal layers go to 4 bits. What do you know of them without measuring?", lambda: _twins(view), 4),
        Final(
            "Why is measuring a few of a step’s moves exact, and what can a sweep do that greedy can’t?",
            lambda: _exact(view), 5,
        ),
        Final("What does alpha 0.9 mean, and what can’t it reach?", lambda: _alpha(view), 6),
        Final("A layer’s weights shrink eight times. When is it eight times as fast, and when not at all?", _speed, 7),
    ]  # fmt: skip


def _memory_bound(view: View) -> str:
    machine, _ = frame.fp32_machine(view)
    value = intensity(view.model.profile, view.model.profile.uniform(32))
    edge = ridge(machine.ceiling(32, 32)[1], machine.bandwidth.value)
    here = "memory-bound" if value < edge else "compute-bound"
    return (
        f"Its intensity is {number(value, 2)} FLOPs/byte. That alone doesn’t say: it is memory-bound only where the "
        "machine’s "
        f"peak / bandwidth is higher. On {machine.name} (ridge {significant(edge)}) it is {here}."
    )


def _same_bytes(view: View) -> str:
    subject, other = batch.models(view.model.name)
    return (
        f"Both quarter the weight bytes per image: {number(subject.intensity(4), 2)} and "
        f"{number(subject.intensity(1, 8), 2)} "
        f"FLOPs/byte. {other.title} at 4 bits keeps its {size(other.activation_bytes)} of FP32 activations, may sit "
        "right of the "
        "ridge already, or has no kernel that reads 4-bit weights."
    )


def _clipping(view: View) -> str:
    layer = lesson_layer({each.name: each.weights for each in view.model.profile.quantizable})
    asked = cut.Question(view.model, layer)
    four, eight = asked.ratio(asked.cut), asked.ratio(asked.cut, 8)
    helps = "falls" if four < 1 else "rises"
    return (
        "At 4 bits rounding dominates, and a smaller range makes every step finer; at 8 bits rounding is tiny, so "
        "what is "
        f"clipped dominates. In {layer}, cut to {asked.cut} %: the squared error {helps} to {significant(four)} × at "
        "4 bits and "
        f"rises to {significant(eight)} × at 8."
    )


def _twins(view: View) -> str:
    _, table, note = measured.subject(view)
    data = layers_data(table, layers.ASKED_BITS)
    text = "Equal size, equal gain in intensity: that is arithmetic. Nothing about accuracy."
    if data is None or not data.twins:
        return text
    first, second = data.of(data.first), data.of(data.second)
    return (
        f"{text} {first.layer} and {second.layer} gain {number(first.gain_percent, 1)} % each, but turn "
        f"{first.flips} and "
        f"{second.flips} of {data.images:,} answers. {note}"
    )


def _exact(view: View) -> str:
    found = runs.walks(view.model, GREEDY.name) or runs.walks(known.model(DEFAULT_MODEL), GREEDY.name)
    text = (
        "A move’s intensity is known beforehand, so is the best loss it could have; who can’t win even so need not "
        "be measured."
    )
    run_id = found.get(runs.ALPHA)
    if run_id is not None:
        steps = known.run(run_id, known.library().finished_version()).steps
        first = runs.steps_of(run_id, known.library().finished_version()).steps[0]
        text += f" In step 1 of {len(steps)}, {first.measured} of {len(first.options)} moves were measured."
    return f"{text} A sweep can change a layer again, back to FP32 too."


def _speed() -> str:
    data = speed.subject()
    if data is None:
        return "While it waits for bytes, and its kernel reads packed weights; not at all beyond the ridge."
    first, last = data.batches[0], data.asked
    return (
        f"Nearly, while it waits for bytes and its kernel reads packed weights: {number(data.gain(first), 1)} × at "
        f"batch {first}, measured in {data.engine}. Beyond the ridge, here batch {significant(data.ridge_batch)}, "
        f"fewer bytes buy nothing; the {number(data.gain(last), 1)} × at batch {last} is arithmetic. Nor where "
        "convolutions unpack to FP32 first, or conversions at borders cost what is gained."
    )


def _alpha(view: View) -> str:
    model, table, note = measured.subject(view, view.space)
    worth = table.space.rate(model.profile, 0.9)
    data = price.data_of(model, table)
    return (
        f"With bits for {table.space.title}, a FLOP/byte may cost up to {price._points(worth)} points of accuracy. "
        "Whatever alpha, it can’t reach Pareto points off the convex hull: here "
        f"{len(data.behind)} of {len(data.front)}. A budget can. {note}"
    )
