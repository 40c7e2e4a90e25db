"""What the slides of one run say, read from its document and what else is known of its model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiq_core import documents, fronts
from aiq_core.catalog import Model
from aiq_core.deck.text import Shown, Text, digits, look_up, say, shown
from aiq_core.errors import SettingError
from aiq_core.fronts import WITHIN
from aiq_core.hardware import Machine
from aiq_core.intensity import intensity
from aiq_core.library import Library
from aiq_core.records import FINE_TUNED, FP32_BITS, UNFUSED, ModelProfile, Policy, Quantizer, Run, RunStatus, SplitName
from aiq_core.roofline import predict
from aiq_core.search.baselines import UNIFORM
from aiq_core.search.strategies import strategy
from aiq_core.space import JOINT
from aiq_core.statistics import Comparison, Interval
from aiq_core.store.store import IMPORTED
from aiq_core.wording import join, number, span, uniform_name

FASTER = 1.005
"""The least predicted speed-up that is called one: below it two digits read 1.00."""


RIVALS = ((8, FP32_BITS), (4, FP32_BITS))
JOINT_RIVALS = ((8, 8), (4, 8), (4, 4))
"""Bits of weights and activations of the uniform policies that a run is compared with; the latter where it has both."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A policy with one width a kind, to compare a run with: its AI, and its drop on the run's images.

    `cells` compare the run with it, image by image. None where it was not measured on them.
    """

    bits: int
    activation_bits: int
    policy: Policy
    intensity: float
    drop: Interval | None
    cells: Comparison | None


@dataclass(frozen=True)
class Facts:
    """A run for its slides. `letter` names it among several; bound layers are None where the machine can't run them.

    `machines` are all those that it is predicted on.
    """

    run: Run
    model: Model
    document: Mapping[str, Any]
    machine: Machine
    letter: str
    memory_bound_before: int | None
    memory_bound_after: int | None
    rivals: tuple[Rival, ...]
    machines: Mapping[str, Machine]

    @property
    def title(self) -> str:
        """What readers call the model."""
        return self.model.title

    @property
    def profile(self) -> ModelProfile:
        """The model's profile."""
        return self.model.profile

    @property
    def policy(self) -> Policy:
        """The policy that the run chose."""
        assert self.run.policy is not None  # `facts` refuses a run without one
        return self.run.policy

    @property
    def counting(self) -> tuple[str, Quantizer]:
        """The run's traffic model and quantizer, by which every byte and AI of its slides is counted."""
        return self.run.request.traffic, self.run.request.quantizer

    @property
    def traffic(self) -> str:
        """The run's traffic model."""
        return self.run.request.traffic

    @property
    def split(self) -> SplitName | None:
        """The images that its accuracy is told on: report, else search, else None."""
        splits = (SplitName.REPORT, SplitName.SEARCH)
        return next((split for split in splits if self.document[f"{split}_drop_points"] is not None), None)

    @property
    def drop(self) -> Interval | None:
        """Points lost against FP32 on the images of `split`."""
        if self.split is None:
            return None
        low, high = self.document[f"{self.split}_drop_interval"]
        return Interval(self.document[f"{self.split}_drop_points"], low, high)

    @property
    def within_noise(self) -> bool:
        """Whether the drop's interval contains 0."""
        return self.drop is not None and self.drop.contains_zero

    @property
    def images(self) -> int:
        """How many images `split` has here."""
        return 0 if self.split is None else int(self.document[f"{self.split}_images"])

    @property
    def speed_up(self) -> float | None:
        """Predicted on the machine at batch 1; None where it can't run FP32 activations."""
        value: float | None = self.document["predicted_speedup"][self.machine.key]
        return value

    @property
    def is_faster(self) -> bool:
        """Whether a speed-up is predicted on the machine."""
        return self.speed_up is not None and self.speed_up >= FASTER

    @property
    def moves(self) -> int:
        """How many moves the search had to choose from: each is one evaluation of the plain algorithm."""
        return sum(len(step.candidates) for step in self.run.steps)

    @property
    def searched(self) -> bool:
        """Whether the run chose its policy by a loss, so that a plain search has a count."""
        return strategy(self.run.request.algorithm).searches and self.moves > 0

    @property
    def imported(self) -> bool:
        """Whether the run was made elsewhere."""
        return self.run.origin is not None and self.run.origin.source == IMPORTED

    def shown(self, field: str, form: Callable[[Any], str] | int) -> Shown:
        """A field of the document; `form` may be a number of digits."""
        return shown(self.document, field, digits(form) if isinstance(form, int) else form)

    def value(self, field: str) -> Any:
        """A field of the document as it is."""
        return look_up(self.document, field)

    def interval(self, field: str, count: int = 2) -> Text:
        """An interval of the document as `a to b`."""
        return say(self.shown(f"{field}.0", count), " to ", self.shown(f"{field}.1", count))


