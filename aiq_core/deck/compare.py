"""Several runs beside each other: on one trade-off where they are of one model, and as a table always."""

from collections.abc import Iterator, Sequence

from aiq_core.charts.labels import SLIDE_WIDTHS_PX
from aiq_core.charts.pareto import pareto_frame
from aiq_core.charts.pareto_figure import pareto_figure
from aiq_core.deck.facts import Facts, lost_words, method
from aiq_core.deck.landscape import images_words, point_beside, split_of, table_of, trade_off_data
from aiq_core.deck.parts import if_kernels, in_both, records
from aiq_core.deck.slide import Figure, Slide, Table
from aiq_core.deck.text import Text, plain, point_word, points, say, size_of
from aiq_core.envelope import PolicyTable
from aiq_core.library import Library
from aiq_core.records import Policy, SplitName
from aiq_core.wording import duration, join, number, size

COLUMNS = ("Run", "FLOPs per byte", "Points lost (95 %)", "Weights", "Predicted speed-up", "Evaluations", "Time")


def slides(library: Library, chosen: Sequence[Facts]) -> Iterator[Slide]:
    """One slide with the picture where there is one, then the table."""
    models = list(dict.fromkeys(known.title for known in chosen))
    name = join([", ".join(models), f"{len(chosen)} runs", chosen[0].machine.name])
    table = table_of(library, chosen) if len({known.model for known in chosen}) == 1 else None
    if table is not None:
        otherwise = any(known.run.request.quantizer != chosen[0].run.request.quantizer for known in chosen)
        lead = images_words(table, split_of(chosen), f" Rings{' and stars' if otherwise else ''}: the runs.")
        notes = (*_verdicts(library, chosen), say(_images_words(chosen)))
        figure = _figure(library, table, chosen, lead)
        yield Slide("compared", name, _title(chosen), lead, figure=figure, notes=notes)
    yield Slide(
        "table",
        name,
        _table_title(chosen),
        table=Table(COLUMNS, tuple(_row(known) for known in chosen), "The runs compared"),
        notes=(say(if_kernels(*(known.traffic for known in chosen))), say(_images_words(chosen))),
    )


def _figure(library: Library, table: PolicyTable, chosen: Sequence[Facts], lead: Text) -> Figure:
    """The trade-off on the images and counted as the first; runs that end at one policy share a label.

    Runs whose policies are rounded otherwise stand beside.
    """
    letters: dict[Policy, str] = {}
    for known in (other for other in chosen if other.counting == chosen[0].counting):
        letters[known.policy] = ", ".join(filter(None, (letters.get(known.policy), known.letter)))
    runs = [(name, policy) for policy, name in letters.items()]
    otherwise = [known for known in chosen if known.run.request.quantizer != chosen[0].run.request.quantizer]
    points = ((known.letter, point_beside(library, chosen[0], known.run)) for known in otherwise)
    beside = [(name, point) for name, point in points if point is not None]
    data = trade_off_data(library, table, split_of(chosen), runs=runs, beside=beside)
    named = ", ".join(name for name, _ in (*data.runs, *data.beside))
    alt = f"Top-1 against FLOPs per byte, with runs {named}. {plain(lead)}"
    return in_both(lambda look: pareto_figure(data, look, SLIDE_WIDTHS_PX), alt, records(pareto_frame(data)))


def _title(chosen: Sequence[Facts]) -> Text:
    """The range of what the runs reach, and what it costs."""
    by_gain = sorted(chosen, key=lambda known: float(known.value("intensity")))
    low, high = by_gain[0], by_gain[-1]
    if low.policy == high.policy:
        return say(f"{'Both' if len(chosen) == 2 else 'All'} end at the same policy: ", low.shown("intensity", 1),
                   " FLOPs per byte")  # fmt: skip
    return say(_phrase(low), ", ", _phrase(high))


