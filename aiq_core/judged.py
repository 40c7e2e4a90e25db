"""Policies that search images and report images both judged: what the first say of the second."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiq_core.envelope import PolicyTable, offered
from aiq_core.records import Policy
from aiq_core.statistics import Interval


class Kind(StrEnum):
    """How a policy came to be measured."""

    CHOSEN = "chosen on search"
    UNIFORM = "uniform"
    RANDOM = "random"
    SINGLE = "one layer"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Judged:
    """A policy on both splits: points lost against FP32 with 95 % intervals, and top-1 in percent."""

    policy: Policy
    kind: Kind
    search: Interval
    report: Interval
    search_top1: float
    report_top1: float


def judged(table: PolicyTable, kinds: Mapping[Policy, Kind]) -> tuple[Judged, ...]:
    """Both drops of every reported policy of the space's widths, FP32 left out; `kinds` names those not OTHER."""
    return tuple(
        Judged(
            policy=policy,
            kind=kinds.get(policy, Kind.OTHER),
            search=search.drop,
            report=report.drop,
            search_top1=search.after.value,
            report_top1=report.after.value,
        )
        for policy, search, report, known in zip(
            table.policies, table.search, table.report, offered(table), strict=True
        )
        if known and report is not None and not policy.is_fp32
    )