def method(run: Run) -> str:
    """How a run found its policy: `greedy at alpha 0.9`."""
    request = run.request
    text = strategy(request.algorithm).noun
    if request.alpha is not None:
        text += f" at alpha {request.alpha:g}"
    elif request.points is not None and run.policy is not None:
        text += f", its point within {number(WITHIN.limit, 1)} points"
    elif request.algorithm == UNIFORM.name and run.policy is not None:
        name = uniform_name(run.policy) if run.policy.has_activations else None
        text += f", {name or f'{run.policy.weight_bits[0]} bits'}"
    if request.is_joint:
        text += f", {JOINT.title}"
    if request.quantizer.rounding not in (Quantizer().rounding, FINE_TUNED):
        text += f", rounded by {request.quantizer.rounding}"
    if request.traffic != UNFUSED:
        text += f", {request.traffic} traffic"
    return text


def kicker(facts: Facts, *more: str) -> str:
    """The small line above a title: which run, and what it is about."""
    run = facts.run
    state = "" if run.status is RunStatus.DONE else f"{run.status}: best so far"
    origin = f"imported, measured on {run.origin.cpu}" if facts.imported and run.origin is not None else ""
    name = f"{facts.letter}: {facts.title}" if facts.letter else facts.title
    return join([name, method(run), run.request.label or "", state, origin, *more])


def without_policy(run: Run) -> str:
    """Why a run has nothing to present."""
    if run.request.points is not None:
        return f"is {run.status} and no point of it is measured here"
    if run.status is RunStatus.DONE:
        return f"measured {strategy(run.request.algorithm).noun} and chose no policy"
    return f"is {run.status} and has no policy yet"


def facts(library: Library, run: Run, machine: Machine, letter: str = "") -> Facts:
    """What the slides of a run say on a machine. Raises SettingError for a run that has chosen nothing yet."""
    run = fronts.as_chosen(library, run)
    if run.policy is None:
        raise SettingError(f"run {run.id} {without_policy(run)}; choose a run that chose one")
    document = documents.run_document(library, run, within=WITHIN)
    model = library.model(run.request.model)
    profile = model.profile
    bound: tuple[int | None, int | None] = (None, None)
    if machine.runs_fp32:
        counting = run.request.traffic, run.request.quantizer
        at = predict(machine, profile, [profile.uniform(FP32_BITS), run.policy], 1, *counting)
        bound = int(at.memory_bound[0].sum()), int(at.memory_bound[1].sum())
    known = Facts(run, model, document, machine, letter, *bound, (), library.machines)
    joint = JOINT_RIVALS if run.policy.has_activations else ()
    rivals = tuple(_rival(library, known, *widths) for widths in (*joint, *RIVALS))
    return Facts(run, model, document, machine, letter, *bound, rivals, known.machines)


def _rival(library: Library, known: Facts, bits: int, activation_bits: int) -> Rival:
    profile, quantizer = known.profile, known.run.request.quantizer
    policy = profile.uniform(bits, activation_bits)
    value = intensity(profile, policy, 1, *known.counting)
    if known.split is None:
        return Rival(bits, activation_bits, policy, value, None, None)
    where = (known.model, known.split, known.images)
    lost = library.paired(*where, profile.uniform(FP32_BITS), policy, quantizer)
    cells = library.paired(*where, policy, known.policy, quantizer)
    return Rival(bits, activation_bits, policy, value, None if lost is None else lost.drop, cells)


def drop_words(drop: Interval) -> str:
    """A drop with its interval: `0.72 points (95 %: 0.41 to 1.04)`."""
    noise = ", within noise" if drop.contains_zero else ""
    return f"{number(drop.value, 2)} points (95 %: {span(drop)}{noise})"


def lost_words(lost: Interval) -> str:
    """What one policy loses against another: `0.72 points (95 %: 0.41 to 1.04) less accuracy`."""
    if lost.value >= 0:
        return f"{drop_words(lost)} less accuracy"
    return f"{drop_words(Interval(-lost.value, -lost.high, -lost.low))} more accuracy"
