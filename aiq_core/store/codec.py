"""How records stand in the database: predictions as bytes, steps and runs as JSON."""

import json
import zlib
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.records import Candidate, Origin, Outcome, Policy, Request, Run, RunStatus, Step


def pack(predicted: NDArray[np.uint8]) -> bytes:
    """uint8[n] -> bytes, zlib of its XOR with the class at each position of a balanced round-robin split.

    Right answers become zeros, so 5,000 predictions of a good model take under a kilobyte.
    """
    return zlib.compress((predicted ^ _round_robin(len(predicted))).tobytes(), 9)


MOST_IMAGES = 1_000_000
"""A blob of more is not ours: a kilobyte of zlib can hold a megabyte, so it is never unpacked to its end."""


def unpack(blob: bytes) -> NDArray[np.uint8]:
    """What `pack` packed. Raises ValueError for anything else."""
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(blob, MOST_IMAGES)
    except zlib.error as error:
        raise ValueError(f"predictions cannot be unpacked ({error})") from None
    if not unpacking.eof:
        raise ValueError(f"predictions are truncated, or of more than {MOST_IMAGES:,} images")
    mixed = np.frombuffer(content, dtype=np.uint8)
    return mixed ^ _round_robin(len(mixed))


def _round_robin(images: int) -> NDArray[np.uint8]:
    return (np.arange(images) % 10).astype(np.uint8)


def step_to_json(step: Step) -> dict[str, Any]:
    """A JSON-ready document of a step."""
    return {**asdict(step), "policy": step.policy.key, "candidates": [asdict(c) for c in step.candidates]}


def step_from_json(document: dict[str, Any]) -> Step:
    """The step that `step_to_json` wrote."""
    candidates = tuple(Candidate(**{**c, "outcome": Outcome(c["outcome"])}) for c in document["candidates"])
    return Step(**{**document, "policy": Policy.from_key(document["policy"]), "candidates": candidates})


def pack_step(step: Step) -> bytes:
    """A step as zlib of JSON."""
    return zlib.compress(json.dumps(step_to_json(step), separators=(",", ":")).encode(), 9)


def unpack_step(blob: bytes) -> Step:
    """What `pack_step` packed."""
    return step_from_json(json.loads(zlib.decompress(blob)))


_ELSEWHERE = ("id", "status", "archived", "steps", "created_at")
"""Fields of a run that have a column or a table of their own."""


def run_to_json(run: Run) -> dict[str, Any]:
    """A JSON-ready document of a run without its steps and without what has a column."""
    document = {name: getattr(run, name) for name in run.__dataclass_fields__ if name not in _ELSEWHERE}
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
    return Run(
        **{
            **document,
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
