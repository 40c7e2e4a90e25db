"""Predicted time of a network on every machine at every batch: a table to read, and one to compute with."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from aiq_core.errors import SettingError
from aiq_core.hardware import Machine
from aiq_core.intensity import Traffic, traffic
from aiq_core.records import FP32_BITS, ModelProfile, Policy
from aiq_core.roofline import predict_each
from aiq_core.wording import seconds, significant

NO_FP32 = "can't run FP32 activations"


class Time(NamedTuple):
    """Roofline seconds of a batch in FP32 and under a policy, None where the machine lacks the arithmetic."""

    machine: Machine
    batch: int
    fp32_s: float | None
    policy_s: float | None

    @property
    def speed_up(self) -> float | None:
        """How many times faster than FP32."""
        return self.fp32_s / self.policy_s if self.fp32_s and self.policy_s else None

    @property
    def words(self) -> str:
        """`1.2 ms, 2.5 ×`, or why there is none."""
        if self.policy_s is None:
            return NO_FP32
        return seconds(self.policy_s) + ("" if self.speed_up is None else f", {significant(self.speed_up)} ×")


def times(profile: ModelProfile, policy: Policy, machines: Iterable[Machine], batches: Iterable[int]) -> list[Time]:
    """A row a machine and batch."""
    fp32, sizes = profile.uniform(FP32_BITS), tuple(batches)
    moved = {each: [traffic(profile, [each], batch) for batch in sizes] for each in (fp32, policy)}
    found = []
    for machine in machines:
        both = (_seconds(machine, profile, each, moved[each]) for each in (fp32, policy))
        found += [Time(machine, *each) for each in zip(sizes, *both, strict=True)]
    return found


def _seconds(
    machine: Machine, profile: ModelProfile, policy: Policy, moved: Sequence[Traffic]
) -> Sequence[float | None]:
    try:
        return [float(each.total_seconds[0]) for each in predict_each(machine, profile, [policy], moved)]
    except SettingError:  # of a machine that only computes in integers
        return [None] * len(moved)


def table(found: list[Time]) -> pd.DataFrame:
    """A row a machine, a column a batch, in words."""
    rows: dict[str, dict[str, str]] = {}
    for time in found:
        name = time.machine.name if time.machine.runs_fp32 else f"{time.machine.name}, no FP32"
        rows.setdefault(name, {})[f"batch {time.batch:,}"] = time.words
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("machine").reset_index()


def frame(found: list[Time], name: str, policy: Policy) -> pd.DataFrame:
    """The same as numbers, a row a machine and batch."""
    return pd.DataFrame(
        [
            {
                "network": name,
                "machine": time.machine.name,
                "batch": time.batch,
                "widths": policy.key,
                "fp32_predicted_s": time.fp32_s,
                "predicted_s": time.policy_s,
                "predicted_speed_up": time.speed_up,
                "note": "" if time.machine.runs_fp32 else NO_FP32,
            }
            for time in found
        ]
    )
