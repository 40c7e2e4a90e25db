"""A machine as a user enters it: peak rates and bandwidth that nobody vouches for, within limits; and as JSON."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from aiq_core.errors import SettingError, look_up
from aiq_core.hardware import Machine, NumberType, Source, SourceKind

LONGEST_KEY, LONGEST_NAME = 40, 60
MARKUP = "\\`*_$<>[]{}|~#"
_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def machine(key: str, name: str, bandwidth: float, rates: Mapping[str, float]) -> Machine:
    """A machine of a bandwidth in bytes/s and peak rates in operations/s a number type.

    FP32-typed layers run in TF32 where it has a rate, else in FP32. Raises SettingError for what is outside the limits,
    UnknownNameError for a type that is none.
    """
    if not _KEY.fullmatch(key) or len(key) > LONGEST_KEY:
        raise SettingError(
            f"key={key!r} is not offered; use at most {LONGEST_KEY} of a to z, 0 to 9 and single hyphens between them"
        )
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise SettingError(f"name={name!r} has {len(name)} characters; use 1 to {LONGEST_NAME}")
    if markup := sorted(set(name) & set(MARKUP)):
        raise SettingError(f"name={name!r} has {markup[0]!r}, which pages would read as markup; leave it out")
    known = {str(kind): kind for kind in NumberType}
    given = {look_up("number type", str(kind), known): rate for kind, rate in rates.items()}
    if not given:
        raise SettingError(f"{name} has no peak rate; give one in operations/s, such as FP32's")
    for what, value in (("bandwidth", bandwidth), *given.items()):
        if not (isfinite(value) and value > 0):
            raise SettingError(f"{what}={value:g} is not a number above 0; give it in bytes/s or operations/s")

    def source(value: float) -> Source:
        return Source(SourceKind.ENTERED, float(value), "as entered, no source")

    return Machine(
        key=key,
        name=name,
        rates={kind: source(given[kind]) for kind in NumberType if kind in given},
        bandwidth=source(bandwidth),
        grade="C",
        note="entered by hand",
        fp32_typed=next((kind for kind in (NumberType.TF32, NumberType.FP32) if kind in given), None),
    )


def key_of(name: str) -> str:
    """The key that a name suggests."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_KEY].strip("-") or "mine"


def to_json(entered: Machine) -> dict[str, Any]:
    """What `machine` takes beside the key, JSON-ready."""
    rates = {str(kind): source.value for kind, source in entered.rates.items()}
    return {"name": entered.name, "bandwidth": entered.bandwidth.value, "rates": rates}


def is_entered(machine: Machine) -> bool:
    """Whether a user entered it."""
    return machine.bandwidth.kind is SourceKind.ENTERED
