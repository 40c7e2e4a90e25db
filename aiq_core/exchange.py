"""Runs that leave and come back: one JSON document with the predictions, checked by hash."""

import base64
import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from aiq_core import assets
from aiq_core.errors import ExchangeError
from aiq_core.library import Library, asked_step
from aiq_core.records import Evaluation, EvaluationKey, Origin, Policy, Run, SplitName
from aiq_core.store import codec
from aiq_core.store.store import IMPORTED

FORMAT = "aiq-explorer run"
VERSION = 1
LIMIT_BYTES = 64 * 2**20
"""The largest document that is read: a 53-layer run with its predictions takes a few."""


def export_run(library: Library, run_id: str) -> str:
    """A run with its steps and every prediction it asked for, as JSON text that ends in its own hash."""
    run = library.run(run_id)
    body = {
        "format": FORMAT,
        "version": VERSION,
        "run": {
            **codec.run_to_json(run),
            **{name: str(getattr(run, name)) for name in ("id", "status", "created_at")},
            "steps": [codec.step_to_json(step) for step in run.steps],
        },
        "evaluations": [_evaluation_to_json(evaluation) for evaluation in _evaluations(library, run)],
    }
    return json.dumps({**body, "sha256": _digest(body)}, separators=(",", ":"))


def _evaluations(library: Library, run: Run) -> list[Evaluation]:
    """What the run's policies predict, on both splits, where it is known."""
    profile, request = assets.profile(run.request.model), run.request
    policies = {profile.uniform(32), *request.policies, *(step.policy for step in run.steps)}
    previous = profile.policy(request.fixed)
    for step in run.steps:
        for candidate in step.candidates:
            policies.add(previous.with_weight_bits(profile.quantizable_names.index(candidate.layer), candidate.bits))
        previous = step.policy
    found = [
        library.evaluation(request.model, split, policy, request.quantizer)
        for split in SplitName
        for policy in sorted(policies, key=lambda policy: policy.weight_bits)
    ]
    return [evaluation for evaluation in found if evaluation is not None]


def import_run(library: Library, content: bytes, name: str = "document") -> Run:
    """Keeps an exported run and its predictions as imported. Raises ExchangeError, and then writes nothing."""
    body = _read(content, name)
    try:
        run, evaluations = _parse(body)
    except (KeyError, TypeError, ValueError) as error:
        raise ExchangeError(f"{name} is not a complete export ({error!r}); export the run again") from None
    _check(run, evaluations, name)
    for evaluation in evaluations:
        library.store.save_evaluation(evaluation)
    return library.add_run(run)


def _read(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > LIMIT_BYTES:
        raise ExchangeError(f"{name} has {len(content):,} bytes, the limit is {LIMIT_BYTES:,}; export a single run")
    try:
        body = json.loads(content)
    except ValueError:
        raise ExchangeError(f"{name} is not whole JSON (it may be truncated); export the run again") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise ExchangeError(f"{name} is not a run exported from AIQ Explorer; use a file that `export` wrote")
    if body.get("version") != VERSION:
        raise ExchangeError(f"{name} has version {body.get('version')!r}, this app reads {VERSION}; update the app")
    claimed = body.pop("sha256", None)
    if claimed != _digest(body):
        raise ExchangeError(
            f"{name} was changed after its export: its hash is not {str(claimed)[:12]}; export it again"
        )
    return body


def _parse(body: dict[str, Any]) -> tuple[Run, list[Evaluation]]:
    document = dict(body["run"])
    beside = {key: document.pop(key) for key in ("id", "status", "created_at")}
    steps = tuple(codec.step_from_json(step) for step in document.pop("steps"))
    run = codec.run_from_json(document, archived=False, steps=steps, **beside)
    if run.origin is None:
        raise ValueError("the run has no origin")
    run = replace(run, origin=replace(run.origin, source=IMPORTED))
    return run, [_evaluation_from_json(entry) for entry in body["evaluations"]]


def _check(run: Run, evaluations: list[Evaluation], name: str) -> None:
    card = assets.card(run.request.model)
    hashes = {split: assets.split_hash(card.dataset, split) for split in SplitName}
    if (run.model_hash, run.search_hash, run.report_hash) != (card.model_hash, *hashes.values()):
        raise ExchangeError(
            f"{name} was made with other weights or data (model {run.model_hash}, ours {card.model_hash}); "
            "import it where those are installed"
        )
    for evaluation in evaluations:
        split = next((s for s in SplitName if hashes[s] == evaluation.key.split_hash), None)
        sizes_agree = split is not None and len(evaluation.predicted) == assets.split_size(card.dataset, split)
        if evaluation.key.model_hash != card.model_hash or not sizes_agree:
            raise ExchangeError(f"{name} holds predictions of other weights or data; export the run again")
    profile = assets.profile(run.request.model)
    if run.policy is not None and run.steps and asked_step(run, run.policy, profile) is None:
        raise ExchangeError(f"{name} names a policy that none of its steps asked for; export the run again")


def _evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    packed = base64.b64encode(codec.pack(evaluation.predicted)).decode()
    return {"key": asdict(evaluation.key), "origin": asdict(evaluation.origin), "predicted": packed}


def _evaluation_from_json(entry: dict[str, Any]) -> Evaluation:
    key = EvaluationKey(**entry["key"])
    Policy.from_key(key.policy)
    origin = replace(Origin(**entry["origin"]), source=IMPORTED)
    return Evaluation(key, codec.unpack(base64.b64decode(entry["predicted"], validate=True)), origin)


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
