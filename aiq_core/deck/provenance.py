"""The slide that says where everything comes from."""

from aiq_core import __version__
from aiq_core.deck.facts import Facts, kicker, method
from aiq_core.deck.slide import Better, Slide, Table
from aiq_core.deck.text import Text, say
from aiq_core.hardware import Machine
from aiq_core.records import EVALUATOR_VERSION, FP32_BITS, SplitName
from aiq_core.space import JOINT, WEIGHTS
from aiq_core.store.store import BUNDLED, IMPORTED, MEASURED, SAVED
from aiq_core.wording import bit_counts, join, quantizer_words, rate, significant, threads, uniform_name

ORIGINS = {
    MEASURED: "measured on this computer",
    BUNDLED: "ships with the app",
    IMPORTED: "imported from elsewhere",
    SAVED: "saved by hand",
}


def provenance(facts: Facts, better: Better | None) -> Slide:
    """Hashes, image sets, machines, versions, dates and methods, and what is known to be better."""
    rows = [*_run(facts), *_images(facts), *_measured(facts), *_methods(facts)]
    if better is not None:
        rows.append(("best known", better.text))
    origin = facts.run.origin
    whose = ORIGINS[MEASURED if origin is None else origin.source]
    return Slide(
        "provenance",
        kicker(facts),
        say(f"Every figure can be recomputed: run {facts.run.id}, {whose}"),
        table=Table(("What", "Value"), tuple((say(name), value) for name, value in rows), "Provenance", pairs=True),
        notes=(say(f"python -m aiq_core show {facts.run.id} --json prints the numbers that these slides show."),),
    )


def _run(facts: Facts) -> list[tuple[str, Text]]:
    request = facts.run.request
    rows = [("run", say(facts.shown("id", str), f", {method(facts.run)}")), ("bits for", say(_space(facts)))]
    if facts.value("points_per_intensity") is not None:
        worth = say("1 FLOP/byte is worth ", facts.shown("points_per_intensity", 2), " points")
        normaliser = say(" (normaliser ", facts.shown("intensity_normaliser", 2), " FLOPs/byte)")
        rows.append(("loss", say(worth, normaliser)))
    if facts.run.floor_score is not None:
        floor = facts.shown("floor_correct", 0)
        rows.append(("accuracy floor", say(floor, f" of {request.chooses_on:,} search images right")))
    rows.append(("model", say(f"{facts.title}, weights ", facts.shown("model_hash", str))))
    rows.append(("policy", say(facts.shown("policy_key", str))))
    return rows


def _space(facts: Facts) -> str:
    """Which kinds of bits were on offer, in which widths, and where the search began."""
    request = facts.run.request
    if not facts.searched:
        return (JOINT if request.is_joint else WEIGHTS).title
    weights, activations = (", ".join(map(bits_of, kind)) for kind in (request.widths, request.activation_widths))
    if not request.is_joint:
        return f"{WEIGHTS.title}: {weights}"
    start = request.start_policy(facts.profile)
    began = uniform_name(start) or bit_counts(start)
    return f"{JOINT.title}: weights {weights}, activations {activations}, from {began}"


def bits_of(width: int) -> str:
    """A width in a list: `FP32`, `8`."""
    return "FP32" if width == FP32_BITS else str(width)


def _images(facts: Facts) -> list[tuple[str, Text]]:
    rows, request = [], facts.run.request
    for split in SplitName:
        name, digest = f"{split} images", say(", data ", facts.shown(f"{split}_hash", str))
        if facts.value(f"{split}_images") is None:
            unknown = "not reported yet" if split is SplitName.REPORT else "not measured here"
            rows.append((name, say(unknown, digest)))
        else:
            # What a search keeps apart from its choice stands between those that choose and those that report.
            if split is SplitName.REPORT and facts.value("confirm_images") is not None:
                first = f" ({request.chooses_on + 1:,} to {request.images:,} of the search images, not chosen on)"
                rows.append(("confirm images", say(facts.shown("confirm_images", 0), first)))
            shares = facts.model.dataset.split(split).balance(int(facts.value(f"{split}_images")))
            rows.append(
                (name, say(f"{facts.model.dataset.title}, ", facts.shown(f"{split}_images", 0), f" ({shares})", digest))
            )
    return rows


def _measured(facts: Facts) -> list[tuple[str, Text]]:
    origin = facts.run.origin
    if origin is None:
        return []
    finished = facts.run.finished_at or origin.created_at
    made = join(
        [origin.cpu, f"torch {origin.torch}", f"{threads(origin.threads)}, chunk {origin.chunk}", finished[:10]]
    )
    return [("measured on", say(made))]


def _methods(facts: Facts) -> list[tuple[str, Text]]:
    quantizer = facts.run.request.quantizer
    return [
        ("quantizer", say(f"{quantizer_words(quantizer, facts.policy)}; folded first")),
        ("traffic model", say(facts.shown("traffic", str), ", batch 1")),
        ("statistics", say("95 %: Wilson for top-1, Newcombe paired for drops; exact McNemar", *_mcnemar(facts))),
        (facts.machine.name, say(machine_words(facts.machine))),
        ("made with", say(f"AIQ Explorer {__version__}, evaluator {EVALUATOR_VERSION}")),
    ]  # fmt: skip


def _mcnemar(facts: Facts) -> Text:
    if facts.split is None:
        return ()
    return (" p ", facts.shown(f"{facts.split}_mcnemar_p", lambda value: f"{value:.2g}"))


def machine_words(machine: Machine) -> str:
    """A machine's numbers with who vouches for them."""
    memory = f"{significant(machine.bandwidth.value / 1e9)} GB/s ({machine.bandwidth.kind})"
    if machine.fp32_typed is None:
        return f"{memory}, no FP32 arithmetic"
    source = machine.rates[machine.fp32_typed]
    peak = f"{rate(source.value, machine.fp32_typed)} {machine.fp32_typed} ({source.kind})"
    return f"{peak}, {memory}; grade {machine.grade}"
