"""The slides of one run, each from its facts alone."""

from aiq_core.charts.bits import bits_data, bits_frame
from aiq_core.charts.bits_figure import bits_figure
from aiq_core.charts.labels import SLIDE_WIDTHS_PX
from aiq_core.charts.pareto import Point, pareto_frame
from aiq_core.charts.pareto_figure import pareto_figure
from aiq_core.charts.reasons import reasons
from aiq_core.deck import figures, titles
from aiq_core.deck.facts import Facts, drop_words, kicker, lost_words, method
from aiq_core.deck.figures import Lost, SpeedUp
from aiq_core.deck.landscape import images_words, point_beside, split_of, trade_off_data, weights_only
from aiq_core.deck.parts import counted, if_kernels, in_both, records
from aiq_core.deck.slide import Figure, Number, Slide
from aiq_core.deck.text import Text, plain, say, size_of
from aiq_core.envelope import PolicyTable
from aiq_core.hardware import Machine
from aiq_core.intensity import moved_bytes, weight_bytes
from aiq_core.library import Library, asked_step
from aiq_core.records import FINE_TUNED, FP32_BITS, Run, SplitName
from aiq_core.roofline import predict
from aiq_core.space import WEIGHTS
from aiq_core.wording import bit_counts, duration, number, size, widths_name

BEGAN = WEIGHTS.title
"""What the paper's point is called beside a run of both kinds of bits."""


def opening(facts: Facts) -> Slide:
    """The message and its four numbers."""
    return Slide("message", kicker(facts), titles.headline(facts), numbers=tuple(_headline_numbers(facts)), notes=(
        say(counted(facts.traffic)), say(if_kernels(facts.traffic)), _stored_note(facts), *_accuracy_note(facts),
    ))  # fmt: skip


def _headline_numbers(facts: Facts) -> list[Number]:
    before = facts.shown("baseline_intensity", 1)
    found = [Number("FLOPs per byte", say(facts.shown("intensity", 1)), say("FP32: ", before))]
    found.append(_top1(facts))
    weights = weight_bytes(facts.profile, facts.profile.uniform(FP32_BITS))
    found.append(Number("Weights", say(facts.shown("weight_bytes", size)), say(f"FP32: {size(weights)}")))
    if facts.speed_up is None:
        return [*found, Number("Predicted speed-up", say("–"), say(f"{facts.machine.name} can't run FP32"))]
    value = facts.shown(f"predicted_speedup.{facts.machine.key}", 2)
    return [*found, Number("Predicted speed-up", say(value, " ×"), say(facts.machine.name))]


def _top1(facts: Facts) -> Number:
    split = facts.split
    if split is None:
        return _as_imported(facts)
    note = say("FP32: ", facts.shown(f"{split}_baseline_top1_percent", 2), " %")
    if facts.within_noise:
        note = say(note, ", within noise")
    return Number(
        f"Top-1, {number(facts.images, 0)} {split} images", say(facts.shown(f"{split}_top1_percent", 2), " %"), note
    )


def _as_imported(facts: Facts) -> Number:
    """What a run from elsewhere says of itself, which nothing measured here confirms."""
    steps = facts.run.steps
    if not facts.imported or not steps or steps[-1].policy != facts.policy:
        return Number("Top-1", say("–"), say("not measured here"))
    right = facts.shown(f"steps.{len(steps) - 1}.correct", 0)
    return Number("Right, as imported", say(right), say(f"of {facts.run.request.chooses_on:,} search images"))


def _stored_note(facts: Facts) -> Text:
    stored = facts.shown("stored_bytes", size)
    return say(
        "Weights are their bits alone; as stored, with float32 scales and folded biases, they take ", stored, "."
    )


def _accuracy_note(facts: Facts) -> tuple[Text, ...]:
    """How the accuracy was got, and what to think of it where it is not of the report images."""
    if facts.split is None:
        return (say("Accuracy: not measured here, so there is no drop to tell. Evaluate the policy to measure it."),)
    text = say(
        f"Accuracy: top-1 on the same {facts.split} images for FP32 and the run, drop ",
        facts.shown(f"{facts.split}_drop_points", 2), " points (", titles.interval_words(facts),
        "; Newcombe, paired).",
    )  # fmt: skip
    if facts.split is SplitName.REPORT:
        return (text, *_confirmed(facts))
    if facts.run.request.measure is not None and not facts.run.request.refinement:
        return (text, say("No search chose on these images; not reported yet."))
    return (text, say("These images chose the policy and flatter it: search images, not reported yet."))


