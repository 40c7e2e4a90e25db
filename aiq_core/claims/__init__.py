"""Every headline claim, the paper's and ours, recomputed from the stored evaluations; torch-free.

>>> from aiq_core.claims import claims
>>> from aiq_core.library import open_library
>>> [claim.id for claim in claims(open_library()) if claim.holds is False]
"""

from dataclasses import asdict
from typing import Any

from aiq_core.claims.evidence import RANK_CORRELATION, Claim, Evidence
from aiq_core.claims.frontier import frontier_claims
from aiq_core.claims.joint import joint_claims
from aiq_core.claims.ours import our_claims
from aiq_core.claims.paper import paper_claims
from aiq_core.claims.predictions import prediction_claims
from aiq_core.claims.throughput import our_throughput
from aiq_core.library import Library
from aiq_core.wording import number, span

MARKS = {True: "✓", False: "✗", None: "–"}

DIGITS = {"FLOPs/byte off": 4, "policies": 0}


def claims(library: Library) -> tuple[Claim, ...]:
    """The paper's claims, then ours; nothing is remembered from call to call."""
    evidence = Evidence(library)
    return (
        *paper_claims(evidence),
        *frontier_claims(evidence),
        *joint_claims(evidence),
        *our_throughput(evidence),
        *prediction_claims(evidence),
        *our_claims(evidence),
    )


def document(claim: Claim) -> dict[str, Any]:
    """A claim as JSON has it; `interval` is [low, high] or null."""
    interval = None if claim.interval is None else [claim.interval.low, claim.interval.high]
    return asdict(claim) | {"interval": interval}


def is_paper(claim: Claim) -> bool:
    """Whether the paper makes this claim."""
    return claim.id.startswith("paper-")


def mark(claim: Claim) -> str:
    """✓ where it holds, ✗ where it does not, – where it is not measured yet."""
    return MARKS[claim.holds]


def figure(claim: Claim, value: float | None, interval: bool = False) -> str:
    """A figure of a claim as text, in its unit; with the interval where asked for and known."""
    if value is None:
        return "–"
    digits = DIGITS.get(claim.unit, 1 if "%" in claim.unit else 2)
    bare = number(value, digits)
    text = f"\N{GREEK SMALL LETTER RHO} = {bare}" if claim.unit == RANK_CORRELATION else f"{bare} {claim.unit}"
    return f"{text} ({span(claim.interval, digits)})" if interval and claim.interval is not None else text
