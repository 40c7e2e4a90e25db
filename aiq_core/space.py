"""The spaces of policies that are searched and shown: the paper's, of weights alone, and the joint one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiq_core import rounding
from aiq_core.activations import DEFAULT_RULE
from aiq_core.catalog import Dataset
from aiq_core.errors import SettingError, look_up
from aiq_core.frontier import ALGORITHM, DEFAULT_POINTS, Measure
from aiq_core.metrics import Metric
from aiq_core.objective import Goal, default_normaliser, exchange_rate, floor_score
from aiq_core.records import (
    DEFAULT_ACCURACY_NORMALISER,
    DEFAULT_WIDTHS,
    FP32_BITS,
    UNFUSED,
    Granularity,
    Grid,
    ModelProfile,
    Policy,
    Quantizer,
    Ranges,
    Request,
    Score,
)

MOST_CHOOSING = 2000
"""Search images that a joint search chooses on, or half of those it has; the others confirm: it looks at so many
policies that the one it chooses looks better on the images of its choice than it is."""


TIMED_WIDTHS, TIME_POINTS = (FP32_BITS, 8), 8
"""Widths that runtimes have kernels for, and points of a frontier along time: kernels come in two types."""


@dataclass(frozen=True, slots=True)
class Space:
    """Policies of these widths, rounded so; searches begin at `start`, (weight bits, activation bits).

    Searches try `widths` one by one; a frontier chooses among the `front_` ones at once, which are more. Where it is
    joint, searches keep images apart to confirm on, and these alone judge.
    """

    name: str
    title: str
    widths: tuple[int, ...]
    activation_widths: tuple[int, ...]
    rounding: str
    start: tuple[int, int] | None
    front_widths: tuple[int, ...]
    front_activation_widths: tuple[int, ...]

    @property
    def is_joint(self) -> bool:
        """Whether activations have bits in it."""
        return self.activation_widths != (FP32_BITS,)

    @property
    def shown_widths(self) -> tuple[int, ...]:
        """Every width of weights in it, widest first."""
        return tuple(sorted({*self.widths, *self.front_widths}, reverse=True))

    @property
    def shown_activation_widths(self) -> tuple[int, ...]:
        """Every width of activations in it, widest first."""
        return tuple(sorted({*self.activation_widths, *self.front_activation_widths}, reverse=True))

    def quantizer(self, dataset: Dataset) -> Quantizer:
        """How its policies are rounded, calibrated on the images of a data set."""
        return quantizer(dataset, self.rounding, activations=self.is_joint)

    def choosing(self, images: int) -> int:
        """How many of so many search images a search chooses on; the others judge, or these too where none are left."""
        return choosing(images) if self.is_joint else 0

    def request(
        self, model: str, quantizer: Quantizer, profile: ModelProfile, algorithm: str, alpha: float | None, images: int
    ) -> Request:
        """The search of it that is asked for unless told otherwise; `quantizer` is its own on the model's data set."""
        return Request(
            model,
            algorithm,
            alpha,
            images=images,
            widths=self.widths,
            activation_widths=self.activation_widths,
            quantizer=quantizer,
            start=None if self.start is None else profile.uniform(*self.start),
            choose_images=choosing(images) if self.is_joint else None,
        )

    def front_request(
        self,
        model: str,
        quantizer: Quantizer,
        profile: ModelProfile,
        images: int,
        points: int = DEFAULT_POINTS,
        within: tuple[str, ...] = (),
    ) -> Request:
        """The frontier of it that is asked for unless told otherwise."""
        searched = self.request(model, quantizer, profile, ALGORITHM, None, images)
        return replace(
            searched,
            widths=self.front_widths,
            activation_widths=self.front_activation_widths,
            points=points,
            within=within,
            measure=Measure.KL,
        )

    def time_request(
        self,
        model: str,
        quantizer: Quantizer,
        profile: ModelProfile,
        images: int,
        table: str,
        points: int = TIME_POINTS,
        within: tuple[str, ...] = (),
    ) -> Request:
        """The frontier along the time that a table of kernels predicts: FP32 or 8 bits; no runtime is faster below."""
        front = self.front_request(model, quantizer, profile, images, points, within)
        return replace(front, widths=TIMED_WIDTHS, activation_widths=TIMED_WIDTHS, start=None, table=table)

    def is_usual(self, request: Request, quantizer: Quantizer, profile: ModelProfile) -> bool:
        """Whether only model, algorithm, alpha, images and traffic tell a search from what it asks for unless told."""
        usual = self.request(request.model, quantizer, profile, request.algorithm, 0.0, request.images)
        how = ("alpha", "label", "sweep", "use_bundled", "traffic", "cluster")
        return not request.policies and request == replace(usual, **{name: getattr(request, name) for name in how})

    def is_usual_front(self, request: Request, quantizer: Quantizer, profile: ModelProfile) -> bool:
        """Whether a request is of a front over all that it offers, held by no budget, by whatever strategy."""
        if request.points is None:
            return False
        usual = self.front_request(request.model, quantizer, profile, request.images)
        how = (
            "algorithm",
            "seed",
            "points",
            "measure",
            "refinement",
            "label",
            "sweep",
            "use_bundled",
            "traffic",
            "cluster",
        )
        return request == replace(usual, **{name: getattr(request, name) for name in how})

    def rate(self, profile: ModelProfile, alpha: float, by: str = UNFUSED, how: Quantizer = Quantizer()) -> float:
        """Points of accuracy that one FLOP/byte is worth at an alpha, unless told otherwise (infinite at 1)."""
        normaliser = default_normaliser(profile, self.widths, by, how, self.activation_widths)
        return exchange_rate(alpha, normaliser, DEFAULT_ACCURACY_NORMALISER)

    def goal(
        self,
        metric: Metric,
        profile: ModelProfile,
        baseline: Score,
        images: int,
        by: str = UNFUSED,
        how: Quantizer = Quantizer(),
    ) -> Goal:
        """The goal unless told otherwise, for FP32's score on so many images."""
        return Goal(
            default_normaliser(profile, self.widths, by, how, self.activation_widths),
            floor_score(metric, None, baseline, images),
            widths=self.shown_widths,
            activation_widths=self.shown_activation_widths,
        )