def _confirmed(facts: Facts) -> tuple[Text, ...]:
    """What the search images say that a search kept apart from its choice."""
    if facts.value("confirm_drop_points") is None:
        return ()
    chose = f"The search chose on {facts.run.request.chooses_on:,} search images; "
    drop, interval = facts.shown("confirm_drop_points", 2), facts.interval("confirm_drop_interval")
    confirm = say(facts.shown("confirm_images", 0), " others confirm: drop ", drop, " points (95 %: ", interval, ").")
    return (say(chose, confirm),)


def widths(facts: Facts, table: PolicyTable | None) -> Slide:
    """Bits per layer, and per activation group where any is quantized."""
    run, profile, policy = facts.run, facts.profile, facts.policy
    why = reasons(profile, policy, run, asked_step(run, policy, profile), facts.traffic)
    figure = None
    if table is not None:
        data = bits_data(profile, policy, why, table, origin=run.id, quantizer=run.request.quantizer)
        alt = f"{data.title}: {data.spoken}"
        figure = in_both(lambda look: bits_figure(data, look), alt, records(bits_frame(data)))
    numbers = [*_weights_numbers(facts)]
    if policy.has_activations:
        moved = moved_bytes(profile, profile.uniform(FP32_BITS), 1, *facts.counting)
        note = say(figures.change(facts.value("moved_bytes"), moved))
        numbers = [*numbers[1:], Number("Moved an image", say(facts.shown("moved_bytes", size)), note)]
    return Slide("bits", kicker(facts), titles.widths(facts), (), tuple(numbers), figure, notes=_rounding(facts))


def _weights_numbers(facts: Facts) -> tuple[Number, ...]:
    before = weight_bytes(facts.profile, facts.profile.uniform(FP32_BITS))
    after = "Weights" if facts.policy.has_activations else "after"
    change = figures.change(facts.value("weight_bytes"), before)
    return (
        Number("Weights at FP32", say(size(before))),
        Number(after, say(facts.shown("weight_bytes", size)), say(change)),
        Number("as stored", say(facts.shown("stored_bytes", size)), say("with scales and folded biases")),
    )


def _rounding(facts: Facts) -> tuple[Text, ...]:
    """How each kind is rounded, and how many stand at each width where the title only gives their range."""
    quantizer = facts.run.request.quantizer
    methods = {"nearest": "to nearest", FINE_TUNED: "trained at these widths"}
    method = methods.get(quantizer.rounding, f"by {quantizer.rounding}")
    scale = "channel" if quantizer.granularity == "channel" else "tensor"
    weights = f"symmetric, {method}, one scale per output {scale}"
    if not facts.policy.has_activations:
        return (say(f"Weights only: activations stay FP32. {weights[:1].upper()}{weights[1:]}."),)
    rule = "" if quantizer.activations is None else f", its range set by {quantizer.activations.rule}"
    counts = bit_counts(facts.policy)
    return (
        say(f"{counts[:1].upper()}{counts[1:]}. Logits and biases stay FP32."),
        say(f"Weights, above: {weights}. Activations, below: one scale per tensor{rule}."),
    )


def trade_off(library: Library, facts: Facts, table: PolicyTable | None) -> Slide:
    """The price, on the picture of everything that is known of the model on the images that tell it."""
    figure: Figure | None = None
    lead: Text = ()
    began = weights_only(library, facts)
    point = None if began is None else point_beside(library, facts, began)
    if table is not None:
        split, beside = split_of([facts]), [] if point is None else [(BEGAN, point)]
        data = trade_off_data(library, table, split, facts.policy, beside=beside)
        lead = images_words(table, split, "" if data.shown is None else " Ring: this run.")
        alt = f"Top-1 against FLOPs per byte. {plain(lead)}"
        figure = in_both(lambda look: pareto_figure(data, look, SLIDE_WIDTHS_PX), alt, records(pareto_frame(data)))
    numbers = [_top1(facts)]
    if facts.split is not None:
        numbers.append(
            Number("Points lost", say(facts.shown(f"{facts.split}_drop_points", 2)), titles.interval_words(facts))
        )
        numbers.append(Number("Work per byte", say("+", facts.shown("intensity_gain_percent", size_of), " %")))
    notes = _accuracy_note(facts)
    if began is not None and point is not None:
        notes = (_where_it_began(library, facts, began, point), *notes)
    return Slide("trade-off", kicker(facts), titles.price(facts), lead, tuple(numbers), figure, notes=notes)


