"""Whether a request can be run, said before it is queued."""

from collections.abc import Mapping
from math import isfinite

from aiq_core import rounding
from aiq_core.activations import RULES
from aiq_core.errors import InfeasibleError, SettingError, look_up
from aiq_core.frontier import MOST_POINTS, Measure, parse_budgets
from aiq_core.frontier.budget import KERNELS
from aiq_core.hardware import Machine
from aiq_core.intensity import intensity
from aiq_core.records import FP32_BITS, OFFERED_BITS, ModelProfile, Request
from aiq_core.roofline import predict
from aiq_core.rounding import ROUNDINGS
from aiq_core.search.drawn import MOST_DRAWN
from aiq_core.search.fine_tune import FINE_TUNE
from aiq_core.search.strategies import strategy


def check(request: Request, profile: ModelProfile) -> None:
    """Raises SettingError or InfeasibleError for the first setting outside its limits.

    An unknown name, of a rounding or a traffic model, raises UnknownNameError, and a network that the traffic model
    cannot count UncountableOperatorError.
    """
    names = profile.quantizable_names
    alpha, searches = request.alpha, strategy(request.algorithm).searches
    if searches and (alpha is None or not isfinite(alpha) or not 0 <= alpha <= 1):
        raise SettingError(f"alpha={alpha} is not offered; choose a number from 0 (accuracy) to 1 (AI)")
    for label, widths in (("widths", request.widths), ("activation_widths", request.activation_widths)):
        if not widths or len(set(widths)) != len(widths) or not set(widths) <= set(OFFERED_BITS):
            raise SettingError(f"{label}={list(widths)} are not offered; choose from {list(OFFERED_BITS)}, once each")
    if {*request.widths, *request.activation_widths} == {FP32_BITS}:
        raise SettingError(
            f"widths={list(request.widths)} leave nothing to choose; offer at least one width below {FP32_BITS}"
        )
    for label, value in (
        ("intensity_normaliser", request.intensity_normaliser),
        ("accuracy_normaliser", request.accuracy_normaliser),
    ):
        if value is not None and not (isfinite(value) and value > 0):
            raise SettingError(f"{label}={value} is not offered; choose a number above 0")
    if request.floor_percent is not None and not 0 <= request.floor_percent <= 100:
        raise SettingError(f"floor={request.floor_percent} is not a percentage; choose 0 to 100")
    start = request.start_policy(profile)
    for name in request.excluded:
        if name in request.fixed:
            raise SettingError(f"layer {name!r} is both excluded and fixed; choose one")
    for policy in (start, *request.policies):
        profile.check(policy)
        rounding.check(request.quantizer, policy)
    intensity(profile, start, by=request.traffic, quantizer=request.quantizer)
    if (searches or strategy(request.algorithm).front) and not request.movable(profile):
        raise InfeasibleError(
            f"all {len(names)} layers are excluded, fixed or at the only width offered, so nothing is left to choose; "
            "free one"
        )
    _check_activations(request)
    if request.choose_images is not None and not 0 < request.choose_images < request.images:
        raise SettingError(
            f"choose_images={request.choose_images} leaves none of {request.images} search images to confirm on; "
            f"choose 1 to {request.images - 1}"
        )
    _check_budget(request)
    _check_front(request, profile)
    _check_tuning(request)


def _check_activations(request: Request) -> None:
    ranges = request.quantizer.activations
    if ranges is not None:
        look_up("rule of activations", ranges.rule, RULES)
    elif request.is_joint:
        raise SettingError(
            f"activations below {FP32_BITS} bits have no ranges; give their rule ({', '.join(RULES)}), or leave every "
            f"activation group at {FP32_BITS}"
        )


def _check_budget(request: Request) -> None:
    if request.max_evaluations is not None and request.max_evaluations < 1:
        raise SettingError(f"max_evaluations={request.max_evaluations} is not offered; choose 1 or more, or none")
    if request.max_minutes is not None and not (isfinite(request.max_minutes) and request.max_minutes > 0):
        raise SettingError(f"max_minutes={request.max_minutes} is not offered; choose a number above 0, or none")


def _check_front(request: Request, profile: ModelProfile) -> None:
    how = strategy(request.algorithm)
    if (request.seed is not None) != how.draws:
        raise SettingError(f"algorithm={how.name} with seed={request.seed} is not offered; what draws alone has one")
    if request.table is not None and not how.uses_costs:
        raise SettingError(f"algorithm={how.name} knows no table of kernels; a frontier does")
    if not how.uses_costs and (request.within or request.measure is not None or request.refinement):
        raise SettingError(f"algorithm={how.name} has no budgets or costs; a frontier has them")
    if how.front is None:
        if request.points is not None:
            raise SettingError(f"algorithm={how.name} has no points; a frontier has them")
        return
    most = MOST_POINTS if how.uses_costs else MOST_DRAWN
    if request.points is None or not 1 <= request.points <= most:
        raise SettingError(f"points={request.points} is not offered; choose 1 to {most}")
    if not how.uses_costs:
        return
    if request.measure not in tuple(Measure):
        raise SettingError(f"measure={request.measure!r} is not known; choose from {', '.join(Measure)}")
    if request.refinement < 0:
        raise SettingError(f"refinement={request.refinement} is not offered; choose 0 or more evaluations")
    for budget in parse_budgets(request.within):
        if budget.machine == KERNELS and request.table is None:
            raise SettingError(f"budget {str(budget)!r} is on measured kernels; ask for a frontier along time")


def check_machines(request: Request, profile: ModelProfile, machines: Mapping[str, Machine]) -> None:
    """Raises UnknownNameError for a budget's machine that is not there, SettingError for one that runs nothing here.

    Apart from `check`: a run that another machine made may name one that is only known there.
    """
    for budget in parse_budgets(request.within):
        if budget.machine not in (None, KERNELS):
            on = look_up("machine", str(budget.machine), machines)
            predict(on, profile, [profile.uniform(2, 2)], by=request.traffic)


def _check_tuning(request: Request) -> None:
    tuning, settings = request.tuning, request.quantizer
    if (tuning is not None) != (request.algorithm == FINE_TUNE.name):
        raise SettingError(
            f"algorithm={request.algorithm} with tuning={tuning} is not offered; fine_tune alone has one"
        )
    if tuning is None:
        if settings.is_fine_tuned and settings.trained is None:
            raise SettingError("these layers are not trained yet; run `python -m aiq_core fine-tune` first")
        return
    if len(request.policies) != 1:
        raise SettingError(f"{len(request.policies)} policies are listed to fine-tune; give one")
    if all(bits == FP32_BITS for bits in request.policies[0].weight_bits):
        raise SettingError(
            f"policy {request.policies[0].key!r} leaves every layer's weights at FP32, so there is nothing to train; "
            "give a layer fewer bits"
        )
    if not settings.is_fine_tuned or settings.seed != tuning.seed:
        raise SettingError(f"a fine-tuning of seed {tuning.seed} is asked for with {settings}; give its own quantizer")
    look_up("rounding", tuning.start, ROUNDINGS)
    if tuning.epochs < 1:
        raise SettingError(f"epochs={tuning.epochs} is not offered; choose 1 or more")
    if not (isfinite(tuning.peak_learning_rate) and tuning.peak_learning_rate > 0):
        raise SettingError(f"rate={tuning.peak_learning_rate} is not offered; choose a number above 0, such as 0.001")
    if not 0 <= tuning.distilled <= 1:
        raise SettingError(f"distilled={tuning.distilled} is not a share; choose 0 to 1")
