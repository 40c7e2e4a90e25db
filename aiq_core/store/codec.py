"""How records stand in the database: outcomes as bytes, steps and runs as JSON."""

import json
import zlib
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import (
    Candidate,
    Move,
    Origin,
    Outcome,
    Outcomes,
    Policy,
    Request,
    Run,
    RunStatus,
    Site,
    SiteKind,
    Step,
)


def pack(outcomes: Outcomes) -> bytes:
    """Outcomes of any type -> bytes: its name and zlib of them; bytes alone are XORed with rounds of ten classes first.

    So right answers on a balanced round-robin split become zeros, and 5,000 of a good model take under a kilobyte.
    """
    if outcomes.dtype == np.uint8:
        return zlib.compress((outcomes ^ _round_robin(len(outcomes))).tobytes(), 9)
    little = outcomes.astype(outcomes.dtype.newbyteorder("<"))
    return little.dtype.str.encode() + zlib.compress(little.tobytes(), 9)


MOST_IMAGES = 1_000_000
"""A blob of more is not ours: a kilobyte of zlib can hold a megabyte, so it is never unpacked to its end."""

_TYPES: dict[bytes, np.dtype[Any]] = {b"<u2": np.dtype("<u2"), b"<f4": np.dtype("<f4"), b"<f8": np.dtype("<f8")}
"""What stands before zlib's bytes where outcomes are no bytes; zlib's own begin with an x."""


def unpack(blob: bytes) -> Outcomes:
    """What `pack` packed. Raises ValueError for anything else."""
    dtype = _TYPES.get(blob[:3], np.dtype(np.uint8))
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(blob if dtype == np.uint8 else blob[3:], MOST_IMAGES * dtype.itemsize)
    except zlib.error as error:
        raise ValueError(f"predictions cannot be unpacked ({error})") from None
    if not unpacking.eof:
        raise ValueError(f"predictions are truncated, or of more than {MOST_IMAGES:,} images")
    outcomes = np.frombuffer(content, dtype=dtype)
    if dtype == np.uint8:
        return np.asarray(outcomes ^ _round_robin(len(outcomes)))
    return outcomes.astype(dtype.newbyteorder("="))


def _round_robin(images: int) -> NDArray[np.uint8]:
    return (np.arange(images) % 10).astype(np.uint8)


def _move_to_json(move: Move | None) -> dict[str, Any]:
    """A weight move has a layer, a move of activations a group."""
    if move is None:
        return {"layer": None, "bits": None}
    return {"layer" if move.site.kind is SiteKind.WEIGHTS else "group": move.site.name, "bits": move.bits}


def _move_from_json(document: dict[str, Any]) -> Move | None:
    """Takes the move out of a document."""
    layer, group, bits = (document.pop(name, None) for name in ("layer", "group", "bits"))
    if layer is None and group is None:
        return None
    site = Site(SiteKind.WEIGHTS, layer) if group is None else Site(SiteKind.ACTIVATIONS, group)
    return Move(site, bits)


def step_to_json(step: Step) -> dict[str, Any]:
    """A JSON-ready document of a step."""
    return {
        "index": step.index,
        "sweep": step.sweep,
        **_move_to_json(step.move),
        "policy": step.policy.key,
        "intensity": step.intensity,
        "correct": step.score,
        "loss": step.loss,
        "reason": step.reason,
        "candidates": [_candidate_to_json(candidate) for candidate in step.candidates],
    }


def _candidate_to_json(candidate: Candidate) -> dict[str, Any]:
    return {
        **_move_to_json(candidate.move),
        "intensity": candidate.intensity,
        "bound": candidate.bound,
        "outcome": str(candidate.outcome),
        "needs": candidate.needs,
        "correct": candidate.score,
        "loss": candidate.loss,
    }


def step_from_json(document: dict[str, Any]) -> Step:
    """The step that `step_to_json` wrote."""
    fields = dict(document)
    candidates = tuple(map(_candidate_from_json, fields.pop("candidates")))
    policy = Policy.from_key(fields.pop("policy"))
    return Step(
        move=_move_from_json(fields), score=fields.pop("correct"), policy=policy, candidates=candidates, **fields
    )


def _candidate_from_json(document: dict[str, Any]) -> Candidate:
    fields = dict(document)
    move = _move_from_json(fields)
    if move is None:
        raise ValueError("a candidate has no move")
    return Candidate(move=move, outcome=Outcome(fields.pop("outcome")), score=fields.pop("correct"), **fields)


def pack_step(step: Step) -> bytes:
    """A step as zlib of JSON."""
    return zlib.compress(json.dumps(step_to_json(step), separators=(",", ":")).encode(), 9)


def unpack_step(blob: bytes) -> Step:
    """What `pack_step` packed."""
    return step_from_json(json.loads(zlib.decompress(blob)))


_ELSEWHERE = ("id", "status", "archived", "steps", "created_at")
"""Fields of a run that have a column or a table of their own."""


_STORED_AS = {"floor_score": "floor_correct", "baseline_score": "baseline_correct"}
"""Fields of a run that stand under the name they had when every score was a number right."""


def run_to_json(run: Run) -> dict[str, Any]:
    """A JSON-ready document of a run without its steps and without what has a column."""
    names = (name for name in run.__dataclass_fields__ if name not in _ELSEWHERE)
    document = {_STORED_AS.get(name, name): getattr(run, name) for name in names}
    if not run.traceback:
        del document["traceback"]  # so that versions which do not know it read all other runs
    return document | {
        "request": run.request.to_json(),
        "origin": None if run.origin is None else asdict(run.origin),
        "policy": None if run.policy is None else run.policy.key,
    }


def run_from_json(
    document: dict[str, Any], *, id: str, status: str, archived: bool, created_at: str, steps: tuple[Step, ...] = ()
) -> Run:
    """The run that `run_to_json` wrote, with what stood beside it."""
    origin, policy = document["origin"], document["policy"]
    fields = {**document, **{name: document[stored] for name, stored in _STORED_AS.items()}}
    return Run(
        **{
            **{name: value for name, value in fields.items() if name not in _STORED_AS.values()},
            "request": Request.from_json(document["request"]),
            "origin": None if origin is None else Origin(**origin),
            "policy": None if policy is None else Policy.from_key(policy),
        },
        id=id,
        status=RunStatus(status),
        archived=archived,
        created_at=created_at,
        steps=steps,
    )
