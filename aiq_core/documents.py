"""What is said of a run outside: one JSON document with every figure a reader needs."""

from dataclasses import asdict
from typing import Any

from aiq_core import fronts
from aiq_core.errors import SettingError
from aiq_core.frontier import Budget
from aiq_core.intensity import intensity, moved_bytes, stored_bytes, traffic, weight_bytes
from aiq_core.library import Library
from aiq_core.objective import exchange_rate
from aiq_core.records import ImageSet, ModelProfile, Policy, Quantizer, Run, SplitName
from aiq_core.roofline import predict, speed_up
from aiq_core.search.strategies import strategy
from aiq_core.store import codec
from aiq_core.traffic import STORED, traffic_model
from aiq_core.wording import size


def run_summary(run: Run) -> dict[str, Any]:
    """What a list of runs says of each."""
    request = run.request
    return {
        "id": run.id,
        "model": request.model,
        "algorithm": str(request.algorithm),
        "alpha": request.alpha,
        "status": str(run.status),
        "label": request.label,
        "search_images": request.images,
        "evaluations": run.evaluations,
        "evaluations_new": run.evaluations_new,
        "seconds": round(run.seconds, 3),
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "source": None if run.origin is None else run.origin.source,
        "archived": run.archived,
        "message": run.message,
    }


def run_document(library: Library, run: Run, by: str | None = None, within: Budget | None = None) -> dict[str, Any]:
    """Everything of a run: settings, the policy with its figures, intervals and steps; null where not measured.

    The policy's bytes, AI and predicted times are by the traffic model `by`, the run's own unless another is named; the
    steps and the loss are always by the run's, `objective_traffic`. A front has `points` instead of a policy, and the
    one that keeps a DROP `within` stands out as `chosen`. Raises UnknownNameError.
    """
    by = traffic_model(by or run.request.traffic).name
    return {
        **run_summary(run),
        **({"traceback": run.traceback} if run.traceback else {}),
        **_settings(run),
        "traffic": by,
        **_policy(library, run, by),
        **_front(library, run, by, within),
        "steps": [codec.step_to_json(step) for step in run.steps],
    }


def _settings(run: Run) -> dict[str, Any]:
    request, normaliser = run.request, run.intensity_normaliser
    searches = strategy(request.algorithm).searches and request.alpha is not None and request.alpha < 1
    rate = (
        exchange_rate(request.alpha or 0.0, normaliser, request.accuracy_normaliser)
        if searches and normaliser
        else None
    )
    return {
        "widths": list(request.widths),
        "activation_widths": list(request.activation_widths),
        "start": None if request.start is None else request.start.key,
        "choose_images": request.choose_images,
        "rounding": request.quantizer.rounding,
        "excluded": list(request.excluded),
        "fixed": dict(request.fixed),
        "intensity_normaliser": normaliser,
        "accuracy_normaliser": request.accuracy_normaliser,
        "points_per_intensity": rate,
        "floor_correct": run.floor_score,
        "baseline_correct": run.baseline_score,
        "quantizer": request.quantizer.to_json(),
        "tuning": None if request.tuning is None else asdict(request.tuning),
        "objective_traffic": request.traffic,
        "model_hash": run.model_hash,
        "search_hash": run.search_hash,
        "report_hash": run.report_hash,
        "origin": None if run.origin is None else asdict(run.origin),
    }


