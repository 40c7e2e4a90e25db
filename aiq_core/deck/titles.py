"""Titles that say what the numbers say: `within noise` where 0 is plausible, and no speed-up where there is none."""

from aiq_core.deck.facts import FASTER, Facts, Rival
from aiq_core.deck.text import Text, point_word, points, say, size_of
from aiq_core.intensity import moved_bytes, weight_bytes
from aiq_core.records import FP32_BITS, SplitName
from aiq_core.search.baselines import MANUAL
from aiq_core.statistics import Interval
from aiq_core.wording import bit_counts, number, size, uniform_name, width_range, widths_name


def headline(facts: Facts) -> Text:
    """The whole message in one sentence."""
    if facts.policy.is_fp32:
        return say(f"{facts.title} at FP32: nothing is quantized, so nothing is gained or lost")
    return say(
        f"{facts.title} does ",
        facts.shown("intensity_gain_percent", size_of),
        " % more work per byte ",
        _price(facts),
        ", ",
        _use(facts),
    )


def _price(facts: Facts) -> Text:
    drop = facts.drop
    if drop is None:
        return say("(accuracy not measured here)")
    if facts.split is not SplitName.REPORT:
        return say("(accuracy on search images, not reported yet)")
    if drop.contains_zero:
        return say("with its accuracy drop within noise")
    lost = facts.shown("report_drop_points", points)
    if drop.value < 0:
        return say("and ", lost, f" {point_word(drop.value)} more accuracy")
    return say("for ", lost, f" {point_word(drop.value)} of accuracy")


def _use(facts: Facts) -> Text:
    name = facts.machine.spoken
    if facts.speed_up is None:
        return say(f"but {name} can't run its FP32 activations")
    if facts.is_faster:
        return say("a predicted ", facts.shown(f"predicted_speedup.{facts.machine.key}", 2), f" × faster on {name}")
    return say(f"no faster on {name}: {_no_gain(facts)}")


def _no_gain(facts: Facts) -> str:
    """Why a machine gains nothing."""
    layers = len(facts.profile.layers)
    if not facts.memory_bound_before:
        return "compute-bound already"
    if facts.memory_bound_before == layers:
        return "too few bytes are saved"
    return f"{layers - facts.memory_bound_before} of {layers} layers are compute-bound"


def problem(facts: Facts) -> Text:
    """Where FP32 stands on the machine's roofline."""
    name, title, layers = facts.machine.spoken, facts.title, len(facts.profile.layers)
    bound = facts.memory_bound_before
    if bound is None:
        return say(f"{name} can't run FP32 activations, so {title} has no place on its roofline")
    if bound == layers:
        return say(f"At FP32 every layer of {title} waits for memory on {name}")
    if bound == 0:
        return say(f"At FP32 no layer of {title} waits for memory on {name}: it is compute-bound")
    return say(f"At FP32 {bound} of {title}'s {layers} layers wait for memory on {name}")


def movement(facts: Facts) -> Text:
    """What fewer bits do on the roofline."""
    if facts.policy.is_fp32:
        return say("Nothing is quantized, so no layer moves")
    gain = say(facts.shown("intensity_gain_percent", size_of), " % more work per byte")
    if facts.speed_up is None:
        return say(gain, f", which {facts.machine.spoken} can't use: it has no FP32 arithmetic")
    if facts.is_faster:
        return say("Fewer bits move the layers right and up: ", gain)
    if facts.memory_bound_before == len(facts.profile.layers):
        return say(gain, ": too few bytes are saved to move the layers")
    return say(f"On {facts.machine.spoken} the layers only slide along the roof: ", gain, ", no more speed")


def widths(facts: Facts) -> Text:
    """What was quantized, and what the weights then weigh."""
    before = weight_bytes(facts.profile, facts.profile.uniform(FP32_BITS))
    counts = bit_counts(facts.policy)
    if facts.policy.is_fp32:
        return say(f"{counts[:1].upper()}{counts[1:]}: the weights take {size(before)}")
    times = before / facts.value("weight_bytes")
    if facts.policy.has_activations:
        moved = moved_bytes(facts.profile, facts.profile.uniform(FP32_BITS), 1, *facts.counting)
        kinds = f"Weights at {width_range(facts.policy.weight_bits)}, "
        kinds += f"activations at {width_range(facts.policy.activation_bits)}"
        shrink = number(moved / facts.value("moved_bytes"), 1)
        return say(f"{uniform_name(facts.policy) or kinds}: all that moves shrinks {shrink} times")
    return say(f"{counts[:1].upper()}{counts[1:]}: the weights shrink {number(times, 1)} times")