def _phrase(known: Facts) -> Text:
    if known.policy.is_fp32:
        return say(f"{known.letter} stays at FP32's ", known.shown("intensity", 1), " FLOPs per byte")
    text = say(f"{known.letter} reaches ", known.shown("intensity", 1), " FLOPs per byte ")
    drop = known.drop
    if drop is None or known.split is None:
        return say(text, "(accuracy not measured here)")
    if drop.contains_zero:
        return say(text, "with its drop within noise")
    value = say(known.shown(f"{known.split}_drop_points", points), f" {point_word(drop.value)}")
    pending = "" if known.split is SplitName.REPORT else " (not reported yet)"
    return say(text, "for " if drop.value > 0 else "and gains ", value, pending)


def _verdicts(library: Library, chosen: Sequence[Facts]) -> Iterator[Text]:
    """Each run against the first on the same images, which the distance of two marks does not tell."""
    first = chosen[0]
    yield say(join(f"{known.letter}: {method(known.run)}, run {known.run.id}" for known in chosen))
    found: dict[str, list[str]] = {}
    for other in chosen[1:]:
        if first.split is None or other.split is not first.split:
            continue
        images, (how, others) = min(first.images, other.images), (each.run.request.quantizer for each in (first, other))
        where = first.model, first.split, images
        cells = library.paired(*where, first.policy, other.policy, others, before_quantizer=how)
        if cells is not None:
            against = f"Against {first.letter} on the same {images:,} {first.split} images"
            found.setdefault(against, []).append(f"{other.letter} {lost_words(cells.drop)}")
    yield from (say(f"{against}: {'; '.join(lost)}.") for against, lost in found.items())


def _table_title(chosen: Sequence[Facts]) -> Text:
    gains = sorted(chosen, key=lambda known: float(known.value("intensity_gain_percent")))
    name = chosen[0].machine.name
    faster = sum(known.is_faster for known in chosen)
    many = {0: "none", len(chosen): "all"}.get(faster, f"{faster} of {len(chosen)}")
    use = f"{many} predicted faster on {name}"
    if not chosen[0].machine.runs_fp32:
        use = f"{name} can't run FP32 activations"
    low, high = (known.shown("intensity_gain_percent", size_of) for known in (gains[0], gains[-1]))
    gain = say(high) if low.text == high.text else say(low, " to ", high)
    return say(gain, f" % more work per byte; {use}")


def _row(known: Facts) -> tuple[Text, ...]:
    speed = say("can't run FP32") if known.speed_up is None else say(
        known.shown(f"predicted_speedup.{known.machine.key}", 2), " ×" if known.is_faster else " ×, no faster"
    )  # fmt: skip
    return (
        say(f"{known.letter}: {known.title}, {method(known.run)}", ", imported" if known.imported else ""),
        say(known.shown("intensity", 2), " (+", known.shown("intensity_gain_percent", size_of), " %)"),
        _lost(known),
        say(known.shown("weight_bytes", size), " (", known.shown("stored_bytes", size), " as stored)"),
        speed,
        say(known.shown("evaluations", 0)),
        say(known.shown("seconds", duration)),
    )


def _lost(known: Facts) -> Text:
    if known.split is None or known.drop is None:
        return say("not measured here")
    interval = known.interval(f"{known.split}_drop_interval")
    noise = ", within noise" if known.within_noise else ""
    pending = "" if known.split is SplitName.REPORT else ", not reported yet"
    return say(known.shown(f"{known.split}_drop_points", 2), " (", interval, f"{noise}{pending})")


def _images_words(chosen: Sequence[Facts]) -> str:
    told: dict[str, list[str]] = {}
    for known in chosen:
        if known.split:
            told.setdefault(f"on {number(known.images, 0)} {known.split} images", []).append(known.letter)
    parts = [f"{', '.join(letters)} {where}" for where, letters in told.items()]
    return f"Points lost against FP32: {'; '.join(parts)}." if parts else "Accuracy is not measured here."
