"""Lesson 1: the roofline."""

import streamlit as st

from aiq_core.charts.lessons.roofline import Change, RoofData, roof_data, roof_frame
from aiq_core.charts.lessons.roofline_figure import roof_figure, time_figure
from aiq_core.records import UNFUSED
from aiq_core.space import JOINT
from aiq_core.wording import number, rate, seconds, significant
from pages.common.charts import card, chart
from pages.common.controls import View
from pages.learn import address, frame
from pages.learn.address import Setting
from pages.learn.frame import Answer, Notes

LESSON = 1
POWERS = tuple(range(-20, 61))
"""Steps of the kernel's slider: AI = 10^(step / 20), from 0.1 to 1,000."""


KERNEL = Setting("kernel", None, int)
CHANGE = Setting("what", Change.NONE.value)
SETTINGS = (KERNEL, CHANGE)
TERMS = ("FLOP", "FLOP/s", "MAC", "Arithmetic intensity (AI)", "Bandwidth", "Ridge", "Memory-bound", "Compute-bound")


def draw(view: View) -> None:
    machine, excuse = frame.fp32_machine(view)
    title = view.model.title
    options = [None, *POWERS]
    power = address.value(KERNEL, options)
    data = roof_data(machine, view.model.profile, title, None if power is None else 10 ** (power / 20))
    answers = replies(data)
    state = frame.asked(LESSON, answers)
    change = Change(address.value(CHANGE, [c.value for c in Change])) if state.revealed else Change.NONE
    frame.message(message(data, change), excuse or _source(data), TERMS, JOINT)
    left, right = frame.halves()
    with left:
        text = "A kernel sits at a quarter of the ridge. A new chip doubles FLOP/s, the bandwidth stays. Its speed?"
        frame.question(LESSON, text, answers, truth(data), TERMS, before=_new_chip)
        frame.notes(notes(data))
    with right:
        _charts(view, data, change, state)
        _controls(data, options, state.revealed)
    frame.formula(formula(data, change), TERMS)


def _new_chip() -> None:
    """The answer opens on the new chip."""
    address.put(CHANGE, Change.PEAK.value)


def _source(data: RoofData) -> str:
    return (
        f"Computed: {data.title} at FP32, batch 1, every layer reading and writing DRAM ({UNFUSED}); "
        f"{data.machine} as its sources give it, not measured here"
    )


def message(data: RoofData, change: Change = Change.NONE) -> str:
    """What the roofline of the machine, changed or not, says of the kernel chosen."""
    peak, bandwidth = data.roof(change)
    value, own = data.kernel.intensity, data.kernel.name != data.title
    bound = "memory" if value < peak / bandwidth else "compute"
    ridge = significant(peak / bandwidth)
    machine = data.machine if change is Change.NONE else f"{data.machine} with {change.label}"
    subject = "your kernel" if own else data.title
    help_ = "make it faster" if bound == "memory" else "buy nothing"
    text = f"At {number(value, 2)} FLOPs/byte, {subject} is :violet[{bound}-bound] on {machine} (ridge {ridge})"
    if not own:
        few, all_ = sum(layer.intensity < peak / bandwidth for layer in data.layers), len(data.layers)
        counted = f"all {all_} of its layers" if few == all_ else f"{few} of its {all_} layers"
        if bound == "memory":
            text += f"; so are {counted}"
        elif few:
            text += f"; memory-bound are {few} of its {all_} layers"
            help_ = f"help only {'that one' if few == 1 else f'those {few}'}"
    return f"{text}. Fewer bytes {help_} here."


def replies(data: RoofData) -> list[Answer]:
    """The options, with what is wrong about each."""
    x = data.asked.intensity
    speed = rate(data.attainable(x), data.number_type)
    return [
        Answer("2 ×", "Peak is a roof. This kernel never touches it: it waits for bytes.", ghost=2.0),
        Answer("1 ×: as fast as before", f"{significant(x)} × bandwidth = {speed}, before and after.", True, 1.0),
        Answer("½ ×: the ridge moved right", "The ridge moves; the height, AI × bandwidth, holds no peak.", ghost=0.5),
        Answer("Unknown without its FLOPs", "FLOPs are work: they set how long it takes. FLOP/s is the rate."),
    ]


