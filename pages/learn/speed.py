"""Lesson 7: why it is not faster."""

from dataclasses import replace
from functools import partial

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.charts.lessons.speed import SpeedData, Waiting, waiting
from aiq_core.charts.lessons.speed_figure import speed_figure, times_figure
from aiq_core.charts.linear import engines, linear_frame, provenance, ridge_words, source, weights
from aiq_core.linear import GONE, KERNELS
from aiq_core.space import WEIGHTS
from aiq_core.wording import number, seconds, significant
from pages.common import linear
from pages.common.charts import card, chart
from pages.common.controls import View
from pages.learn import address, frame
from pages.learn.address import Setting
from pages.learn.frame import Answer, Notes

LESSON = 7
BATCH = Setting("batchsize", 1, int)
ENGINE = Setting("engine", "")
"""Empty: the fastest at the smallest batch, whatever its name."""
SETTINGS = (BATCH, ENGINE)
LETTERS = (
    "**W** bytes of the packed weights with their scales, **A** bytes of input and output, **F** FLOPs, at batch B; "
    "both widths are taken to compute in FP32."
)
TERMS = (
    "Kernel",
    "Batch",
    "Bit-width",
    "Ridge",
    "Memory-bound",
    "Compute-bound",
    "Bandwidth",
    "Integer arithmetic",
    "Depthwise",
)
FAR = 2
"""A kernel that takes so many times what the roof allows explains the gain of what it is compared with."""
ALIKE = 1.15
"""Factors that close are one answer."""


def subject() -> SpeedData | None:
    """The newest layer timed here, else the first that ships, as its fastest engine runs it; None without either."""
    found = next((each for each in linear.layers() if engines(each)), None)
    return None if found is None else SpeedData(found, engines(found)[0], found.measured_batches[0])


def draw(view: View) -> None:
    usual = subject()
    if usual is None:
        unmeasured()
        return
    offered = engines(usual.found)
    usual = replace(usual, engine=address.value(ENGINE, ("", *offered[1:])) or offered[0])
    data = replace(usual, batch=address.value(BATCH, usual.batches))
    answers = replies(data)
    state = frame.asked(LESSON, answers)
    frame.message(message(data, state.revealed), _source(data), TERMS, WEIGHTS)
    left, right = frame.halves()
    with left:
        frame.question(LESSON, question(data), answers, truth(data), TERMS, before=partial(_show, data.asked))
        if state.revealed:
            with st.expander(f"And {view.model.title}?"):
                st.markdown(own_network(data, view.model))
        frame.notes(notes(data, view.model))
    with right:
        _charts(view, data, state)
        _controls(data, offered)
    frame.formula(formula(data, state.revealed), TERMS, LETTERS)


def unmeasured() -> None:
    """What is said where no layer was ever timed."""
    frame.message("No kernel is timed yet", "`python -m aiq_core linear` times them in two minutes.", TERMS, WEIGHTS)
    st.info("Then this lesson shows what fewer bits buy on your machine, and where.", icon=":material/speed:")


def _source(data: SpeedData) -> str:
    return provenance(data.found)


def _show(batch: int) -> None:
    """The answer opens at the batch that was asked about."""
    address.put(BATCH, batch)


def message(data: SpeedData, revealed: bool) -> str:
    """Fewer bytes and what they buy, at the batch chosen."""
    layer = f"A linear layer of {data.found.rows:,} × {data.found.columns:,} at batch {data.batch:,}"
    moved = f"{weights(data.key)} move {number(data.promised(data.batch), 1)} × fewer bytes"
    if data.batch != data.batches[0] and not revealed:
        return f"{layer}: {moved} and run :violet[? × as fast as FP32]: guess first."
    gain = f":violet[{number(data.gain(data.batch), 1)} × as fast as FP32]"
    return f"{layer}: {moved} and run {gain}. {_why(data)}"


