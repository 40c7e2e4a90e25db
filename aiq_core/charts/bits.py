"""The bits chart's data: a bar a site in network order, with its size, what it costs alone and why it stands there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from aiq_core import wording
from aiq_core.charts.reasons import Reason
from aiq_core.envelope import PolicyTable
from aiq_core.frontier import Sensitivity
from aiq_core.intensity import stored_layers
from aiq_core.records import DEFAULT_WIDTHS, Layer, ModelProfile, Move, Policy, Quantizer, Site, SiteKind
from aiq_core.statistics import Interval

FEW_LAYERS = 26
"""Up to here every bar has its own name; beyond, blocks of layers are named."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A site at its width: a layer's weights, or an activation group.

    `elements` are the weights, or those of one tensor of the group. `alone` maps bits to points of search top-1 lost
    with only this site at them. `writers` and `readers` are the layers of a group, by name. `stored_bytes` is all that
    a deployed network keeps of a layer, its scales and bias too; None of a group. `costs` maps bits to the nats that
    they cost by themselves on calibration images.
    """

    site: Site
    bits: int
    elements: int
    stored_bytes: float | None
    alone: tuple[tuple[int, Interval], ...]
    reason: Reason
    pinned_bits: int | None
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    costs: tuple[tuple[int, float], ...] = ()

    @property
    def size_bytes(self) -> float:
        """Bytes of the elements at this width."""
        return self.elements * self.bits / 8

    @property
    def is_weights(self) -> bool:
        """Whether it is a layer's."""
        return self.site.kind is SiteKind.WEIGHTS

    @property
    def changed(self) -> bool:
        """Whether the pinned policy has another width here."""
        return self.pinned_bits not in (None, self.bits)


@dataclass(frozen=True, slots=True)
class Column:
    """What stands above each other: a layer's weights and the group that it is the first to write, or one of both."""

    name: str
    weights: Bar | None
    group: Bar | None


@dataclass(frozen=True)
class BitsData:
    """Everything drawn: bars in network order, those of activation groups only where they tell something.

    `points_per_nat` is what a nat of cost came to on a front, where one was measured.
    """

    model: str
    bars: tuple[Bar, ...]
    images: int
    origin: str
    judges: str = "search"
    points_per_nat: float | None = None

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The bars from left to right."""
        found: list[Column] = []
        for bar in self.bars:
            last = found[-1] if found else None
            if bar.is_weights:
                found.append(Column(bar.site.name, bar, None))
            elif last is not None and last.group is None and bar.writers[:1] == (last.name,):
                found[-1] = Column(last.name, last.weights, bar)
            else:
                found.append(Column(bar.site.name, None, bar))
        return tuple(found)

    @property
    def has_groups(self) -> bool:
        """Whether activation groups are drawn."""
        return any(not bar.is_weights for bar in self.bars)

    @property
    def changed(self) -> tuple[Bar, ...]:
        """The sites that differ from the pinned policy."""
        return tuple(bar for bar in self.bars if bar.changed)

    @property
    def title(self) -> str:
        """What a card of it is called."""
        return "Bits of weights and activations" if self.has_groups else "Bits per layer"

    @property
    def spoken(self) -> str:
        """The bars in words, for a screen reader: `conv1 4, activations of conv1 8`."""
        return ", ".join(f"{bar.site} {bar.bits}" for bar in self.bars)


def bits_data(
    profile: ModelProfile,
    policy: Policy,
    reasons: Mapping[Site, Reason],
    table: PolicyTable | None,
    pinned: Policy | None = None,
    origin: str = "",
    groups: bool = False,
    quantizer: Quantizer = Quantizer(),
    costs: Sensitivity | None = None,
    points_per_nat: float | None = None,
) -> BitsData:
    """A bar a quantizable layer, and one an activation group where any is below FP32 or `groups` asks for them.

    What a site costs alone is read from the table, where it was measured; None where nothing was.
    """
    as_stored = stored_layers(profile, policy, quantizer)
    groups = groups or policy.has_activations or (pinned is not None and pinned.has_activations)
    bars = (
        Bar(
            site=site,
            bits=profile.width(policy, site),
            elements=profile.elements(site),
            stored_bytes=as_stored[site.name] if site.kind is SiteKind.WEIGHTS else None,
            alone=() if table is None else _alone(site, table),
            reason=reasons[site],
            pinned_bits=None if pinned is None else profile.width(pinned, site),
            writers=() if site.kind is SiteKind.WEIGHTS else _names(profile.writers(site.name)),
            readers=() if site.kind is SiteKind.WEIGHTS else _names(profile.readers(site.name)),
            costs=() if costs is None else costs.of(site),
        )
        for site in (profile.sites if groups else profile.weight_sites)
    )
    images, judges = (0, "search") if table is None else (table.images, table.judges)
    return BitsData(profile.model, tuple(bars), images, origin, judges, points_per_nat)


def _names(layers: Sequence[Layer]) -> tuple[str, ...]:
    return tuple(layer.name for layer in layers)


def _alone(site: Site, table: PolicyTable) -> tuple[tuple[int, Interval], ...]:
    fp32 = table.policies[table.baseline]
    rows = {bits: table.row(table.profile.moved(fp32, Move(site, bits))) for bits in DEFAULT_WIDTHS[1:]}
    return tuple((bits, table.search[row].drop) for bits, row in rows.items() if row is not None)


def bits_frame(data: BitsData) -> pd.DataFrame:
    """The chart's data, a row a site."""
    rows = []
    for bar in data.bars:
        row: dict[str, Any] = {
            "model": data.model,
            "kind": str(bar.site.kind),
            "name": bar.site.name,
            "bits": bar.bits,
            "elements": bar.elements,
            "bytes": bar.size_bytes,
            "stored_bytes": bar.stored_bytes,
        }
        if data.has_groups:
            row |= {"written_by": " ".join(bar.writers), "read_by": " ".join(bar.readers)}
        for bits, lost in bar.alone:
            row |= {
                f"alone_at_{bits}_bits_points_lost": lost.value,
                f"alone_at_{bits}_bits_low": lost.low,
                f"alone_at_{bits}_bits_high": lost.high,
            }
        row |= {f"cost_at_{bits}_bits_nats": cost for bits, cost in bar.costs}
        rows.append(row | {"search_images": data.images, "why": bar.reason.why, "why_not_next": bar.reason.why_not})
        if bar.pinned_bits is not None:
            rows[-1]["pinned_bits"] = bar.pinned_bits
    return pd.DataFrame(rows)


