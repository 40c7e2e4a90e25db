"""The nouns that every module speaks: profiles, policies, evaluations, steps and runs, all frozen."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiq_core.errors import SettingError

FP32_BITS = 32
OFFERED_BITS = (32, 8, 7, 6, 5, 4, 3, 2)
"""Every width the quantizer can round to, widest first; 32 is FP32 itself."""

NOT_DONE = 255
"""The class that stands in `Evaluation.predicted` for an image that was not evaluated."""

EVALUATOR_VERSION = 1
"""Grows whenever the evaluator's predictions change; old evaluations never meet new ones."""


class LayerKind(StrEnum):
    """Operators that hold weights and do multiply-accumulates."""

    CONV2D = "conv2d"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution or linear layer of the unfolded model, counted for one image.

    `macs` are multiply-accumulates (FLOPs are twice that); the rest are element counts.
    `input_group` and `output_group` name activation groups; the logits have none.
    """

    name: str
    kind: LayerKind
    macs: int
    weights: int
    biases: int
    input_elements: int
    output_elements: int
    groups: int
    quantizable: bool
    input_group: str
    output_group: str | None


@dataclass(frozen=True)
class ModelProfile:
    """What the traffic model needs to know of a network: its layers and activation groups, in network order.

    An activation group is the set of tensors that must share a width: those joined by adds or coming from
    one producer. `activation_groups` names them; each layer says which it reads and writes.
    """

    model: str
    layers: tuple[Layer, ...]
    activation_groups: tuple[str, ...]

    @cached_property
    def quantizable(self) -> tuple[Layer, ...]:
        """The layers a policy gives bits to, in network order."""
        return tuple(layer for layer in self.layers if layer.quantizable)

    @cached_property
    def quantizable_names(self) -> tuple[str, ...]:
        """Names of `quantizable`."""
        return tuple(layer.name for layer in self.quantizable)

    @cached_property
    def flops(self) -> int:
        """FLOPs of one image: 2 x MACs over all convolutions and linear layers."""
        return 2 * sum(layer.macs for layer in self.layers)

    def uniform(self, bits: int) -> "Policy":
        """The policy with every quantizable layer at `bits` and every activation group at FP32."""
        return Policy((bits,) * len(self.quantizable), (FP32_BITS,) * len(self.activation_groups))

    def policy(self, bits: Mapping[str, int]) -> "Policy":
        """The policy with the named layers at the given bits and the rest at FP32.

        Raises SettingError for a layer that is not quantizable here or a width that is not offered.
        """
        for name, width in bits.items():
            if name not in self.quantizable_names:
                raise SettingError(
                    f"layer {name!r} is not quantizable in {self.model}; choose from "
                    f"{', '.join(self.quantizable_names)}"
                )
            if width not in OFFERED_BITS:
                raise SettingError(
                    f"bits={width} is not offered for {name}; choose from {', '.join(map(str, OFFERED_BITS))}"
                )
        weight_bits = tuple(bits.get(name, FP32_BITS) for name in self.quantizable_names)
        return Policy(weight_bits, (FP32_BITS,) * len(self.activation_groups))

    def named_bits(self, policy: "Policy") -> dict[str, int]:
        """Layer name -> weight bits of a policy, in network order."""
        return dict(zip(self.quantizable_names, policy.weight_bits, strict=True))

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        return {
            "model": self.model,
            "activation_groups": list(self.activation_groups),
            "layers": [asdict(layer) for layer in self.layers],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "ModelProfile":
        """The profile that `to_json` wrote."""
        layers = tuple(Layer(**{**entry, "kind": LayerKind(entry["kind"])}) for entry in document["layers"])
        return cls(document["model"], layers, tuple(document["activation_groups"]))


@dataclass(frozen=True, slots=True)
class Policy:
    """Weight bits per quantizable layer and bits per activation group, both in network order."""

    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]

    @property
    def key(self) -> str:
        """Text that identifies the policy within its model: `w4.8.32 a32`; a run of equal widths is written once."""
        return f"w{_run_lengths(self.weight_bits)} a{_run_lengths(self.activation_bits)}"

    @property
    def is_fp32(self) -> bool:
        """Whether nothing is quantized."""
        return all(bits == FP32_BITS for bits in self.weight_bits + self.activation_bits)

    def with_weight_bits(self, index: int, bits: int) -> "Policy":
        """The same policy with quantizable layer number `index` at `bits`."""
        return replace(self, weight_bits=(*self.weight_bits[:index], bits, *self.weight_bits[index + 1 :]))

    @classmethod
    def from_key(cls, key: str) -> "Policy":
        """The policy whose `key` this is. Raises SettingError for text of another form."""
        try:
            weights, activations = key.split(" ")
            if weights[0] != "w" or activations[0] != "a":
                raise ValueError(key)
            return cls(_from_run_lengths(weights[1:]), _from_run_lengths(activations[1:]))
        except (ValueError, IndexError):
            raise SettingError(f"policy key {key[:80]!r} cannot be read; it looks like 'w4.8.32x18 a32x12'") from None


def _run_lengths(bits: tuple[int, ...]) -> str:
    parts: list[str] = []
    start = 0
    for index in range(1, len(bits) + 1):
        if index == len(bits) or bits[index] != bits[start]:
            count = index - start
            parts.append(f"{bits[start]}x{count}" if count > 1 else f"{bits[start]}")
            start = index
    return ".".join(parts)


def _from_run_lengths(text: str) -> tuple[int, ...]:
    bits: list[int] = []
    for part in text.split("."):
        width, _, count = part.partition("x")
        repeat = int(count or 1)
        if int(width) not in OFFERED_BITS or not 0 < repeat <= 10_000:
            raise ValueError(part)
        bits.extend([int(width)] * repeat)
    return tuple(bits)


class Granularity(StrEnum):
    """How many weights share a scale."""

    CHANNEL = "channel"
    TENSOR = "tensor"


@dataclass(frozen=True, slots=True)
class Quantizer:
    """How weights are rounded: symmetric, to nearest, one scale per output channel or per tensor.

    `calibration` (a hash) and `seed` are for roundings that use them and None otherwise.
    """

    rounding: str = "nearest"
    granularity: Granularity = Granularity.CHANNEL
    calibration: str | None = None
    seed: int | None = None

    def key(self, policy: Policy) -> str:
        """JSON text of the settings that `policy` uses, so that FP32 has one key under every quantizer."""
        settings: dict[str, Any] = {"evaluator": EVALUATOR_VERSION}
        if not policy.is_fp32:
            settings |= {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(settings, sort_keys=True, separators=(",", ":"))


class SplitName(StrEnum):
    """The images that choose, and the images that judge."""

    SEARCH = "search"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class ImageSet:
    """A split and its first `images` images, a multiple of 10 (every such prefix is balanced over classes)."""

    split: SplitName
    images: int

    def __post_init__(self) -> None:
        if self.images <= 0 or self.images % 10:
            raise SettingError(f"images={self.images} is not offered; choose a positive multiple of 10")


@dataclass(frozen=True, slots=True)
class EvaluationKey:
    """What an evaluation depends on: model, split, quantizer and policy; nothing else changes a prediction."""

    model_hash: str
    split_hash: str
    quantizer: str
    policy: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and when figures were computed; `source` says measured here, bundled with the app, or imported."""

    cpu: str
    torch: str
    threads: int
    chunk: int
    created_at: str
    source: str = "measured"

    def can_resume(self, other: "Origin") -> bool:
        """Whether a partial evaluation of `other` may be completed here."""
        return (self.cpu, self.torch, self.threads, self.chunk) == (other.cpu, other.torch, other.threads, other.chunk)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The classes a policy predicts, uint8[images of the split] in split order; NOT_DONE where not evaluated."""

    key: EvaluationKey
    predicted: NDArray[np.uint8]
    origin: Origin

    def done(self, images: int) -> int:
        """How many of the first `images` images were evaluated."""
        return int(np.count_nonzero(self.predicted[:images] != NOT_DONE))

    def is_complete(self, images: int) -> bool:
        """Whether the first `images` images were all evaluated."""
        return self.done(images) == images

    def correct(self, labels: NDArray[np.uint8], images: int) -> int:
        """How many of the first `images` images were evaluated and are right."""
        return int(np.count_nonzero(self.predicted[:images] == labels[:images]))


class Outcome(StrEnum):
    """What became of a candidate."""

    WON = "won"
    LOST = "lost"
    CANNOT_WIN = "cannot win"
    PRUNED = "pruned"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A move that a step considered: a layer to a width, its AI, and its bound (its loss if no accuracy were lost).

    `needs` is the number right with which it would have won when it was asked (None: it could not win, or was
    pruned). `correct` and `loss` stand only where it reached that number.
    """

    layer: str
    bits: int
    intensity: float
    bound: float
    outcome: Outcome
    needs: int | None = None
    correct: int | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a search tried, took and why. `layer` is None where it kept what it had.

    `sweep` counts coordinate descent's passes from 1; `correct` is out of the run's search images.
    """

    index: int
    sweep: int
    layer: str | None
    bits: int | None
    policy: Policy
    intensity: float
    correct: int
    loss: float
    reason: str
    candidates: tuple[Candidate, ...] = ()


class Algorithm(StrEnum):
    """How policies are chosen."""

    GREEDY = "greedy"
    COORDINATE = "coordinate"
    UNIFORM = "uniform"
    RANDOM = "random"
    SINGLE_LAYER = "single_layer"
    MANUAL = "manual"


SEARCHES = (Algorithm.GREEDY, Algorithm.COORDINATE)
"""Algorithms that minimise a loss at an alpha; the others list policies."""


class RunStatus(StrEnum):
    """Where a run stands; INTERRUPTED is a process that died, FAILED one that ended with an error."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Request:
    """Everything that decides a run's result, apart from the machine.

    `alpha` is 0 (only accuracy) to 1 (only AI). `intensity_normaliser` is in FLOPs/byte and
    `accuracy_normaliser` in points; None takes the default of `objective`. `floor_percent` is the lowest
    search top-1 allowed; None takes FP32's minus 2.42 points. `policies` lists the policies of algorithms that
    do not search, in order, by name. `max_evaluations` and `max_minutes` end a search at its best so far.
    `use_bundled` lets the bundled evaluations answer. Runs of one `sweep` advance together; it is no part of
    their digest.
    """

    model: str
    algorithm: Algorithm
    alpha: float | None = None
    widths: tuple[int, ...] = (32, 8, 4)
    intensity_normaliser: float | None = None
    accuracy_normaliser: float = 10.0
    floor_percent: float | None = None
    excluded: tuple[str, ...] = ()
    fixed: Mapping[str, int] = field(default_factory=dict)
    images: int = 5000
    quantizer: Quantizer = Quantizer()
    policies: tuple[Policy, ...] = ()
    label: str | None = None
    max_evaluations: int | None = None
    max_minutes: float | None = None
    use_bundled: bool = True
    sweep: str | None = None

    @cached_property
    def digest(self) -> str:
        """Ten hex digits that identify the request, the same on every machine."""
        document = {name: value for name, value in self.to_json().items() if name != "sweep"}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        document = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("quantizer", "policies", "fixed")
        }
        return document | {
            "fixed": dict(self.fixed),
            "quantizer": asdict(self.quantizer),
            "policies": [policy.key for policy in self.policies],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Request":
        """The request that `to_json` wrote."""
        quantizer = document["quantizer"]
        return cls(
            **{
                **document,
                "algorithm": Algorithm(document["algorithm"]),
                "widths": tuple(document["widths"]),
                "excluded": tuple(document["excluded"]),
                "fixed": dict(document["fixed"]),
                "quantizer": Quantizer(**{**quantizer, "granularity": Granularity(quantizer["granularity"])}),
                "policies": tuple(Policy.from_key(key) for key in document["policies"]),
            }
        )


@dataclass(frozen=True)
class Run:
    """A request and what came of it. `policy` is the chosen one (best so far while it runs), None before the first.

    `evaluations` were asked for, as if nothing had been known; `evaluations_new` were computed by this run.
    Settings that the request left open stand resolved here: `intensity_normaliser`, `floor_correct` (of the
    request's search images), `baseline_correct`.
    """

    id: str
    request: Request
    model_hash: str
    search_hash: str
    report_hash: str
    status: RunStatus
    created_at: str
    origin: Origin | None = None
    finished_at: str | None = None
    steps: tuple[Step, ...] = ()
    policy: Policy | None = None
    evaluations: int = 0
    evaluations_new: int = 0
    intensity_normaliser: float | None = None
    floor_correct: int | None = None
    baseline_correct: int | None = None
    seconds: float = 0.0
    message: str = ""
    archived: bool = False
