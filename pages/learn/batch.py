"""Lesson 2: batch size."""

import streamlit as st

from aiq_core.charts.lessons.batch import (
    ASKED,
    BATCHES,
    BatchData,
    BatchModel,
    batch_frame,
    batch_model,
)
from aiq_core.charts.lessons.batch_figure import bytes_figure, intensity_figure
from aiq_core.records import DEFAULT_WIDTHS, UNFUSED
from aiq_core.roofline import ridge
from aiq_core.space import JOINT
from aiq_core.wording import number, significant, size
from pages.common import known
from pages.common.charts import card, chart
from pages.common.controls import View
from pages.learn import address, frame, glossary
from pages.learn.address import Setting
from pages.learn.frame import Notes

LESSON = 2
BATCH = Setting("batchsize", 1, int)
BITS = Setting("bits", 32, int)
SETTINGS = (BATCH, BITS)
LETTERS = "**B** images, **F** FLOPs and **A** bytes of activations an image, **W** bytes of weights in all."
TERMS = ("Batch", "Arithmetic intensity (AI)", "Activations", "Ridge", "Memory-bound", "Compute-bound", "Bit-width")


def draw(view: View) -> None:
    machine, excuse = frame.fp32_machine(view)
    batch, bits = address.value(BATCH, BATCHES), address.value(BITS, DEFAULT_WIDTHS)
    edge = ridge(machine.ceiling(32, 32)[1], machine.bandwidth.value)
    data = BatchData(models(view.model.name), batch, bits, edge, machine.name)
    revealed, guess = address.is_revealed(LESSON), address.guess(LESSON)
    said = message(data, view.model.title) if batch == 1 or not revealed else batched(data)
    frame.message(said, excuse or _source(data), TERMS, JOINT)
    left, right = frame.halves()
    with left:
        _question(data, guess, revealed)
        frame.notes(notes(data))
    with right:
        _charts(view, data, guess, revealed)
        _controls()
    frame.formula(formula(data), TERMS, LETTERS)


def models(chosen: str) -> tuple[BatchModel, ...]:
    """The subject first: the chosen model where most of its bytes are weights, else the most weight-heavy one."""
    every = {name: batch_model(model.profile, model.title) for name, model in known.library().models.items()}
    heaviest = max(every, key=lambda name: every[name].balance)
    subject = chosen if every[chosen].weight_share >= 0.5 else heaviest
    other = chosen if subject != chosen else next(name for name in every if name != subject)
    return every[subject], every[other]


def _source(data: BatchData) -> str:
    names = " and ".join(model.title for model in data.models)
    return f"Computed: {names}, weights read once a batch, every layer reading and writing DRAM ({UNFUSED})"


def message(data: BatchData, chosen: str) -> str:
    """Why batch 1 is slow: what the weights are used for."""
    subject, other = data.models
    text = f"{subject.title} at batch 1: :violet[{number(100 * subject.weight_share, 0)} % of the bytes are weights]"
    if subject.once >= 0.1:
        text += f", and {number(100 * subject.once, 0)} % of those are used only once per image"
    else:
        served, share = max(subject.reuse.items(), key=lambda item: item[1])
        text += f", and {number(100 * share, 0)} % of those serve {served:,} multiplications per image"
    text += _against_ridge(data, subject.intensity(1))
    if subject.title != chosen:
        text += (
            f". ({other.title}: {number(100 * other.weight_share, 0)} % weights, AI {number(other.intensity(1), 2)})"
        )
        return text
    return f"{text}."


def batched(data: BatchData) -> str:
    """What is left of the weights' share in a batch."""
    subject, batch, bits = data.subject, data.batch, data.bits
    weights = subject.weight_bytes[bits] / batch
    share = weights / (weights + subject.activation_bytes)
    return (
        f"{subject.title} at batch {batch:,}: :violet[{number(100 * share, 0)} % of the bytes are weights], which the "
        f"batch shares{_against_ridge(data, subject.intensity(batch, bits))}."
    )


def _against_ridge(data: BatchData, value: float) -> str:
    text = f". AI {number(value, 2)}"
    if data.ridge is None:
        return text
    bound = "memory" if value < data.ridge else "compute"
    return f"{text} against {data.machine}’s ridge {significant(data.ridge)}: {bound}-bound"


