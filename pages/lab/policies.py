"""Policies from what a reader gives - a key, a link, JSON - and layers that are set together; pure."""

import json
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from aiq_core.errors import SettingError
from aiq_core.manual import parse_policies
from aiq_core.records import FP32_BITS, OFFERED_BITS, LayerKind, ModelProfile, Policy
from aiq_core.wording import bits_name
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
    if len(policy.activation_bits) != groups or set(policy.activation_bits) != {FP32_BITS}:
        expected = profile.uniform(FP32_BITS).key.partition(" ")[2]
        raise SettingError(
            f"policy {key[:80]!r} has activations {key.partition(' ')[2][:40]!r}, which stay at FP32 here; "
            f"end it in {expected!r}"
        )
    return policy


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


def groups(profile: ModelProfile) -> dict[str, tuple[int, ...]]:
    """Name -> places of layers that are set together: all, those of a kind, those of a part of the network."""
    layers = profile.quantizable
    found: dict[str, tuple[int, ...]] = {f"all {len(layers)} layers": tuple(range(len(layers)))}
    depthwise = [i for i, layer in enumerate(layers) if layer.groups > 1]
    linear = [i for i, layer in enumerate(layers) if layer.kind is not LayerKind.CONV2D]
    others = [i for i in range(len(layers)) if i not in (*depthwise, *linear)]
    kinds = {
        "depthwise convolutions": depthwise,
        "other convolutions" if depthwise else "convolutions": others,
        "linear layers": linear,
    }
    parts: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        parts.setdefault(_part(layer.name), []).append(index)
    heaviest = sorted(range(len(layers)), key=lambda i: -layers[i].weights)[: max(1, len(layers) // 4)]
    for name, places in {**kinds, **parts, "the heaviest quarter": sorted(heaviest)}.items():
        if 1 < len(places) < len(layers):
            found[f"{name} ({len(places)})"] = tuple(places)
    return found


def _part(name: str) -> str:
    """The part of the network a layer is in: `layer1`, or `features.7` where every layer is in one sequence."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[1].isdigit() and parts[0] == "features" else parts[0]


def with_bits(policy: Policy, places: Iterable[int], bits: int) -> Policy:
    """The policy with those layers at `bits`."""
    changed = {*places}
    widths = (bits if place in changed else held for place, held in enumerate(policy.weight_bits))
    return replace(policy, weight_bits=tuple(widths))


def change(profile: ModelProfile, before: Policy, after: Policy) -> str:
    """How two policies differ, in words: a layer by name, several by number."""
    names = profile.quantizable_names
    differing = [i for i, (a, b) in enumerate(zip(before.weight_bits, after.weight_bits, strict=True)) if a != b]
    if not differing:
        return "no layer differs"
    if len(differing) > 1:
        return f"{len(differing)} layers differ"
    (place,) = differing
    return f"{names[place]} {bits_name(before.weight_bits[place])} → {bits_name(after.weight_bits[place])}"
