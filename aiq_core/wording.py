"""Numbers and names as people read them: rates, sizes, percentages, intervals, layers, policies."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from math import floor, isfinite, log10

from aiq_core.hardware import NumberType
from aiq_core.records import FP32_BITS, UNFUSED, Move, Policy, Quantizer, Site
from aiq_core.statistics import Interval

MINUS = "\N{MINUS SIGN}"
MOST_LETTERS = 24
"""Of a name in a chart or a list; whole names have up to 20 where people keep them short."""

CUT = "…"
"""Where letters were left out."""

CONTEXT = 6
"""Letters before those that tell names apart."""

LINE = 44
"""Letters of a line that is whole under a pointer, on a phone too."""

_INTEGER = (NumberType.INT8, NumberType.INT4)


def number(value: float, digits: int) -> str:
    """Fixed digits with thousands separators, a real minus sign and no negative zero."""
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float, digits: int) -> str:
    """As `number`, with a plus sign where above zero."""
    text = number(value, digits)
    return text if text.startswith(MINUS) or not any(digit in text for digit in "123456789") else f"+{text}"


def span(interval: Interval, digits: int = 2) -> str:
    """An interval's ends as `a to b`, never as plus-minus."""
    return f"{number(interval.low, digits)} to {number(interval.high, digits)}"


def an(noun: str) -> str:
    """One of them: `an image`, `a text`."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def per_byte(traffic: str) -> str:
    """What an axis of AI says: the traffic model stands there where it is not the paper's, which is the usual one."""
    return "FLOPs per byte" if traffic == UNFUSED else f"FLOPs per byte, {traffic}"


def significant(value: float) -> str:
    """Three significant digits below 1,000, whole above: 0.44, 29.8, 156, 1,248."""
    if value >= 999.5:
        return f"{value:,.0f}"
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def nats(value: float) -> str:
    """A divergence with two significant digits, however small: `0.00043 nats`."""
    places = 2 if value <= 0 else max(0, 1 - floor(log10(value)))
    return f"{number(value, places)} nats"


def rate(value: float, number_type: NumberType) -> str:
    """A rate such as `156 TFLOP/s`, or `624 TOP/s` for integers."""
    return f"{prefixed_rate(value, ' ')}{'OP/s' if number_type in _INTEGER else 'FLOP/s'}"


def prefixed_rate(value: float, between: str = "") -> str:
    """A rate without its unit: 156T, 19.5T, 960M."""
    return _in_largest(value, ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1, "")), between)


def short_rate(value: float) -> str:
    """A round rate for an axis: 10G, 1T, 1P."""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor * 0.999:
            return f"{value / factor:.0f}{prefix}"
    return f"{value:.0f}"


