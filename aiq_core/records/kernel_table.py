"""What each kernel of a network takes in a runtime on this machine, and what changes of type between kernels cost.

A kernel is a layer with all that runs in it (`traffic.fused`). Its time is what it adds to those that it follows,
measured with them and without it, so that neither call nor layout of a tensor is counted twice. A border is what a
tensor costs beside that, where it is not stored as both its kernels compute: quantizing, dequantizing, other layouts.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from json import dumps
from typing import Any

from aiq_core.records.measurement import Measurement
from aiq_core.records.policy import Policy
from aiq_core.records.profile import ModelProfile

TABLE = "table"
"""The kind of measurement that a table is."""

INTEGER_BITS = 8
"""The widest that runs on integers."""


@dataclass(frozen=True, slots=True)
class KernelTimes:
    """Seconds a batch that a kernel adds, in FP32 and in INT8; `int8` is None where what it reads stays FP32.

    `operations` are its places in the graph, `layers` the layers in it: one, or none. `inside` is an operation of it
    whose result a policy may store as integers, such as what an add reads; then in FP32 it takes `rounding` more.
    """

    operations: tuple[int, ...]
    layers: tuple[str, ...]
    fp32: float
    int8: float | None
    inside: int | None = None
    rounding: float = 0.0


@dataclass(frozen=True, slots=True)
class Border:
    """Seconds that a tensor costs more between kernels `writer` and `reader`, as these compute, stored as integers.

    `fp32_int8` is of a writer in FP32 and a reader in INT8. Stored as FP32 between kernels in FP32 it costs nothing
    more, nor as integers between kernels in INT8.
    """

    writer: int
    reader: int
    tensor: int
    fp32_fp32: float
    fp32_int8: float
    int8_fp32: float


@dataclass(frozen=True, eq=False)
class KernelTable:
    """The times of a model's kernels and borders at a batch, in an engine of a version, on so many threads of a CPU.

    `engine` is the name of a `deployment.Engine`.
    """

    model_hash: str
    engine: str
    version: str
    batch: int
    threads: int
    cpu: str
    created_at: str
    seconds: float
    kernels: tuple[KernelTimes, ...]
    borders: tuple[Border, ...]

    @cached_property
    def hash(self) -> str:
        """16 hex digits that identify every number of it."""
        return sha256(dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def measurement(self) -> Measurement:
        """It as a store keeps it."""
        return Measurement(TABLE, self.cpu, self.threads, self.subject, self.created_at, self.to_json())

    @property
    def subject(self) -> str:
        """What it is of, among the tables of a machine."""
        return table_subject(self.model_hash, self.engine, self.batch)

    def times(self, profile: ModelProfile, policy: Policy) -> list[float]:
        """Seconds a batch of each kernel under a policy."""
        return [
            kernel.int8 if runs and kernel.int8 is not None else kernel.fp32
            for kernel, runs in zip(self.kernels, self.in_int8(profile, policy), strict=True)
        ]

    def border_times(self, profile: ModelProfile, policy: Policy) -> list[float]:
        """Seconds a batch of each border under a policy, then of those inside kernels."""
        runs, stored = self.in_int8(profile, policy), integer_tensors(profile, policy)
        between = [
            0.0 if border.tensor not in stored else self.border(border, runs[border.writer], runs[border.reader])
            for border in self.borders
        ]
        inside = [
            kernel.rounding if kernel.inside in stored and not runs[place] else 0.0
            for place, kernel in enumerate(self.kernels)
        ]
        return [*between, *inside]

    @staticmethod
    def border(border: Border, writer: bool, reader: bool) -> float:
        """What a border costs where its tensor is stored as integers; whether its kernels compute in INT8."""
        if writer:
            return 0.0 if reader else border.int8_fp32
        return border.fp32_int8 if reader else border.fp32_fp32

    def seconds_an_image(self, profile: ModelProfile, policy: Policy) -> float:
        """Seconds of an image under a policy, borders counted."""
        return (sum(self.times(profile, policy)) + sum(self.border_times(profile, policy))) / self.batch

    def in_int8(self, profile: ModelProfile, policy: Policy) -> list[bool]:
        """Which kernels compute in INT8: those that read and write integers, and whose weights have at most 8 bits.

        One whose weights can have no bits counts as it is measured among kernels in INT8.
        """
        stored, bits = integer_tensors(profile, policy), profile.named_bits(policy)
        return [
            kernel.int8 is not None
            and all(place in stored for place in self._reads[row])
            and (kernel.operations[-1] in stored or self._gives_logits(profile, kernel))
            and all(bits.get(layer, INTEGER_BITS) <= INTEGER_BITS for layer in kernel.layers)
            for row, kernel in enumerate(self.kernels)
        ]

    @cached_property
    def _reads(self) -> list[list[int]]:
        """The tensors that each kernel reads of others."""
        found: list[list[int]] = [[] for _ in self.kernels]
        for border in self.borders:
            found[border.reader].append(border.tensor)
        return found

    def _gives_logits(self, profile: ModelProfile, kernel: KernelTimes) -> bool:
        return kernel.operations[-1] not in profile.stored_tensors

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "KernelTable":
        """The table that `to_json` wrote."""
        fields = dict(document)
        kernels = tuple(
            KernelTimes(**{**row, "operations": tuple(row["operations"]), "layers": tuple(row["layers"])})
            for row in fields.pop("kernels")
        )
        borders = tuple(Border(**row) for row in fields.pop("borders"))
        return cls(kernels=kernels, borders=borders, **fields)


def table_subject(model_hash: str, engine: str, batch: int) -> str:
    """How the table of a model is told from others of a machine."""
    return f"{model_hash}/{engine}/{batch}"


def integer_tensors(profile: ModelProfile, policy: Policy) -> set[int]:
    """The operations whose results a policy stores as integers of at most eight bits; the image stays FP32."""
    bits = profile.named_activation_bits(policy)
    return {
        place
        for place, group in profile.stored_tensors.items()
        if bits[group] <= INTEGER_BITS and profile.graph[place].operator != "image"
    }