def _range(subject: BatchModel) -> tuple[float, float, float]:
    """The slider's ends and step: from AI at batch 1 to a little above it times the batch."""
    high = min(subject.intensity(1) * ASKED, subject.limit * 15)
    step = 1.0 if high > 60 else 0.5
    return 1.0, float(-(-high // 10) * 10), step


def accepted(subject: BatchModel) -> tuple[float, float]:
    """Guesses that count as right: up to a tenth under the truth, and no more than batching can give."""
    return 0.91 * subject.intensity(ASKED), subject.limit


def is_right(subject: BatchModel, guess: float, step: float = 1.0) -> bool:
    """Whether a guess is as near as the slider allows."""
    low, high = accepted(subject)
    return low - step / 2 <= guess <= high + step / 2


def reply(data: BatchData, guess: float) -> str:
    """What is wrong with a guess, after the thought that leads to it."""
    subject, step = data.subject, _range(data.subject)[2]
    if is_right(subject, guess, step):
        return "Weights are shared by the batch; each image brings its own activations, and these set the limit."
    if guess > 2 * subject.limit:
        return (
            f"{ASKED} × {number(subject.intensity(1), 2)} = {number(ASKED * subject.intensity(1), 0)} would need "
            "everything to be shared. Weights are; each image brings its own activations."
        )
    if data.ridge is not None and abs(guess / data.ridge - 1) < 0.12:
        if data.ridge > subject.limit:
            return (
                f"Activations cap it at {number(subject.limit, 2)}, left of the ridge {significant(data.ridge)}: "
                "never reached."
            )
        return (
            f"The ridge says what the machine can use, not what the model does. The cap is {number(subject.limit, 2)}."
        )
    if guess > subject.limit:
        return f"Activations cap it: even an endless batch gives {number(subject.limit, 2)}."
    if guess < 1.3 * subject.intensity(1):
        return f"FLOPs and activations grow {ASKED} ×, yes. Weights are fetched once: their bytes don’t grow at all."
    return f"The right way, but too little: at batch {ASKED} hardly any of the bytes are weights."


def _question(data: BatchData, guess: float | None, revealed: bool) -> None:
    subject = data.subject
    low, high, step = _range(subject)
    with st.container(border=True, gap="small"):
        asked = (
            f"**Predict.** {subject.title} does {number(subject.intensity(1), 2)} FLOPs per byte at batch 1. And at "
            "batch "
            f"{ASKED}, at FP32?"
        )
        if revealed:
            own = "" if guess is None else f" :violet[◎ Your guess: {guess:g}.]"
            st.markdown(f"{asked}{own}")
            if guess is not None:
                frame.verdict(is_right(subject, guess, step), reply(data, guess))
            frame.reveal_button(LESSON, True)
            st.markdown(truth(data))
            with st.expander("Why 4 bits isn’t 8 × faster", expanded=True):
                st.markdown(why_not_8(data))
            return
        widget = f"learn-{LESSON}-guess"
        if widget not in st.session_state:
            st.session_state[widget] = min(max(guess, low), high) if guess is not None else low
        st.slider(
            asked,
            low,
            high,
            step=step,
            key=widget,
            on_change=_guessed,
            format="%.0f" if step == 1 else "%.1f",
            help=glossary.explain(TERMS),
        )
        frame.reveal_button(LESSON, guess is not None, before=_show_asked)


def _guessed() -> None:
    address.set_guess(LESSON, float(st.session_state[f"learn-{LESSON}-guess"]))


def _show_asked() -> None:
    address.put(BATCH, ASKED)


def truth(data: BatchData) -> str:
    """What the reveal shows: the limit, and that batch and bits shrink the same bytes."""
    lines = [
        f"**{number(data.subject.intensity(ASKED), 2)}**: the curve bends to {number(data.subject.limit, 2)} as "
        "each image pays a smaller share of the weights. Fewer bits of weights shrink the same share; activations "
        f"come with every image. AI gained at batch 1 → {ASKED}:"
    ]
    for model in data.models:
        alone = [100 * (model.intensity(batch, 4) / model.intensity(batch) - 1) for batch in (1, ASKED)]
        both = [100 * (model.w8a8(batch) / model.intensity(batch) - 1) for batch in (1, ASKED)]
        lines.append(
            f"- {model.title}: 4-bit weights {number(alone[0], 1)} → **{number(alone[1], 1)} %**; W8A8, activations "
            f"too, {number(both[0], 0)} → **{number(both[1], 0)} %**"
        )
    subject = data.subject
    lines.append(
        f"- {subject.title}, batch 4 at FP32: {number(subject.intensity(4), 2)}; 8 bits at batch 1: "
        f"{number(subject.intensity(1, 8), 2)}. Batch 8: {number(subject.intensity(8), 2)}; 4 bits: "
        f"{number(subject.intensity(1, 4), 2)}"
    )
    return "\n".join(lines)


def why_not_8(data: BatchData) -> str:
    """The card on speed."""
    model = data.models[-1]
    before = model.weight_bytes[32] + model.activation_bytes
    after = model.weight_bytes[4] + model.activation_bytes
    return (
        "Batch 4 and 8 bits both quarter the weight bytes per image, so they give the same intensity. "
        f"At batch 1, {model.title} at 4 bits moves {number(before / after, 2)} × fewer bytes ({before:,.0f} → "
        f"{after:,.0f}), as activations stay FP32. That caps the gain, and only left of the ridge, and only if a "
        "kernel reads "
        "packed 4-bit weights. The products still run at FP32’s peak."
    )


def _charts(view: View, data: BatchData, guess: float | None, revealed: bool) -> None:
    table = batch_frame(data)
    if not revealed:
        table = table[table["batch"] == 1]
    bars, curve = st.columns([0.4, 0.6], gap="small")
    width = "FP32" if data.bits == 32 else f"{data.bits}-bit weights"
    ghost = None if address.is_hidden() else guess
    with bars:
        alt = "Bytes an image: " + "; ".join(
            f"{m.title} {size(m.weight_bytes[data.bits] / data.batch)} weights, {size(m.activation_bytes)} activations"
            for m in data.models
        )
        hidden = data.batch > 1 and not revealed
        spec = bytes_figure(data, view.look, revealed)
        subtitle = f"batch {data.batch:,}, {width}"
        with card("Bytes an image", subtitle):
            chart(spec, "learn-bytes", "learn-bytes", "Hidden until you guess." if hidden else alt)
    with curve:
        alt = f"Intensity against batch size. {data.subject.title} starts at {number(data.subject.intensity(1), 2)}."
        if revealed:
            alt += f" It bends to {number(data.subject.limit, 2)}."
        spec = intensity_figure(data, view.look, revealed, ghost)
        frame.figure("Intensity", f"against batch, {width}", spec, table, "batch", alt)


def _controls() -> None:
    batch, bits, machine = st.columns([0.45, 0.25, 0.3], gap="medium")
    batch.select_slider("Images at once (batch)", BATCHES, key=address.key(BATCH, BATCHES), format_func="{:,}".format)
    names = {32: "○ FP32", 8: "■ 8", 4: "◆ 4"}
    frame.choice(bits, "Weight bits", BITS, DEFAULT_WIDTHS, format_func=names.__getitem__)
    with machine:
        frame.machine_box()


def formula(data: BatchData) -> str:
    """AI of a batch with its numbers in."""
    subject = data.subject
    revealed = address.is_revealed(LESSON)
    batch, bits = (data.batch, data.bits) if revealed else (1, 32)
    flops, weights, moved = subject.flops, subject.weight_bytes[bits], subject.activation_bytes
    return (
        f"**AI(B)** = B · F / (W + B · A) = {batch} × {flops:,.0f} / ({weights:,.0f} + {batch} × {moved:,.0f}) = "
        f"**{number(subject.intensity(batch, bits), 2)}** · B → ∞: F / A "
        f"{'= **' + number(subject.limit, 2) + '**' if revealed else '= ?'} · reuse per image = "
        "MACs / "
        "weights"
    )


def notes(data: BatchData) -> Notes:
    """Try this, and the teacher's note."""
    balance = ", ".join(f"{number(model.balance, 2)} images for {model.title}" for model in data.models)
    other = data.models[1]
    served, share = max(other.reuse.items(), key=lambda item: item[1])
    return Notes(
        "Where do weights equal activations? Who needs batching?",
        f"At W / A: {balance}. In {other.title}, {number(100 * share, 0)} % of the "
        f"weights serve {served:,} multiplications per image.",
        "The paper reports 1.66 × for MobileNetV2 at batch 128 with 12 layers at 8 bits. What got faster there?",
        "Not the bytes: at batch 128 those 8-bit weights raise AI by a few percent only. Integer kernels do the rest. "
        "And what does batching cost? Latency: the first image waits for the last.",
    )
