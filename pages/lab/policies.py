"""Policies from what a reader gives - a key, a link, JSON - and sites that are set together; pure."""

import json
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from aiq_core.catalog import Model
from aiq_core.errors import SettingError
from aiq_core.manual import parse_policies
from aiq_core.records import (
    FP32_BITS,
    OFFERED_BITS,
    LayerKind,
    ModelProfile,
    Move,
    Policy,
    Quantizer,
    Site,
    SiteKind,
)
from aiq_core.space import JOINT, WEIGHTS, Space
from aiq_core.wording import bit_counts, bits_name, differences
from pages.common import known
from pages.common.controls import DEFAULT_MODEL

WIDTHS = ", ".join(map(str, OFFERED_BITS))
REMEDY = "copy the whole link, or start from another policy"


def read_key(key: str, profile: ModelProfile) -> Policy:
    """The policy of a key, fit for the model. Raises SettingError with the value, the limit and the remedy."""
    try:
        policy = Policy.from_key(key)
    except SettingError as error:
        raise SettingError(f"{error}, with widths from {WIDTHS}; {REMEDY}") from None
    layers, groups = len(profile.quantizable), len(profile.activation_groups)
    if len(policy.weight_bits) != layers:
        fits = [name for name, model in known.library().models.items() if model.profile.fits(policy)]
        remedy = f"choose the model {' or '.join(fits)}" if fits else REMEDY
        raise SettingError(
            f"policy {key[:80]!r} gives bits to {len(policy.weight_bits)} layers, {profile.model} has {layers}; "
            f"{remedy}"
        )
    if len(policy.activation_bits) != groups:
        expected = profile.uniform(FP32_BITS).key.partition(" ")[2]
        raise SettingError(
            f"policy {key[:80]!r} gives bits to {len(policy.activation_bits)} activation groups, {profile.model} has "
            f"{groups}; end it in {expected!r}, where all are FP32"
        )
    return policy


def space_of(policy: Policy, space: Space) -> Space:
    """The space that a policy is of, where one is shown: the joint one wherever activations are quantized."""
    return JOINT if policy.has_activations else space


def how(model: Model, policy: Policy, space: Space = WEIGHTS) -> Quantizer:
    """How a policy is rounded here: as its space's are."""
    can_calibrate = model.dataset.calibration_hash is not None
    return space_of(policy, space).quantizer(model.dataset) if can_calibrate else Quantizer()


def pinned(key: str | None, profile: ModelProfile) -> Policy | None:
    """Explore's pinned policy; None where there is none, or it is no policy of the model."""
    try:
        return None if key is None else read_key(key, profile)
    except SettingError:
        return None


def read_text(text: str, model: str) -> tuple[str, str]:
    """(model, key) of a link, a key, or JSON as the export writes it. Raises SettingError."""
    text = text.strip()
    if text.startswith(("{", "[")):
        named = _named_model(text) or model
        return named, parse_policies(text, known.model(named).profile)[0].key
    if "=" not in text:
        return model, read_key(text, known.model(model).profile).key
    asked = parse_qs(urlsplit(text).query or text.partition("?")[2] or text)
    if "policy" not in asked:
        raise SettingError(f"link {text[:80]!r} has no policy=; {REMEDY}")
    named = asked.get("model", [DEFAULT_MODEL])[0]
    return named, read_key(asked["policy"][0], known.model(named).profile).key


def _named_model(text: str) -> str | None:
    """The model that an exported policy names."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    named = document.get("model") if isinstance(document, dict) else None
    return named if named in known.library().models else None


def groups(profile: ModelProfile) -> dict[str, tuple[Site, ...]]:
    """Name -> sites that are set together: all layers, those of a kind, of a part of the network; all activations."""
    layers = profile.quantizable
    depthwise = [layer.name for layer in layers if layer.groups > 1]
    linear = [layer.name for layer in layers if layer.kind is not LayerKind.CONV2D]
    others = [layer.name for layer in layers if layer.name not in (*depthwise, *linear)]
    kinds = {
        "depthwise convolutions": depthwise,
        "other convolutions" if depthwise else "convolutions": others,
        "linear layers": linear,
    }
    parts: dict[str, list[str]] = {}
    for layer in layers:
        parts.setdefault(_part(layer.name), []).append(layer.name)
    heaviest = sorted(layers, key=lambda layer: -layer.weights)[: max(1, len(layers) // 4)]
    quarter = {layer.name for layer in heaviest}
    sets = {**kinds, **parts, "the heaviest quarter": [name for name in profile.quantizable_names if name in quarter]}
    found = {f"all {len(layers)} layers": profile.weight_sites}
    for name, names in sets.items():
        if 1 < len(names) < len(layers):
            found[f"{name} ({len(names)})"] = tuple(Site(SiteKind.WEIGHTS, layer) for layer in names)
    activations = tuple(site for site in profile.sites if site.kind is SiteKind.ACTIVATIONS)
    return found | {f"all {len(activations)} activation groups": activations, "every layer and group": profile.sites}


def _part(name: str) -> str:
    """The part of the network a layer is in: `layer1`, or `features.7` where every layer is in one sequence."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[1].isdigit() and parts[0] == "features" else parts[0]


def counts(profile: ModelProfile, policy: Policy, sites: Iterable[Site]) -> str:
    """How many of some sites stand at each width."""
    chosen = [*sites]
    widths = {kind: tuple(profile.width(policy, site) for site in chosen if site.kind is kind) for kind in SiteKind}
    return bit_counts(Policy(widths[SiteKind.WEIGHTS], widths[SiteKind.ACTIVATIONS]))


def with_bits(profile: ModelProfile, policy: Policy, sites: Iterable[Site], bits: int) -> Policy:
    """The policy with those sites at `bits`."""
    return profile.moved(policy, *(Move(site, bits) for site in sites))


def change(profile: ModelProfile, before: Policy, after: Policy) -> str:
    """How two policies differ, in words: a layer or group by name, several by number."""
    widths = ((site, profile.width(before, site), profile.width(after, site)) for site in profile.sites)
    differing = [(site, was, now) for site, was, now in widths if was != now]
    if not differing:
        return "no layer differs"
    if len(differing) > 1:
        return f"{differences(before, after)} differ"
    ((site, was, now),) = differing
    return f"{site} {bits_name(was)} → {bits_name(now)}"