def hover(bar: Bar, data: BitsData) -> str:
    """What a bar says under the pointer, in lines of HTML."""
    lines = [f"{bar.elements:,} weights, {wording.size(bar.size_bytes)}"]
    if bar.stored_bytes is not None:
        lines[0] += f", {wording.size(bar.stored_bytes)} as stored"
    else:
        lines = [
            f"{bar.elements:,} elements a tensor, {wording.size(bar.size_bytes)}",
            f"written by {_listed(bar.writers) or 'no layer'}",
            f"read by {_listed(bar.readers) or 'no layer'}",
        ]
    for bits, lost in bar.alone:
        noise = ", within noise" if lost.contains_zero else ""
        lines.append(f"alone at {bits} bits: {wording.number(lost.value, 2)} points lost ({wording.span(lost)}{noise})")
    lines += _costs(bar, data)
    if bar.alone:
        lines.append(f"<i>on {data.images:,} {data.judges} images</i>")
    elif not bar.costs:
        lines.append("cost alone: not measured")
    if bar.changed and bar.pinned_bits is not None:
        lines.append(f"A has {wording.bits_name(bar.pinned_bits)} here")
    lines.append(f"Why {wording.bits_name(bar.bits)}: {bar.reason.why}")
    if bar.reason.why_not:
        lines.append(f"Why not the next: {bar.reason.why_not}")
    return "<br>".join([f"<b>{wording.wrapped(str(bar.site))}</b> {wording.bits_name(bar.bits)}", *lines])


def _costs(bar: Bar, data: BitsData) -> list[str]:
    """What its width and the next narrower one cost by themselves."""
    narrower = [each for each in bar.costs if each[0] < bar.bits][:1]
    told = []
    for bits, cost in [*(each for each in bar.costs if each[0] == bar.bits), *narrower]:
        points = (
            "" if data.points_per_nat is None else f", about {wording.number(cost * data.points_per_nat, 2)} points"
        )
        here = " here" if bits == bar.bits else ""
        told.append(f"by itself {wording.bits_name(bits)}{here} cost {wording.nats(cost)}{points}")
    return told


def _listed(names: Sequence[str]) -> str:
    """Up to three layers by name, then how many more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    apart = ", " if max(map(len, names), default=0) <= wording.MOST_LETTERS else ",<br>"
    return apart.join(map(wording.wrapped, names[:3])) + more