def _policy(library: Library, run: Run, by: str) -> dict[str, Any]:
    profile, policy = library.model(run.request.model).profile, run.policy
    baseline, quantizer = profile.uniform(32), run.request.quantizer
    document: dict[str, Any] = {
        "policy": None,
        "baseline_intensity": intensity(profile, baseline, by=by, quantizer=quantizer),
    }
    if policy is None:
        return document
    value = intensity(profile, policy, by=by, quantizer=quantizer)
    as_stored = traffic(profile, [baseline, policy], by=STORED, quantizer=quantizer).intensity
    return document | {
        **policy_document(profile, policy),
        "intensity": value,
        "intensity_gain_percent": 100 * (value / document["baseline_intensity"] - 1),
        "stored_intensity_gain_percent": 100 * float(as_stored[1] / as_stored[0] - 1),
        "weight_bytes": weight_bytes(profile, policy),
        "stored_bytes": stored_bytes(profile, policy, quantizer),
        "moved_bytes": moved_bytes(profile, policy, by=by, quantizer=quantizer),
        "predicted_speedup": {
            machine.key: speed_up(machine, profile, baseline, policy, 1, by, quantizer) if machine.runs_fp32 else None
            for machine in library.machines.values()
        },
        **_accuracy(library, run, policy, "search", ImageSet(SplitName.SEARCH, run.request.chooses_on)),
        **_accuracy(library, run, policy, "confirm", _confirming(run)),
        **_accuracy(library, run, policy, "report", _judged(library, run, policy)),
    }


def _front(library: Library, run: Run, by: str, within: Budget | None) -> dict[str, Any]:
    """The points of a front, and which of them a budget leaves; nothing of other runs."""
    if strategy(run.request.algorithm).front is None:
        return {}
    found = fronts.points(library, run)
    document: dict[str, Any] = {
        "within": list(run.request.within),
        "measure": run.request.measure,
        "points": [_point(library, run, point, by) for point in found],
    }
    if within is not None:
        choice = fronts.choose(found, within)
        document |= {
            "budget": str(within),
            "chosen": None if choice.point is None else _point(library, run, choice.point, by),
            "nearest": None if choice.nearest is None else _point(library, run, choice.nearest, by),
            "choice": choice.sentence,
        }
    return document


def _point(library: Library, run: Run, point: fronts.Point, by: str) -> dict[str, Any]:
    profile, quantizer = library.model(run.request.model).profile, run.request.quantizer
    fp32 = profile.uniform(32)
    value, baseline = (intensity(profile, each, by=by, quantizer=quantizer) for each in (point.policy, fp32))
    as_stored = traffic(profile, [fp32, point.policy], by=STORED, quantizer=quantizer).intensity
    drops = {"search": point.search, "confirm": point.confirm, "report": point.report}
    return {
        **policy_document(profile, point.policy),
        "intensity": value,
        "intensity_gain_percent": 100 * (value / baseline - 1),
        "stored_intensity_gain_percent": 100 * float(as_stored[1] / as_stored[0] - 1),
        "stored_bytes": stored_bytes(profile, point.policy, quantizer),
        "moved_bytes": moved_bytes(profile, point.policy, by=by, quantizer=quantizer),
        "predicted_cost_nats": point.cost,
        **({} if point.seconds is None else {"predicted_us_an_image": 1e6 * point.seconds}),
        **{f"{name}_drop_points": None if each is None else each.drop.value for name, each in drops.items()},
        **{
            f"{name}_drop_interval": None if each is None else [each.drop.low, each.drop.high]
            for name, each in drops.items()
        },
        "predicted_time_us": _times(library, profile, point.policy, by, quantizer),
        "refined": point.refined,
        "beaten": point.beaten,
    }


def _times(
    library: Library, profile: ModelProfile, policy: Policy, by: str, quantizer: Quantizer
) -> dict[str, float | None]:
    """Machine -> microseconds an image at batch 1, None where it lacks the arithmetic."""
    found: dict[str, float | None] = {}
    for each in library.machines.values():
        try:
            time = predict(each, profile, [policy], by=by, quantizer=quantizer).total_seconds[0]
        except SettingError:
            found[each.key] = None
        else:
            found[each.key] = 1e6 * float(time)
    return found


def policy_document(profile: ModelProfile, policy: Policy) -> dict[str, Any]:
    """A policy by name, as `manual.parse_policies` reads it, and its key."""
    return {
        "policy": profile.named_bits(policy),
        "activation_policy": profile.named_activation_bits(policy),
        "policy_key": policy.key,
    }


