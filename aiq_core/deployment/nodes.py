"""Where a runtime's time goes: the nodes that it made of a model, which layers each holds, and what did not fuse."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.timing import Place
from aiq_core.deployment.variant import Variant
from aiq_core.records import Measurement

NODES = "nodes"
"""The kind of measurement."""

MOVES = ("Reorder", "ReorderInput", "ReorderOutput", "Transpose")
"""Operators that only lay values out anew."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node after optimisation: its share of all nodes' time, and the layers in it.

    `is_integer` says that it computes in integers, `converts` that it only quantizes or dequantizes.
    """

    name: str
    operator: str
    share: float
    layers: tuple[str, ...] = ()
    is_integer: bool = False
    converts: bool = False


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of a variant in an engine at a batch, in the order in which they run.

    `wanted` are the layers that were exported to run on integers. Shares are by the runtime's own profiler; it counts
    more than passes on the wall, so times come from elsewhere.
    """

    model_hash: str
    engine: Engine
    version: str
    variant: Variant
    batch: int
    nodes: tuple[Node, ...]
    wanted: tuple[str, ...]
    place: Place
    created_at: str

    @property
    def unfused(self) -> tuple[str, ...]:
        """Layers that were to run on integers and do not."""
        fused = {name for node in self.nodes if node.is_integer for name in node.layers}
        return tuple(name for name in self.wanted if name not in fused)

    @property
    def moving(self) -> float:
        """The share of time of reorders and transposes."""
        return sum(node.share for node in self.nodes if node.operator in MOVES)

    @property
    def converting(self) -> float:
        """The share of time of quantizing and dequantizing by themselves."""
        return sum(node.share for node in self.nodes if node.converts)

    @property
    def subject(self) -> str:
        """As a timing's."""
        return f"{self.model_hash}/{self.engine}/{self.variant.key}/{self.batch}"

    @property
    def measurement(self) -> Measurement:
        """It as a store keeps it."""
        document = {
            **{name: getattr(self, name) for name in ("model_hash", "version", "batch")},
            "engine": str(self.engine),
            "variant": self.variant.to_json(),
            "nodes": [asdict(node) | {"layers": list(node.layers)} for node in self.nodes],
            "wanted": list(self.wanted),
            "place": self.place.to_json(),
        }
        return Measurement(NODES, self.place.cpu, self.place.threads, self.subject, self.created_at, document)

    @classmethod
    def of(cls, kept: Measurement) -> "Nodes":
        """The nodes that a measurement keeps."""
        document: Mapping[str, Any] = kept.document
        return cls(
            **{name: document[name] for name in ("model_hash", "version", "batch")},
            engine=Engine(document["engine"]),
            variant=Variant.from_json(document["variant"]),
            nodes=tuple(Node(**{**node, "layers": tuple(node["layers"])}) for node in document["nodes"]),
            wanted=tuple(document["wanted"]),
            place=Place.from_json(document["place"]),
            created_at=kept.created_at,
        )
