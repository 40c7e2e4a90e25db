"""The numbers of one policy, with intervals, from the table and the machine."""

from dataclasses import dataclass

from aiq_core.envelope import PolicyTable
from aiq_core.hardware import Machine
from aiq_core.intensity import intensity, moved_bytes, stored_bytes, weight_bytes
from aiq_core.records import Policy
from aiq_core.roofline import predict
from aiq_core.statistics import Comparison


@dataclass(frozen=True)
class Figures:
    """A policy against FP32, `report` None where it is not reported; bytes are of one image at batch 1.

    `search` is on the `images` search images that are called as `judges` says.

    AI, bytes moved and times are by the table's traffic model; `weight_bytes` are of the weights alone, `stored_bytes`
    with scales and folded biases.

    `memory_bound` of `layers` layers wait for bytes at FP32.
    """

    intensity: float
    gain_percent: float
    batch_gain_percent: float
    search: Comparison
    report: Comparison | None
    report_images: int
    judges: str
    images: int
    weight_bytes: float
    weight_bytes_before: float
    stored_bytes: float
    stored_bytes_before: float
    moved_bytes: float
    moved_bytes_before: float
    speed_up: float | None
    memory_bound: int
    layers: int


def figures(table: PolicyTable, policy: Policy, machine: Machine, batch: int) -> Figures:
    """Everything the page says of a policy in the table."""
    row = table.row(policy)
    assert row is not None
    profile, fp32 = table.profile, table.policies[table.baseline]
    counting = table.traffic, table.quantizer
    value, before = (intensity(profile, which, 1, *counting) for which in (policy, fp32))
    at_batch, before_at_batch = (intensity(profile, which, batch, *counting) for which in (policy, fp32))
    memory_bound, speed_up = 0, None
    if machine.runs_fp32:
        at = predict(machine, profile, [fp32, policy], batch, *counting)
        memory_bound = int(at.memory_bound[0].sum())
        speed_up = float(at.total_seconds[0] / at.total_seconds[1])
    return Figures(
        intensity=value,
        gain_percent=100 * (value / before - 1),
        batch_gain_percent=100 * (at_batch / before_at_batch - 1),
        search=table.search[row],
        report=table.report[row],
        report_images=table.report_images,
        judges=table.judges,
        images=table.images,
        weight_bytes=weight_bytes(profile, policy),
        weight_bytes_before=weight_bytes(profile, fp32),
        stored_bytes=stored_bytes(profile, policy, table.quantizer),
        stored_bytes_before=stored_bytes(profile, fp32, table.quantizer),
        moved_bytes=moved_bytes(profile, policy, 1, *counting),
        moved_bytes_before=moved_bytes(profile, fp32, 1, *counting),
        speed_up=speed_up,
        memory_bound=memory_bound,
        layers=len(profile.layers),
    )
