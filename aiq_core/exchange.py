"""Runs that leave and come back with their predictions, checked: one as a JSON document, a whole store as SQLite."""

import base64
import hashlib
import json
import re
import types
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from aiq_core.catalog import Model
from aiq_core.errors import ExchangeError, SettingError
from aiq_core.library import Library, asked_step, of_source
from aiq_core.records import (
    FP32_BITS,
    Evaluation,
    EvaluationKey,
    ImageSet,
    ModelProfile,
    Origin,
    Policy,
    Run,
    RunStatus,
    SplitName,
)
from aiq_core.search.check import check
from aiq_core.store import Store, codec
from aiq_core.store.database import MAGIC
from aiq_core.store.store import IMPORTED

FORMAT = "aiq-explorer run"
VERSION = 1
LIMIT_BYTES = 64 * 2**20
"""The largest document that is read: a 53-layer run with its predictions takes a few."""


def export_run(library: Library, run_id: str) -> str:
    """A run with its steps and every prediction it asked for, as JSON text that ends in its own hash."""
    run = library.run(run_id)
    run = replace(run, request=replace(run.request, cluster=None))  # an address of here means nothing elsewhere
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
    model, request = library.model(run.request.model), run.request
    profile = model.profile
    policies = {profile.uniform(32), *request.policies, *(step.policy for step in run.steps)}
    previous = request.start_policy(profile)
    for step in run.steps:
        for candidate in step.candidates:
            policies.add(profile.moved(previous, candidate.move))
        previous = step.policy
    found = [
        library.evaluation(model, split, policy, request.quantizer)
        for split in SplitName
        for policy in sorted(policies, key=lambda policy: (policy.weight_bits, policy.activation_bits))
    ]
    return [evaluation for evaluation in found if evaluation is not None]


def import_run(library: Library, content: bytes, name: str = "document") -> Run:
    """Keeps an exported run and its predictions as imported. Raises ExchangeError, and then writes nothing."""
    body = _read(content, name)
    try:
        run, evaluations = _parse(body)
        model = _model(library, run, name)
        _check_form(run, evaluations, model.profile)
    except (KeyError, TypeError, ValueError, AttributeError, SettingError) as error:
        raise ExchangeError(f"{name} is not a complete export ({error!r}); export the run again") from None
    _check(run, evaluations, model, name)
    for evaluation in evaluations:
        library.store.save_evaluation(evaluation)
    return library.add_run(run)


def import_file(library: Library, path: Path) -> list[Run]:
    """Takes in a run's JSON document or a whole store; which one, its first bytes say."""
    try:
        with path.open("rb") as file:
            is_store = file.read(len(MAGIC)) == MAGIC
        content = b"" if is_store else path.read_bytes()
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error.strerror}); give a file that `export` wrote") from None
    return import_store(library, path) if is_store else [import_run(library, content, path.name)]


def import_store(library: Library, path: Path) -> list[Run]:
    """Keeps every run of another store and all its predictions as imported; those known already are left out.

    The file is a copy that `Store.copy_to` made, and is not changed. Raises an AiqError where it is none, or where any
    run in it was made with other weights or data, and then writes nothing.
    """
    other = Library(Store(path, immutable=True), None, library.catalogs)
    evaluations = [of_source(evaluation, IMPORTED) for evaluation in other.store.evaluations()]
    known = {(run.id, run.created_at) for run in library.runs(archived=True)}
    new = [other.store.run(run.id) for run in other.store.runs() if (run.id, run.created_at) not in known]
    taken: list[Run] = []
    for run in new:
        if run.origin is None:
            continue  # queued there and never begun: nothing to show
        name = f"{path.name}, run {run.id},"
        model = _model(library, run, name)
        taken.append(_taken_in(run))
        try:
            _check_form(taken[-1], [], model.profile)
        except (TypeError, ValueError, SettingError) as error:
            raise ExchangeError(f"{name} is damaged ({error}); export the store again") from None
        _check(taken[-1], [e for e in evaluations if e.key.model_hash == model.hash], model, name)
    for evaluation in evaluations:
        library.store.save_evaluation(evaluation)
    return [library.add_run(run) for run in taken]


def _taken_in(run: Run) -> Run:
    """A run of elsewhere: what was under way there is not under way here, and no worker may take it for its own."""
    status = RunStatus.INTERRUPTED if run.status in (RunStatus.QUEUED, RunStatus.RUNNING) else run.status
    # Resumed, it would ask machines that its maker named, and believe what they send.
    return of_source(replace(run, status=status, request=replace(run.request, cluster=None)), IMPORTED)