def price(facts: Facts) -> Text:
    """What it costs in accuracy."""
    drop, split = facts.drop, facts.split
    if facts.policy.is_fp32:
        return say("Nothing is quantized, so no accuracy is lost")
    if drop is None or split is None:
        return say("The price in accuracy is not measured here")
    images = say("on ", facts.shown(f"{split}_images", 0), f" {split} images")
    pending = "" if split is SplitName.REPORT else ", not reported yet"
    value = facts.shown(f"{split}_drop_points", points)
    if drop.contains_zero:
        side = "lost" if drop.value >= 0 else "gained"
        return say("The price is within noise: ", value, f" {point_word(drop.value)} {side} ", images, pending)
    if drop.value < 0:
        return say("Accuracy even rises by ", value, f" {point_word(drop.value)} ", images, pending)
    return say("The price: ", value, f" {point_word(drop.value)} of accuracy ", images, pending)


def against_uniform(facts: Facts) -> Text:
    """Whether the run's widths are worth it: against every layer at 8 bits, or at 4 where that isn't the run itself."""
    others = [rival for rival in facts.rivals if rival.policy != facts.policy]
    rival = next(rival for rival in others if rival.cells is not None)  # else there is no such slide
    joint = any(other.policy.has_activations for other in facts.rivals)
    name = widths_name(rival.bits, rival.activation_bits) if joint else f"{rival.bits} bits"
    return say(f"Against {name} everywhere: {_gain(facts, rival)}, {_difference(rival)}")


def _gain(facts: Facts, rival: Rival) -> str:
    change = 100 * (facts.value("intensity") / rival.intensity - 1)
    if abs(change) < 0.05:
        return "as much work per byte"
    return f"{size_of(change)} % {'more' if change > 0 else 'less'} work per byte"


def _difference(rival: Rival) -> str:
    assert rival.cells is not None
    lost = rival.cells.drop
    if lost.contains_zero:
        return "accuracy within noise of it"
    return f"{points(lost.value)} {point_word(lost.value)} {'less' if lost.value > 0 else 'more'} accuracy"


def speed(facts: Facts) -> Text:
    """What it buys on the machine, and where it buys nothing."""
    name = facts.machine.spoken
    values = [value for value in facts.document["predicted_speedup"].values() if value is not None]
    slower = sum(value < FASTER for value in values)
    elsewhere = "no machine" if slower == len(values) else f"{len(values) - slower} of {len(values)} machines"
    if facts.policy.is_fp32:
        return say("Nothing is quantized, so no machine gets faster")
    if facts.speed_up is None:
        return say(f"{name} can't run FP32 activations; {elsewhere} would gain")
    if not facts.is_faster:
        return say(f"No faster on {name}, {_no_gain(facts)}; {elsewhere} would gain")
    rest = f"nothing on {slower} of {len(values)} machines" if slower else "and every machine here gains"
    factor = facts.shown(f"predicted_speedup.{facts.machine.key}", 2)
    return say("Predicted ", factor, f" × faster on {name}, {rest}")


def cost(facts: Facts) -> Text:
    """What it cost to find."""
    asked, new = facts.value("evaluations"), facts.value("evaluations_new")
    shown = facts.shown("evaluations", 0)
    if facts.run.request.algorithm == MANUAL.name:
        return say("Set by hand: no search, and nothing was evaluated for it")
    if facts.run.request.tuning is not None:
        return say("No search: the policy was trained at its widths, then measured")
    if facts.run.request.measure is not None:
        return say("Found with ", shown, " evaluations, one a point: what widths cost by themselves chose them")
    if facts.run.request.points is not None:
        return say("Found with ", shown, " evaluations, each of a policy that was drawn")
    if not facts.searched:
        word = "policy was" if asked == 1 else "policies were"
        return say("No search: ", shown, f" {word} listed and measured")
    if asked == 0:
        return say(f"Arithmetic alone settled it: none of {number(facts.moves, 0)} moves had to be measured")
    if new == 0:
        return say(f"Nothing had to be computed: all {number(asked, 0)} evaluations were known already")
    return say("Found with ", shown, f" evaluations where the plain search makes {number(facts.moves, 0)}")


def interval_words(facts: Facts) -> Text:
    """The drop's interval with its verdict."""
    drop: Interval | None = facts.drop
    if drop is None:
        return ()
    noise = ", within noise" if drop.contains_zero else ""
    return say("95 %: ", facts.interval(f"{facts.split}_drop_interval"), noise)
