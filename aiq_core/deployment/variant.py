"""What of a run is deployed: its policy, and beside it what a runtime offers anyway."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiq_core.catalog import Model
from aiq_core.errors import SettingError
from aiq_core.fronts import as_chosen, confirming
from aiq_core.hardware import NumberType
from aiq_core.library import Library
from aiq_core.records import (
    FP32_BITS,
    ImageSet,
    ModelProfile,
    Policy,
    Quantizer,
    Run,
    RunStatus,
    Score,
)
from aiq_core.records.kernel_table import INTEGER_BITS
from aiq_core.space import JOINT

Ask = Callable[[Policy, Quantizer, ImageSet, Score | None], Score | None]
"""A policy's score on an image set; None where it cannot reach the least that is asked for."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A network as it is deployed: a policy, how it is rounded, and the type in which its float layers run.

    `name` is short and the same for every model; `note` says how it was chosen, where something chose it.
    """

    name: str
    title: str
    policy: Policy
    quantizer: Quantizer
    precision: NumberType = NumberType.FP32
    note: str = ""

    @property
    def key(self) -> str:
        """Text that identifies it within its model, whatever it is called."""
        said = f"{self.policy.key} {self.quantizer.key(self.policy)}"
        return f"{self.precision}-{hashlib.sha256(said.encode()).hexdigest()[:10]}"

    @property
    def is_fp32(self) -> bool:
        """Whether it is the network as it was trained."""
        return self.policy.is_fp32 and self.precision is NumberType.FP32

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        return {
            "name": self.name,
            "title": self.title,
            "policy": self.policy.key,
            "quantizer": self.quantizer.to_json(),
            "precision": str(self.precision),
            "note": self.note,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Variant":
        """The variant that `to_json` wrote."""
        return cls(
            document["name"],
            document["title"],
            Policy.from_key(document["policy"]),
            Quantizer.from_json(document["quantizer"]),
            NumberType(document["precision"]),
            document["note"],
        )


def fp32(model: Model) -> Variant:
    """The network as it was trained: what others are compared with."""
    return Variant("fp32", "FP32", model.profile.uniform(FP32_BITS), Quantizer())


def variants(library: Library, model: Model, run: Run | None, ask: Ask | None = None) -> tuple[Variant, ...]:
    """FP32 and BF16; a run's policy, with INT8 activations too where it has none; all INT8; a suffix in INT8.

    The suffix is the longest stretch up to the output that scores no less than the policy on the search images that
    confirm it; it is left out where nobody can be asked. Without calibration images nothing has INT8 activations. Two
    that are the same are one.
    """
    plain = fp32(model)
    found = [plain, replace(plain, name="bf16", title="BF16", precision=NumberType.BF16)]
    policy = None if run is None else deployed_policy(library, run)
    if run is not None and policy is not None:
        found += _of_policy(model, policy, run.request.quantizer)
    if model.dataset.calibration_hash is not None:
        how = JOINT.quantizer(model.dataset)
        whole = Variant("int8", "all INT8", model.profile.uniform(INTEGER_BITS, INTEGER_BITS), how)
        found.append(whole)
        if run is not None and policy is not None and ask is not None:
            found += _suffix(model, run, policy, whole, ask)
    first: dict[str, Variant] = {}
    for variant in found:
        first.setdefault(variant.key, variant)
    return tuple(first.values())


def deployed_policy(library: Library, run: Run) -> Policy:
    """The policy that stands for a run with its steps: its own, or the recommended point of a front.

    Raises SettingError for a run of several policies, and for one that has none yet.
    """
    if run.policy is None and len(run.request.policies) == 1:
        return run.request.policies[0]
    chosen = as_chosen(library, run).policy
    if chosen is None:
        raise SettingError(f"run {run.id} has no policy of its own to deploy; choose a finished search or a front")
    return chosen


def deployable(library: Library, model: Model) -> tuple[Run, ...]:
    """The finished runs of a model as it is now that have a policy to deploy; the one to open with first."""
    finished = [
        run
        for run in library.runs(model)
        if run.status is RunStatus.DONE
        and run.model_hash == model.hash
        and (run.policy is not None or run.request.points is not None or len(run.request.policies) == 1)
    ]
    how = JOINT.quantizer(model.dataset) if model.dataset.calibration_hash is not None else None

    def rank(run: Run) -> tuple[bool, bool, int]:
        usual = how is not None and JOINT.is_usual_front(run.request, how, model.profile)
        return not usual, run.request.points is None, -run.request.images

    return tuple(sorted(finished, key=rank))


def int8_layers(profile: ModelProfile, names: Iterable[str]) -> Policy:
    """The weights of these layers at 8 bits and the activation groups that they read or write; the rest FP32.

    Runtimes fuse a layer into an integer kernel only where it reads and writes integers. The image has no bits.
    """
    kept = set(names)
    return profile.policy(dict.fromkeys(kept, INTEGER_BITS), dict.fromkeys(_groups(profile, kept), INTEGER_BITS))


def _groups(profile: ModelProfile, names: set[str]) -> set[str]:
    """The activation groups that layers read or write, without that of the image."""
    layers = [layer for layer in profile.layers if layer.name in names]
    groups = {group for layer in layers for group in (layer.input_group, layer.output_group) if group is not None}
    return groups - {profile.layers[0].input_group}


def _of_policy(model: Model, policy: Policy, how: Quantizer) -> list[Variant]:
    """A run's policy; where only its weights have bits, beside it the same with INT8 activations."""
    if policy.has_activations:
        return [Variant("policy", "the policy", policy, how)]
    found = [Variant("policy", "the policy’s weights", policy, how)]
    calibrated = None if model.dataset.calibration_hash is None else JOINT.quantizer(model.dataset).activations
    narrow = {name for name, bits in model.profile.named_bits(policy).items() if bits <= INTEGER_BITS}
    if calibrated is None or not narrow:
        return found
    widths = [
        INTEGER_BITS if name in _groups(model.profile, narrow) else FP32_BITS
        for name in model.profile.activation_groups
    ]
    both = Policy(policy.weight_bits, tuple(widths))
    note = "activations of its layers at 8 bits, on static ranges; no search chose these"
    return [
        *found,
        Variant("policy-int8", "the policy, INT8 activations", both, replace(how, activations=calibrated), note=note),
    ]


def _suffix(model: Model, run: Run, policy: Policy, whole: Variant, ask: Ask) -> list[Variant]:
    """The longest suffix in INT8 that scores no less than the policy; none where that is the whole network."""
    images = confirming(run.request)
    least = ask(policy, run.request.quantizer, images, None)
    names = model.profile.quantizable_names
    if ask(whole.policy, whole.quantizer, images, least) is not None:
        return []
    for first in range(1, len(names)):
        chosen = int8_layers(model.profile, names[first:])
        if ask(chosen, whole.quantizer, images, least) is not None:
            right = f"right no less often than the policy on {images.count:,} search images"
            note = f"INT8 from {names[first]} on, the longest stretch up to the output that is {right}"
            return [Variant("suffix", "INT8 suffix", chosen, whole.quantizer, note=note)]
    return []