def _confirming(run: Run) -> ImageSet | None:
    """The search images on which nothing was chosen; None where a run keeps none apart."""
    request = run.request
    if request.choose_images is None:
        return None
    return ImageSet(SplitName.SEARCH, request.images, request.choose_images)


def _judged(library: Library, run: Run, policy: Policy) -> ImageSet:
    """The report images that the run's policy was judged on: all of them, or those of the excerpt."""
    model = library.model(run.request.model)
    whole = model.dataset.report.size
    found = library.evaluation(model, SplitName.REPORT, policy, run.request.quantizer)
    images = whole if found is not None and found.is_complete(whole) else model.dataset.report.shipped
    return ImageSet(SplitName.REPORT, images)


def _accuracy(library: Library, run: Run, policy: Policy, split: str, images: ImageSet | None) -> dict[str, Any]:
    cells = None
    if images is not None:
        model, quantizer = library.model(run.request.model), run.request.quantizer
        fp32, counted = model.profile.uniform(32), (images.split, images.images)
        cells = library.paired(model, *counted, fp32, policy, quantizer, start=images.start)
    names = ("top1_percent", "top1_interval", "baseline_top1_percent", "drop_points", "drop_interval", "mcnemar_p")
    if cells is None or images is None:
        return {f"{split}_{name}": None for name in (*names, "images")}
    top1, drop = cells.after, cells.drop
    values = (
        *(top1.value, [top1.low, top1.high], cells.before.value),
        *(drop.value, [drop.low, drop.high], cells.p),
    )
    found = {f"{split}_{name}": value for name, value in zip(names, values, strict=True)}
    return found | {f"{split}_images": images.count}


def policy_figures(library: Library, run: Run) -> tuple[str, str]:
    """AI and search top-1 of a run's policy as text, empty where there is none."""
    if run.policy is None:
        return "", ""
    model, images = library.model(run.request.model), run.request.images
    value = f"{intensity(model.profile, run.policy, by=run.request.traffic, quantizer=run.request.quantizer):.3f}"
    found = library.evaluation(model, SplitName.SEARCH, run.policy, run.request.quantizer)
    if found is None or not found.is_complete(images):
        return value, ""
    right = model.metric.score(found.outcomes[:images], model.dataset.search.labels[:images])
    return value, f"{100 * right / images:.2f}"


def sentences(document: dict[str, Any]) -> list[str]:
    """What a run's document says, in a few lines."""
    lines = [
        f"{document['evaluations']} evaluations asked for, {document['evaluations_new']} computed, "
        f"{document['seconds']:.1f} s"
    ]
    if document["message"]:
        lines.append(document["message"])
    if document["policy"] is None:
        return lines
    if (tuning := document["tuning"]) is not None:
        lines.append(
            f"trained at these widths for {tuning['epochs']} epochs from {tuning['start']}, seed {tuning['seed']}; "
            f"layers {document['quantizer'].get('trained', 'not trained yet')}"
        )
    lines.append(
        f"AI {document['intensity']:.4f} FLOPs/byte ({document['intensity_gain_percent']:+.1f} % on FP32's "
        f"{document['baseline_intensity']:.4f}; {document['traffic']}, batch 1)"
    )
    lines.append(
        f"{size(document['weight_bytes'])} of weights, {size(document['stored_bytes'])} as stored with scales and "
        f"folded biases (AI {document['stored_intensity_gain_percent']:+.1f} % so counted)"
    )
    for split in ("search", "confirm", "report"):
        if document[f"{split}_top1_percent"] is not None:
            low, high = document[f"{split}_drop_interval"]
            lines.append(
                f"top-1 {document[f'{split}_top1_percent']:.2f} % on {document[f'{split}_images']:,} {split} images, "
                f"drop {document[f'{split}_drop_points']:.2f} points (95 %: {low:.2f} to {high:.2f})"
            )
    return lines