def truth(data: RoofData) -> str:
    """What the reveal shows."""
    x = data.asked.intensity
    before, faster = data.attainable(x), data.attainable(x, Change.BANDWIDTH)
    return (
        f"**1 ×.** The flat roof lifts, the ridge slides from {significant(data.ridge)} to "
        f"{significant(2 * data.ridge)}, "
        f"the kernel stays at {rate(before, data.number_type)}. Double the *bandwidth* and it doubles, to "
        f"{rate(faster, data.number_type)}. Switch under the chart to see both."
    )


def _charts(view: View, data: RoofData, change: Change, state: frame.Asked) -> None:
    wide, narrow = st.columns([0.77, 0.23], gap="small")
    with wide:
        alt = (
            f"Roofline of {data.machine}: {data.memory_bound_layers} of {len(data.layers)} layers of {data.title} "
            "are left "
            f"of the ridge at {significant(data.ridge)} FLOPs per byte."
        )
        spec = roof_figure(data, view.look, change, state.revealed, state.ghost)
        subtitle = f"○ a layer, ● {data.title}, □ the question’s kernel"
        frame.figure(f"{data.machine}", subtitle, spec, roof_frame(data), "roofline", alt)
    with narrow:
        times = data.seconds(data.kernel.intensity, change)
        alt = f"Time to move bytes {seconds(times[0])}, time to compute {seconds(times[1])}; the longer one counts."
        with card("Time", "longer counts"):
            chart(time_figure(data, view.look, change), "learn-times", "learn-times", alt)


def _controls(data: RoofData, options: list[int | None], revealed: bool) -> None:
    kernel, machine, what = st.columns([0.4, 0.25, 0.35], gap="medium")
    kernel.select_slider(
        "Move a kernel ★ to, FLOPs/byte",
        options,
        key=address.key(KERNEL, options),
        format_func=lambda power: data.title if power is None else significant(10 ** (power / 20)),
        help="Left end: the model itself. A kernel ★ is its work, moved in more or fewer bytes.",
    )
    with machine:
        frame.machine_box()
    frame.choice(
        what,
        "What if",
        CHANGE,
        [change.value for change in Change],
        format_func=lambda change: Change(change).label,
        disabled=not revealed,
        help=None if revealed else "Opens with the answer.",
    )


def formula(data: RoofData, change: Change = Change.NONE) -> str:
    """AI, ridge and speed of the machine, changed or not, with their numbers in."""
    flops_per_s, bytes_per_s = data.roof(change)
    own = data.kernel.name != data.title
    ai, peak = number(data.kernel.intensity, 2), rate(flops_per_s, data.number_type)
    bandwidth = f"{significant(bytes_per_s / 1e9)} GB/s"
    speed = rate(data.attainable(data.kernel.intensity, change), data.number_type)
    divided = "of your kernel" if own else f"= {data.flops:,.0f} FLOPs / {data.moved_bytes:,.0f} bytes"
    return (
        f"**AI** {divided} = **{ai}** · **ridge** = {peak} / "
        f"{bandwidth} = "
        f"**{significant(flops_per_s / bytes_per_s)}** · **speed** ≤ min({peak}, {ai} × {bandwidth}) = **{speed}**"
    )


def notes(data: RoofData) -> Notes:
    """Try this, and the teacher's note."""
    gain = data.intensity_4_bits / data.model.intensity
    capped = data.ridge / data.model.intensity
    if capped <= 1:
        here = f"On {data.machine} it gains nothing: {data.title} is right of the ridge already."
    elif capped < gain:
        here = f"On {data.machine} the gain stops at the ridge: at most {number(capped, 2)} × faster."
    else:
        here = (
            f"On {data.machine} it stays left of the ridge, so the whole {number(gain, 2)} × could come back as time."
        )
    return Notes(
        f"All layers at 4 bits raise {data.title} from {number(data.model.intensity, 2)} to "
        f"{number(data.intensity_4_bits, 2)} FLOPs/byte (+{number(100 * (gain - 1), 1)} %). On which machine does "
        "the dot cross a ridge?",
        "Past the ridge, the gain stops.",
        "Memory-bound: a property of the model, of the machine, or of the pair? Vote, then switch the machine.",
        f"Of the pair (and of the batch). {here} The roof is a ceiling, not a promise; the bytes assume unfused layers "
        "that all reach DRAM, while small networks live in cache.",
    )