def _why(data: SpeedData) -> str:
    """What FP32 waits for at the batch, and so what fewer bytes are good for."""
    fp32 = data.times(data.batch, data.fp32)
    allowed = max(fp32.moving, fp32.computing)
    if fp32.measured > FAR * allowed:
        return f"FP32’s own kernel takes {seconds(fp32.measured)} here, where the roof allows {seconds(allowed)}."
    if fp32.moving >= fp32.computing:
        return "FP32 waits for bytes here."
    if data.gain(data.batch) < GONE:
        return "FP32 computes here and waits for no byte."
    return f"FP32 waits for no byte here: the gain is {source(data.key)}."


def question(data: SpeedData) -> str:
    return (
        f"At batch {data.batches[0]} {weights(data.key)} run {number(data.gain(data.batches[0]), 1)} × as fast as "
        f"FP32. At batch {data.asked}, still with {number(data.promised(data.asked), 1)} × fewer bytes?"
    )


def replies(data: SpeedData) -> list[Answer]:
    """The options, with what is wrong about each; those too near the truth are left out."""
    first, last = data.batches[0], data.asked
    truth_, fp32 = data.gain(last), data.times(last, data.fp32)
    computes = f"Computing takes {seconds(fp32.computing)} there, moving FP32’s bytes {seconds(fp32.moving)}"
    wrong = [
        (
            data.gain(first),
            f"{number(data.gain(first), 1)} ×, as at batch {first}",
            f"Each weight serves {last} rows now. {computes}: bytes are no longer what one waits for.",
        ),
        (
            data.promised(last),
            f"{number(data.promised(last), 1)} ×, as its bytes say",
            f"{computes}. Fewer bytes shorten what nobody waits for.",
        ),
        (
            0.5,
            "½ ×: it must unpack every weight",
            f"Unpacking costs something, but a weight is unpacked once and serves {last} rows.",
        ),
    ]
    found = [Answer(text, reply, ghost=value) for value, text, reply in wrong if not _alike(value, truth_)]
    right = Answer(f"{number(truth_, 1)} ×", _left(data), True, truth_)
    return [*found[:2], right, *found[2:]]


def _alike(one: float, other: float) -> bool:
    return max(one / other, other / one) < ALIKE


def _left(data: SpeedData) -> str:
    """What the gain at the batch asked about is made of."""
    if data.gain(data.asked) < GONE:
        return "FP32 waits for arithmetic there, and these weights are multiplied no faster."
    return f"Bytes buy {number(data.bought(data.asked), 1)} × there; the rest is {source(data.key)}."


def truth(data: SpeedData) -> str:
    """What the reveal shows: the ridge, and that other widths keep the same."""
    first, last = data.batches[0], data.asked
    edge = ridge_words(data.found, data.key)
    lines = [f"**{number(data.gain(last), 1)} ×.** {_left(data)} FP32 meets the ridge at {edge}."]
    if data.wider is not None and (data.wider, last) in data.found.table:
        other = data.gain(last, data.wider)
        same = "as much" if _alike(other, data.gain(last)) else f"{number(other, 1)} ×"
        lines.append(
            f"{weights(data.wider)} move twice the bytes and gain {same} there; at batch {first} they gain "
            f"{number(data.gain(first, data.wider), 1)} ×."
        )
    return "\n\n".join(lines)


def own_network(data: SpeedData, model: Model) -> str:
    """Why the chosen model is not faster by bits of weights alone: counted, then what was measured of kernels."""
    found = waiting(model.profile, data.found.ridge(data.key))
    return "\n".join(
        [
            f"- {_counted(found, model)}",
            "- **No kernel.** Packed kernels exist for linear layers. Convolutions unpack to FP32 first: a smaller "
            "file, the same time. Integer kernels need integer activations too.",
            "- **Borders.** Where the width changes, something converts. Mixed widths pay at each border, so "
            "scattered ones can be slower than FP32.",
            "- **Depthwise** convolutions do little with each byte, and their kernels stay far below both roofs at any "
            "width.",
        ]
    )


