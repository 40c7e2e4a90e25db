"""What an evaluation counts, a metric a file; `METRICS` names them. Another one is a file and a line here."""

from collections.abc import Callable

from aiq_core.errors import look_up
from aiq_core.metrics.metric import Metric
from aiq_core.metrics.top1 import TOP1, Top1

METRICS: dict[str, Callable[[int], Metric]] = {
    TOP1: Top1,
}
"""Name -> the metric of a model with so many classes (or output values)."""


def metric(name: str, classes: int) -> Metric:
    """The metric of that name. Raises UnknownNameError."""
    return look_up("metric", name, METRICS)(classes)
