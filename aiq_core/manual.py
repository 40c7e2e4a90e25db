"""Policies set by hand: read from what a user wrote, and kept as a run that has no steps and measures nothing."""

import json
from dataclasses import replace
from typing import Any

from aiq_core import execute
from aiq_core.catalog import Model
from aiq_core.errors import SettingError
from aiq_core.library import Library, repeats
from aiq_core.records import ModelProfile, Origin, Policy, Quantizer, Request, Run, RunStatus, SplitName
from aiq_core.search.baselines import MANUAL
from aiq_core.store.store import SAVED

LABEL_LENGTH = 60


MOST_POLICIES = 500
EXAMPLE = '{"conv1": 8, "linear": 4}'
BOTH = '{"weights": {"conv1": 4}, "activations": {"image": 8}}'


def parse_policies(text: str, profile: ModelProfile) -> tuple[Policy, ...]:
    """Policies of JSON: one, or a list of them. What is left out stays FP32.

    Each is an object {layer: bits}, one of both kinds {"weights": {layer: bits}, "activations": {group: bits}}, a key
    as a text, or what the app exported: a policy with its figures, or a run.
    """
    if not text.strip():
        raise SettingError(f"paste a policy: JSON like {EXAMPLE}, or a list of such; layers left out stay FP32")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingError(f"that is not JSON ({error}); a policy looks like {EXAMPLE}") from None
    entries = document if isinstance(document, list) else [document]
    if not 0 < len(entries) <= MOST_POLICIES:
        raise SettingError(f"{len(entries)} policies are listed; give 1 to {MOST_POLICIES}")
    policies = tuple(_policy(entry, profile, number) for number, entry in enumerate(entries, start=1))
    # Asking twice would measure nothing new.
    return tuple(dict.fromkeys(policies))


def _policy(entry: object, profile: ModelProfile, number: int) -> Policy:
    if isinstance(entry, dict) and isinstance(entry.get("run"), dict):
        entry = entry["run"].get("policy")  # an exported run, which has the key
    if isinstance(entry, str):
        policy = Policy.from_key(entry)
        profile.check(policy)
        return policy
    weights, activations = _kinds(entry)
    if not weights and not activations:
        raise SettingError(f"policy {number} is not an object of layer: bits; it looks like {EXAMPLE} or {BOTH}")
    for named in (weights, activations):
        for name, width in named.items():
            if not isinstance(width, int) or isinstance(width, bool):
                raise SettingError(f"bits={width!r} for {name} in policy {number} is not a whole number, such as 8")
    return profile.policy(weights, activations)


def _kinds(entry: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bits of layers and of activation groups, by name; both empty where it is no policy."""
    if not isinstance(entry, dict):
        return {}, {}
    for first, second in (("policy", "activation_policy"), ("weights", "activations")):
        if isinstance(entry.get(first), dict) or isinstance(entry.get(second), dict):
            break
    else:
        return entry, {}
    weights, activations = entry.get(first, {}), entry.get(second, {})
    return (weights, activations) if isinstance(weights, dict) and isinstance(activations, dict) else ({}, {})


def save_manual(
    library: Library, model: Model, policy: Policy, images: int, label: str, quantizer: Quantizer = Quantizer()
) -> Run:
    """Keeps a policy, rounded so, as a finished run of `images` search images under an id of its own.

    Raises SettingError where the label is too long or the very same run is kept already, DataError where nothing
    can be written.
    """
    label = label.strip()
    if len(label) > LABEL_LENGTH:
        raise SettingError(f"the name has {len(label)} characters; use at most {LABEL_LENGTH}")
    request = Request(
        model.name, MANUAL.name, images=images, policies=(policy,), label=label or None, quantizer=quantizer
    )
    same = repeats(library.runs(model, archived=True), request, model)
    if same:
        raise SettingError(f"this policy is kept already as run {same[0].id}; give it another name to keep it twice")
    now = execute.timestamp()
    found = library.evaluation(model, SplitName.SEARCH, policy, quantizer)
    known = found is not None and found.is_complete(images)
    machine = found.origin if found is not None and known else Origin("not measured", "-", 0, 0, now)
    run = replace(
        execute.new_run(model, request),
        status=RunStatus.DONE,
        origin=replace(machine, created_at=now, source=SAVED),
        finished_at=now,
        policy=policy,
        message="Set by hand in the Lab and kept as it is: no search chose it.",
    )
    return library.add_run(run)
