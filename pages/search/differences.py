"""What tells two runs of one model apart: layers, settings, and their policies on the same images; pure."""

import pandas as pd

from aiq_core.errors import SettingError
from aiq_core.records import ModelProfile, Policy, Run
from aiq_core.statistics import Comparison
from aiq_core.wording import MINUS, bits_name, number, signed, span, uniform_name

COLUMNS = ["where", "A", "B", "elements", "B − A (bytes)"]


def comparable(first: Run, second: Run) -> tuple[Policy, Policy]:
    """The policies of two runs. Raises SettingError where the runs do not stand on the same ground."""
    a, b = first.request, second.request
    if first.id == second.id:
        raise SettingError(f"run {first.id} is compared with itself; choose another")
    if a.model != b.model or first.model_hash != second.model_hash:
        raise SettingError(f"runs of {a.model} and {b.model} have no layers in common; choose runs of one model")
    if a.images != b.images or first.search_hash != second.search_hash:
        raise SettingError(
            f"run {first.id} searched on {a.images:,} images and run {second.id} on {b.images:,}, so their figures "
            "are not comparable; choose runs on the same images"
        )
    if first.policy is None or second.policy is None:
        run = first if first.policy is None else second
        raise SettingError(f"run {run.id} has chosen no policy to compare; choose another")
    return first.policy, second.policy


def sentence(cells: Comparison, split: str) -> str:
    """What the comparison says, in a sentence."""
    difference = cells.drop
    where = f"on the same {cells.images:,} {split} images"
    if cells.lost + cells.gained == 0:
        return f"On {cells.images:,} {split} images A and B are right on exactly the same ones."
    fewer = "fewer" if difference.value > 0 else "more"
    points = "as many right" if difference.value == 0 else f"{number(abs(difference.value), 2)} points {fewer}"
    noise = ", within noise" if difference.contains_zero else ""
    return (
        f"B has {points} {where}: A minus B is {number(difference.value, 2)} points (95 %: {span(difference)}{noise}); "
        f"only A has {cells.lost:,} right, only B {cells.gained:,}; McNemar’s exact p = {probability(cells.p)}."
    )


def probability(p: float) -> str:
    return "less than 0.0001" if p < 0.0001 else number(p, 4)


def sites(profile: ModelProfile, first: Policy, second: Policy) -> pd.DataFrame:
    """The layers and activation groups whose width differs, in network order."""
    widths = ((site, profile.width(first, site), profile.width(second, site)) for site in profile.sites)
    rows = [
        (str(site), bits_name(a), bits_name(b), profile.elements(site), profile.elements(site) * (b - a) / 8)
        for site, a, b in widths
        if a != b
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def settings(first: Run, second: Run) -> pd.DataFrame:
    """The settings and circumstances that differ."""
    rows = [
        {"setting": name, "A": _text(a), "B": _text(b)}
        for (name, a), b in zip(_settings(first).items(), _settings(second).values(), strict=True)
        if a != b
    ]
    return pd.DataFrame(rows, columns=["setting", "A", "B"])


def _settings(run: Run) -> dict[str, object]:
    request, origin = run.request, run.origin
    return {
        "algorithm": str(request.algorithm),
        "alpha": request.alpha,
        "widths": request.widths,
        "widths of activations": request.activation_widths,
        "begins at": None if request.start is None else uniform_name(request.start) or request.start.key,
        "normaliser": run.intensity_normaliser,
        "points that count as 1": request.accuracy_normaliser,
        "floor": run.floor_score,
        "excluded": request.excluded,
        "held": tuple(f"{layer} {bits}" for layer, bits in request.fixed.items()),
        "traffic model": request.traffic,
        "images to choose on": request.chooses_on,
        "rounding": request.quantizer.rounding,
        "ranges of activations": None if (ranges := request.quantizer.activations) is None else ranges.rule,
        "scale per": str(request.quantizer.granularity),
        "evaluations at most": request.max_evaluations,
        "minutes at most": request.max_minutes,
        "bundled used": request.use_bundled,
        "origin": None if origin is None else origin.source,
        "processor": None if origin is None else origin.cpu,
        "torch": None if origin is None else origin.torch,
    }


def _text(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def change(after: float, before: float) -> str:
    """B against A in percent, as a delta that Streamlit reads: it tells a fall by an ASCII minus."""
    if after == before:
        return "as A"
    if before == 0:
        return "A: 0"
    return f"{signed(100 * (after / before - 1), 1)} %".replace(MINUS, "-")