def _counted(found: Waiting, model: Model) -> str:
    ridge = f"**Bytes.** At batch 1 and FP32 {found.count} of {found.layers} layers of {model.title} wait for them here"
    if not found.count:
        return f"{ridge}: fewer buy nothing."
    return (
        f"{ridge}, and {number(100 * found.activation_share, 0)} % of those bytes are activations, which bits of "
        "weights leave as they are."
    )


def _charts(view: View, data: SpeedData, state: frame.Asked) -> None:
    curve, bars = st.columns([0.68, 0.32], gap="small")
    table = linear_frame(data.found)
    if not state.revealed:
        table = table[table["batch"] == data.batches[0]]
    with curve:
        first = data.batches[0]
        alt = f"Gain over FP32 against the batch in {data.engine}: {number(data.gain(first), 1)} × at batch {first}"
        alt += f", {number(data.gain(data.asked), 1)} × at {data.asked}." if state.revealed else ", then hidden."
        spec = speed_figure(data, view.look, state.revealed, state.ghost)
        frame.figure("Gain", f"against batch, {data.engine}", spec, table, "speed", alt)
    with bars:
        hidden = data.batch != data.batches[0] and not state.revealed
        times = data.times(data.batch, data.fp32)
        alt = f"FP32 moves its bytes in {seconds(times.moving)} and computes in {seconds(times.computing)}."
        spec = times_figure(data, view.look, state.revealed)
        with card("Time of a call", f"batch {data.batch:,}"):
            chart(spec, "learn-times", "learn-times", "Hidden until you guess." if hidden else alt)


def _controls(data: SpeedData, offered: tuple[str, ...]) -> None:
    batch, engine = st.columns([0.6, 0.4], gap="medium")
    options = data.batches
    batch.select_slider("Rows at once (batch)", options, key=address.key(BATCH, options), format_func="{:,}".format)
    names = {"": offered[0], **{each: each for each in offered[1:]}}
    frame.choice(engine, "Engine", ENGINE, list(names), format_func=names.__getitem__)


def formula(data: SpeedData, revealed: bool) -> str:
    """What fewer bytes can buy, with the numbers of the batch shown."""
    batch = data.batch if revealed else data.batches[0]
    wide, narrow = data.times(batch, data.fp32), data.times(batch)
    width = KERNELS[data.key].width
    return (
        f"**bytes buy** max(W + A, FP32 / bandwidth; F / peak) / max(W + A, {width} / bandwidth; F / peak) = "
        f"max({seconds(wide.moving)}; {seconds(wide.computing)}) / max({seconds(narrow.moving)}; "
        f"{seconds(narrow.computing)}) = **{significant(data.bought(batch))} ×** at batch {batch} · measured "
        f"**{significant(data.gain(batch))} ×**"
    )


def notes(data: SpeedData, model: Model) -> Notes:
    """Try this, and the teacher's note."""
    meet = _meeting(data)
    together = "They differ at every batch." if meet is None else f"From batch {meet} on they run alike."
    found = waiting(model.profile, data.found.ridge(data.key))
    return Notes(
        "Where do 4 bits stop running faster than 8? Is that left or right of the ridge?",
        f"{together} The ridge is at batch {significant(data.ridge_batch)}; narrower weights meet theirs before it.",
        "“We quantized the weights to 4 bits and it is not faster.” Name three reasons before you measure.",
        "The batch is beyond the ridge; no kernel reads packed weights; activations move as before "
        f"({number(100 * found.activation_share, 0)} % of the bytes that {model.title} waits for at batch 1); types "
        "change back and forth at borders. Linear layers at batch 1, as in language models, are where bits of weights "
        "alone buy time.",
    )


def _meeting(data: SpeedData) -> int | None:
    """The batch from which on both integer widths run alike."""
    if data.wider is None:
        return None
    meeting = None
    for batch in reversed(data.batches):
        if (data.wider, batch) not in data.found.table or not _alike(data.gain(batch), data.gain(batch, data.wider)):
            break
        meeting = batch
    return meeting
