"""How bytes are counted, a traffic model a file; `TRAFFIC_MODELS` names them. Another one is a file and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from aiq_core.errors import look_up
from aiq_core.records import UNFUSED, Granularity, ModelProfile
from aiq_core.traffic.counts import Counts
from aiq_core.traffic.fused import fused
from aiq_core.traffic.stored import stored
from aiq_core.traffic.unfused import unfused


@dataclass(frozen=True, slots=True)
class TrafficModel:
    """A way to count bytes: its name, its title for readers and what it counts, in one sentence; `count` does it."""

    name: str
    title: str
    sentence: str
    count: Callable[[ModelProfile, Granularity], Counts]


STORED = "as-stored"
"""Which is also how the size of a network is told: what it stores, it moves."""

_ALL = (
    TrafficModel(
        UNFUSED,
        "Unfused, as in the paper",
        "Every layer reads its weights, bias and input and writes its output.",
        unfused,
    ),
    TrafficModel(
        STORED,
        "Unfused, as stored",
        "Every layer reads its weights with their scales, its folded bias and its input and writes its output.",
        stored,
    ),
    TrafficModel(
        "fused",
        "Fused kernels, as stored",
        "Every layer runs with its activation function and its add as one kernel, which reads its weights with "
        "their scales, its folded bias and its inputs and writes its output once; so does pooling.",
        fused,
    ),
)
TRAFFIC_MODELS = {model.name: model for model in _ALL}
"""Every traffic model, by its name in requests, addresses and on the command line; the paper's is the usual one."""


def traffic_model(name: str) -> TrafficModel:
    """The traffic model of that name. Raises UnknownNameError."""
    return look_up("traffic model", name, TRAFFIC_MODELS)
