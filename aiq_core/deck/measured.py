"""What real runtimes make of a run's policy, beside what was promised."""

from collections.abc import Sequence

from aiq_core.charts.throughput import predictors, throughput_figure, throughput_frame
from aiq_core.deck.facts import Facts, kicker
from aiq_core.deck.parts import in_both, records
from aiq_core.deck.slide import Figure, Number, Slide
from aiq_core.deck.text import Text, say
from aiq_core.deployment.bars import bars
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.experiment import DRAWN, PAPER_LAYERS, experiment
from aiq_core.deployment.rows import Row, batch_of, chosen_variants, kept_timings, own_cpus, rows, variant_key_of
from aiq_core.deployment.variant import Variant, fp32
from aiq_core.deployment.words import gain_words, loss_words, place_words, predicted_words
from aiq_core.library import Library
from aiq_core.wording import number, span

LEADING = ("policy-int8", "policy", "ours", "int8")
"""Of which variant the slide speaks: of the first of these that was timed."""


def slide(library: Library, facts: Facts) -> Slide | None:
    """Measured throughput of the policy, or of the model's experiment; None where neither was timed."""
    shown = _shown(library, facts)
    lead = _lead(shown)
    if lead is None:
        return None
    ratio = lead.timing.ratio_to_engine_fp32
    assert ratio is not None  # _lead
    own = lead.variant.name.startswith("policy")
    what = "it" if own else f"{facts.title} ({lead.variant.title})"
    said = "; ".join([loss_words(lead), *predicted_words(lead.predicted)])
    title = f"{lead.engine.words} runs {what} {gain_words(ratio)}, {said}"
    about = f"{lead.timing.place.cpu}, batch {lead.timing.batch}"
    return Slide(
        "measured",
        kicker(facts, about),
        say(title),
        say("" if own else "This run’s policy is not timed; this is the model’s experiment."),
        _numbers(shown, lead),
        _figure(facts, shown),
        notes=_notes(shown, lead),
    )


def _shown(library: Library, facts: Facts) -> list[Row]:
    """Rows of one machine and batch: the user's own machine before others, the smallest batch, as slides count."""
    model = facts.model
    if facts.run.model_hash not in (None, model.hash):
        return []
    policy = Variant("policy", "the policy", facts.policy, facts.run.request.quantizer)
    wanted = [fp32(model), policy, *chosen_variants(library, model, facts.run)]
    if model.name in PAPER_LAYERS:
        # What was drawn at random is too much for a slide.
        wanted += [each for each in experiment(library, model) if not each.name.startswith(DRAWN)]
    variants: dict[str, Variant] = {}
    for variant in wanted:
        variants.setdefault(variant.key, variant)
    named = {variant.name: key for key, variant in variants.items()}
    leads = [named[name] for name in LEADING if name in named]
    own = own_cpus(library)
    timed = [each for each in kept_timings(library, model) if variant_key_of(each) in leads]
    if not timed:
        return []
    best = min(timed, key=lambda each: (leads.index(variant_key_of(each)), each.cpu not in own, each.threads))
    same = [each for each in timed if (each.cpu, each.threads) == (best.cpu, best.threads)]
    batch = min(batch_of(each) for each in same if variant_key_of(each) == variant_key_of(best))
    return rows(library, model, list(variants.values()), best.cpu, best.threads, [batch])


def _lead(shown: Sequence[Row]) -> Row | None:
    """The row that the slide speaks of, in the runtime that runs it fastest."""
    for name in LEADING:
        found = [row for row in shown if row.variant.name == name and row.engine in RUNTIMES]
        timed = [row for row in found if row.timing.ratio_to_engine_fp32 is not None]
        if timed:
            return max(timed, key=lambda row: row.timing.images_per_s.value)
    return None


def _numbers(shown: Sequence[Row], lead: Row) -> tuple[Number, ...]:
    timing, eager = lead.timing, lead.timing.ratio_to_eager_fp32
    fp32_there = [row for row in shown if row.engine is lead.engine and row.variant.is_fp32]
    rate = timing.images_per_s
    rounds = f"rounds {number(rate.low, 0)} to {number(rate.high, 0)}"
    plain = f"; FP32: {number(fp32_there[0].timing.images_per_s.value, 0)}" if fp32_there else ""
    found = [Number(f"Images/s, batch {timing.batch}", say(number(rate.value, 0)), say(rounds + plain))]
    if eager is not None:
        spread = say(f"rounds {number(eager.low, 2)} to {number(eager.high, 2)}")
        found.append(Number(f"× {Engine.EAGER.words} FP32", say(f"{number(eager.value, 2)} ×"), spread))
    judged = lead.against_fp32
    if judged is not None:
        drop, noise = judged.drop, ", within noise" if judged.drop.contains_zero else ""
        interval = say(f"95 %: {span(drop)}{noise}; {judged.images:,} report images")
        found.append(Number("Points lost there", say(number(drop.value, 2)), interval))
    return tuple(found)


def _figure(facts: Facts, shown: Sequence[Row]) -> Figure:
    variants = list({row.variant.key: row.variant for row in shown}.values())
    drawn = bars(shown, variants, absolute=False)
    ratios = "; ".join(
        f"{bar.variant} in {bar.engine} {number(bar.ratio.value, 2)} ×" for bar in drawn if bar.ratio is not None
    )
    alt = f"Measured throughput of {facts.title} over FP32 in the same runtime: {ratios}."
    rows_of = records(throughput_frame(bars(shown, variants, absolute=True)))
    return in_both(lambda look: throughput_figure(drawn, look), alt, rows_of)


def _notes(shown: Sequence[Row], lead: Row) -> tuple[Text, ...]:
    rounds = len(lead.timing.seconds)
    how = f"Medians of {rounds} rounds, in each of which all were timed; spans are the lowest and highest."
    names = predictors(bars(shown, [row.variant for row in shown], absolute=False))
    digits = ", ".join(f"{digit} {name}" for digit, name in enumerate(names, 1))
    told = f" Predicted for it: {digits}." if digits else ""
    return say(f"Measured on {place_words(lead.timing)}."), say(f"{how}{told}")
