"""What the form holds, and the requests it stands for; pure. Bad input raises, before anything is written."""

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum

from aiq_core import execute, objective
from aiq_core.catalog import Model
from aiq_core.errors import SettingError
from aiq_core.frontier import DEFAULT_POINTS, Measure, parse_budgets
from aiq_core.manual import LABEL_LENGTH, parse_policies
from aiq_core.records import (
    DEFAULT_ACCURACY_NORMALISER,
    FP32_BITS,
    UNFUSED,
    Granularity,
    Quantizer,
    Request,
    RunStatus,
    Score,
)
from aiq_core.search.baselines import MANUAL, UNIFORM, uniform
from aiq_core.search.greedy import GREEDY
from aiq_core.space import JOINT, WEIGHTS, Space, parse_start, quantizer
from aiq_core.wording import widths_name
from pages.common import known


class Kind(StrEnum):
    FRONT = "front"
    SEARCH = "search"
    SWEEP = "sweep"
    UNIFORM = "uniform"
    POLICIES = "policies"


@dataclass(frozen=True)
class Draft:
    """The form's fields. `alphas` are those of a sweep; `text` is the JSON of given policies.

    A front has `points` within budgets, as `Budget.parse` reads them, and `refinement`. What is None is the space's:
    widths, rounding and, as `space.parse_start` reads it, start.
    """

    model: Model
    images: int
    kind: Kind = Kind.SEARCH
    algorithm: str = GREEDY.name
    alpha: float = 0.9
    alphas: tuple[float, ...] = ()
    bits: int = 8
    activation_bits: int = FP32_BITS
    text: str = ""
    space: Space = WEIGHTS
    widths: tuple[int, ...] | None = None
    activation_widths: tuple[int, ...] | None = None
    rounding: str | None = None
    start: str | None = None
    excluded: tuple[str, ...] = ()
    fixed: dict[str, int] = field(default_factory=dict)
    floor_percent: float | None = None
    intensity_normaliser: float | None = None
    accuracy_normaliser: float = DEFAULT_ACCURACY_NORMALISER
    granularity: Granularity = Granularity.CHANNEL
    max_evaluations: int | None = None
    max_minutes: float | None = None
    use_bundled: bool = True
    label: str = ""
    traffic: str = UNFUSED
    points: int = DEFAULT_POINTS
    within: tuple[str, ...] = ()
    measure: str = Measure.KL
    refinement: int = 0

    @property
    def quantizer(self) -> Quantizer:
        """How its policies are rounded. Raises SettingError where that takes calibration images and there are none."""
        name, space = self.rounding or self.space.rounding, self.space
        return quantizer(self.model.dataset, name, self.granularity, activations=space.is_joint)


def sweep_alphas(first: float, last: float, step: float) -> tuple[float, ...]:
    """From first to last; rounded, as 0.1 added up is not 0.3 and the alpha names the run."""
    if not (step > 0 and 0 <= first <= last <= 1):
        raise SettingError(f"alphas {first:g} to {last:g} by {step:g} are not offered; stay within 0 and 1")
    return tuple(round(first + index * step, 10) for index in range(int((last - first) / step + 1e-9) + 1))


def requests(draft: Draft, baseline: Score | None) -> tuple[Request, ...]:
    """Checked requests, all or none. `baseline` is FP32's score on the images that choose, where it is known."""
    found = _requests(draft)
    for request in found:
        # Builds the run as `submit` will, and throws it away: whatever it refuses, it refuses here.
        execute.new_run(draft.model, request, known.library().machines)
        if request.floor_percent is not None and baseline is not None:
            objective.floor_score(draft.model.metric, request.floor_percent, baseline, request.chooses_on)
    return found


def _requests(draft: Draft) -> tuple[Request, ...]:
    profile = draft.model.profile
    label = draft.label.strip() or None
    if label is not None and len(label) > LABEL_LENGTH:
        raise SettingError(f"the name has {len(label)} characters; use at most {LABEL_LENGTH}")
    shared = {
        "images": draft.images,
        "quantizer": draft.quantizer,
        "use_bundled": draft.use_bundled,
        "max_minutes": draft.max_minutes,
        "traffic": draft.traffic,
    }
    if draft.kind is Kind.UNIFORM:
        policies = uniform(profile, draft.bits, draft.activation_bits)
        profile.check(*policies)
        named = label or _uniform_label(draft)
        return (Request(draft.model.name, UNIFORM.name, policies=policies, label=named, **shared),)
    if draft.kind is Kind.POLICIES:
        policies = parse_policies(draft.text, profile)
        if not draft.space.is_joint and any(policy.has_activations for policy in policies):
            raise SettingError(f"a policy gives activations bits; choose bits for {JOINT.title} to measure it")
        return (Request(draft.model.name, MANUAL.name, policies=policies, label=label, **shared),)
    usual = _usual(draft)
    start = usual.start if draft.start is None else parse_start(draft.start, profile)
    asked = replace(
        usual,
        widths=_sorted(draft.widths, usual.widths),
        activation_widths=_sorted(draft.activation_widths, usual.activation_widths),
        start=None if start is None or start.is_fp32 else start,
        excluded=tuple(name for name in profile.quantizable_names if name in draft.excluded),
        fixed=draft.fixed,
        max_evaluations=draft.max_evaluations,
        label=label,
        **shared,
    )
    if draft.kind is Kind.FRONT:
        return (asked,)
    alphas = (draft.alpha,) if draft.kind is Kind.SEARCH else draft.alphas
    if not alphas:
        raise SettingError("a sweep needs at least one alpha; widen its range")
    return tuple(
        replace(
            asked,
            alpha=alpha,
            intensity_normaliser=draft.intensity_normaliser,
            accuracy_normaliser=draft.accuracy_normaliser,
            floor_percent=draft.floor_percent,
        )
        for alpha in alphas
    )


def _usual(draft: Draft) -> Request:
    """What the space asks for unless told otherwise: a front, or a search at some alpha."""
    model, how = draft.model, draft.quantizer
    if draft.kind is Kind.FRONT:
        within = tuple(map(str, parse_budgets(draft.within)))
        usual = draft.space.front_request(model.name, how, model.profile, draft.images, draft.points, within)
        return replace(usual, measure=draft.measure, refinement=draft.refinement)
    return draft.space.request(model.name, how, model.profile, draft.algorithm, 0.0, draft.images)


def _sorted(widths: tuple[int, ...] | None, usual: tuple[int, ...]) -> tuple[int, ...]:
    return usual if widths is None else tuple(sorted(widths, reverse=True))


def _uniform_label(draft: Draft) -> str:
    """As the bundled uniform runs are called, which are then found."""
    if draft.space.is_joint:
        return f"{widths_name(draft.bits, draft.activation_bits)}, {draft.quantizer.rounding}"
    return f"all at {draft.bits} bits"


def unfinished_import(content: bytes) -> RunStatus | None:
    """The status of an exported run that had not ended: taken in, it would start here by itself. None otherwise."""
    try:
        status = RunStatus(json.loads(content)["run"]["status"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # not an export: the import says what is wrong with it
    return status if status in (RunStatus.QUEUED, RunStatus.RUNNING) else None