WEIGHTS = Space("weights", "weights only", DEFAULT_WIDTHS, (FP32_BITS,), "nearest", None, DEFAULT_WIDTHS, (FP32_BITS,))
"""The paper's: activations stay FP32, weights are rounded to nearest."""

JOINT = Space(
    name="joint",
    title="weights and activations",
    widths=(8, 6, 4, 3),
    activation_widths=(8, 6, 4),
    rounding="gptq",
    start=(8, 8),
    front_widths=(8, 6, 5, 4, 3, 2),
    front_activation_widths=(8, 6, 5, 4, 3),
)
"""Both have bits. Of fronts that were tried, 7 bits beside these changed predicted costs by less than 3 %; without 5
they rose by up to 15 % for weights, and by half for activations."""

SPACES: Mapping[str, Space] = {space.name: space for space in (JOINT, WEIGHTS)}
"""By name; the first is what opens."""


def weights_front(model: str, dataset: Dataset, profile: ModelProfile, images: int) -> Request:
    """The frontier of weights alone, as in the paper, but rounded as in JOINT and at its widths."""
    how = quantizer(dataset, JOINT.rounding)
    return replace(
        JOINT.front_request(model, how, profile, images),
        activation_widths=(FP32_BITS,),
        start=profile.uniform(max(JOINT.front_widths)),
        label="weights only, GPTQ, 8 to 2 bits",
    )


def space_of(request: Request, dataset: Dataset) -> Space | None:
    """The space whose policies a request asks for: of its rounding, and of activations with bits or none."""
    here = (each for each in SPACES.values() if dataset.calibration_hash or not each.is_joint)
    return next((each for each in here if each.quantizer(dataset) == request.quantizer), None)


def space(name: str) -> Space:
    """The space of that name. Raises UnknownNameError."""
    return look_up("space", name, SPACES)


def choosing(images: int) -> int:
    """How many of so many search images are chosen on, the first ones, where others confirm."""
    return min(MOST_CHOOSING, images // 2)


def quantizer(
    dataset: Dataset,
    name: str,
    granularity: Granularity = Granularity.CHANNEL,
    grid: Grid = Grid.NARROW,
    activations: bool = False,
    rule: str = DEFAULT_RULE,
) -> Quantizer:
    """A quantizer by the name of its rounding; with `activations`, their ranges are set by `rule`.

    Raises UnknownNameError, and SettingError where calibration images are needed and there are none.
    """
    calibration = dataset.calibration_hash
    if activations and calibration is None:
        raise SettingError(
            f"activations need calibration images for their ranges, and {dataset.name} has none; leave them at FP32"
        )
    ranges = Ranges(rule, str(calibration)) if activations else None
    return rounding.settings(name, calibration, granularity, grid, ranges)


def parse_start(text: str, profile: ModelProfile) -> Policy:
    """A start as text: `w8a8`, `fp32`, or a policy's key. Raises SettingError."""
    if text.lower() == "fp32":
        return profile.uniform(FP32_BITS)
    uniform = re.fullmatch(r"w(\d+)a(\d+)", text.lower())
    policy = profile.uniform(*map(int, uniform.groups())) if uniform else Policy.from_key(text)
    profile.check(policy)
    return policy