def _where_it_began(library: Library, facts: Facts, began: Run, point: Point) -> Text:
    """The paper's search beside a run of both kinds of bits, image by image."""
    assert began.policy is not None and facts.split is not None  # else there is no point
    where, how = (facts.model, facts.split, facts.images), began.request.quantizer
    cells = library.paired(*where, began.policy, facts.policy, facts.run.request.quantizer, before_quantizer=how)
    gain = 100 * (facts.value("intensity") / point.intensity - 1)
    against = "" if cells is None else f", for {lost_words(cells.drop)} on the same images"
    return say(
        f"{BEGAN.capitalize()}: the paper's search, {method(began)}, at {number(point.intensity, 1)} FLOPs per byte. "
        f"Bits for activations too do {size_of(gain)} % {'more' if gain >= 0 else 'less'} work per byte{against}."
    )


def uniform(facts: Facts) -> Slide | None:
    """The run beside one width for every layer."""
    if facts.drop is None:
        return None
    rows = [Lost("this run", facts.value("intensity"), facts.drop, None)]
    rows += [
        Lost(
            widths_name(rival.bits, rival.activation_bits),
            rival.intensity,
            rival.drop,
            rival.bits,
            rival.activation_bits,
        )
        for rival in facts.rivals
        if rival.drop is not None and rival.policy != facts.policy
    ]
    if len(rows) == 1:
        return None
    rows.sort(key=lambda row: row.intensity)
    images = f"{facts.images:,} {facts.split} images"
    alt = f"Points lost against FP32 on {images}: " + "; ".join(
        f"{row.name}, AI {number(row.intensity, 1)}, {drop_words(row.drop)}" for row in rows
    )
    data = [
        {"policy": row.name, "flops_per_byte": row.intensity, "points_lost": row.drop.value, "low": row.drop.low,
         "high": row.drop.high, "split": str(facts.split), "images": facts.images}
        for row in rows
    ]  # fmt: skip
    return Slide(
        "uniform",
        kicker(facts),
        titles.against_uniform(facts),
        figure=in_both(lambda look: figures.lost_figure(rows, images, look), alt, data),
        notes=(say("95 % intervals: Newcombe, paired on the same images. Crossing the dotted line is within noise."),),
    )


def speed(facts: Facts) -> Slide:
    """Predicted speed-ups over machines."""
    values = facts.document["predicted_speedup"]
    rows = [
        SpeedUp(machine.name, values[key], key == facts.machine.key, _compute_bound(facts, machine))
        for key, machine in facts.machines.items()
        if key in values
    ]
    rows.sort(key=lambda row: -(row.value or 0))
    alt = "Predicted speed-up: " + "; ".join(
        f"{row.machine} " + ("can't run FP32 activations" if row.value is None else f"{number(row.value, 2)} ×")
        for row in rows
    )
    data = [{"machine": row.machine, "predicted_speed_up": row.value} for row in rows]
    return Slide(
        "speed",
        kicker(facts),
        titles.speed(facts),
        figure=in_both(lambda look: figures.speed_up_figure(rows, look), alt, data),
        notes=(say(if_kernels(facts.traffic) + " Real kernels for these widths may not exist on a machine."),),
    )


def _compute_bound(facts: Facts, machine: Machine) -> bool:
    """Whether it is for some layer's arithmetic that fewer bits buy no time."""
    if facts.policy.is_fp32 or not machine.runs_fp32:
        return False
    at = predict(machine, facts.profile, [facts.profile.uniform(FP32_BITS)], 1, *facts.counting)
    return not at.memory_bound.all()


def cost(facts: Facts) -> Slide:
    """What it took to find it."""
    run = facts.run
    known = facts.value("evaluations") - facts.value("evaluations_new")
    plain_count = say(f"plain search: {number(facts.moves, 0)}") if facts.searched else ()
    numbers = (
        Number("Evaluations", say(facts.shown("evaluations", 0)), plain_count),
        Number(
            "computed for it",
            say(facts.shown("evaluations_new", 0)),
            say(f"{number(known, 0)} known already" if known else ""),
        ),
        Number("Time", say(facts.shown("seconds", duration)), say("" if run.origin is None else run.origin.cpu)),
    )
    notes = [say(f"One evaluation is one policy on {run.request.chooses_on:,} search images; FP32 is not counted.")]
    if facts.searched:
        notes.append(say("Pruning is exact: it ends where the plain search would. What cannot win is never measured."))
    return Slide("cost", kicker(facts), titles.cost(facts), (), numbers, _cost_figure(facts), notes=tuple(notes))


def _cost_figure(facts: Facts) -> Figure | None:
    steps = facts.run.steps
    if not facts.searched or len(steps) < 2:
        return None
    asked = sum(figures.measured(step) for step in steps)
    alt = f"Moves of {len(steps)} steps: {asked} measured of {facts.moves}, the rest by arithmetic."
    rows = [{"step": step.index, "moves": len(step.candidates), "measured": figures.measured(step)} for step in steps]
    return in_both(lambda look: figures.cost_figure(steps, look), alt, rows)