def _read(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > LIMIT_BYTES:
        raise ExchangeError(f"{name} has {len(content):,} bytes, the limit is {LIMIT_BYTES:,}; export a single run")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
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
    return _taken_in(run), [_evaluation_from_json(entry) for entry in body["evaluations"]]


def _check_form(run: Run, evaluations: list[Evaluation], profile: ModelProfile) -> None:
    """Raises TypeError or ValueError where a value is of another type than its record says, or names nothing here."""
    for record in (run, *evaluations):
        _check_types(record, type(record), "")
    if not re.fullmatch(r"[0-9a-f]{10}(-\d+)?", run.id):
        raise ValueError(f"{run.id[:40]!r} is no id of a run")
    moves = [candidate.move for step in run.steps for candidate in step.candidates]
    profile.moved(profile.uniform(FP32_BITS), *moves, *(step.move for step in run.steps if step.move is not None))
    for policy in (run.policy, *run.request.policies, *(step.policy for step in run.steps)):
        if policy is not None:
            profile.check(policy)


def _check_types(value: Any, expected: Any, place: str) -> None:
    """Raises TypeError where a value, or anything inside it, is not of its annotated type."""
    origin, inside = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        if value is not None or type(None) not in inside:
            _check_types(value, next(part for part in inside if part is not type(None)), place)
    elif origin is tuple:
        _check_types(value, tuple, place)
        for part in value:
            _check_types(part, inside[0], place)
    elif origin is Mapping:
        _check_types(value, dict, place)
        for name, part in value.items():
            _check_types(name, inside[0], place)
            _check_types(part, inside[1], f"{place}.{name}")
    elif is_dataclass(expected):
        for field, annotation in get_type_hints(expected).items():
            _check_types(getattr(value, field), annotation, f"{place}.{field}")
    else:
        kind = (int, float) if expected is float else origin or expected
        if not isinstance(value, kind) or (isinstance(value, bool) and expected is not bool):
            raise TypeError(f"{place} is {str(value)[:40]!r}")


def _model(library: Library, run: Run, name: str) -> Model:
    """The model of a run. Raises ExchangeError where it is not here as it was, or goes by another name."""
    models, wanted = library.models, run.request.model
    if wanted in models:
        model = models[wanted]
        splits = tuple(model.dataset.split(split).hash for split in SplitName)
        if (run.model_hash, run.search_hash, run.report_hash) == (model.hash, *splits):
            return model
        raise ExchangeError(
            f"{name} was made with other weights or data (model {run.model_hash}, ours {model.hash}); "
            "import it where those are installed"
        )
    same = [model.name for model in models.values() if model.hash == run.model_hash]
    here = f", though the same network is here as {same[0]!r}" if same else ""
    raise ExchangeError(
        f"{name} is of {wanted!r}, and there is no model of that name{here}; `add` the same network with the same "
        f"images as {wanted!r}, then import again"
    )


def _check(run: Run, evaluations: list[Evaluation], model: Model, name: str) -> None:
    """Raises an AiqError where the document holds predictions of other weights or data, or says what cannot be."""
    dataset = model.dataset
    hashes = {split: dataset.split(split).hash for split in SplitName}
    check(run.request, model.profile)
    images = ImageSet(SplitName.SEARCH, run.request.images).images
    for evaluation in evaluations:
        split = next((s for s in SplitName if hashes[s] == evaluation.key.split_hash), None)
        sizes_agree = split is not None and len(evaluation.outcomes) == dataset.split(split).size
        known = model.metric.is_valid(evaluation.outcomes)
        if evaluation.key.model_hash != model.hash or not sizes_agree or not known:
            raise ExchangeError(f"{name} holds predictions of other weights or data; export the run again")
    if images > dataset.search.size:
        raise ExchangeError(f"{name} counts {images:,} search images, more than there are; export the run again")
    if run.policy is not None and run.steps and asked_step(run, run.policy, model.profile) is None:
        raise ExchangeError(f"{name} names a policy that none of its steps asked for; export the run again")


def _evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    packed = base64.b64encode(codec.pack(evaluation.outcomes)).decode()
    document = {"key": asdict(evaluation.key), "origin": asdict(evaluation.origin), "predicted": packed}
    # Left out where there are none, so that versions which do not know them read all others.
    return document | ({"integers": evaluation.integers} if evaluation.integers else {})


def _evaluation_from_json(entry: dict[str, Any]) -> Evaluation:
    key = EvaluationKey(**entry["key"])
    Policy.from_key(key.policy)
    outcomes = codec.unpack(base64.b64decode(entry["predicted"], validate=True))
    integers = str(entry.get("integers", ""))
    return of_source(Evaluation(key, outcomes, Origin(**entry["origin"]), integers), IMPORTED)


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