def size(count: float) -> str:
    """Bytes in decimal units: 1.81 MB, 157 kB, 512 B."""
    return _in_largest(count, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")))


def seconds(value: float) -> str:
    """A time in its natural unit: 1.2 µs, 34 ms."""
    return _in_largest(value, ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")))


def _in_largest(value: float, units: Sequence[tuple[float, str]], between: str = " ") -> str:
    """The value in the largest unit of which there is a whole one, else in the last."""
    factor, unit = next((entry for entry in units if value >= entry[0]), units[-1])
    return f"{significant(value / factor)}{between}{unit}"


def bits_name(bits: int) -> str:
    """`FP32`, or `8 bits`."""
    return "FP32" if bits == FP32_BITS else f"{bits} bits"


def uniform_name(policy: Policy) -> str | None:
    """The field's name of a policy with one width a kind: FP32, INT8 (weights alone), W8A8; None for a mixed one."""
    weights, activations = set(policy.weight_bits), set(policy.activation_bits) or {FP32_BITS}
    if len(weights) > 1 or len(activations) > 1:
        return None
    return widths_name(*weights, *activations)


def widths_name(bits: int, activation_bits: int = FP32_BITS) -> str:
    """`FP32`, `INT8` for weights alone, `W8A8`."""
    if activation_bits != FP32_BITS:
        return f"W{bits}A{activation_bits}"
    return "FP32" if bits == FP32_BITS else f"INT{bits}"


def bit_counts(policy: Policy) -> str:
    """How many layers and activation groups stand at each width, narrowest first, groups only where not all are FP32.

    `12 layers at 4 bits, 6 at 8, 2 at FP32; all 14 activation groups at 8 bits`.
    """
    parts = [_counts(policy.weight_bits, "layer")] if policy.weight_bits else []
    if policy.has_activations or not parts:
        parts.append(_counts(policy.activation_bits, "activation group"))
    return "; ".join(parts)


def width_counts(widths: Sequence[int]) -> str:
    """How many stand at each width, narrowest first: `4 bits × 12, 8 bits × 6, FP32 × 2`."""
    times = "\N{MULTIPLICATION SIGN}"
    return ", ".join(f"{bits_name(bits)} {times} {count}" for bits, count in sorted(Counter(widths).items()))


def width_range(widths: Sequence[int]) -> str:
    """From the narrowest to the widest: `4 bits`, `3 to 6 bits`, `4 bits to FP32`."""
    low, high = min(widths), max(widths)
    if low == high:
        return bits_name(low)
    return f"{bits_name(low) if high == FP32_BITS else low} to {bits_name(high)}"


def _counts(widths: Sequence[int], noun: str) -> str:
    counts = sorted(Counter(widths).items())
    if len(counts) == 1 and len(widths) > 1:
        return f"all {len(widths)} {noun}s at {bits_name(counts[0][0])}"
    first_bits, first_count = counts[0]
    parts = [f"{first_count} {noun}{'s' if first_count > 1 else ''} at {bits_name(first_bits)}"]
    parts += [f"{count} at {'FP32' if bits == FP32_BITS else bits}" for bits, count in counts[1:]]
    return ", ".join(parts)


def quantizer_words(quantizer: Quantizer, policy: Policy) -> str:
    """How a policy is rounded: `weights only, symmetric, per channel, nearest`, then what sets activations' ranges."""
    weights = f"symmetric, per {quantizer.granularity}, {quantizer.rounding.replace('_', '-')}"
    if not policy.has_activations:
        return f"weights only, {weights}"
    rule = "" if quantizer.activations is None else f", ranges by {quantizer.activations.rule}"
    return f"weights {weights}; activations per tensor{rule}"


def move_words(move: Move) -> str:
    """`layer1.0.conv1 to 4 bits`, `activations of layer1.0.conv1 to 6 bits`."""
    return f"{move.site} to {bits_name(move.bits)}"


def differences(before: Policy, after: Policy) -> str:
    """How many sites two policies give other widths: `3 layers`, `1 activation group`, both, or empty for none."""
    pairs = (
        ("layer", before.weight_bits, after.weight_bits),
        ("activation group", before.activation_bits, after.activation_bits),
    )
    counts = ((noun, sum(a != b for a, b in zip(old, new, strict=True))) for noun, old, new in pairs)
    return " and ".join(f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in counts if count)


def together(names: Sequence[str], short: Mapping[str, str]) -> str:
    """One label for layers that coincide: what `short` calls one, or the parts that all share and how many they are."""
    if len(names) == 1:
        return short[names[0]]
    split = [name.split(".") for name in names]
    shared = _shared(split) or _shared([parts[::-1] for parts in split])[::-1]
    if all(part.isdecimal() for part in shared):
        return f"{short[names[0]]} + {len(names) - 1}"
    return f"{_around('.'.join(shared), MOST_LETTERS)} \N{MULTIPLICATION SIGN} {len(names)}"


def _shared(split: Sequence[Sequence[str]]) -> list[str]:
    """The parts that all begin with."""
    alike = takewhile(lambda parts: len({*parts}) == 1, zip(*split, strict=False))
    return [parts[0] for parts in alike]


def short_names(names: Sequence[str], most: int = MOST_LETTERS) -> dict[str, str]:
    """Name -> what charts and lists call it in `most` letters: without first parts that all have, cut in the middle.

    Different names stay different.
    """
    short = without_shared_head(names)
    cut = clipped([*short.values()], most)
    return {name: cut[text] for name, text in short.items()}


def without_shared_head(names: Sequence[str]) -> dict[str, str]:
    """Name -> name without first parts that nearly every name has, as `features.` in MobileNetV2."""
    found = {name: name for name in names}
    while True:
        heads = Counter(text.partition(".")[0] for text in found.values() if "." in text)
        head, count = heads.most_common(1)[0] if heads else ("", 0)
        if count < max(1, 0.9 * len(found)):
            return found
        found = {name: text.removeprefix(f"{head}.") for name, text in found.items()}


def clipped(texts: Iterable[str], most: int) -> dict[str, str]:
    """Text -> the text in about `most` letters, cut in the middle; those that are cut alike, around what tells them
    apart, and by number where that is long too.
    """
    found = {text: _around(text, most) for text in texts}
    for group in _alike(found):
        start, end = len(_shared(group)), len(_shared([text[::-1] for text in group]))
        parts = {text: text[max(0, start - CONTEXT) : len(text) - end] for text in group}
        if max(map(len, parts.values())) <= most:
            found |= {text: f"{CUT}{part}{CUT}" for text, part in parts.items()}
    places = {text: place for place, text in enumerate(found, 1)}
    for group in _alike(found):
        found |= {text: f"{_around(text, most - CONTEXT)} #{places[text]}" for text in group}
    return found


def _alike(found: Mapping[str, str]) -> list[list[str]]:
    """The texts that go by one name, where they are several."""
    groups: dict[str, list[str]] = {}
    for text, cut in found.items():
        groups.setdefault(cut, []).append(text)
    return [group for group in groups.values() if len(group) > 1]


def _around(text: str, most: int) -> str:
    """The text without its middle, where it has more than `most` letters."""
    return text if len(text) <= most else f"{text[: (most - 1) // 2]}{CUT}{text[len(text) - most // 2 :]}"


def site_names(sites: Iterable[Site]) -> dict[str, str]:
    """Site as text -> the same with its layer's or group's name cut, where that is long."""
    held = [*sites]
    cut = clipped(dict.fromkeys(site.name for site in held), MOST_LETTERS)
    return {str(site): str(replace(site, name=cut[site.name])) for site in held}


def wrapped(name: str) -> str:
    """A name in lines of HTML that fit a phone."""
    return "<br>".join(name[start : start + LINE] for start in range(0, len(name), LINE))


def join(parts: Iterable[str]) -> str:
    """Parts with a middle dot between them."""
    return " · ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """A time as people say it: `8 s`, `4 min`, `1 h 20 min`."""
    if not isfinite(seconds):
        return "unknown"
    if seconds < 10:
        return f"{number(seconds, 1)} s"
    if seconds < 90:
        return f"{number(seconds, 0)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
