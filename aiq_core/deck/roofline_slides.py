"""The slides on the roofline: where FP32 stands, and where fewer bits move the layers."""

from dataclasses import replace

from aiq_core.charts.roofline import RooflineData, roofline_data, roofline_frame
from aiq_core.charts.roofline_figure import roofline_figure
from aiq_core.deck import titles
from aiq_core.deck.facts import Facts, kicker
from aiq_core.deck.parts import counted, if_kernels, in_both, records
from aiq_core.deck.slide import Figure, Number, Slide
from aiq_core.deck.text import Text, say, size_of
from aiq_core.intensity import moved_bytes
from aiq_core.records import DEFAULT_WIDTHS, FP32_BITS, Policy
from aiq_core.wording import rate, significant, size

WHAT_AI_IS = (
    "Arithmetic intensity: FLOPs done ÷ bytes moved. Left of the ridge, layers wait for bytes; right of it, they "
    "compute."
)
CORNER, CORNER_SHARE = 8.0, 0.05
"""A layer within this factor of the lowest AI, with at least this share of the time, needs room for its label."""


def problem(facts: Facts) -> Slide:
    """What AI is, and where FP32 stands."""
    profile, fp32 = facts.profile, facts.profile.uniform(FP32_BITS)
    numbers = (
        Number("FLOPs an image", say(_flops(profile.flops)), say("2 × multiply-adds")),
        Number(
            "÷ bytes moved", say(size(moved_bytes(profile, fp32, 1, *facts.counting))), say(f"{facts.traffic}, batch 1")
        ),
        Number("= FLOPs per byte", say(facts.shown("baseline_intensity", 1)), _ridge(facts)),
    )
    return Slide(
        "problem",
        kicker(facts, facts.machine.name),
        titles.problem(facts),
        say(WHAT_AI_IS),
        numbers,
        _roofline(facts, fp32),
        notes=_machine_notes(facts),
    )


def _flops(flops: float) -> str:
    return f"{significant(flops / 1e6)} M" if flops >= 1e6 else f"{significant(flops / 1e3)} k"


def _ridge(facts: Facts) -> Text:
    if not facts.machine.runs_fp32:
        return ()
    _, peak = facts.machine.ceiling(FP32_BITS, FP32_BITS)
    return say(f"{facts.machine.name} needs {significant(peak / facts.machine.bandwidth.value)}")


def _machine_notes(facts: Facts) -> tuple[Text, ...]:
    machine = facts.machine
    memory = f"{significant(machine.bandwidth.value / 1e9)} GB/s"
    if not machine.runs_fp32:
        return (
            say(f"{machine.name} only computes in integers, and activations are FP32 here. Choose another machine."),
        )
    kind, peak = machine.ceiling(FP32_BITS, FP32_BITS)
    return (
        say(f"{machine.name}: {rate(peak, kind)} in {kind} for FP32-typed layers, {memory}. {counted(facts.traffic)}"),
    )


def _roofline(facts: Facts, after: Policy) -> Figure | None:
    if not facts.machine.runs_fp32:
        return None
    fp32 = facts.profile.uniform(FP32_BITS)
    where = facts.machine, facts.profile, fp32, after, 1, DEFAULT_WIDTHS, (1,), "FP32"
    data = with_room(roofline_data(*where, *facts.counting))
    alt = (
        f"Roofline of {facts.machine.name} with the {len(data.dots)} layers of {facts.title}, "
        f"{'at FP32' if after == fp32 else 'FP32 and after'}; {data.memory_bound} are memory-bound."
    )
    return in_both(lambda look: roofline_figure(data, look), alt, records(roofline_frame(data)))


def with_room(data: RooflineData) -> RooflineData:
    """Axes that begin lower where layers that matter stand in the corner: their labels go below them."""
    low, high = data.x_range
    if not any(dot.before.share > CORNER_SHARE and dot.before.intensity < CORNER * low for dot in data.dots):
        return data
    bottom, top = data.y_range
    return replace(data, x_range=(low / CORNER, high), y_range=(bottom / CORNER, top))


def movement(facts: Facts) -> Slide:
    """The layers before and after."""
    bound = ""
    if facts.machine.runs_fp32:
        bound = f"{facts.memory_bound_before} → {facts.memory_bound_after}"
    moved = moved_bytes(facts.profile, facts.profile.uniform(FP32_BITS), 1, *facts.counting)
    gain = say("+", facts.shown("intensity_gain_percent", size_of), " %")
    numbers = [
        Number("FLOPs per byte, FP32", say(facts.shown("baseline_intensity", 1))),
        Number("after", say(facts.shown("intensity", 1)), gain),
        Number("Moved an image", say(facts.shown("moved_bytes", size)), say(f"FP32: {size(moved)}")),
    ]
    if bound:
        numbers.append(Number("Memory-bound", say(bound), say(f"of {len(facts.profile.layers)} layers")))
    return Slide(
        "roofline",
        kicker(facts, facts.machine.name),
        titles.movement(facts),
        numbers=tuple(numbers),
        figure=_roofline(facts, facts.policy),
        notes=_machine_notes(facts) if not facts.machine.runs_fp32 else (say(if_kernels(facts.traffic)),),
    )
