"""The numbers of one policy, with intervals, from the table and the machine."""

from dataclasses import dataclass

from aiq_core.envelope import PolicyTable
from aiq_core.hardware import Machine
from aiq_core.intensity import intensity, moved_bytes, weight_bytes
from aiq_core.records import Policy
from aiq_core.roofline import predict
from aiq_core.statistics import Interval


@dataclass(frozen=True)
class Figures:
    """A policy against FP32. Report figures are None where it is not reported; bytes are of one image at batch 1."""

    intensity: float
    gain_percent: float
    batch_gain_percent: float
    search_top1: Interval
    search_drop: Interval
    report_top1: Interval | None
    report_drop: Interval | None
    report_images: int
    weight_bytes: float
    weight_bytes_before: float
    moved_bytes: float
    moved_bytes_before: float
    speed_up: float | None
    memory_bound: int
    memory_bound_before: int
    layers: int


def figures(table: PolicyTable, policy: Policy, machine: Machine, batch: int) -> Figures:
    """Everything the page says of a policy in the table."""
    row = table.row(policy)
    assert row is not None
    profile, fp32 = table.profile, table.policies[table.baseline]
    value, before = intensity(profile, policy), intensity(profile, fp32)
    bound, speed_up = (0, 0), None
    if machine.runs_fp32:
        at = predict(machine, profile, [fp32, policy], batch)
        bound = int(at.memory_bound[0].sum()), int(at.memory_bound[1].sum())
        speed_up = float(at.total_seconds[0] / at.total_seconds[1])
    search, report = table.search[row], table.report[row]
    return Figures(
        intensity=value,
        gain_percent=100 * (value / before - 1),
        batch_gain_percent=100 * (intensity(profile, policy, batch) / intensity(profile, fp32, batch) - 1),
        search_top1=search.after,
        search_drop=search.drop,
        report_top1=None if report is None else report.after,
        report_drop=None if report is None else report.drop,
        report_images=table.report_images,
        weight_bytes=weight_bytes(profile, policy),
        weight_bytes_before=weight_bytes(profile, fp32),
        moved_bytes=moved_bytes(profile, policy),
        moved_bytes_before=moved_bytes(profile, fp32),
        speed_up=speed_up,
        memory_bound=bound[1],
        memory_bound_before=bound[0],
        layers=len(profile.layers),
    )
